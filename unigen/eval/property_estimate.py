"""A property of structures estimated from a few hundred structures whose property is known: kernel ridge regression.

``y(x) = mean + sum_i alpha_i exp(-|x - x_i|^2 / (2 l^2))``, with ``(K + r 1) alpha = y - mean``. Length scale l and
ridge r are those of the smallest leave-one-out error, which needs no second fit: ``e_i = alpha_i / (K + r 1)^-1_ii``
(Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, equation 5.12).

It judges what was made for a property that nothing else here can compute. It is as good as its leave-one-out error,
which stands beside every number that it gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.element_similarity import descriptors
from unigen.elements import SYMBOLS
from unigen.molecules.molecule import Molecule
from unigen.shapes import Float

_LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Length scales that are tried, in the median distance of two structures."""

_RIDGES = (1e-6, 1e-4, 1e-2, 1e-1, 1.0)
"""Ridges that are tried, in variances of the property."""


@dataclass(frozen=True, eq=False)
class PropertyEstimate:
    """See the module's docstring.

    Attributes:
        known: features of the structures whose property is known.
        centre: mean of each feature.
        scale: spread of each feature.
        length: of the kernel, in scaled features.
        alpha: weight of each known structure.
        mean: of the property.
        own_error: mean absolute leave-one-out error, in the unit of the property.
    """

    known: Float[np.ndarray, "known features"]
    centre: Float[np.ndarray, "features"]
    scale: Float[np.ndarray, "features"]
    length: float
    alpha: Float[np.ndarray, "known"]
    mean: float
    own_error: float

    @classmethod
    def fit(cls, structures: Sequence[Crystal | Molecule], values: Float[np.ndarray, "known"]) -> PropertyEstimate:
        """Of structures with a finite value each."""
        features = np.stack([features_of(structure) for structure in structures])
        centre, scale = features.mean(0), features.std(0)
        scale = np.where(scale > 1e-9, scale, np.inf)  # what is the same in all tells nothing
        known = (features - centre) / scale
        squared = _squared_distances(known, known)
        median = float(np.sqrt(np.median(squared[squared > 0]))) if (squared > 0).any() else 1.0
        centred = values - values.mean()
        best: tuple[float, float, np.ndarray] | None = None
        for length in _LENGTHS:
            kernel = np.exp(-squared / (2 * (length * median) ** 2))
            for ridge in _RIDGES:
                inverse = np.linalg.inv(kernel + ridge * np.eye(len(kernel)))
                alpha = inverse @ centred
                error = float(np.abs(alpha / np.diag(inverse)).mean())
                if best is None or error < best[0]:
                    best = error, length * median, alpha
        assert best is not None
        return cls(known, centre, scale, best[1], best[2], float(values.mean()), best[0])

    def __call__(self, structures: Sequence[Crystal | Molecule]) -> Float[np.ndarray, "structures"]:
        """The property of each structure."""
        if not structures:
            return np.zeros(0)
        features = np.stack([features_of(structure) for structure in structures])
        squared = _squared_distances((features - self.centre) / self.scale, self.known)
        return self.mean + np.exp(-squared / (2 * self.length**2)) @ self.alpha


def features_of(structure: Crystal | Molecule) -> Float[np.ndarray, "features"]:
    """What a property is estimated from: which elements, how alike, how densely packed; nothing of the order of atoms.

    Shares of the elements; mean, spread, smallest and largest of their descriptors (``element_similarity``); of a
    crystal ln of the volume an atom; of a molecule its atoms, its bonds by order, and its radius of gyration.
    """
    numbers = np.asarray(structure.numbers, dtype=np.int64)
    shares = np.bincount(numbers, minlength=len(SYMBOLS)) / len(numbers)
    table = descriptors()[numbers]
    elements = np.concatenate([shares, table.mean(0), table.std(0), table.min(0), table.max(0)])
    if isinstance(structure, Crystal):
        return np.append(elements, np.log(structure.volume / len(numbers)))
    orders = np.bincount(np.asarray(structure.bonds, dtype=np.int64).reshape(-1, 3)[:, 2], minlength=4)[:4]
    positions = np.asarray(structure.positions, dtype=np.float64)
    gyration = float(np.sqrt(((positions - positions.mean(0)) ** 2).sum(1).mean()))
    counts = np.bincount(numbers, minlength=len(SYMBOLS))
    return np.concatenate([elements, counts, orders, [len(numbers), gyration]])


def _squared_distances(
    first: Float[np.ndarray, "first features"], second: Float[np.ndarray, "second features"]
) -> Float[np.ndarray, "first second"]:
    return ((first[:, None] - second[None]) ** 2).sum(-1)
