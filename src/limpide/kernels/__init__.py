"""Kernels compiled for the processor at hand: what makes the fast numerics fast. Torch remains the reference."""
