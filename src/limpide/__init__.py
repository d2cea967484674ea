"""Limpide: own an open-weight reasoning model instead of renting a closed one."""

__version__ = "0.1.0"
