"""Space groups: operations, Wyckoff positions, settings, cells."""
