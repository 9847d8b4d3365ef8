"""Molecules as a SMILES string and then its atoms in space."""
