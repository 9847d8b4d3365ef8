"""Properties of given structures."""
