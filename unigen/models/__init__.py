"""The models, and how they are kept."""
