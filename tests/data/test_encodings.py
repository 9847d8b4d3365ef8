"""The same text in any encoding, packed or not, is the same structures to every reader."""

from __future__ import annotations

import csv
import gzip
import io
import json

import pytest

from tests.crystals.real_crystals import elemental_crystals
from tests.data.test_sources import site_form
from unigen.data.build import build_dataset
from unigen.data.readers.contents import kind_of
from unigen.data.readers.crystals import read_crystal_rows
from unigen.data.summary import summarise
from unigen.eval.crystals.samples import read_reference, read_samples

SOME = elemental_crystals()[3:6]
NOTE = "Å, Müller"
"""What old programs wrote in Latin-1."""


def _csv() -> str:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("CIF", " material_id", "note"))
    table.writerows((crystal.to_cif(), f"c{number}", NOTE) for number, crystal in enumerate(SOME))
    return text.getvalue()


TEXTS = {
    "a.csv": _csv,
    "a.extxyz": lambda: "".join(crystal.to_extxyz().replace("pbc=", f'note="{NOTE}" pbc=') for crystal in SOME),
    "a.jsonl": lambda: "".join(json.dumps(site_form(c) | {"note": NOTE}, ensure_ascii=False) + "\n" for c in SOME),
    "a.json": lambda: json.dumps([site_form(c) | {"note": NOTE} for c in SOME], ensure_ascii=False),
    "a.cif": lambda: f"# {NOTE}\n" + SOME[0].to_cif(),
    "POSCAR": lambda: SOME[0].to_poscar().replace("\n", f" {NOTE}\n", 1),
}
ENCODED = {
    "utf-8": lambda text: text.encode(),
    "utf-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "latin-1": lambda text: text.encode("latin-1"),
    "utf-16": lambda text: text.encode("utf-16"),
    "windows": lambda text: text.replace("\n", "\r\n").encode("cp1252"),
    "old mac": lambda text: text.replace("\r\n", "\n").replace("\n", "\r").encode(),
    "packed": lambda text: gzip.compress(text.encode("latin-1")),
}


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("name", TEXTS)
def test_every_command_reads_every_encoding(tmp_path, monkeypatch, name, encoding):
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path / "home"))
    path = tmp_path / (f"{name}.gz" if encoding == "packed" else name)
    path.write_bytes(ENCODED[encoding](TEXTS[name]()))
    count = 1 if name in ("a.cif", "POSCAR") else len(SOME)
    wanted = [crystal.reduced_formula for crystal in SOME[:count]]
    rows = list(read_crystal_rows(path))
    assert [row.structure and row.structure.reduced_formula for row in rows] == wanted, rows[0].reason
    assert kind_of(path) == "crystals"
    assert summarise(path).rows == count
    for read in (read_samples, read_reference):
        assert [crystal.reduced_formula for crystal in read(path).crystals] == wanted
    assert sum(build_dataset("mine", (str(path),), workers=1).splits.values()) == count
