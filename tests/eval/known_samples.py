"""Real crystals for scoring: AFLOW prototypes and elements that every machine has, MP-20 where it lies near."""

from __future__ import annotations

import gzip
import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ase.collections import dcdft

from unigen.crystals.crystal import Crystal
from unigen.elements import ATOMIC_NUMBER

SAME_RMS = 1e-6


@cache
def prototypes(count: int = 30, max_atoms: int = 16) -> tuple[Crystal, ...]:
    import pymatgen.analysis.prototypes as module
    from pymatgen.core import Structure

    entries = json.loads(gzip.decompress(Path(module.__file__).with_name("aflow_prototypes.json.gz").read_bytes()))
    snls = [entry["snl"] for entry in entries if len(entry["snl"]["sites"]) <= max_atoms][:count]
    return tuple(Crystal.from_pymatgen(Structure.from_dict(snl)) for snl in snls)


@cache
def elements(count: int = 20) -> tuple[Crystal, ...]:
    return tuple(Crystal.from_ase(dcdft[name]) for name in dcdft.names[:count])


def mp20_test(count: int) -> list[tuple[str, Crystal]]:
    """Every so-manieth crystal of MP-20 test; skips the test where the data is not at hand."""
    folder = os.environ.get("UNIGEN_DATA")
    if not folder:
        pytest.skip("set UNIGEN_DATA to the folder that holds mp_20/mp_20_val_test.npz")
    arrays = dict(np.load(Path(folder) / "mp_20" / "mp_20_val_test.npz", allow_pickle=False))
    offsets = np.concatenate([[0], np.cumsum(arrays["num_atoms"], dtype=np.int64)])
    chosen = np.flatnonzero(arrays["split"] == "test")
    chosen = chosen[:: len(chosen) // count][:count]
    sites = [slice(offsets[i], offsets[i + 1]) for i in chosen]
    return [
        (
            str(arrays["material_id"][i]),
            Crystal(arrays["atomic_numbers"][at], arrays["frac_coords"][at], arrays["lattice"][i]),
        )
        for i, at in zip(chosen, sites, strict=True)
    ]


def crystal(symbols: str, coords, lattice=4.0) -> Crystal:
    """``crystal("Na Cl", [...])`` in a cubic cell, or in the cell given."""
    cell = np.eye(3) * lattice if np.isscalar(lattice) else np.array(lattice, dtype=float)
    return Crystal(np.array([ATOMIC_NUMBER[s] for s in symbols.split()]), np.array(coords, dtype=float), cell)


def rock_salt(lattice: float = 5.64, symbols: str = "Na Cl") -> Crystal:
    half = lattice / 2
    return crystal(symbols, [[0, 0, 0], [0.5, 0.5, 0.5]], [[0, half, half], [half, 0, half], [half, half, 0]])


def caesium_chloride(lattice: float = 3.5, symbols: str = "Na Cl") -> Crystal:
    return crystal(symbols, [[0, 0, 0], [0.5, 0.5, 0.5]], lattice)


def shaken(original: Crystal, rng: np.random.Generator, size: float) -> Crystal:
    """Atoms moved by about ``size`` Angstrom, the cell strained by a tenth of that share."""
    moves = rng.normal(scale=size, size=original.frac_coords.shape) @ np.linalg.inv(original.lattice)
    strain = np.eye(3) + rng.normal(scale=size / 10, size=(3, 3))
    return Crystal(original.numbers, original.frac_coords + moves, original.lattice @ strain)
