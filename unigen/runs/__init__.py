"""Runs and their folders: generate, relax, campaigns; resumed where they were cut off."""
