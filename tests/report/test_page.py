"""The page as a file: complete in itself, small, true to the structures, and honest about what it leaves out."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html import unescape

import numpy as np
import pytest
from hypothesis import given

from tests.crystals.real_crystals import crystals, prototypes
from unigen.crystals.crystal import Crystal
from unigen.molecules.molecule import Molecule
from unigen.report.html import write_page
from unigen.report.page import Item, Page, Table
from unigen.report.pictures.scene import crystal_scene, molecule_scene

SOME = prototypes(6)
ETHANOL = Molecule.from_smiles("CCO", seed=0)


def written(tmp_path, page: Page, **settings) -> str:
    return write_page(page, tmp_path / "report.html", **settings).read_text(encoding="utf-8")


def data_of(text: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def crystal_items(count: int) -> list[Item]:
    return [Item(f"c{n}", SOME[n % len(SOME)], {"density": 1.0 * n, "valid": n > 1}) for n in range(count)]


def test_nothing_is_loaded_and_only_our_scripts_run(tmp_path):
    text = written(tmp_path, Page("Some", "crystals", crystal_items(3)))
    ours = re.sub(r"<script>\s*\(?function webpack.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(
        r"""(src|href)=["']?(https?:)?//|@import|url\(""", re.sub(r"<script.*?</script>", "", ours, flags=re.DOTALL)
    )
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    scripts = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    assert {b64encode(sha256(script.encode()).digest()).decode() for script in scripts} == allowed
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy


def test_the_same_page_gives_the_same_bytes(tmp_path):
    page = Page("Some", "crystals", crystal_items(3), settings={"a": {"b": 1}})
    assert written(tmp_path, page) == written(tmp_path, page)


def test_any_column_has_a_kind_and_what_is_no_number_is_nothing(tmp_path):
    columns = {"energy": -1.25, "stable": True, "n": 3, "note": "x", "never": None, "mixed": 1}
    others = {"energy": float("nan"), "stable": None, "n": 4.5, "mixed": "one"}
    data = data_of(written(tmp_path, Page("a", "molecules", [Item("a", ETHANOL, columns), Item("b", ETHANOL, others)])))
    kinds = {column["name"]: column["type"] for column in data["columns"]}
    assert kinds == {"energy": "number", "stable": "boolean", "n": "number", "note": "text", "mixed": "text"}
    assert data["items"][0]["values"] == [-1.25, True, 3, "x", "1"]
    assert data["items"][1]["values"] == [None, None, 4.5, None, "one"]


def test_failures_are_listed_with_their_reasons(tmp_path):
    items = [*crystal_items(1), *(Item(f"lost{n}", None, reason="no template") for n in range(300))]
    text = written(tmp_path, Page("Some", "crystals", items))
    assert "1 crystals, 300 failed" in text
    assert '<th scope="row">no template</th><td>300</td>' in text
    assert "lost0" in text
    assert "and 100 more" in text


def test_of_many_the_first_are_shown_and_the_page_says_so(tmp_path):
    text = written(tmp_path, Page("Some", "crystals", crystal_items(30)), most_items=20)
    assert "This page shows the first 20 of 30 structures." in text
    assert len(data_of(text)["items"]) == 20


def test_a_page_without_structures_still_has_its_numbers(tmp_path):
    text = written(
        tmp_path, Page("Nothing", "molecules", tables=[Table("Metrics", ("", "value"), [("cov_r", "75 %")])])
    )
    assert "75 %" in text
    assert data_of(text)["items"] == []


@given(crystals())
def test_the_scene_holds_the_crystal(crystal):
    scene = crystal_scene(crystal)
    coords = np.array(scene["coords"]).reshape(-1, 3)
    again = Crystal(np.array(scene["numbers"]), coords, np.array(scene["lattice"]).reshape(3, 3))
    away = again.frac_coords - crystal.frac_coords
    assert np.abs(away - np.round(away)).max() <= 1e-6
    assert again.lattice == pytest.approx(crystal.lattice, abs=1e-6)
    assert np.linalg.norm(scene["view"]) == pytest.approx(1, abs=1e-3)


def test_the_scene_holds_the_molecule():
    scene = molecule_scene(ETHANOL)
    assert np.array(scene["coords"]).reshape(-1, 3) == pytest.approx(ETHANOL.positions, abs=1e-5)
    assert scene["bonds"] == ETHANOL.bonds.ravel().tolist()
    assert "near" not in scene


def test_bonds_nobody_knows_are_drawn_and_not_claimed():
    scene = molecule_scene(Molecule(ETHANOL.numbers, ETHANOL.positions))
    assert scene["bonds"] == []
    assert sorted(np.array(scene["near"]).reshape(-1, 2).tolist()) == ETHANOL.bonds[:, :2].tolist()


def test_a_single_atom_and_atoms_on_one_place():
    assert molecule_scene(Molecule(np.array([2]), np.zeros((1, 3))))["near"] == []
    assert crystal_scene(Crystal(np.array([6, 6]), np.zeros((2, 3)), np.eye(3) * 4))["numbers"] == [6, 6]
