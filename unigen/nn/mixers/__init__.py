"""Token mixers behind one interface."""
