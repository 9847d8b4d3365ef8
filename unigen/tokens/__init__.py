"""Structures as sequences, and back."""
