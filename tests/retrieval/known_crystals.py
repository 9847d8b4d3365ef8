"""Small sets of real crystals that any machine with the dependencies has."""

from __future__ import annotations

import os
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import CrystalDataset
from unigen.models.nearest.substitution import SubstitutionGenerator


def dataset_of(crystals: list[Crystal], **properties: list[float]) -> CrystalDataset:
    """These crystals as a dataset, named by their position."""
    return CrystalDataset(
        name="in memory",
        ids=np.array([f"crystal-{i}" for i in range(len(crystals))]),
        split=np.array(["train"] * len(crystals)),
        numbers=np.concatenate([crystal.numbers for crystal in crystals]).astype(np.uint8),
        frac_coords=np.concatenate([crystal.frac_coords for crystal in crystals]).astype(np.float32),
        offsets=np.cumsum([0, *(len(crystal) for crystal in crystals)]),
        lattice=np.stack([crystal.lattice for crystal in crystals]),
        properties={name: np.array(values) for name, values in properties.items()},
    )


@cache
def prototypes() -> CrystalDataset:
    """The AFLOW prototypes that pymatgen carries, each fully occupied cell of at most 40 atoms."""
    from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        structures = [entry["snl"].structure for entry in AFLOW_PROTOTYPE_LIBRARY]
    usable = [s for s in structures if s.is_ordered and len(s) <= 40 and all(e.Z <= 103 for e in s.elements)]
    return dataset_of([Crystal(np.array(s.atomic_numbers), s.frac_coords, s.lattice.matrix) for s in usable])


@cache
def prototype_generator() -> SubstitutionGenerator:
    """Substitution from the prototypes."""
    return SubstitutionGenerator.fit(prototypes())


@cache
def shared(file: str) -> dict[str, np.ndarray]:
    """A ragged npz of the folder that UNIGEN_DATA names."""
    folder = os.environ.get("UNIGEN_DATA")
    if not folder or not (Path(folder) / file).exists():
        pytest.skip(f"UNIGEN_DATA does not name a folder with {file}")
    return dict(np.load(Path(folder) / file))


def ragged(columns: dict[str, np.ndarray], rows: np.ndarray) -> CrystalDataset:
    """The chosen rows of a ragged npz."""
    count = columns["num_atoms"].astype(np.int64)
    return CrystalDataset(
        name="shared",
        ids=columns["material_id"],
        split=np.full(len(count), "train"),
        numbers=columns["atomic_numbers"],
        frac_coords=columns["frac_coords"],
        offsets=np.concatenate([[0], np.cumsum(count)]),
        lattice=columns["lattice"],
    ).select(rows)
