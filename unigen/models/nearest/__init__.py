"""The baseline that learns nothing: the nearest known crystal with its elements exchanged."""
