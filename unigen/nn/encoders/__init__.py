"""A structure as one vector an atom, and as one vector."""
