"""One crystal: the object, its cell, its symmetry, its files, whether two are the same."""
