"""Pictures of structures: crystals, molecules, the scenes that the viewer shows."""
