"""The structures of textbooks: their cells give the handbooks' densities, and a request gives them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from unigen.crystals.crystal import Crystal

FOLDER = Path(__file__).parents[2] / "eval" / "textbook"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("textbook", FOLDER / "textbook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("entry", yaml.safe_load((FOLDER / "structures.yaml").read_text()), ids=lambda e: e["name"])
def test_entries_have_their_group_formula_and_density(entry):
    structure = script().structure_of(entry)
    assert Crystal.from_pymatgen(structure).space_group(0.01).number == entry["space_group"]


def test_what_is_published_is_what_is_asked_now(tmp_path, monkeypatch):
    """The table comes from this code: the first samples, one each, have the verdicts that are printed."""
    out = tmp_path / "textbook.json"
    monkeypatch.setattr("sys.argv", ["textbook.py", "--n", "1", "--out", str(out)])
    script().main()
    published = json.loads((FOLDER.parent / "results" / "textbook" / "unigen-crystal-small.json").read_text())
    now = json.loads(out.read_text())
    first = {row["name"]: row["samples"][0].get("prototype") for row in published["rows"]}
    assert {row["name"]: row["samples"][0].get("prototype") for row in now["rows"]} == first
    assert now["shares"]["prototype and density, first"] >= 0.9
