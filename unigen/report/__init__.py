"""Showing what was made: tables and pictures."""
