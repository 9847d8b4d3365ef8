"""A mutated file is read, or refused in one line, within bounded memory and time, and never as something else.

The same mutations every time, so that a change that breaks this is known by it; others are tried by ``fuzz.py``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.guard import fault
from tests.fuzz.mutations import FORMS, Mutation, mutate
from tests.fuzz.targets import Target, targets
from unigen.errors import UserError

TRIES = {"crystals": 500, "molecules": 120, "requests": 400, "configs": 60, "models": 120, "runs": 240}
"""Mutated files of a group of formats: some ten seconds each."""

mutations = st.lists(
    st.builds(Mutation, st.integers(0, 65_535), st.floats(0, 1, exclude_max=True), st.integers(0, 65_535)),
    min_size=1,
    max_size=4,
)


def of_group(group: str) -> list[Target]:
    return [target for target in targets() if target.group == group]


@pytest.mark.parametrize("group", TRIES)
def test_a_file_as_it_should_be_is_read(group, tmp_path):
    for number, target in enumerate(of_group(group)):
        for index, content in enumerate(target.seeds):
            folder = tmp_path / f"{number}-{index}"
            folder.mkdir()
            assert not fault(target.read, target.write(content, folder)), target.name


@pytest.mark.parametrize("group", TRIES)
def test_a_mutated_file_is_read_or_refused_in_one_line(group):
    chosen = of_group(group)
    for target in chosen:  # libraries are loaded before memory is bounded
        with tempfile.TemporaryDirectory() as folder:
            target.read(target.write(target.seeds[0], Path(folder)))

    @settings(max_examples=TRIES[group], derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(chosen), st.integers(0, 65_535), mutations)
    def tried(target, seed, changes):
        content = mutate(target.seeds[seed % len(target.seeds)], target.form, changes)
        with tempfile.TemporaryDirectory() as folder:
            assert not fault(target.read, target.write(content, Path(folder))), target.name

    tried()


@given(st.sampled_from(sorted(FORMS)), mutations, st.binary(max_size=200))
def test_mutations_are_the_same_every_time(form, changes, content):
    assert mutate(content, form, changes) == mutate(content, form, changes)


@pytest.mark.parametrize(
    ("reads", "expected"),
    [
        (lambda _: bytearray(3 << 30) and [], "MemoryError"),
        (lambda _: [sum(1 for _ in iter(int, 1))], "hangs"),
        (lambda _: ["a\nb"], "more than one line"),
        (lambda _: ["a" * 10_000], "a message of 10,000 characters"),
        (lambda _: {}["a"], "KeyError"),
        (lambda _: ["Unable to allocate 8 TiB"], "memory"),
    ],
)
def test_the_guard_sees_what_it_is_there_for(monkeypatch, tmp_path, reads, expected):
    monkeypatch.setattr("tests.fuzz.guard.SECONDS", 0.2)
    assert fault(reads, tmp_path).startswith(expected)


def test_the_guard_lets_refusals_pass(tmp_path):
    def refuses(path):
        raise UserError("not a file of ours", where=str(path))

    assert not fault(refuses, tmp_path)
