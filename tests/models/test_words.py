"""The words tokenizer: exact round trip; the multiset of encodings is a property of the crystal alone."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher

from tests.crystals.real_crystals import crystals, elemental_crystals, prototypes, unimodular
from unigen.crystals.crystal import Crystal
from unigen.errors import UserError
from unigen.models.words.tokens import WordsTokenizer
from unigen.tokens.sequence import Channel

TOKENIZER = WordsTokenizer(24)
STRICT = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.1)


def real_crystals() -> list[Crystal]:
    return [crystal.reduced() for crystal in (*elemental_crystals(), *prototypes(80))]


def assert_same(decoded: Crystal, crystal: Crystal) -> None:
    rms = STRICT.get_rms_dist(decoded.to_pymatgen(), crystal.to_pymatgen())
    assert rms is not None
    assert rms[0] < 1e-4


@pytest.mark.parametrize("crystal", real_crystals(), ids=lambda crystal: crystal.formula)
def test_real_crystals_come_back(crystal):
    rng = np.random.default_rng(0)
    assert_same(TOKENIZER.decode(TOKENIZER.encode(crystal)), crystal)
    assert_same(TOKENIZER.decode(TOKENIZER.encode(crystal, rng)), crystal)


@given(crystals(), st.integers(0, 2**31))
def test_any_crystal_comes_back(crystal, seed):
    reduced = crystal.reduced()
    sequence = TOKENIZER.encode(reduced, np.random.default_rng(seed))
    assert len(sequence) == TOKENIZER.length(reduced.counts)
    assert_same(TOKENIZER.decode(sequence), crystal)


def encodings(crystal: Crystal) -> np.ndarray:
    """All encodings of a crystal's reduced cell as rows of numbers."""
    sequences = list(TOKENIZER.encodings(crystal.reduced()))
    lattice = [sequence.vectors[sequence.channel == Channel.LATTICE].ravel() for sequence in sequences]
    sites = [sequence.vectors[sequence.channel == Channel.FRACTIONAL][:, :3].ravel() for sequence in sequences]
    return np.hstack([np.array(lattice), np.array(sites).reshape(len(sequences), -1)])


def assert_same_multiset(here: np.ndarray, there: np.ndarray) -> None:
    """Each encoding of one has its own partner among those of the other, on the torus."""
    assert here.shape == there.shape
    free = list(range(len(there)))
    for row in here:
        difference = row - there[free]
        difference[:, 6:] -= np.round(difference[:, 6:])
        worst = np.abs(difference).max(axis=1)
        best = int(worst.argmin())
        assert worst[best] < 2e-3
        free.pop(best)


@settings(max_examples=30)
@given(st.data(), unimodular(), st.integers(0, 2**31))
def test_encodings_do_not_depend_on_order_origin_or_cell(data, basis, seed):
    crystal = data.draw(st.sampled_from([c for c in real_crystals() if len(c) <= 10]))
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(crystal))
    basis = basis if np.linalg.det(basis) > 0 else -basis
    moved = Crystal(
        crystal.numbers[order],
        (crystal.frac_coords[order] + rng.random(3)) @ np.linalg.inv(basis),
        basis @ crystal.lattice,
    )
    assert_same_multiset(encodings(crystal), encodings(moved))


@given(crystals(), st.integers(0, 2**31))
def test_random_encodings_are_among_all_encodings(crystal, seed):
    """Up to the mirror image, which training draws as well."""
    reduced = crystal.reduced()
    sequence = TOKENIZER.encode(reduced, np.random.default_rng(seed))
    mirrored = Crystal(reduced.numbers, -reduced.frac_coords, reduced.lattice)
    every = [s.vectors for c in (reduced, mirrored) for s in TOKENIZER.encodings(c)]
    gaps = np.array([sequence.vectors - vectors for vectors in every])
    gaps[:, :, :3] = np.where(
        (sequence.channel == Channel.FRACTIONAL)[:, None], gaps[:, :, :3] - np.round(gaps[:, :, :3]), gaps[:, :, :3]
    )
    assert np.abs(gaps).max(axis=(1, 2)).min() < 1e-4


def test_each_slot_knows_its_atom():
    crystal = prototypes(80)[3].reduced()
    sequence = TOKENIZER.encode(crystal)
    decoded = TOKENIZER.decode(sequence)
    slots = sequence.descriptor[sequence.channel == Channel.FRACTIONAL]
    np.testing.assert_array_equal(slots[:, 0], decoded.numbers[1:])
    assert all(decoded.counts[number] == count and index < count for number, index, count in slots.tolist())


def test_too_large_a_cell_is_refused():
    with pytest.raises(UserError, match="more atoms"):
        WordsTokenizer(1).encode(next(c for c in real_crystals() if len(c) > 1))


@pytest.mark.skipif("UNIGEN_DATA" not in os.environ, reason="UNIGEN_DATA names no folder of benchmark data")
def test_round_trip_on_mp_20():
    from unigen.data.readers.crystals import read_crystal_rows

    folder = Path(os.environ["UNIGEN_DATA"]) / "mp_20" / "mp_20_val_test.npz"
    rows = [row.structure for _, row in zip(range(200), read_crystal_rows(folder), strict=False)]
    for crystal in rows:
        assert_same(TOKENIZER.decode(TOKENIZER.encode(crystal.reduced(), np.random.default_rng(1))), crystal)
