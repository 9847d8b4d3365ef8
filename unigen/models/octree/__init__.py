"""Structures as octrees: coarse to fine, occupancy level by level, then an element and a place in every leaf."""
