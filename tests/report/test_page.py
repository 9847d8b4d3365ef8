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
from unigen.report.html import FEW, MANY_SETTINGS, asset, write_page
from unigen.report.page import Figure, Item, Page, Table
from unigen.report.pictures import conventional_cell
from unigen.report.pictures.scene import crystal_scene, molecule_scene

SOME = prototypes(6)
EVIL = "</script><b>&\"'"
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


def sections(text: str) -> list[str]:
    """The ids of the sections, from top to bottom."""
    return re.findall(r'<section id="(\w+)"', text)


def rows_of(text: str, section: str) -> list[list[str]]:
    """The cells of all rows of a section's tables."""
    inside = text.partition(f'<section id="{section}"')[2].partition("</section>")[0]
    return [
        [unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", inside)
    ]


@pytest.mark.parametrize(("count", "first"), [(FEW, "structures"), (FEW + 1, "figures")])
def test_few_structures_stand_before_the_figures(tmp_path, count, first):
    figures = [Figure("density", "<svg/>", "a histogram")]
    text = written(tmp_path, Page("Some", "crystals", crystal_items(count), figures))
    assert next(each for each in sections(text) if each in ("structures", "figures")) == first
    assert {"structures", "figures"} < set(sections(text))


def test_what_stands_on_cards_comes_first_and_only_where_it_is_known(tmp_path):
    items = [Item("a", ETHANOL, {"n": 1, "rank": 2, "energy": -1.0}), Item("b", ETHANOL, {"n": 2, "rank": 1})]
    page = Page("a", "molecules", items, on_cards=["rank", "energy", "never"])
    columns = data_of(written(tmp_path, page))["columns"]
    assert [column["name"] for column in columns] == ["rank", "energy", "n"]
    assert [column["card"] for column in columns] == [True, True, False]


def test_energies_keep_what_tells_two_structures_apart(tmp_path):
    items = [Item(name, ETHANOL, {"energy": energy}) for name, energy in (("a", -1234.567891), ("b", -1234.567812))]
    first, second = (item["values"] for item in data_of(written(tmp_path, Page("a", "molecules", items)))["items"])
    assert first == [-1234.567891]
    assert second == [-1234.567812]


def test_every_column_has_its_line_in_the_legend(tmp_path):
    columns = {
        "density": 1.0,
        "energy_per_atom": -3.0,
        "enthalpy_per_atom at 20 GPa": -2.0,
        "of a file": 1,
        EVIL: 0,
    }
    page = Page("a", "crystals", [Item("a", SOME[0], columns)], made_by={"potential": "some potential"})
    text = written(tmp_path, page)
    _, *lines = rows_of(text, "legend")
    assert [line[0] for line in lines] == [name.replace("_", " ") for name in columns]
    assert all(all(line) for line in lines)
    said = {line[0]: line[1:] for line in lines}
    assert said["density"][:2] == ["g/cm³", "from the structure alone"]
    assert said["energy per atom"][:2] == ["eV/atom", "some potential"]
    assert said["enthalpy per atom at 20 GPa"][0] == "eV/atom"
    assert said["of a file"][1] == "as the file says"


def test_many_settings_of_one_name_are_folded_and_none_is_lost(tmp_path):
    energies = {f"X{n}": -n / 7 for n in range(MANY_SETTINGS + 1)}
    settings = {"fmax": 0.05, "hull": {"name": "mp", "elements": {"energies": energies}}}
    text = written(tmp_path, Page("a", "crystals", settings=settings))
    folded = re.search(r'<details class="folded"><summary>(.*?)</summary>(.*?)</details>', text, re.DOTALL)
    assert folded[1] == f"hull.elements.energies: {len(energies)} values"
    assert [cell for cell in energies if f'<th scope="row">{cell}</th>' not in folded[2]] == []
    assert ["fmax", "0.05"] in rows_of(text, "settings")
    assert ["hull.name", "mp"] in rows_of(text, "settings")
    few = dict(list(energies.items())[:MANY_SETTINGS])
    assert "folded" not in "".join(
        re.findall(r"<details[^>]*>", written(tmp_path, Page("a", "crystals", settings={"energies": few})))
    )


def test_a_page_without_structures_has_no_legend_and_no_picture_of_none(tmp_path):
    text = written(tmp_path, Page("Nothing", "crystals", [Item("a", None, {"density": 1.0}, reason="no cell")]))
    assert sections(text) == ["structures", "failures"]
    assert data_of(text)["columns"] == []


@given(crystals())
def test_the_scene_holds_the_crystal(crystal):
    scene = crystal_scene(crystal)
    coords = np.array(scene["coords"]).reshape(-1, 3)
    again = Crystal(np.array(scene["numbers"]), coords, np.array(scene["lattice"]).reshape(3, 3))
    away = again.frac_coords - crystal.frac_coords
    assert np.abs(away - np.round(away)).max() <= 1e-6
    assert again.lattice == pytest.approx(crystal.lattice, abs=1e-6)
    assert np.linalg.norm(scene["view"]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", ["BOUNDARY", "SAME"])
def test_the_page_counts_atoms_as_the_search_for_the_cell_does(name):
    told = re.search(rf"^const {name} = ([\d.]+);", asset("structure.js"), re.MULTILINE)
    assert float(told[1]) == getattr(conventional_cell, name)


@pytest.mark.parametrize("crystal", SOME, ids=lambda crystal: crystal.formula)
def test_a_scene_is_small(crystal):
    # a page holds five hundred of them: the conventional cell is a basis, not its atoms once more
    assert len(json.dumps(crystal_scene(crystal), separators=(",", ":"))) < 600 + 150 * len(crystal)


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
