"""One molecule: the object, its graph, its geometry, its files."""
