"""Crystals as words: elements, lattice, one slot an atom."""
