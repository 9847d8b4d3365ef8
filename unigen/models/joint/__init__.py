"""One network for crystals and molecules."""
