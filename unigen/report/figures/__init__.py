"""Plots as SVG text: axes, histograms, scatter, convex hulls."""
