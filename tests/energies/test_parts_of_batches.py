"""Energies of many structures: in parts that fit into memory, in their order."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from unigen.energies.batched_forces import in_parts


@given(st.lists(st.integers(1, 40), max_size=12), st.integers(1, 100))
def test_no_part_has_more_atoms_than_fit_and_nothing_is_lost(sizes, most):
    parts: list[list[int]] = []

    def compute(structures):
        parts.append([len(atoms) for atoms in structures])
        return [float(atoms.positions[0, 0]) for atoms in structures]

    structures = [Atoms("H" * size, np.full((size, 3), place)) for place, size in enumerate(sizes)]
    assert in_parts(compute, most)(structures) == list(range(len(sizes)))
    assert [size for part in parts for size in part] == sizes
    assert all(sum(part) <= most or len(part) == 1 for part in parts)
    # no more parts than need be, one after the other
    assert all(sum(part) + following[0] > most for part, following in pairwise(parts))
