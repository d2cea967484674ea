"""What clients may send, by dialect: strict, and nothing unknown passes."""
