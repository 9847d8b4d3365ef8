"""Limits, parents, distinct space groups and scans on the command line, with the bundled model."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.models.test_parents import CAESIUM_CHLORIDE, PEROVSKITE, SALT
from unigen.config import read_yaml
from unigen.sample.expansion import expand
from unigen.sample.requests import requests_of

GENERATE = ("generate", "crystal", "--no-page", "--no-picture", "--no-score", "--steps", "2")


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


@pytest.fixture
def parents(tmp_path) -> tuple[str, ...]:
    SALT.to_cif(tmp_path / "salt.cif")
    (tmp_path / "more").mkdir()
    CAESIUM_CHLORIDE.to_poscar(tmp_path / "more/cscl.vasp")
    PEROVSKITE.to_cif(tmp_path / "more/perovskite.cif")
    (tmp_path / "more/broken.cif").write_text("data_broken\n_cell_length_a 3\n")
    return "--parents", "salt.cif", "more"


def test_parents_are_followed_first_named_and_written_down(unigen, tmp_path, parents):
    code, said, error = unigen(*GENERATE, "--formula", "NaCl", *parents, "--n", 3, "--out", "run")
    assert code == 0, error
    lines = said.splitlines()
    assert lines[0].startswith("parent left out: more/broken.cif: not a readable CIF")
    assert lines[1] == "parent that does not fit the request: perovskite (more/perovskite.cif)"
    found = rows(tmp_path / "run")
    assert {row["source"]["parent"] for row in found[:2]} == {"salt.cif", "more/cscl.vasp"}
    assert "parent" not in found[2]["source"]
    run = read_yaml(tmp_path / "run/run.yaml")
    assert {parent["file"]: parent["fits"] for parent in run["parents"]} == {
        "salt.cif": 1,
        "more/cscl.vasp": 1,
        "more/perovskite.cif": 0,
    }
    assert [each["where"] for each in run["parents_left_out"]] == ["more/broken.cif"]
    before = (tmp_path / "run/samples.jsonl").read_bytes()
    (tmp_path / "run/samples.jsonl").write_bytes(b"".join(before.splitlines(keepends=True)[::2]))
    assert unigen(*GENERATE, "--formula", "NaCl", *parents, "--n", 3, "--out", "run")[0] == 0
    assert (tmp_path / "run/samples.jsonl").read_bytes() == before


def test_a_run_without_new_wishes_says_nothing_of_them(unigen, tmp_path):
    assert unigen(*GENERATE, "--formula", "NaCl", "--out", "run")[0] == 0
    run = read_yaml(tmp_path / "run/run.yaml")
    assert run["requests"] == [{"formula": "NaCl"}]
    assert not {"parents", "scans"} & set(run)


def test_requests_with_wishes_of_their_own_stand_in_one_file(unigen, tmp_path):
    (tmp_path / "wishes.csv").write_text(
        "formula,z,min_distance,volume_per_atom,density,distinct\n"
        "NaCl,1,2.0;Na-Cl=2.5,,,\nNaCl,1,,1:2,,\nKBr,,,,1:20,space-group\n"
    )
    code, said, error = unigen(*GENERATE, "--requests", "wishes.csv", "--n", 2, "--out", "run")
    assert code == 0, error
    assert "2 failed" in said
    found = rows(tmp_path / "run")
    assert ["reason" in row for row in found] == [False, False, True, True, False, False]
    assert found[2]["reason"].startswith("volume_per_atom ")
    assert "wanted 1:2; the nearest to it of 5 draws" in found[2]["reason"]
    assert found[4]["space_group"] != found[5]["space_group"]
    assert read_yaml(tmp_path / "run/run.yaml")["requests"] == [
        {"formula": "NaCl", "z": 1, "min_distance": {"all": 2.0, "Na-Cl": 2.5}},
        {"formula": "NaCl", "z": 1, "volume_per_atom": [1.0, 2.0]},
        {"formula": "KBr", "density": [1.0, 20.0], "distinct": "space_group"},
    ]


def test_a_chemical_system_is_scanned_over_its_compositions(unigen, tmp_path):
    options = ("--elements", "Na,Cl", "--scan", "--scan-limit", 2, "--min-distance", 1.0)
    code, said, error = unigen(*GENERATE, *options, "--out", "run")
    assert code == 0, error
    assert said.startswith("Na-Cl: 3 compositions, 3 of them known to the table; left out: ")
    with (tmp_path / "run/compositions.csv").open() as file:
        formulas = [row["formula"] for row in csv.DictReader(file)]
    assert [row["request"]["formula"] for row in rows(tmp_path / "run")] == formulas
    run = read_yaml(tmp_path / "run/run.yaml")
    assert run["scans"][0]["compositions"] == len(formulas) == 3
    assert all(request["min_distance"] == {"all": 1.0} for request in run["requests"])
    assert unigen("data", "scan", "Na,Cl", "--limit", 2, "--out", "requests.csv")[0] == 0
    with (tmp_path / "requests.csv").open() as file:
        assert [row["formula"] for row in csv.DictReader(file)] == formulas


def test_what_a_hull_holds_is_known_wherever_its_name_is_given(unigen, refused, tmp_path):
    asked = ("--formula", "ABX3", "--n", 3)
    assert unigen(*GENERATE, *asked, "--out", "before")[0] == 0
    found = [row["request"]["formula"] for row in rows(tmp_path / "before")]
    plain = expand(requests_of({"elements": "Ti,O"}), 1, "unigen-crystal-small", scan=True).scans[0]
    new = [each.formula for each in plain.compositions if not each.known]
    assert len(new) >= 2
    entries = "".join(f"{number},{formula},-1\n" for number, formula in enumerate([*found, new[0]]))
    (tmp_path / "energies.csv").write_text("id,formula,energy\n" + entries)
    hull = ("--from", "energies.csv", "--energy", "energy", "--quantity", "formation", "--energy-scheme", "PBE")
    code, _, error = unigen("hull", "build", "mine", *hull)
    assert code == 0, error

    code, said, error = unigen(*GENERATE, *asked, "--known", "mine", "--out", "after")
    assert code == 0, error
    assert "3 new compositions, not known to the table or mine, each by one exchange" in said
    assert not {row["request"]["formula"] for row in rows(tmp_path / "after")} & {*found}
    # the same of the hull that energies are measured from: passed over by a type, marked by a scan
    ranked = expand(requests_of({"formula": "ABX3"}), 3, "unigen-crystal-small", hull="mine")
    assert [each.formula for each in ranked.requests] == [row["request"]["formula"] for row in rows(tmp_path / "after")]
    scan = expand(requests_of({"elements": "Ti,O"}), 1, "unigen-crystal-small", hull="mine", scan=True).scans[0]
    assert [each.formula for each in scan.compositions if not each.known] == new[1:]
    assert "neither a dataset nor a hull 'nothing' is built" in refused(
        *GENERATE, *asked, "--known", "nothing", "--out", "never"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--formula", "TiO2", "--min-distance", "Ti-Q=1"], "min_distance: not a pair of elements 'Ti-Q'"),
        (["--formula", "TiO2", "--volume-per-atom", "9"], "volume_per_atom: not a range; got 9"),
        (["--formula", "TiO2", "--density", "5:4"], "density: no such range; got 5:4"),
        (["--elements", "Ti,O", "--distinct", "space-group"], "distinct: without a formula every sample"),
        (["--formula", "TiO2", "--parents", "none.cif"], "none.cif: no such file or folder"),
        (["--formula", "TiO2", "stray.cif"], "unexpected argument; got stray.cif"),
        (["--formula", "TiO2", "--known", "mine"], "known: decides nothing, as every formula is given; got mine"),
        (["--formula", "TiO2", "--scan"], "a scan is of elements; got {'formula': 'TiO2'}"),
        (["--elements", "Ti,O", "--scan-limit", "3"], "--scan-limit without --scan"),
    ],
)
def test_wishes_that_make_no_sense_are_refused_in_one_line(refused, options, said):
    assert said in refused("generate", "crystal", *options, "--out", "run")
