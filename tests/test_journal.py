"""A journal of slow results: whatever finished first, and wherever it was cut off, it ends in the same bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unigen.errors import UserError
from unigen.journal import JOURNAL, ResultJournal, claim_folder

TASKS = [3, 1, 4, 1, 5, 9, 2, 6]  # one twice


class Killed(BaseException):
    """What ends a run in these tests."""


def squares(path: Path, order: list[int], kept: int | None = None) -> list[int]:
    """The squares of the tasks, finished in this order; killed after so many."""
    journal = ResultJournal[int, int](
        path,
        {"power": 2},
        key=lambda task: f"task {task}",
        to_line=lambda result: {"square": result},
        from_line=lambda line, _task: line["square"],
    )

    def compute(missing: list[int]):
        places = sorted(range(len(missing)), key=lambda place: order.index(missing[place]))
        for done, place in enumerate(places):
            if done == kept:
                raise Killed
            yield place, missing[place] ** 2

    return journal.results(TASKS, compute)


orders = st.permutations(sorted(set(TASKS)))


@settings(max_examples=15)  # each line is synced to disk
@given(orders, st.lists(st.tuples(orders, st.integers(0, 5)), max_size=3))
def test_the_order_of_finishing_and_kills_leave_no_trace(order, kills):
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        assert squares(whole, sorted(set(TASKS))) == [task**2 for task in TASKS]
        for finishing, kept in kills:
            try:
                squares(killed, finishing, kept)
            except Killed:
                continue
        assert squares(killed, order) == [task**2 for task in TASKS]
        assert (killed / JOURNAL).read_bytes() == (whole / JOURNAL).read_bytes()
        assert sorted(file.name for file in killed.iterdir()) == sorted(file.name for file in whole.iterdir())


WISHES = [{"formula": f"Si{place}", "properties": {"density": 2.0}, "id": "x" * 40} for place in range(1, 9)]


@pytest.mark.parametrize(
    ("asked", "got", "wanted"),
    [
        ([*WISHES[:3], {"formula": "Ge"}, *WISHES[4:]], "requests[3].formula: Ge", "requests[3].formula: Si4"),
        (WISHES[:5], "5 requests", "8 requests"),
        (
            [*WISHES[:7], WISHES[7] | {"properties": {"density": 3.0}}],
            "requests[7].properties.density: 3.0",
            "requests[7].properties.density: 2.0",
        ),
        ([*WISHES[:7], {**WISHES[7], "seed": 3}], "requests[7].seed: 3", "requests[7].seed: nothing"),
    ],
)
def test_of_two_runs_what_differs_is_said_and_no_more(tmp_path, asked, got, wanted):
    claim_folder(tmp_path, "run.yaml", {"requests": WISHES})
    claim_folder(tmp_path, "run.yaml", {"requests": WISHES})
    with pytest.raises(UserError) as refused:
        claim_folder(tmp_path, "run.yaml", {"requests": asked})
    assert f"; got {got}; wanted {wanted} (as in the folder); " in str(refused.value)


@given(st.text(max_size=200), st.text(max_size=200))
def test_what_differs_is_seen_in_any_texts(ours, held):
    from unigen.journal import _LONGEST_VALUE, _difference

    if ours != held:
        got, wanted = _difference("name", ours, held)
        assert got != wanted
        assert max(len(got), len(wanted)) <= len("name: ") + _LONGEST_VALUE + 6
