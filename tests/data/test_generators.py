"""Files of other generators as they write them: MatterGen's zip of CIFs, DiffCSP's tensors."""

from __future__ import annotations

import argparse
import collections
import contextlib
import fractions
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymatgen.io.cif import CifWriter

from tests.crystals.real_crystals import prototypes
from unigen.data.readers.crystals import read_crystal_rows
from unigen.errors import UserError
from unigen.eval.crystals.evaluate import evaluate_crystals

SOME = prototypes(5)


def diffcsp(samples: int = 2) -> dict[str, object]:
    """What ``evaluate.py`` of DiffCSP saves; the second sample is a little larger than the first."""
    structures = [crystal.to_pymatgen() for crystal in SOME]
    lengths = torch.tensor([structure.lattice.abc for structure in structures])
    return {
        "eval_setting": argparse.Namespace(model_path="prod", num_evals=samples),
        "frac_coords": torch.tensor(np.concatenate([each.frac_coords for each in structures])).repeat(samples, 1, 1),
        "num_atoms": torch.tensor([len(each) for each in structures]).repeat(samples, 1),
        "atom_types": torch.tensor([number for each in structures for number in each.atomic_numbers]).repeat(
            samples, 1
        ),
        "lengths": torch.stack([lengths * (1 + 0.01 * sample) for sample in range(samples)]),
        "angles": torch.tensor([structure.lattice.angles for structure in structures]).repeat(samples, 1, 1),
        "time": 3.5,
    }


def test_a_zip_of_cifs_is_read_in_its_order_and_told_apart_from_others(tmp_path):
    with zipfile.ZipFile(tmp_path / "generated_crystals_cif.zip", "w") as archive:
        for number, crystal in enumerate(SOME):
            archive.writestr(f"gen_{number}.cif", str(CifWriter(crystal.to_pymatgen())))
        archive.writestr("gen_5.cif", "data_torn\n")
    rows = list(read_crystal_rows(tmp_path / "generated_crystals_cif.zip"))
    assert [row.id for row in rows] == [f"gen_{number}" for number in range(6)]
    assert [row.structure and row.structure.formula for row in rows] == [*(each.formula for each in SOME), None]
    assert "gen_5.cif" in rows[-1].reason
    with zipfile.ZipFile(tmp_path / "trajectories.zip", "w") as archive:
        archive.writestr("gen_0.extxyz", SOME[0].to_extxyz())
    with pytest.raises(UserError, match=r"no CIF in this archive; got \.extxyz"):
        list(read_crystal_rows(tmp_path / "trajectories.zip"))
    (tmp_path / "torn.zip").write_bytes((tmp_path / "generated_crystals_cif.zip").read_bytes()[:-40])
    with pytest.raises(UserError, match="not a readable zip"):
        list(read_crystal_rows(tmp_path / "torn.zip"))


@pytest.mark.parametrize("packed", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_archive_with_any_byte_changed_is_read_or_refused_in_a_line(packed, data, tmp_path):
    path = tmp_path / "changed.zip"
    with zipfile.ZipFile(path, "w", packed) as archive:
        archive.writestr("Züge.cif", SOME[0].to_cif())  # a name that the archive marks as UTF-8
    content = bytearray(path.read_bytes())
    # at the end lies the directory, where most of what zipfile itself stumbles over is
    place = data.draw(st.one_of(st.integers(0, len(content) - 1), st.integers(len(content) - 90, len(content) - 1)))
    content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(UserError):
        list(read_crystal_rows(path))


def test_a_name_that_is_said_to_be_utf_8_and_is_not_is_a_broken_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "named.zip", "w") as archive:
        archive.writestr("Züge.cif", SOME[0].to_cif())
    content = (tmp_path / "named.zip").read_bytes().replace("Züge".encode(), b"Z\xf5\xf5ge")
    (tmp_path / "named.zip").write_bytes(content)
    with pytest.raises(UserError, match="not a readable zip; got 'utf-8' codec"):
        list(read_crystal_rows(tmp_path / "named.zip"))


def test_a_folder_of_mattergen_is_read_once(tmp_path):
    """Its extxyz says what its archives say."""
    (tmp_path / "generated_crystals.extxyz").write_text("".join(crystal.to_extxyz() for crystal in SOME))
    with zipfile.ZipFile(tmp_path / "generated_crystals_cif.zip", "w") as archive:
        archive.writestr("gen_0.cif", SOME[0].to_cif())
    report = evaluate_crystals(tmp_path, workers=1)
    assert report.counts["generated"] == len(SOME)
    assert report.passed_over == {"samples": {"no structures (.zip)": 1}}


def test_tensors_of_diffcsp_are_samples_of_each_crystal(tmp_path):
    torch.save(diffcsp(), tmp_path / "eval_diff.pt")
    rows = list(read_crystal_rows(tmp_path / "eval_diff.pt"))
    assert [(row.id, row.info["index"]) for row in rows] == [
        (f"eval_diff-{crystal}", sample) for sample in range(2) for crystal in range(5)
    ]
    for row, crystal in zip(rows, [*SOME, *SOME], strict=True):
        assert row.structure.counts == crystal.counts
        grown = 1.01**3 if row.info["index"] else 1.0
        assert row.structure.volume == pytest.approx(grown * crystal.volume, rel=1e-4)
        assert row.structure.properties == {}
    flat = {name: value[0] for name, value in diffcsp(1).items() if isinstance(value, torch.Tensor)}
    torch.save(flat, tmp_path / "eval_gen.pt")
    assert len(list(read_crystal_rows(tmp_path / "eval_gen.pt"))) == 5


def test_angles_that_close_no_cell_are_a_failure_of_that_sample(tmp_path):
    tensors = diffcsp(1)
    tensors["angles"][0, 2] = torch.tensor([150.0, 30.0, 90.0])
    torch.save(tensors, tmp_path / "eval_diff.pt")
    reasons = [row.reason for row in read_crystal_rows(tmp_path / "eval_diff.pt")]
    assert [bool(reason) for reason in reasons] == [False, False, True, False, False]
    assert "close no cell" in reasons[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": None}, "no tensor 'lengths'"),
        ({"atom_types": torch.ones(1, 7)}, "atom_types: disagrees with num_atoms"),
        ({"frac_coords": torch.ones(1, 7, 2)}, "frac_coords: a tensor of another shape"),
        # what only unpickling could read: the line says how to leave it out
        ({"batch": collections.Counter(a=1), "x": fractions.Fraction(1, 2)}, r"not tensors alone.*torch\.save"),
    ],
)
def test_other_tensors_are_one_line(tmp_path, change, message):
    torch.save(diffcsp(1) | change, tmp_path / "eval_diff.pt")
    with pytest.raises(UserError, match=message):
        list(read_crystal_rows(tmp_path / "eval_diff.pt"))


def test_what_the_line_says_converts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(diffcsp(1) | {"batch": fractions.Fraction(1, 2)}, "IN.pt")
    with pytest.raises(UserError) as refused:
        list(read_crystal_rows("IN.pt"))
    code = str(refused.value).split('python -c "', 1)[1].rsplit('"', 1)[0]
    exec(code, {})  # noqa: S102 - our own line
    assert len(list(read_crystal_rows("OUT.pt"))) == 5
