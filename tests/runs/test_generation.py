"""Generation runs from Python: what is written down about them, and what they say."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from tests.small_generators import Counting, save_untrained
from unigen.config import read_yaml
from unigen.errors import UserError
from unigen.models.generator import VectorSettings
from unigen.report.generation_page import write_run_page
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.runs.crystal_files import CrystalFolder
from unigen.runs.generation import RunSettings, run_generation
from unigen.runs.molecule_files import MoleculeFolder

IRON, XENON = CrystalRequest(formula="Fe", z=1), CrystalRequest(formula="Xe", z=1)


@pytest.fixture
def counting(monkeypatch) -> Counting:
    generator = Counting()
    monkeypatch.setattr(RunSettings, "load", lambda *_: generator)
    return generator


def test_run_yaml_says_what_determines_the_samples(counting, tmp_path):
    counting.settings = VectorSettings(steps=7)
    settings = RunSettings(n=2, seed=5, decoding={"steps": 7}, batch_size=3)
    run_generation([IRON], CrystalFolder(tmp_path / "run", symprec=0.1), settings)
    written = read_yaml(tmp_path / "run" / "run.yaml")
    assert (written["seed"], written["n"], written["decoding"]["steps"]) == (5, 2, 7)
    assert (written["model"], written["version"]) == (counting.name, counting.version)
    assert written["requests"] == [{"formula": "Fe", "z": 1}]
    assert set(written["versions"]) == {"torch", "numpy", "spglib"}
    assert not {"batch_size", "symprec", "cif"} & set(written)


def test_the_page_of_a_run_says_what_failed_and_is_the_same_again(counting, tmp_path):
    for _ in range(2):
        rows = run_generation([IRON, XENON], CrystalFolder(tmp_path), RunSettings(n=2))
        assert not (tmp_path / "report.html").exists()
        page = write_run_page(tmp_path, rows, "crystals").read_bytes()
        assert "2 crystals, 2 failed" in page.decode()
        assert "noble" in page.decode()
        (tmp_path / "report.html").rename(tmp_path / "before.html")
    assert (tmp_path / "before.html").read_bytes() == page


def test_a_run_may_go_on_by_another_path_to_the_same_model(tmp_path, monkeypatch):
    save_untrained(tmp_path / "models" / "untrained")
    request = CrystalRequest(formula="NaCl", z=1)
    run_generation(
        [request], CrystalFolder(tmp_path / "run"), RunSettings(model=str(tmp_path / "models" / "untrained"))
    )
    monkeypatch.chdir(tmp_path / "models")
    rows = run_generation([request], CrystalFolder(tmp_path / "run"), RunSettings(model="untrained"))
    assert len(rows) == 1


def test_only_what_is_missing_is_drawn_in_the_batches_of_the_whole_run(counting, tmp_path):
    requests = [CrystalRequest(formula=formula, z=1) for formula in ("Fe", "Cu", "Ni")]
    settings = RunSettings(n=2, batch_size=4)
    whole = run_generation(requests, CrystalFolder(tmp_path / "run"), settings)
    journal = tmp_path / "run" / "samples.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:5]))
    counting.jobs.clear()
    assert run_generation(requests, CrystalFolder(tmp_path / "run"), settings) == whole
    assert [(job.request_index, job.index) for job in counting.jobs] == [(2, 0), (2, 1)]
    assert journal.read_text().splitlines(keepends=True) == lines


def test_when_all_fail_the_reasons_are_kept(counting, tmp_path):
    with pytest.raises(UserError, match=r"no structure was made \(2 failed\): noble"):
        run_generation([XENON], CrystalFolder(tmp_path / "run"), RunSettings(n=2))
    rows = [json.loads(line) for line in (tmp_path / "run" / "samples.jsonl").read_text().splitlines()]
    assert [row["reason"] for row in rows] == ["noble", "noble"]


def test_the_console_hears_how_many_and_why_not(counting, tmp_path):
    console = Console(width=80)
    with console.capture() as captured:
        run_generation([IRON, XENON], CrystalFolder(tmp_path / "run"), RunSettings(n=25, batch_size=7), console)
    text = " ".join(captured.get().split())
    assert "25 crystals, 25 valid, 25 failed" in text
    assert "why, for the first: Xe: noble" in text
    assert "and 5 more" in text


def test_settings_that_contradict_each_other(tmp_path):
    model = save_untrained(tmp_path / "model")
    with pytest.raises(UserError, match=r"this model retrieves nothing; got --retrieve-from mp-20"):
        RunSettings(retrieve_from="mp-20", model=str(model)).load()


def test_a_setting_that_the_kind_does_not_have_is_refused(counting, tmp_path):
    with pytest.raises(UserError, match="a run of molecules has no setting 'exclude_formula'; got True"):
        run_generation([MoleculeRequest()], MoleculeFolder(tmp_path / "run"), RunSettings(exclude_formula=True))
    assert not (tmp_path / "run").exists()
