"""Crystals as orbits: space group, letters, free parameters; retrieval of known structures."""
