"""Scoring structures: anyone's, ours among them; takes structures and never networks."""
