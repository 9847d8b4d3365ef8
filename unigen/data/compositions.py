"""The compositions of a whole dataset, from its flat columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from unigen.crystals.crystal import GRAM_PER_CUBIC_CENTIMETRE
from unigen.data.crystal_store import CrystalDataset
from unigen.data.store import Dataset
from unigen.elements import format_formula, reduce_counts
from unigen.shapes import Float


def compositions(dataset: Dataset) -> Iterator[dict[int, int]]:
    """Atoms in each cell or molecule by atomic number, ascending."""
    for start, end in zip(dataset.offsets[:-1].tolist(), dataset.offsets[1:].tolist(), strict=True):
        yield dict(sorted(Counter(dataset.numbers[start:end].tolist()).items()))


def reduced_formulas(dataset: CrystalDataset) -> Iterator[str]:
    """Canonical key of each composition, as `Crystal.reduced_formula`."""
    return (format_formula(reduce_counts(counts)[0]) for counts in compositions(dataset))


def densities(dataset: CrystalDataset) -> Float[np.ndarray, "crystals"]:
    """Mass density of each cell in g/cm^3, as `Crystal.density`."""
    from ase.data import atomic_masses

    # reduceat is wrong for empty pieces, and no cell is empty
    masses = np.add.reduceat(atomic_masses[dataset.numbers], dataset.offsets[:-1])
    return masses / np.abs(np.linalg.det(dataset.lattice.astype(np.float64))) * GRAM_PER_CUBIC_CENTIMETRE
