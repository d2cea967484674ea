"""The dialects as schemas: what clients send and what they get."""
