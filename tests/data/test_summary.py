"""What `unigen data list`, `show` and `requests` say."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from rich.console import Console

from tests.crystals.real_crystals import elemental_crystals
from tests.data.test_sources import ragged, write_cifs
from unigen.crystals.crystal import Crystal
from unigen.data.build import build_dataset
from unigen.data.crystal_store import open_crystals
from unigen.data.request_export import write_requests
from unigen.data.summary import list_datasets, print_datasets, print_summary, summarise
from unigen.errors import UserError
from unigen.sample.requests import read_requests

ROCKSALT = Crystal(np.array([11, 17]), np.array([[0, 0, 0], [0.5] * 3]), 2.8 * (np.ones((3, 3)) - np.eye(3)))
HYDROGEN = Crystal(np.array([1] * 4), np.arange(12).reshape(4, 3) / 13, np.diag([3.0, 4, 5]))


@pytest.fixture(autouse=True)
def built(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path / "home"))
    columns = {"split": np.array(["train", "val", "test"]), "band_gap": np.array([8.5, 0.5, np.nan])}
    ragged(tmp_path / "a.npz", [ROCKSALT, HYDROGEN, ROCKSALT], **columns)
    build_dataset("mine", (str(tmp_path / "a.npz"),), workers=1)


def shown(show, facts) -> str:
    screen = Console(file=io.StringIO(), width=160)
    show(facts, screen)
    return screen.file.getvalue()


def test_summary_of_a_dataset_and_of_one_split():
    facts = summarise("mine")
    assert (facts.rows, facts.splits, facts.n_formulas) == (3, {"test": 1, "train": 1, "val": 1}, 2)
    assert facts.elements == {"Na": 2, "Cl": 2, "H": 1}
    assert facts.sizes == {2: 2, 4: 1}
    gap = facts.properties["band_gap"]
    assert (gap.known, gap.low, gap.median, gap.high) == (2, 0.5, 4.5, 8.5)
    assert summarise("mine:test").rows == 1


def test_summary_of_a_folder_says_what_could_not_be_read(tmp_path):
    folder = write_cifs(tmp_path / "cifs")
    (folder / "bad.cif").write_text("data_x\n")
    facts = summarise(folder)
    assert facts.rows == 6
    assert len(facts.unreadable) == 1
    assert "1 entries could not be read" in shown(print_summary, facts)
    assert set(facts.elements) == {symbol for c in elemental_crystals()[3:9] for symbol in c.to_ase().symbols}


def test_summary_is_printed_with_histogram_and_ranges():
    text = shown(print_summary, summarise("mine"))
    for piece in ("3 crystals (test 1, train 1, val 1)", "Na", "band_gap", "8.5", "#" * 40):
        assert piece in text


def test_list_has_recipes_and_own_datasets():
    entries = {entry.name: entry for entry in list_datasets()}
    assert entries["mine"].rows == 3
    assert entries["mp-20"].rows is None
    text = shown(print_datasets, list(entries.values()))
    assert "not built" in text
    assert "CC-BY-4.0" in text


def test_a_corrupt_store_does_not_hide_the_others(tmp_path):
    torn = tmp_path / "home" / "datasets" / "torn"
    torn.mkdir()
    (torn / "crystals.parquet").write_bytes(b"PAR1")
    text = shown(print_datasets, list_datasets())
    assert "unreadable" in text
    assert "mine" in text
    with pytest.raises(UserError, match=r"torn.crystals\.parquet: not a readable Parquet file"):
        summarise("torn")


def test_requests_are_one_whole_cell_a_crystal(tmp_path):
    assert write_requests("mine", tmp_path / "requests.csv").requests == 3
    with (tmp_path / "requests.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows == [["id", "formula", "n_atoms"], ["x0", "NaCl", "2"], ["x1", "H4", "4"], ["x2", "NaCl", "2"]]
    assert write_requests("mine:test", tmp_path / "requests.csv").requests == 1
    assert write_requests("mine", tmp_path / "requests.csv", properties=["density"], limit=1, seed=3).requests == 1
    asked = read_requests(tmp_path / "requests.csv")[0]
    at = open_crystals("mine").ids.tolist().index(asked.id)
    assert asked.properties == {"density": pytest.approx(open_crystals("mine")[at].density, rel=1e-4)}
    with pytest.raises(UserError, match=r"no property 'colour'; wanted one of .*density"):
        write_requests("mine", tmp_path / "requests.csv", properties=["colour"])


def test_structures_without_a_request_are_counted_and_listed(tmp_path):
    (tmp_path / "some.smi").write_text("CCO a\nC1CC b\nCCN c\n")
    (tmp_path / "gaps.csv").write_text("smiles,gap\nCCO,0.3\nCCN,\nC(,0.1\n")
    written = write_requests(str(tmp_path / "some.smi"), tmp_path / "requests.csv")
    assert (written.requests, [each.id for each in written.left_out]) == (2, ["b"])
    assert written.left_out_path == tmp_path / "requests.rejected.csv"
    assert written.left_out_path.read_text().splitlines()[0] == "id,where,reason"
    written = write_requests(str(tmp_path / "gaps.csv"), tmp_path / "requests.csv", properties=["gap"])
    assert (written.requests, len(written.left_out)) == (1, 2)
    assert "no gap" in written.left_out_path.read_text()
    assert write_requests("mine", tmp_path / "requests.csv").left_out_path is None
    assert not (tmp_path / "requests.rejected.csv").exists()


def test_a_name_that_is_nothing_is_refused():
    with pytest.raises(UserError, match="'nothing' is not built"):
        summarise("nothing")
