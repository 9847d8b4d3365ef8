"""A built dataset of molecules gives back what was put in, and says what it is not."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_sources import ragged
from tests.molecules.real_molecules import embedded, molecules
from unigen.crystals.crystal import Crystal
from unigen.data.build import build_dataset
from unigen.data.crystal_store import open_crystals
from unigen.data.dataset_file import built_kind
from unigen.data.molecule_store import MoleculeDataset, open_molecules
from unigen.errors import UserError


@settings(max_examples=20)
@given(some=st.lists(molecules(), min_size=1, max_size=5), data=st.data())
def test_what_is_stored_comes_back(some, data):
    count = len(some)
    table = MoleculeDataset.to_table(some, [f"m{index}" for index in range(count)], (["train", "test"] * count)[:count])
    dataset = MoleculeDataset.from_table("some", table)
    order = np.array(data.draw(st.permutations(range(count))))
    for back, index in zip(dataset.select(order), order, strict=True):
        assert np.array_equal(back.positions, some[index].positions.astype(np.float32))
        for name in ("numbers", "bonds", "charges"):
            assert np.array_equal(getattr(back, name), getattr(some[index], name))
        assert (back.smiles, back.properties) == (some[index].smiles, some[index].properties)
    assert dataset.num_atoms.tolist() == [len(molecule) for molecule in some]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "datasets"


def test_splits_and_names(home):
    (home / "mine").mkdir(parents=True)
    some = [embedded("CCO"), embedded("[NH4+]"), embedded("[H][H]")]
    table = MoleculeDataset.to_table(some, ["a", "b", "c"], ["train", "test", "train"])
    pq.write_table(table, home / "mine" / "molecules.parquet")
    assert table.schema == MoleculeDataset.schema([])
    assert len(open_molecules("mine")) == 3
    assert open_molecules("mine:train").ids.tolist() == ["a", "c"]
    assert open_molecules(home / "mine" / "molecules.parquet")[1].to_smiles() == "[NH4+]"
    assert open_molecules("mine").select(np.array([False, True, False]))[0].charges.sum() == 1
    assert built_kind("mine") == "molecules"
    with pytest.raises(UserError, match=r"no split 'val'; wanted one of \['test', 'train'\]"):
        open_molecules("mine:val")


def test_the_other_kind_is_refused_by_name(home, tmp_path):
    ragged(tmp_path / "a.npz", [Crystal(np.array([29]), np.zeros((1, 3)), np.eye(3) * 2.5)])
    build_dataset("metals", (str(tmp_path / "a.npz"),), workers=1)
    with pytest.raises(UserError, match="dataset 'metals' holds crystals; wanted molecules"):
        open_molecules("metals:train")
    (home / "mine").mkdir()
    pq.write_table(MoleculeDataset.to_table([embedded("CCO")], ["a"], ["train"]), home / "mine" / "molecules.parquet")
    with pytest.raises(UserError, match="dataset 'mine' holds molecules; wanted crystals"):
        open_crystals("mine")
    with pytest.raises(UserError, match=f"columns missing: .*wanted {', '.join(MoleculeDataset.column_names())}"):
        open_molecules(home / "metals" / "crystals.parquet")
    with pytest.raises(UserError, match="'nothing' is not built"):
        open_molecules("nothing")
