"""Kernels for what no library ships: each a plain torch reference, a Triton twin, and one function that chooses."""
