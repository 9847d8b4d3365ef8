"""Whether a crystal can be believed: charges that balance, atoms that are not too close."""
