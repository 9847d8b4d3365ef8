"""The run folder as a journal: continued, healed, refused when it is another run's."""

from __future__ import annotations

import json
import os

import pytest

from tests.small_generators import Counting
from unigen.data.readers.crystals import read_crystal_rows
from unigen.errors import UserError
from unigen.request import CrystalRequest
from unigen.runs.crystal_files import FRAMES, CrystalFolder, crystal_of
from unigen.runs.folder import JOURNAL
from unigen.sample.generate import iter_samples

RUN = {"seed": 3, "requests": [{"formula": "Fe"}], "versions": {"torch": "1"}}
REQUESTS = [CrystalRequest(formula=formula, z=1) for formula in ("Fe", "Cu", "Ni")]
TASKS = [(request, index) for request in range(3) for index in range(2)]


def _folder(path, run=RUN, **options) -> CrystalFolder:
    folder = CrystalFolder(path, **options)
    folder.claim(run)
    return folder


def _samples(requests=REQUESTS, tasks=TASKS):
    return [sample for batch in iter_samples(Counting(), requests, tasks, seed=0) for sample in batch]


def _contents(folder) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _whole(path) -> dict[str, bytes]:
    folder = _folder(path, symprec=0.1)
    folder.append(_samples())
    folder.finish()
    return _contents(path)


def test_a_continued_run_ends_in_the_same_bytes(tmp_path):
    wanted = _whole(tmp_path / "whole")
    first = _folder(tmp_path / "parts", symprec=0.1)
    assert not first.finished
    first.append(_samples()[:2])
    again = _folder(tmp_path / "parts", symprec=0.1)
    assert len(again.finished) == 2
    again.append(_samples()[2:])
    again.finish()
    assert _contents(tmp_path / "parts") == wanted
    assert len(wanted) == 4 + 6 + 6


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.999])
def test_a_line_torn_by_a_kill_is_cut_off_and_nothing_else(tmp_path, kept):
    _folder(tmp_path).append(_samples()[:3])
    journal = tmp_path / JOURNAL
    *before, last = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(before) + last[: int(len(last) * kept)])
    assert len(_folder(tmp_path).finished) == 2
    assert journal.read_bytes() == b"".join(before)


def test_a_line_of_zeros_after_a_crash_of_the_machine_is_drawn_again(tmp_path):
    _folder(tmp_path).append(_samples()[:3])
    journal = tmp_path / JOURNAL
    first, second, third = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(first + b"\0" * (len(second) - 1) + b"\n" + third)
    assert len(_folder(tmp_path).finished) == 2


def test_another_run_is_refused_and_untouched(tmp_path):
    before = _whole(tmp_path)
    with pytest.raises(
        UserError, match=r"other results; got seed: 4; wanted seed: 3 \(as in the folder\); give another --out"
    ):
        _folder(tmp_path, RUN | {"seed": 4})
    assert _contents(tmp_path) == before
    assert len(_folder(tmp_path, RUN | {"versions": {"torch": "2"}}).finished) == 6


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        _folder(tmp_path)
    assert _contents(tmp_path) == {"thesis.txt": b"mine"}


def test_a_run_killed_while_it_wrote_its_first_file_goes_on(tmp_path):
    (tmp_path / ".run.yaml.partial").write_text("seed")
    assert not _folder(tmp_path).finished


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_an_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot write the run"):
        _folder(tmp_path / "run")


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UserError, match=r"cannot write the run.*File exists"):
        _folder(tmp_path / "run")


def test_requests_that_share_a_name_do_not_share_a_file(tmp_path):
    named = [CrystalRequest(formula=formula, z=1, id=name) for formula, name in (("Fe", "a/b"), ("Cu", "A b"))]
    folder = _folder(tmp_path)
    folder.append(_samples(named, TASKS[:4]))
    folder.finish()
    assert sorted(file.name for file in (tmp_path / "cif").iterdir()) == [
        "A_b_1__0.cif",
        "A_b_1__1.cif",
        "a_b_0__0.cif",
        "a_b_0__1.cif",
    ]


def test_symmetrised_copies_follow_a_new_tolerance(tmp_path):
    _whole(tmp_path)
    copy = tmp_path / "cif_symmetrised" / "Fe__0.cif"
    copy.write_text("of another tolerance")
    _folder(tmp_path, symprec=0.01).finish()
    assert "P m -3 m" in copy.read_text()


def test_failures_keep_their_reason_and_have_no_structure(tmp_path):
    folder = _folder(tmp_path)
    folder.append(_samples([CrystalRequest(formula="Xe", z=1), REQUESTS[0]], [(0, 0), (1, 0)]))
    failed, made = folder.finish()
    assert failed["reason"] == "noble"
    assert crystal_of(failed) is None
    assert crystal_of(made).reduced_formula == "Fe"
    assert (tmp_path / FRAMES).read_text().count("Lattice=") == 1


def test_rows_read_back_carry_name_index_and_seed(tmp_path):
    _whole(tmp_path)
    rows = list(read_crystal_rows(tmp_path))
    assert [(row.id, row.info["index"]) for row in rows] == [(r.formula, i) for r in REQUESTS for i in range(2)]
    assert all(row.info["seed"] == 0 and row.structure is not None for row in rows)
    lines = [json.loads(line) for line in (tmp_path / JOURNAL).read_text().splitlines()]
    assert [line["score"] for line in lines] == [line["log_likelihood"] for line in lines]
    frames = list(read_crystal_rows(tmp_path / FRAMES))
    assert [row.structure.reduced_formula for row in frames] == [row.structure.reduced_formula for row in rows]
