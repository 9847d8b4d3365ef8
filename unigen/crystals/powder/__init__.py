"""Powder diffraction patterns: reading measured ones, calculating those of crystals, fitting cells to them."""
