"""Choosing among candidates: by likelihood, energy, powder pattern or property."""
