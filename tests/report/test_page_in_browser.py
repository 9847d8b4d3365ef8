"""The page in a real browser: opened, clicked, typed at, and read as a screen reader does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from rdkit import Chem
from scipy.spatial.transform import Rotation

from tests.energies.alloys import EMT, fcc, ordered
from tests.report.chromium import chromium, find_chromium, opened
from unigen.crystals.crystal import Crystal
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_graph import smiles_of_mol
from unigen.report.html import write_page
from unigen.report.page import Figure, Item, Page, Table

pytestmark = pytest.mark.slow

COUNT = 5
NARROW = {"viewport": {"width": 480, "height": 900}}


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A run of crystals and one of molecules, by the bundled models and the real command."""
    find_chromium()
    desk = tmp_path_factory.mktemp("desk")
    for kind in ("crystal", "molecule"):
        unigen(desk, "generate", kind, "--n", COUNT, "--no-picture", "--steps", 4, "--batch-size", COUNT, "--out", kind)
    unigen(desk, "evaluate", "molecules", "molecule", "--workers", 1, "--out", "judged.json")
    return desk


@pytest.fixture(scope="module")
def alloys(tmp_path_factory) -> Path:
    """Alloys of copper and gold in files of their own and in one, judged by a hull of the same potential."""
    find_chromium()
    desk = tmp_path_factory.mktemp("alloys")
    known = [fcc("Cu"), fcc("Au"), ordered("Cu", "Au")]
    (desk / "known.extxyz").write_text("".join(crystal.to_extxyz() for crystal in known))
    (desk / "made").mkdir()
    for name, scale in (("near", 1.01), ("100 % far #1?", 1.15)):
        made = ordered("Cu", "Au")
        replace(made, lattice=scale * made.lattice).to_cif(desk / "made" / f"{name}.cif")
    with_potential = ("--potential", EMT, "--energy-scheme", "EMT", "--workers", 1)
    unigen(desk, "data", "build", "alloys", "--from", "known.extxyz")
    unigen(desk, "hull", "build", "alloys", "--from", "alloys", *with_potential)
    (desk / "made" / "more.extxyz").write_text(fcc("Cu", 0.97).to_extxyz() + fcc("Au", 1.02).to_extxyz())
    (desk / "page").mkdir()
    judging = ("--hull", "alloys", "--max-steps", 0, *with_potential)
    unigen(desk, "evaluate", "crystals", "made", *judging, "--out", "page/judged.json")
    return desk


def unigen(folder: Path, *words: object) -> None:
    command = [str(Path(sys.executable).parent / "unigen"), *map(str, words)]
    environment = os.environ | {"UNIGEN_HOME": str(folder / "home")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def rows_of(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]


def stage(page) -> bytes:
    return page.locator("#stage").screenshot()


def names(page) -> list[str]:
    return page.locator("#gallery .name").all_inner_texts()


@pytest.mark.parametrize("kind", ["crystal", "molecule"])
def test_a_structure_opens_and_turns(browser, desk, kind):
    with opened(browser, desk / kind / "report.html") as page:
        cards = page.locator(".card")
        assert cards.count() == COUNT
        cards.first.scroll_into_view_if_needed()
        cards.first.locator("img").wait_for()
        cards.first.click()
        assert page.get_by_role("dialog").is_visible()
        page.keyboard.press("0")  # shows the mark of the focus, too
        first = stage(page)
        for key in ("ArrowRight", "ArrowUp", "+"):
            before = stage(page)
            page.keyboard.press(key)
            assert stage(page) != before, key
        page.keyboard.press("0")
        assert stage(page) == first
        box = page.locator("#stage").bounding_box()
        page.mouse.move(box["x"] + 200, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(box["x"] + 320, box["y"] + 240, steps=4)
        page.mouse.up()
        assert stage(page) != first
        page.get_by_role("button", name="Next").click()
        assert page.get_by_role("dialog").get_by_role("heading").inner_text() == names(page)[1]


@pytest.mark.parametrize("kind", ["crystal", "molecule"])
def test_everything_without_a_mouse(browser, desk, kind):
    with opened(browser, desk / kind / "report.html", reduced_motion="reduce") as page:
        focused = page.locator(":focus")
        page.keyboard.press("Tab")
        assert focused.inner_text() == "Skip to the structures"
        page.keyboard.press("Enter")
        for _ in range(20):
            page.keyboard.press("Tab")
            if "card" in (focused.get_attribute("class") or ""):
                break
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        title = dialog.get_by_role("heading")
        assert title.inner_text() == names(page)[1]
        assert focused.get_attribute("id") == "stage"
        page.keyboard.press("PageDown")
        assert title.inner_text() == names(page)[2]
        page.keyboard.press("PageUp")
        page.keyboard.press("PageUp")
        assert title.inner_text() == names(page)[0]
        page.keyboard.press("Escape")
        assert not dialog.is_visible()
        assert focused.locator(".name").inner_text() == names(page)[1]
        assert focused.evaluate("card => getComputedStyle(card).transitionDuration") == "0s"


def test_filter_search_and_sort(browser, desk):
    rows = rows_of(desk / "crystal")
    density = [row["checks"]["density"] for row in rows]
    least = sorted(density)[2] - 0.01
    with opened(browser, desk / "crystal" / "report.html") as page:
        status = page.get_by_role("status")
        assert status.inner_text() == f"{COUNT} of {COUNT} match"
        page.get_by_text("Filters", exact=True).click()
        page.get_by_label("density (g/cm³) from").fill(f"{least}")
        assert status.inner_text() == f"3 of {COUNT} match"
        assert page.locator(".card").count() == 3
        page.get_by_role("button", name="Clear all").click()
        page.get_by_label("Sort by").select_option("density")
        shown = [
            float(text.split(": ")[1])
            for text in page.get_by_text(re.compile(r"^density \(g/cm³\): ")).all_inner_texts()
        ]
        assert shown == pytest.approx(sorted(density), rel=1e-3)
        page.get_by_role("button", name="Ascending").click()
        page.get_by_role("button", name="Table").click()
        column = page.get_by_role("columnheader", name="density (g/cm³)")
        assert column.get_attribute("aria-sort") == "descending"
        place = column.evaluate("cell => cell.cellIndex")
        cells = page.locator("#table tbody tr").locator(f"> :nth-child({place + 1})").all_inner_texts()
        assert [float(cell) for cell in cells] == pytest.approx(sorted(density, reverse=True), rel=1e-3)
        page.get_by_role("searchbox").fill("no such structure")
        assert status.inner_text() == f"0 of {COUNT} match"


def test_what_is_sorted_by_is_on_every_card_in_full_and_first_in_the_table(browser, desk):
    densities = {row["checks"]["density"] for row in rows_of(desk / "crystal")}
    with opened(browser, desk / "crystal" / "report.html", **NARROW) as page:
        page.get_by_label("Sort by").select_option("density")
        lines = page.locator(".card .sorted")
        assert lines.count() == COUNT
        assert {float(line.split(": ")[1]) for line in lines.all_inner_texts()} == {
            float(f"{density:.6g}") for density in densities
        }
        for line in lines.all():  # nothing is cut off
            assert line.evaluate("line => line.scrollWidth <= line.clientWidth")
        page.get_by_role("button", name="Table").click()
        heads = page.locator("#table thead th")
        assert heads.nth(1).inner_text() == "density (g/cm³)"
        names = heads.all_inner_texts()
        assert len(set(names)) == len(names)
        page.get_by_role("columnheader", name="volume (Å³)").get_by_role("button").click()
        assert heads.nth(1).inner_text() == "volume (Å³)"
        assert sorted(heads.all_inner_texts()) == sorted(names)
        assert page.locator(":focus").inner_text() == "volume (Å³)"
        page.get_by_role("columnheader", name="structure").get_by_role("button").click()
        assert heads.nth(1).inner_text() == names[2 if names[2] != "volume (Å³)" else 1]


def rock_salt() -> Crystal:
    """Of two atoms in its primitive cell, moved off the origin."""
    return Crystal(np.array([11, 17]), np.array([[0.1, 0.2, 0.3], [0.6, 0.7, 0.8]]), 2.82 * (1 - np.eye(3)))


@pytest.fixture
def solids(tmp_path) -> Path:
    """Rock salt, and caesium chloride, whose primitive cell is the conventional one and whose cations have 8 anions."""
    caesium = Crystal(np.array([55, 17]), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), 4.12 * np.eye(3))
    diamond = Crystal(np.array([6, 6]), np.array([[0, 0, 0], [0.25] * 3]), 1.78 * (1 - np.eye(3)))
    items = [Item("salt", rock_salt()), Item("caesium", caesium), Item("diamond", diamond)]
    return write_page(Page("Solids", "crystals", items), tmp_path / "solids.html")


@pytest.mark.parametrize("width", [1300, 480])
def test_switches_to_the_conventional_cell_and_to_polyhedra(browser, solids, width):
    with opened(browser, solids, viewport={"width": width, "height": 900}) as page:
        conventional, polyhedra = (page.get_by_role("switch", name=name) for name in ("Conventional", "Polyhedra"))
        facts = page.locator("#facts")
        page.locator(".card").first.click()
        given = stage(page)
        assert "3.988, 3.988, 3.988" in facts.inner_text()
        assert conventional.is_enabled()
        assert not conventional.is_checked()
        conventional.check()
        assert stage(page) != given
        assert "5.640, 5.640, 5.640" in facts.inner_text()
        assert "90.00, 90.00, 90.00" in facts.inner_text()
        assert "conventional, 4 times the one given" in facts.inner_text()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download CIF").click()
        assert download.value.suggested_filename == "salt-conventional.cif"
        crystal = Crystal.from_cif(Path(download.value.path()).read_text())
        assert (len(crystal), crystal.space_group().number) == (8, 225)
        assert polyhedra.locator("xpath=..").inner_text().strip() == "Polyhedra NaCl6"
        plain = stage(page)
        polyhedra.check()
        assert stage(page) != plain
        page.get_by_role("button", name="Next").click()
        assert conventional.is_disabled()
        assert "no other than the given" in conventional.locator("xpath=..").inner_text()
        assert polyhedra.locator("xpath=..").inner_text().strip() == "Polyhedra CsCl8"
        page.get_by_role("button", name="Next").click()
        assert conventional.is_checked()  # what was switched on stays on
        assert "conventional, 4 times" in facts.inner_text()
        assert polyhedra.is_disabled()
        conventional.uncheck()
        assert "2.517, 2.517, 2.517" in facts.inner_text()
        dialog = page.get_by_role("dialog").bounding_box()
        assert dialog["x"] >= 0
        assert dialog["x"] + dialog["width"] <= width


def test_a_drawing_has_the_atoms_bonds_and_polyhedra_of_the_infinite_crystal(browser, solids):
    """Of rock salt's conventional cell, whose corner is an ion, and of its primitive one."""
    drawn = """([conventional, polyhedra]) => {
      const { scene } = DATA.items[0];
      const drawing = drawingOf(scene, cellOf(scene, conventional), polyhedra);
      const faces = drawing.polyhedra.map(({ corners }) => facesOf(corners).map((face) => face.corners.length));
      return { ...drawing, faces };
    }"""
    with opened(browser, solids) as page:
        for conventional, within in ((True, 27), (False, 2)):  # 14 + 13; in the primitive cell none is on a face
            drawing = page.evaluate(drawn, [conventional, False])
            assert len(drawing["atoms"]) == within
            ends = [end for bond in drawing["bonds"] for end in bond] + [cut["from"] for cut in drawing["cut"]]
            assert np.bincount(ends).tolist() == [6] * within
            for start, end in drawing["bonds"]:
                apart = np.subtract(drawing["atoms"][start]["at"], drawing["atoms"][end]["at"])
                assert np.linalg.norm(apart) == pytest.approx(2.82, abs=1e-3)
            drawing = page.evaluate(drawn, [conventional, True])
            cations = [atom for atom in drawing["atoms"] if atom["number"] == 11]
            assert len(drawing["polyhedra"]) == len(cations)
            assert drawing["faces"] == [[3] * 8] * len(cations)
            places = np.array([atom["at"] for atom in drawing["atoms"]])
            for polyhedron in drawing["polyhedra"]:
                corners = np.array(polyhedron["corners"])
                assert np.linalg.norm(places[:, None] - corners, axis=2).min(axis=0).max() < 1e-6


FACES = {
    "octahedron": (np.concatenate([np.eye(3), -np.eye(3)]), [3] * 8),
    "cube": (np.array([[n & 1, n >> 1 & 1, n >> 2] for n in range(8)]), [4] * 6),
    "tetrahedron": (np.array([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]]), [3] * 4),
    "pyramid": (np.array([[1, 1, 0], [1, -1, 0], [-1, -1, 0], [-1, 1, 0], [0, 0, 1]]), [3, 3, 3, 3, 4]),
    "square": (np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]]), [4, 4]),  # both of its sides
}


def test_faces_of_polyhedra_close_around_them(browser, solids):
    turned = Rotation.from_euler("xyz", [0.3, 0.7, 1.1]).as_matrix()
    with opened(browser, solids) as page:
        for points, expected in FACES.values():
            faces = page.evaluate("points => facesOf(points)", (2.0 * points @ turned).tolist())
            assert sorted(len(face["corners"]) for face in faces) == expected
            total = np.zeros(3)
            for face in faces:
                corners = np.array(face["corners"])
                fan = np.cross(corners[1:-1] - corners[0], corners[2:] - corners[0]) / 2
                assert (fan @ face["normal"] > 0).all()  # wound to whom the normal points at
                assert np.dot(2 * points @ turned - corners[0], face["normal"]).max() < 0.02  # nothing lies outside
                total += fan.sum(axis=0)
            assert total == pytest.approx(np.zeros(3), abs=1e-9)  # a closed surface


@pytest.mark.parametrize("name", ["crystal/report.html", "molecule/report.html", "judged.html"])
def test_a_telephone_scrolls_down_and_never_sideways(browser, desk, name):
    with opened(browser, desk / name, **NARROW) as page:
        for summary in page.locator("summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["viewport"]["width"]
        page.get_by_role("button", name="Table").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["viewport"]["width"]


def test_files_of_a_crystal(browser, desk):
    row = rows_of(desk / "crystal")[0]
    with opened(browser, desk / "crystal" / "report.html") as page:
        page.locator(".card").first.click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Download CIF").click()
        link = page.get_by_role("dialog").get_by_role("link")
        assert link.get_attribute("href") == "cif/de_novo__0.cif"
        with page.expect_download() as followed:
            link.click(modifiers=["Alt"])  # a click alone shows the text in place of the page
        texts = [Path(each.value.path()).read_text() for each in (download, followed)]
    for text in texts:
        crystal = Crystal.from_cif(text)
        assert crystal.volume == pytest.approx(abs(np.linalg.det(np.array(row["lattice"]))), rel=1e-4)
        assert crystal.space_group(0.1).number == row["checks"]["space_group_number"]
        assert crystal.smallest_distance() == pytest.approx(row["checks"]["smallest_distance"], abs=1e-3)


def test_files_of_molecules(browser, desk):
    rows = rows_of(desk / "molecule")
    with opened(browser, desk / "molecule" / "report.html") as page:
        for place, row in enumerate(rows):
            page.locator(".card").nth(place).click()
            link = page.get_by_role("dialog").get_by_role("link")
            assert link.get_attribute("href") == "samples.sdf"
            assert link.inner_text() == f"samples.sdf, entry {place + 1}"
            with page.expect_download() as download:
                page.get_by_role("button", name="Download SDF").click()
            mol = Chem.MolFromMolBlock(Path(download.value.path()).read_text(), removeHs=False)
            Chem.AssignStereochemistryFrom3D(mol)
            assert smiles_of_mol(mol) == Chem.CanonSmiles(row["smiles"])
            assert mol.GetConformer().GetPositions() == pytest.approx(np.array(row["molecule"]["positions"]), abs=1e-4)
            page.keyboard.press("Escape")


def test_an_evaluation_has_its_numbers_and_its_structures(browser, desk):
    report = json.loads((desk / "judged.json").read_text())
    with opened(browser, desk / "judged.html") as page:
        stable = page.get_by_role("row", name="edm.molecule stable").first
        assert f"{100 * report['metrics']['edm.molecule_stable']['value']:.2f} %" in stable.inner_text()
        page.get_by_text("Filters", exact=True).click()
        assert page.locator(".card").count() == COUNT


def test_each_structure_links_its_file_and_the_hull_is_drawn(browser, alloys):
    with opened(browser, alloys / "page" / "judged.html") as page:
        hull = page.get_by_role("img", name=re.compile("^Convex hull of Cu-Au"))
        assert hull.evaluate("image => image.complete && image.naturalWidth") > 400
        assert "4 samples" in hull.get_attribute("alt")
        said = {}
        for card in page.locator(".card").all():
            card.click()
            link = page.get_by_role("dialog").get_by_role("link")
            file = Path(unquote(urlsplit(link.evaluate("link => link.href")).path))
            said[link.inner_text()] = file
            page.keyboard.press("Escape")
        names = ("near.cif", "100 % far #1?.cif", "more.extxyz, frame 1", "more.extxyz, frame 2")
        assert said.keys() == {f"../made/{name}" for name in names}
        for text, file in said.items():
            assert file == alloys / "made" / Path(text).name.split(", ")[0]
            assert file.is_file()


UNNAMED = re.compile(
    r"^\s*- (button|textbox|searchbox|link|combobox|spinbutton|img|dialog|application|region)\s*(:|\[|$)", re.MULTILINE
)


@pytest.mark.parametrize("name", ["crystal/report.html", "molecule/report.html", "judged.html"])
def test_what_a_screen_reader_hears(browser, desk, name):
    with opened(browser, desk / name) as page:
        page.get_by_text("Filters", exact=True).click()
        heard = page.locator("body").aria_snapshot()
        for role in ("banner", "main", "contentinfo", 'navigation "Sections"', "search ", "status"):
            assert f"- {role}" in heard, role
        assert not UNNAMED.findall(heard)
        levels = page.locator("h1, h2, h3").evaluate_all("all => all.map((each) => Number(each.tagName[1]))")
        assert levels.count(1) == 1
        assert all(lower - upper <= 1 for upper, lower in pairwise(levels))
        assert page.locator("html").get_attribute("lang") == "en"
        page.locator(".card").first.click()
        heard = page.locator("body").aria_snapshot()
        assert re.search(r'- dialog "\w', heard)
        assert re.search(r'- application "\w+, \d+ atoms"', heard)
        assert not UNNAMED.findall(heard)


def test_light_and_dark(browser, desk):
    def paper(scheme):
        with opened(browser, desk / "crystal" / "report.html", color_scheme=scheme) as page:
            page.locator(".card").first.click()
            return page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor"), stage(page)

    assert all(light != dark for light, dark in zip(paper("light"), paper("dark"), strict=True))


def test_many_come_in_steps_and_what_has_no_value_comes_last(browser, tmp_path):
    water = Molecule(np.array([8, 1, 1]), np.array([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]))
    items = [Item(f"w{n}", water, {"energy": None if n % 7 == 3 else float(-n)}, subtitle=f"w{n}") for n in range(60)]
    with opened(browser, write_page(Page("Water", "molecules", items), tmp_path / "water.html")) as page:
        assert page.get_by_role("status").inner_text() == "60 of 60 match, 48 shown"
        page.get_by_label("Sort by").select_option("energy")
        page.get_by_role("button", name="Show more (12 left)").click()
        assert page.locator(".card").count() == 60
        assert page.locator(":focus").inner_text() == page.locator(".card").nth(48).inner_text()
        shown = page.locator(".card .name + .more").all_inner_texts()
        known = [f"w{n}" for n in reversed(range(60)) if n % 7 != 3]
        assert shown[: len(known)] == known
        assert not page.get_by_role("button", name="Show more").is_visible()


EVIL = "</script><img src=x onerror=alert(1)><!--<script>"


def test_nothing_from_strangers_becomes_markup(browser, tmp_path):
    structure = Molecule(np.array([8, 1, 1]), np.array([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]))
    items = [
        Item(EVIL, structure, {EVIL: EVIL, "n": 1.5}, subtitle=EVIL, file="javascript:alert(1)"),
        Item("'\"&amp;", structure, {EVIL: "b", "n": float("nan")}),
        Item(EVIL, None, reason=EVIL),
    ]
    figure = Figure(
        EVIL, '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>', EVIL
    )
    table = Table(EVIL, (EVIL, EVIL), [(EVIL, EVIL)], EVIL)
    page = Page(EVIL, "molecules", items, [figure], [table], [table], {EVIL: {EVIL: EVIL}}, [EVIL], {"n": EVIL})
    with opened(browser, write_page(page, tmp_path / "evil.html")) as page:
        assert page.title() == EVIL
        page.get_by_text("Filters", exact=True).click()
        page.get_by_role("button", name="Table").click()
        assert EVIL in page.locator("#table").inner_text()
        page.get_by_role("button", name="Gallery").click()
        page.locator(".card").first.click()
        assert EVIL in page.locator("#facts").inner_text()
        assert page.locator("[onerror], img[src=x]").count() == 0
        assert page.get_by_role("dialog").get_by_role("link").get_attribute("href") == "javascript%3Aalert%281%29"
        page.keyboard.press("Escape")
        assert EVIL in page.locator("#failures").inner_text()
