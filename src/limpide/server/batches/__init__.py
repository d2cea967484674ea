"""Batches: files of requests that are worked off when nobody else wants the machine."""
