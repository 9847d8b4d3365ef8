"""What a powder pattern is plotted against, and 1/d of it."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from unigen.crystals.powder.radiation import inverse_d_of
from unigen.shapes import Float

Axis = Literal["2theta", "q", "d"]
"""Degrees; 1/Angstrom, 2 pi / d; Angstrom."""

_NAMES: tuple[tuple[Axis, str], ...] = (
    ("2theta", r"2\W{0,2}th(?:eta)?\b|two[\W_]*theta|\btth\b|2\W?\u03b8|2\W?\u03d1|\bangles?\b|2thetacounts"),
    ("q", r"\bq\b|q_a\b|q_nm\b|\bmomentum|scattering vector|inverse (?:nano|angs)"),
    ("d", r"\bd\b|\bd[\W_]*(?:spacings?|hkl|values?|obs|calc?|i)\b|\bd\(|interplanar"),
)


def axis_named(text: str) -> Axis | None:
    """The axis that a heading names; None where it names none, or several.

    Example:
        >>> axis_named("2-Theta Angle (Degrees)"), axis_named("Q (1/A)"), axis_named("d-spacing"), axis_named("x")
        ('2theta', 'q', 'd', None)
    """
    words = text.lower().replace("two theta", "2theta").replace("two-theta", "2theta").replace("_", " ")
    words = re.sub(r"\bttheta\b|\btwotheta(?:theta)?\b", "2theta", words)
    found = [axis for axis, form in _NAMES if re.search(form, words)]
    return found[0] if len(found) == 1 else None


def inverse_d(axis: Axis, values: Float[np.ndarray, "points"], wavelength: float) -> Float[np.ndarray, "points"]:
    """1/d in 1/Angstrom of the values of an axis; the wavelength matters to angles alone."""
    if axis == "2theta":
        return inverse_d_of(values, wavelength)
    return values / (2 * np.pi) if axis == "q" else 1 / values
