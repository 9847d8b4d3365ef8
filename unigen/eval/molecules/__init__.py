"""Judging generated molecules and conformers."""
