"""How data becomes noise, one kind of field a file."""
