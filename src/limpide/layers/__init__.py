"""The parts of a decoder block: norm, rope, attention, MLP, linear, embedding, taps. No family names in here."""
