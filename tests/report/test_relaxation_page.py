"""From the command that relaxes to its page: every structure as relaxed, with its place in the file of all."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ase.io import read, write

from tests.energies.alloys import EMT, fcc, ordered
from unigen.crystals.crystal import Crystal


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def page() -> tuple[str, list[dict]]:
    """The text of the page, and what it says of each structure, by column."""
    text = Path("out/report.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    names = [column["name"] for column in data["columns"]]
    return text, [item | dict(zip(names, item["values"], strict=True)) for item in data["items"]]


def test_crystals_stand_where_the_page_says(unigen):
    samples = [ordered("Cu", "Au"), fcc("Al", 0.1), fcc("Ni", 1.03)]
    write("samples.extxyz", [crystal.to_ase() for crystal in samples])
    words = ("relax", "samples.extxyz", "--out", "out", "--potential", EMT, "--energy-scheme", "EMT", "--workers", 1)
    assert unigen(*words)[0] == 0
    text, items = page()
    assert "Crystals relaxed by" in text
    assert "gated: before: atoms" in text
    assert [item["outcome"] for item in items] == ["converged", "converged"]
    for number, item in enumerate(items, start=1):
        assert (item["file"], item["place"]) == ("relaxed.extxyz", f"frame {number}")
        frame = read("out/relaxed.extxyz", number - 1)
        assert item["title"] == Crystal.from_ase(frame).formula
        assert item["energy_per_atom"] == pytest.approx(frame.info["energy_per_atom"], rel=1e-5)
    before = Path("out/relaxed.jsonl").read_bytes()
    Path("out/report.html").unlink()
    assert unigen(*words, "--no-page")[0] == 0
    assert not Path("out/report.html").exists()
    assert Path("out/relaxed.jsonl").read_bytes() == before


def test_cards_have_space_group_energy_and_rank_within_the_formula(unigen):
    samples = [ordered("Cu", "Au"), fcc("Cu", 1.05), fcc("Al", 0.1), fcc("Cu", 0.98), fcc("Ni")]
    write("samples.extxyz", [crystal.to_ase() for crystal in samples])
    words = ("--potential", EMT, "--energy-scheme", "EMT", "--workers", 1, "--max-steps", 0)
    assert unigen("relax", "samples.extxyz", "--out", "out", *words)[0] == 0
    text, items = page()
    columns = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])["columns"]
    on_cards = [column["name"] for column in columns if column["card"]]
    assert on_cards == ["rank", "energy_above_lowest", "energy_per_atom", "outcome"]
    assert [item["subtitle"] for item in items] == ["P4/mmm", "Fm-3m", "Fm-3m", "Fm-3m"]
    assert [item["subtitle"] for item in items] == [item["space_group"] for item in items]
    for item in items:
        alike = [other["energy_per_atom"] for other in items if other["title"] == item["title"]]
        assert item["rank"] == 1 + sum(energy < item["energy_per_atom"] for energy in alike)
        assert item["energy_above_lowest"] == pytest.approx(item["energy_per_atom"] - min(alike), abs=2e-6)
    assert sorted(item["rank"] for item in items) == [1, 1, 1, 2]


def test_molecules_have_their_strain(unigen):
    pytest.importorskip("tblite.ase", exc_type=ImportError)
    Path("some.smi").write_text("CCO ethanol\nC(C torn\nC methane\n")
    assert unigen("relax", "some.smi", "--out", "out")[0] == 0
    text, items = page()
    assert "Molecules relaxed by GFN2-xTB" in text
    assert "not a SMILES" in text
    assert [(item["id"], item["place"]) for item in items] == [("ethanol", "entry 1"), ("methane", "entry 2")]
    assert all(item["strain"] >= 0 and item["bonds_kept"] for item in items)
