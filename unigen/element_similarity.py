"""How alike two elements are: on Pettifor's scale, in electronegativity and in size."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np

from unigen.elements import SYMBOLS
from unigen.shapes import Float

DESCRIPTORS: tuple[str, ...] = ("mendeleev", "electronegativity", "radius")
"""Columns of ``elements.csv``; ``data/elements/make_table.py`` names their sources and how gaps are filled."""

PERIOD_OF_SUPERHEAVY = 32
"""Elements past Lr have no entry in the table; they take that of the element above them, 32 places before."""


@cache
def descriptors() -> Float[np.ndarray, "elements descriptors"]:
    """Descriptors by atomic number, each with mean 0 and standard deviation 1; row 0 (no element) is NaN."""
    text = (files("unigen") / "elements.csv").read_text()
    names, *rows = [line.split(",") for line in text.splitlines()]
    columns = [names.index(name) for name in DESCRIPTORS]
    values = np.array([[float(row[column]) for column in columns] for row in rows])
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    table = np.full((len(SYMBOLS), len(DESCRIPTORS)), np.nan)
    table[1 : len(scaled) + 1] = scaled
    table[len(scaled) + 1 :] = table[len(scaled) + 1 - PERIOD_OF_SUPERHEAVY : len(SYMBOLS) - PERIOD_OF_SUPERHEAVY]
    table.flags.writeable = False
    return table


@cache
def element_distances() -> Float[np.ndarray, "elements elements"]:
    """Distance of every pair of elements by atomic number: ``sum_j |x_aj - x_bj|`` over the scaled descriptors.

    A metric: symmetric, zero for an element and itself. Row and column 0 (no element) are NaN. Equal weights, since
    none of 70 other choices (weights, Euclidean distance, ionic radius, group) was better than chance allows on 1,500
    MP-20 validation structures.

    Example:
        >>> table = element_distances()
        >>> bool(table[38, 56] < table[38, 8])  # Sr is nearer to Ba than to O
        True
    """
    scaled = descriptors()
    table = np.abs(scaled[:, None] - scaled[None]).sum(axis=-1)
    table.flags.writeable = False
    return table
