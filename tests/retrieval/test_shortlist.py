"""Shortlists: nearest first, kinds in order of appearance, never the excluded formula, and kept without loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.retrieval.known_templates import retriever, symmetric_crystals, table
from unigen.crystals.symmetric import align
from unigen.elements import composition_pairs, reduce_counts
from unigen.errors import UserError
from unigen.retrieval.lessons import Lesson, read_lessons, write_lessons
from unigen.retrieval.shortlist import KINDS, NEIGHBOURS, SAME_KIND, Retriever, Shortlist
from unigen.retrieval.table import UNIT

rows = st.integers(0, len(symmetric_crystals()) - 1)
MULTISETS = sorted({tuple(sorted(crystal.counts.values())) for crystal in symmetric_crystals()})


@st.composite
def cells(draw) -> dict[int, int]:
    """Any elements on counts that are known, or a known cell, or counts that nobody has."""
    if draw(st.booleans()):
        return symmetric_crystals()[draw(rows)].counts
    counts = draw(st.sampled_from([*MULTISETS, (5, 7, 11)]))
    numbers = draw(st.lists(st.integers(1, 103), min_size=len(counts), max_size=len(counts), unique=True))
    return dict(zip(numbers, counts, strict=True))


@given(cells(), st.booleans())
def test_nearest_come_first_and_kinds_are_counted_as_they_appear(cell, exclude):
    found = retriever().shortlist(cell, exclude_formula=exclude)
    assert len(found) <= NEIGHBOURS
    assert (np.diff(found.distance) >= -1e-9).all()
    appeared = list(dict.fromkeys(found.kind.tolist()))
    assert appeared == list(range(len(appeared)))
    assert len(appeared) <= KINDS
    assert found.representatives.tolist() == [found.kind.tolist().index(kind) for kind in appeared]
    assert len(set(found.sources.tolist())) == len(found)
    assert [(n, c) for n, c in zip(found.elements.tolist(), found.counts.tolist(), strict=True)] == composition_pairs(
        cell
    )


@settings(max_examples=30)
@given(cells(), st.booleans())
def test_structures_that_are_known_again_and_again_leave_the_others_their_places(cell, exclude):
    often = table()
    for _ in range(3):
        often = often.joined(often)  # each of them eight times
    found, same = (each.shortlist(cell, exclude_formula=exclude) for each in (retriever(), Retriever(often)))
    for name in ("kind", "roles", "distance", "fingerprints"):
        np.testing.assert_array_equal(getattr(same, name), getattr(found, name))
    assert (same.sources % len(table())).tolist() == found.sources.tolist()


@given(cells(), st.booleans())
def test_every_neighbour_gives_each_element_a_role_of_its_count(cell, exclude):
    found = retriever().shortlist(cell, exclude_formula=exclude)
    for source, roles in zip(found.sources.tolist(), found.roles.tolist(), strict=True):
        known = table().counts(source)
        assert [known[role] for role in roles] == found.counts.tolist()
        assert sorted(roles) == sorted(known)


@given(cells())
def test_the_excluded_formula_is_never_listed(cell):
    found = retriever().shortlist(cell, exclude_formula=True)
    own = dict(sorted(reduce_counts(cell)[0].items()))
    for source in found.sources.tolist():
        assert dict(sorted(reduce_counts(table().counts(source))[0].items())) != own
    assert (found.distance > 0).all()


@given(rows)
def test_what_is_known_is_its_own_nearest_neighbour(row):
    found = retriever().shortlist(table().counts(row))
    assert found.distance[0] == 0
    assert table().counts(int(found.sources[0])) == table().counts(row)


@given(cells(), st.booleans())
def test_one_kind_looks_alike_and_others_do_not(cell, exclude):
    found = retriever().shortlist(cell, exclude_formula=exclude)
    looks = found.fingerprints.astype(int) * UNIT
    for neighbour, kind in enumerate(found.kind.tolist()):
        gaps = np.abs(looks[found.representatives] - looks[neighbour]).max(axis=(1, 2))
        is_head = neighbour == found.representatives[kind]
        assert gaps[kind] < SAME_KIND
        assert (gaps[:kind] >= SAME_KIND - 1e-9).all() or not is_head


@given(cells(), st.booleans())
def test_a_shortlist_is_recalled_from_what_was_kept(cell, exclude):
    found = retriever().shortlist(cell, exclude_formula=exclude)
    kept = found.sources.astype(np.int32), found.roles.ravel().astype(np.uint8), found.kind.astype(np.uint8)
    assert_same_shortlist(retriever().rebuild(cell, *kept, found.distance), found)


def assert_same_shortlist(one: Shortlist, other: Shortlist, rtol: float = 0.0) -> None:
    for name in ("elements", "counts", "sources", "roles", "fingerprints", "contacts", "kind", "facts"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    np.testing.assert_allclose(one.distance, other.distance, rtol=rtol)
    assert one.spacing == other.spacing


@given(cells(), st.booleans())
def test_a_substituted_neighbour_has_exactly_the_wanted_atoms(cell, exclude):
    found = retriever().shortlist(cell, exclude_formula=exclude)
    per_atom = retriever().volume.per_atom
    for neighbour in range(len(found)):
        source, made = table()[int(found.sources[neighbour])], retriever().substitute(found, neighbour)
        assert made.counts == dict(sorted(cell.items()))
        assert (made.space_group, made.letters.tolist()) == (source.space_group, source.letters.tolist())
        np.testing.assert_array_equal(made.free, source.free)
        expected = sum(n * per_atom[e] for e, n in cell.items()) / sum(
            n * per_atom[e] for e, n in source.counts.items()
        )
        assert np.prod(made.lattice[:3]) / np.prod(source.lattice[:3]) == pytest.approx(expected)
        np.testing.assert_array_equal(made.lattice[3:], source.lattice[3:])


@given(cells())
def test_an_empty_shortlist_is_one_of_no_neighbours(cell):
    empty = Shortlist.empty(cell)
    assert len(empty) == len(empty.representatives) == 0
    if sorted(cell.values()) == [5, 7, 11]:
        found = retriever().shortlist(cell)
        for name in ("elements", "counts", "sources", "roles", "fingerprints", "contacts", "kind", "facts", "distance"):
            ours, theirs = getattr(found, name), getattr(empty, name)
            assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), name


def lesson_of(row: int) -> Lesson:
    """As the verdicts would have it, with made-up root mean squares."""
    target = table()[row]
    found = retriever().shortlist(target.counts, exclude_formula=True)
    aligned = [(at, align(target, retriever().substitute(found, at))) for at in range(len(found))]
    kept = [(at, crystal) for at, crystal in aligned if crystal is not None][:4]
    rms = np.where(np.arange(len(found.representatives)) % 2, np.nan, 0.25 * np.arange(len(found.representatives)))
    return Lesson(
        shortlist=found,
        rms=rms,
        aligned_at=np.array([at for at, _ in kept], dtype=np.int64),
        aligned_lattice=np.array([crystal.lattice for _, crystal in kept]).reshape(-1, 6),
        aligned_free=np.array([crystal.free for _, crystal in kept]).reshape(len(kept), len(target.numbers), 3),
    )


@settings(max_examples=10)
@given(st.lists(rows, min_size=1, max_size=4))
def test_lessons_are_read_as_they_were_written(tmp_path_factory, chosen):
    path = tmp_path_factory.mktemp("lessons") / "neighbours.parquet"
    lessons = [lesson_of(row) for row in chosen]
    write_lessons(path, lessons)
    read = read_lessons(path, table().select(np.array(chosen)), retriever())
    assert len(read) == len(lessons)
    for at, wanted in enumerate(lessons):
        assert_same_shortlist(read[at].shortlist, wanted.shortlist, rtol=1e-6)
        np.testing.assert_allclose(read[at].rms, wanted.rms, rtol=1e-6)
        assert read[at].aligned_at.tolist() == wanted.aligned_at.tolist()
        np.testing.assert_allclose(read[at].aligned_lattice, wanted.aligned_lattice, rtol=1e-6)
        assert read[at].aligned_free.size == wanted.aligned_free.size
        np.testing.assert_allclose(read[at].aligned_free.ravel(), wanted.aligned_free.ravel(), atol=1e-7)


def test_lessons_that_do_not_belong_are_refused(tmp_path):
    path = tmp_path / "mine" / "neighbours.parquet"
    path.parent.mkdir()
    with pytest.raises(UserError, match="no lessons yet; run: unigen data neighbours mine"):
        read_lessons(path, table(), retriever())
    write_lessons(path, [lesson_of(0)])
    with pytest.raises(UserError, match="lessons of another dataset; got 1; wanted"):
        read_lessons(path, table(), retriever())
    path.write_bytes(b"PAR1" + bytes(30))
    with pytest.raises(UserError, match="not readable lessons"):
        read_lessons(path, table(), retriever())
