"""Real crystals that every machine has, and hypothesis-made ones."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np
from ase.collections import dcdft
from hypothesis import strategies as st

from unigen.crystals.crystal import Crystal, repeat_cell


@cache
def elemental_crystals() -> tuple[Crystal, ...]:
    """The 71 elemental crystals of ASE's delta-codes set."""
    return tuple(Crystal.from_ase(dcdft[name]) for name in dcdft.names)


@cache
def prototypes(count: int) -> tuple[Crystal, ...]:
    """The first of pymatgen's AFLOW prototypes."""
    import pymatgen.analysis.prototypes as module
    from pymatgen.core import Structure

    entries = json.loads(gzip.decompress(Path(module.__file__).with_name("aflow_prototypes.json.gz").read_bytes()))
    snls = [entry["snl"] for entry in entries if len(entry["snl"]["sites"]) <= 24][:count]
    return tuple(Crystal.from_pymatgen(Structure.from_dict(snl)) for snl in snls)


def vectors(low: float, high: float):
    return st.lists(st.floats(low, high), min_size=3, max_size=3)


@st.composite
def crystals(draw, max_atoms: int = 5) -> Crystal:
    """A random triclinic cell, skewed up to half a vector, atoms at least 0.8 Angstrom apart."""
    lattice = np.diag(draw(vectors(4.0, 8.0)))
    lattice[1, 0], lattice[2, 0], lattice[2, 1] = (2 * x for x in draw(vectors(-1.5, 1.5)))
    count = draw(st.integers(1, max_atoms))
    numbers = draw(st.lists(st.sampled_from([1, 3, 8, 14, 26, 57, 92]), min_size=count, max_size=count))
    cells = draw(st.lists(st.tuples(*[st.integers(0, 12)] * 3), min_size=count, max_size=count, unique=True))
    nudges = np.array([draw(vectors(-0.02, 0.02)) for _ in range(count)])
    return Crystal(np.array(numbers), np.array(cells) / 13 + nudges, lattice, {"energy": draw(st.floats(-9, 9))})


def unimodular():
    """Changes of basis of determinant 1 or -1: a product of shears and a permutation."""
    shears = st.lists(st.tuples(st.permutations([0, 1, 2]), st.integers(-2, 2)), min_size=1, max_size=3)
    return st.tuples(shears, st.permutations([0, 1, 2])).map(_matrix)


def _matrix(recipe) -> np.ndarray:
    shears, order = recipe
    matrix = np.eye(3, dtype=int)
    for (row, column, _), times in shears:
        matrix[row] += times * matrix[column]
    return matrix[list(order)]


SAME_CRYSTAL = ("order", "origin", "cell", "supercell", "mirror", "outside")
"""What a crystal does not know of: order of its atoms, origin, choice of cell, copies in it, hand, lattice vectors."""


@st.composite
def described_otherwise(draw, crystal: Crystal, kinds: tuple[str, ...] = SAME_CRYSTAL) -> Crystal:
    """The same crystal, or its mirror image, by other numbers."""
    numbers, coords, lattice = crystal.numbers, crystal.frac_coords, crystal.lattice
    kind = draw(st.sampled_from(kinds))
    if kind == "supercell":
        return repeat_cell(crystal, draw(st.integers(2, 4)))
    if kind == "order":
        order = draw(st.permutations(range(len(numbers))))
        numbers, coords = numbers[order], coords[order]
    elif kind == "origin":
        coords = coords + np.array(draw(vectors(-1, 1)))
    elif kind == "cell":
        change = draw(unimodular())
        coords, lattice = coords @ np.linalg.inv(change), change @ lattice
    elif kind == "mirror":
        lattice = lattice * np.array([-1, 1, 1])
    elif kind == "outside":
        coords = coords + np.random.default_rng(draw(st.integers(0, 99))).integers(-3, 4, coords.shape)
    return Crystal(numbers, coords, lattice)
