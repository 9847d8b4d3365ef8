"""A frozen set of small structures and what every metric must say of each: see frozen/verdicts.yaml for the reasons."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

FROZEN = Path(__file__).parent / "frozen"
TABLE = yaml.safe_load((FROZEN / "verdicts.yaml").read_text())
KINDS = ("crystals", "molecules")


@cache
def _unigen(folder: Path, *arguments: str) -> dict[str, dict[str, object]]:
    """The rows of the real command's CSV by sample; yes, no, numbers and nothing as YAML has them."""
    report = folder / "report.json"
    command = [sys.executable, "-c", "from unigen.cli import main; main()", "evaluate", *arguments, "--out", report]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    rows = csv.DictReader(report.with_suffix(".csv").read_text().splitlines())
    return {row["id"].removesuffix("-1"): {name: _plain(text) for name, text in row.items()} for row in rows}


def _plain(text: str) -> object:
    return {"": None, "true": True, "false": False}.get(text, int(text) if text.lstrip("-").isdigit() else text)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Verdicts on all crystals or on all molecules."""
    known = {"crystals": FROZEN / "known", "molecules": FROZEN / "known.smi"}
    folder = tmp_path_factory.mktemp("scored")

    def run(kind: str) -> dict[str, dict[str, object]]:
        arguments = [kind, str(FROZEN / kind), "--reference", str(known[kind]), "--workers", "1"]
        return _unigen(folder, *arguments, *["--protocol", "denovo"] * (kind == "crystals"))

    return run


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in TABLE[kind]["rows"]])
def test_verdicts(scored, kind, name):
    columns = TABLE[kind]["columns"]
    found = scored(kind)[name]
    assert {column: found[column] for column in columns} == dict(zip(columns, TABLE[kind]["rows"][name], strict=True))


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in TABLE[kind]["refused"]])
def test_what_is_refused_has_a_reason_and_no_verdict(scored, kind, name):
    found = scored(kind)[name]
    assert str(TABLE[kind]["refused"][name]) in str(found["reason"])
    assert not any(found[column] for column in TABLE[kind]["columns"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_structure_has_a_verdict(scored, kind):
    stated = {*TABLE[kind]["rows"], *TABLE[kind]["refused"]}
    assert stated == {file.stem for file in (FROZEN / kind).iterdir()} == set(scored(kind))


@pytest.fixture(scope="module")
def paired(tmp_path_factory):
    """Matches by csp: a sample is named after the crystal it was made for."""
    folder = tmp_path_factory.mktemp("paired")
    names = {}
    (folder / "samples").mkdir()
    for number, (sample, (reference, _)) in enumerate(TABLE["matched"].items()):
        names[sample] = f"{reference}__{number}"
        shutil.copy(FROZEN / "crystals" / f"{sample}.cif", folder / "samples" / f"{names[sample]}.cif")
    arguments = "--reference", str(FROZEN / "known"), "--protocol", "csp", "--workers", "1"
    rows = _unigen(folder, "crystals", str(folder / "samples"), *arguments)
    return {sample: rows[name] for sample, name in names.items()}


@pytest.mark.parametrize("name", TABLE["matched"])
def test_matches(paired, name):
    reference, matched = TABLE["matched"][name]
    assert (paired[name]["reference"], paired[name]["matched"]) == (reference, matched)


def test_mirror_images_differ_in_their_smiles_alone(scored):
    first, second = (scored("molecules")[name]["smiles"] for name in ("12-chiral", "13-chiral-mirrored"))
    assert first != second
    assert str(first).replace("@", "") == str(second).replace("@", "")
