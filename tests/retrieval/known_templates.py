"""A small table of templates that any machine can make: prototypes in canonical form, and their likes."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from tests.retrieval.known_crystals import prototypes
from unigen.crystals.symmetric import SymmetricCrystal
from unigen.crystals.symmetry_finder import find_symmetric
from unigen.retrieval.shortlist import Retriever
from unigen.retrieval.table import SiteGeometry, TemplateTable, read_table, write_table

MAX_ATOMS, PROTOTYPES, LIKES = 12, 60, 3


@cache
def symmetric_prototypes() -> tuple[SymmetricCrystal, ...]:
    """Small prototypes in canonical form."""
    known = prototypes()
    small = np.flatnonzero(known.num_atoms <= MAX_ATOMS)[:PROTOTYPES].tolist()
    return tuple(find_symmetric(known[index]) for index in small)


def with_elements(crystal: SymmetricCrystal, random: np.random.Generator) -> SymmetricCrystal:
    """The same template with other elements, in a cell and with free parameters that differ a little."""
    kinds = np.unique(crystal.numbers)
    becomes = dict(zip(kinds.tolist(), random.choice(np.arange(1, 90), len(kinds), replace=False), strict=True))
    lattice = crystal.lattice * np.array([random.uniform(0.95, 1.05)] * 3 + [1.0] * 3)
    moved = (crystal.free + 0.01 * random.normal(size=crystal.free.shape) * (crystal.free != 0)) % 1
    numbers = np.array([becomes[number] for number in crystal.numbers.tolist()])
    return SymmetricCrystal(crystal.space_group, lattice, numbers, crystal.letters, moved)


@cache
def symmetric_crystals() -> tuple[SymmetricCrystal, ...]:
    """Each prototype, and each a few times with other elements."""
    random = np.random.default_rng(0)
    likes = [with_elements(crystal, random) for crystal in symmetric_prototypes() for _ in range(LIKES)]
    return (*symmetric_prototypes(), *likes)


def save_table(path: Path, crystals: tuple[SymmetricCrystal, ...]) -> Path:
    """Every third crystal is of the split val; every second one's stability is unknown."""
    splits = ["val" if index % 3 == 2 else "train" for index in range(len(crystals))]
    stability = np.array([np.nan if index % 2 else 0.01 * index for index in range(len(crystals))])
    ids = [f"known-{index}" for index in range(len(crystals))]
    write_table(path, list(crystals), [SiteGeometry.of(crystal) for crystal in crystals], ids, splits, stability)
    return path


@cache
def table() -> TemplateTable:
    """All of them, written and read."""
    with tempfile.TemporaryDirectory() as folder:
        return read_table(save_table(Path(folder) / "templates.parquet", symmetric_crystals())).select(
            np.arange(len(symmetric_crystals()))
        )


@cache
def retriever() -> Retriever:
    """Over the whole table."""
    return Retriever(table())
