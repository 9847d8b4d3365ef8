"""Crystals and datasets: the domain objects, where they come from, how they are kept."""
