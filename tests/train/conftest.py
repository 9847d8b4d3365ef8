"""A small dataset of real crystals, built the way users build theirs, and runs of a tiny model on it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import ase.io
import pymatgen.analysis.prototypes
import pytest
from ase.collections import dcdft
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from unigen.data.build import BuildOptions, build_dataset


def _prototypes(count: int) -> list:
    file = Path(pymatgen.analysis.prototypes.__file__).with_name("aflow_prototypes.json.gz")
    snls = [entry["snl"] for entry in json.loads(gzip.decompress(file.read_bytes()))]
    small = [Structure.from_dict(snl) for snl in snls if len(snl["sites"]) <= 12][:count]
    return [AseAtomsAdaptor.get_atoms(structure, msonable=False) for structure in small]


@pytest.fixture(scope="session")
def crystals(tmp_path_factory) -> Path:
    """Parquet file of the elemental crystals of ASE's delta-codes set and some of pymatgen's AFLOW prototypes."""
    folder = tmp_path_factory.mktemp("crystals")
    ase.io.write(folder / "real.extxyz", [dcdft[name] for name in dcdft.names] + _prototypes(60))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIGEN_HOME", str(folder))
        options = BuildOptions(max_atoms=6, split_val=0.2)
        return build_dataset("real", (str(folder / "real.extxyz"),), options, workers=1).path
