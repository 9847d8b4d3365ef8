"""Links from a page to the files that samples were read from: they lead there, and tell nothing of the machine."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.crystals.real_crystals import prototypes
from unigen.elements import SYMBOLS
from unigen.eval.crystals.samples import read_samples
from unigen.eval.molecules import samples as molecule_entry
from unigen.molecules.molecule import Molecule
from unigen.report.source_links import SourceLinks
from unigen.runs.folder import file_names

CRYSTALS = prototypes(3)


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Path:
    """An empty folder; the page will lie in another one beside the samples."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page").mkdir()
    (tmp_path / "made").mkdir()
    return tmp_path


def links(desk: Path, samples: str | Path, read=read_samples) -> list[tuple[str, str]]:
    to = SourceLinks(desk / "page").to
    found = [to(entry.where) for entry in read(samples).entries]
    for file, _ in found:
        assert not Path(file).is_absolute()
        assert (desk / "page" / file).is_file()
    return found


def test_a_file_each(desk):
    for name, crystal in zip(("a", "b c", "d 100% é#?"), CRYSTALS, strict=True):
        crystal.to_cif(desk / "made" / f"{name}.cif")
    wanted = [(f"../made/{name}.cif", "") for name in ("a", "b c", "d 100% é#?")]
    assert links(desk, "made") == wanted
    assert links(desk, desk / "made") == wanted  # given as an absolute path


def test_one_file_for_all(desk):
    (desk / "made" / "all.extxyz").write_text("".join(crystal.to_extxyz() for crystal in CRYSTALS))
    assert links(desk, "made/all.extxyz") == [("../made/all.extxyz", f"frame {n}") for n in (1, 2, 3)]
    with Path("made/all.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("material_id", "cif"), *((n, each.to_cif()) for n, each in enumerate(CRYSTALS))])
    assert links(desk, "made/all.csv") == [("../made/all.csv", f"row {n}") for n in (1, 2, 3)]
    ethanol = Molecule.from_smiles("CCO", seed=1)
    (desk / "made" / "all.sdf").write_text(ethanol.to_sdf(name="a") + ethanol.to_sdf(name="b"))
    found = links(desk, "made/all.sdf", molecule_entry.read_samples)
    assert found == [("../made/all.sdf", f"entry {n}") for n in (1, 2)]


def write_run(folder: Path, **changes: object) -> list[dict]:
    rows = []
    for n, crystal in enumerate(CRYSTALS):
        sites = [
            {"element": SYMBOLS[number], "fractional_coordinates": place.tolist()}
            for number, place in zip(crystal.numbers, crystal.frac_coords, strict=True)
        ]
        row = {"id": "x/y", "request_index": 0, "index": 2 * n, "lattice": crystal.lattice.tolist(), "sites": sites}
        rows += [row | changes, {"id": "x/y", "request_index": 0, "index": 2 * n + 1, "reason": "nothing came"}]
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [row for row in rows if "sites" in row]


def test_a_run_folder_has_a_file_each_where_they_were_written(desk):
    made = write_run(desk / "made")
    in_the_journal = [("../made/samples.jsonl", f"line {n}") for n in range(1, 7)]
    assert links(desk, "made") == in_the_journal
    (desk / "made" / "cif").mkdir()
    for stem, crystal in zip(file_names(made)[:2], CRYSTALS, strict=False):
        crystal.to_cif(desk / "made" / "cif" / f"{stem}.cif")
    found = links(desk, "made")
    assert found[::2] == [("../made/cif/x_y__0.cif", ""), ("../made/cif/x_y__2.cif", ""), in_the_journal[4]]


def test_somebody_elses_journal_is_linked_as_it_is(desk):
    (desk / "made" / "cif").mkdir()
    write_run(desk / "made", request_index=None)
    text = (desk / "made" / "samples.jsonl").read_text().replace('"request_index"', '"other"')
    (desk / "made" / "samples.jsonl").write_text(text + "no JSON\n")
    assert links(desk, "made")[0] == ("../made/samples.jsonl", "line 1")


@pytest.mark.parametrize("where", ["", "gone.cif", "gone.extxyz frame 3", "mp-20:test entry 5", "made", "\n"])
def test_what_is_no_file_has_no_link(desk, where):
    assert SourceLinks(desk / "page").to(where) == ("", "")
