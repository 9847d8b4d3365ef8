"""From the command that ranks to its page: rank and energies on each card, the hull, the legend."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import yaml

from tests.energies.alloys import EMT, fcc, ordered
from unigen.runs.crystal_files import crystal_of

POTENTIAL = ("--potential", EMT, "--energy-scheme", "EMT", "--workers", 1)
DRAWING = ("--steps", 2, "--no-picture")


def page(path: Path) -> tuple[str, list[str], list[dict]]:
    """The text of a page, the names of what stands on cards, and what it says of each structure, by column."""
    text = path.read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    names = [column["name"] for column in data["columns"]]
    items = [item | dict(zip(names, item["values"], strict=True)) for item in data["items"]]
    return text, [column["name"] for column in data["columns"] if column["card"]], items


@pytest.fixture
def hull(unigen, tmp_path):
    """The hull of copper and gold, of energies by the effective-medium potential."""
    known = [fcc("Cu"), fcc("Au"), ordered("Cu", "Au")]
    (tmp_path / "known.extxyz").write_text("".join(crystal.to_extxyz() for crystal in known))
    assert unigen("data", "build", "alloys", "--from", "known.extxyz")[0] == 0
    assert unigen("hull", "build", "alloys", "--from", "alloys", *POTENTIAL)[0] == 0
    return "alloys"


def test_a_scan_ranked_by_energy_has_its_hull_and_its_energies(unigen, hull, tmp_path):
    scan = ("--elements", "Cu,Au", "--scan", "--scan-limit", 1, "--candidates", 2, "--rank-by", "energy")
    code, out, _ = unigen("generate", "crystal", *scan, "--hull", hull, *POTENTIAL, *DRAWING, "--n", 1, "--out", "run")
    assert code == 0
    text, cards, items = page(tmp_path / "run" / "report.html")
    assert cards == ["rank", "energy_per_atom", "energy_above_lowest", "energy_above_hull", "relaxed", "prototype"]
    rows = [json.loads(line) for line in (tmp_path / "run" / "samples.jsonl").read_text().splitlines()]
    assert len(items) == len(rows) == 3
    for item, row in zip(items, rows, strict=True):
        assert [item[name] for name in cards[:-1]] == [row["ranking"][name] for name in cards[:-1]]
        assert item.get("prototype") == row["checks"].get("prototype")
        assert item["subtitle"] == row["checks"]["space_group"]
    assert re.search(r'alt="Convex hull of Cu-Au.*? 3 samples', text)
    # what is drawn adds up: the elements are the zero of formation energies, and lie on the hull
    for row in rows:
        if len(crystal_of(row).counts) == 1:
            assert row["ranking"]["formation_energy"] == pytest.approx(row["ranking"]["energy_above_hull"], abs=2e-6)
    # nobody has to join tables by hand: what is known, and what it falls apart into, stand beside the energies
    with (tmp_path / "run" / "compositions.csv").open() as file:
        known = {line["formula"]: {"True": "yes", "False": "no"}[line["known"]] for line in csv.DictReader(file)}
    assert {row["id"]: row["known"] for row in rows} == known
    for name in ("ranking.csv", "samples.csv"):
        with (tmp_path / "run" / name).open() as file:
            for line in csv.DictReader(file):
                assert line["formation_energy"]
                assert line["decomposition"]
                assert line["known"] == known[line["formula"]]
    assert out.startswith(f"Cu-Au: 3 compositions, {sum(each == 'yes' for each in known.values())} of them known to ")
    assert "known to the table or the hull alloys; left out: " in out
    assert known["CuAu"] == "yes"  # the hull holds it, whatever the table does
    # the lowest above the hull first
    lowest = sorted(rows, key=lambda row: row["ranking"]["energy_above_hull"])
    shown = [line.split()[0] for line in out.splitlines() if re.search(r" (yes|no) +-?\d", line)]
    assert shown == [crystal_of(row).formula for row in lowest]
    assert "energy above lowest" not in " ".join(out.split())
    near = [row for row in rows if row["ranking"]["energy_above_hull"] <= 0.1]
    assert f"{len(near)} of 3 within 0.1 eV/atom of the hull, " in out
    held = sum(known[row["id"]] == "yes" for row in near)
    assert f"{held} of them of compositions that the table or the hull holds" in out
    assert ("is no discovery by itself" in out) == (lowest[0]["ranking"]["energy_above_hull"] < 0)
    legend = text.partition('<section id="legend"')[2].partition("</section>")[0]
    for said in ("energy above hull", "eV/atom", f"{EMT} (EMT energies)", "ranking by energy"):
        assert said in legend


def test_a_system_without_a_picture_says_so(unigen, hull, tmp_path):
    wanted = ("--formula", "Cu", "--z", 1, "--candidates", 1, "--rank-by", "energy", "--hull", hull)
    assert unigen("generate", "crystal", *wanted, *POTENTIAL, *DRAWING, "--n", 1, "--out", "run")[0] == 0
    assert yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())["ranking"]["hull"] == hull
    text, _, items = page(tmp_path / "run" / "report.html")
    assert "No picture of the hull alloys: of Cu there is none, only of two or three elements." in text
    assert items[0]["energy_above_hull"] is not None
