"""Known structures as a starting point: the chemically nearest of them, with the elements exchanged."""
