"""Judging generated crystals: validity, coverage, novelty, match rate, stability."""
