"""Properties of crystals and molecules, each with an error bar, by any encoder."""
