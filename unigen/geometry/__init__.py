"""Pure tensor maths of cells and the torus."""
