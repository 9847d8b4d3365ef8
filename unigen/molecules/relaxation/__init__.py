"""A molecule goes downhill: by a force field (MMFF94, MMFF94s, UFF) or by GFN2-xTB, and what came of it."""
