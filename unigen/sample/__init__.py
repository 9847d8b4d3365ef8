"""From requests to samples."""
