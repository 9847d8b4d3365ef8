"""Many samples are checked and written by all cores: the folder is the same to the last byte."""

from __future__ import annotations

from pathlib import Path

from unigen.api import runs


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_run_is_the_same_with_any_number_of_workers(unigen, tmp_path, monkeypatch):
    formats = "cif,cif-p1,poscar"
    asked = ("--formula", "TiO2", "--n", "5", "--format", formats, "--no-page", "--no-picture", "--quiet")
    assert unigen("generate", "crystal", *asked, "--out", tmp_path / "one")[0] == 0
    monkeypatch.setattr(runs, "MANY", 1)
    assert unigen("generate", "crystal", *asked, "--workers", "2", "--out", tmp_path / "two")[0] == 0
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert sum(name.endswith((".cif", ".vasp")) for name in one) == 5 * len(formats.split(","))
    assert one == two
