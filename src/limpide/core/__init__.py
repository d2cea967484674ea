"""The nouns that every part of Limpide shares. Imports nothing heavier than the standard library."""
