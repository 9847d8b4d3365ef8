"""The convex hull: reference entries, their energies, distances above it."""
