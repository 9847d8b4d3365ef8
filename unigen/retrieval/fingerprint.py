"""Distances around the sites of each element of a structure: tells distinct templates apart, cheaply."""

from __future__ import annotations

from itertools import product

import numpy as np

from unigen.shapes import Float, Int

NEAREST = 12
"""Distances kept to any neighbour, and as many to neighbours of the same element: the first shell of close packing."""

SMALL_CELL = 4
"""Cells of at most so many atoms need a second shell of images to have NEAREST neighbours of every kind."""


def fingerprint(
    frac_coords: Float[np.ndarray, "atoms 3"],
    lattice: Float[np.ndarray, "3 3"],
    numbers: Int[np.ndarray, "atoms"],
    elements: Int[np.ndarray, "elements"],
) -> Float[np.ndarray, "elements features"]:
    """One row an element: its sorted nearest distances, to all atoms and to its own kind, averaged over its sites.

    Distances are in units of the mean atomic spacing ``(V / atoms)^(1/3)``, so the cell's size is out. Rows hold no
    chemistry: exchanging elements exchanges rows, so the rows taken in the order of the elements that will replace
    them describe the proposal before it is made. Unchanged by atom order, origin, rotation and reflection; a cell
    that is not reduced may hide far neighbours, at the cost of one template proposed twice.
    """
    distance = _distances(frac_coords, lattice, numbers)
    rows = []
    for element in elements:
        sites = numbers == element
        near = _nearest(distance[sites].reshape(sites.sum(), -1))
        same_element = _nearest(distance[np.ix_(sites, sites)].reshape(sites.sum(), -1))
        rows.append(np.concatenate([near.mean(axis=0), same_element.mean(axis=0)]))
    return np.array(rows)


CONTACTS = (1, 2, 4, 8)
"""Which of the nearest neighbours of one element, seen from another, are kept: nearer ones more closely."""


def contacts(
    frac_coords: Float[np.ndarray, "atoms 3"],
    lattice: Float[np.ndarray, "3 3"],
    numbers: Int[np.ndarray, "atoms"],
    elements: Int[np.ndarray, "elements"],
) -> Float[np.ndarray, "elements elements contacts"]:
    """How far elements are from each other: from sites of one, the 1st, 2nd, 4th and 8th nearest site of another.

    Averaged over the sites of the first element, in units of the mean atomic spacing; invariant like ``fingerprint``.
    """
    distance = _distances(frac_coords, lattice, numbers)
    rows = np.empty((len(elements), len(elements), len(CONTACTS)))
    for first, centre in enumerate(elements):
        for second, other in enumerate(elements):
            between = distance[np.ix_(numbers == centre, numbers == other)].reshape((numbers == centre).sum(), -1)
            rows[first, second] = np.sort(between, axis=1)[:, np.array(CONTACTS) - 1].mean(axis=0)
    return rows


def _distances(
    frac_coords: Float[np.ndarray, "atoms 3"], lattice: Float[np.ndarray, "3 3"], numbers: Int[np.ndarray, "atoms"]
) -> Float[np.ndarray, "atoms atoms images"]:
    """From every atom to the images of every atom, in mean atomic spacings; infinite to itself."""
    spacing = (abs(np.linalg.det(lattice)) / len(numbers)) ** (1 / 3)
    reach = 2 if len(numbers) <= SMALL_CELL else 1
    images = np.array(list(product(range(-reach, reach + 1), repeat=3)), dtype=float)
    between = frac_coords[None] - frac_coords[:, None]
    between -= np.round(between)
    vectors = (between[:, :, None] + images) @ (lattice / spacing)
    distance = np.sqrt(np.einsum("abci,abci->abc", vectors, vectors))
    distance[distance < 1e-3] = np.inf  # an atom is no neighbour of itself; rounding leaves far less than a thousandth
    return distance


def _nearest(distances: Float[np.ndarray, "sites neighbours"]) -> Float[np.ndarray, "sites nearest"]:
    return np.sort(np.partition(distances, NEAREST - 1, axis=1)[:, :NEAREST], axis=1)
