"""Samples as a table: one row a sample, in the folder of a run and in Python."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import unigen as ug
from unigen.data.readers.crystals import CRYSTAL_FORMATS, read_crystal_rows
from unigen.runs.tables import cell_parameters

FAST = {"steps": 4, "score": False}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_of_a_run_says_what_the_frame_does(tmp_path):
    run = tmp_path / "run"
    samples = ug.generate(["NaCl", "TiO2"], n=2, **FAST, out=run, page=False, picture=False)
    rows, frame = table(run / "samples.csv"), samples.to_dataframe().drop(columns="structure")
    assert {*rows[0]} - {"reason"} == {*frame.columns} - {"reason"}
    for row, (_, told) in zip(rows, frame.iterrows(), strict=True):
        for name in frame.columns:
            if isinstance(told[name], float):
                assert float(row[name] or "nan") == pytest.approx(told[name], abs=1e-4, nan_ok=True)
            else:
                assert row[name] == ("" if told[name] is None else str(told[name]))
    for row, crystal in zip(rows, samples.structures, strict=True):
        assert (row["formula"], row["cell_formula"]) == (crystal.reduced_formula, crystal.formula)
        cell = [float(row[name]) for name in ("a", "b", "c", "alpha", "beta", "gamma")]
        assert cell == pytest.approx(cell_parameters(crystal), abs=1e-3)
    assert rows[0]["prototype"] == "rocksalt"
    assert rows[0]["relative_id"]
    # the same seed gives the same bytes, and what reads structures reads each once
    ug.generate(["NaCl", "TiO2"], n=2, **FAST, out=tmp_path / "again", page=False, picture=False)
    assert (tmp_path / "again" / "samples.csv").read_bytes() == (run / "samples.csv").read_bytes()
    assert len(list(read_crystal_rows(run))) == len(rows)
    passed = {each.path.name: each.why for each in CRYSTAL_FORMATS.survey(run).passed_over}
    assert passed["samples.csv"] == "beside the structures of its run"


def test_a_failed_sample_has_a_row_with_its_reason(tmp_path):
    with pytest.warns(UserWarning, match="failed"):
        ug.generate(["NaCl", "CsI"], n=1, z=1, min_distance=3.2, **FAST, out=tmp_path, page=False, picture=False)
    failed, made = table(tmp_path / "samples.csv")
    assert (failed["id"], failed["cell_formula"], made["cell_formula"]) == ("NaCl", "", "CsI")
    assert "apart" in failed["reason"]
    assert made["reason"] == ""


def test_molecules_and_ranked_answers_have_it_too(tmp_path):
    ug.generate(smiles="CCO", n=1, steps=2, out=tmp_path / "molecule", page=False, picture=False)
    (row,) = table(tmp_path / "molecule" / "samples.csv")
    assert (row["formula"], row["smiles"]) == ("C2H6O", "CCO")
    run = tmp_path / "ranked"
    ug.generate("NaCl", n=2, candidates=4, rank_by="likelihood", steps=4, out=run, page=False, picture=False)
    answers, candidates = table(run / "samples.csv"), table(run / "candidates" / "samples.csv")
    assert [row["rank"] for row in answers] == ["1", "2"]
    assert len(candidates) == 4
    ranked = table(run / "ranking.csv")
    names = ("cell_formula", "space_group", "prototype")
    found = {row["candidate"]: [row[name] for name in names] for row in ranked}
    assert found == {row["index"]: [row[name] for name in names] for row in candidates}
    assert {row["formula"] for row in ranked} == {"NaCl"}
