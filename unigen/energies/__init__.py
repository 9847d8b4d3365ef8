"""Energies by a named potential: relaxation, the convex hull of a reference set, what is stable."""
