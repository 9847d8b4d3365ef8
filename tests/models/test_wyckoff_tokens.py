"""The wyckoff tokenizer: exact round trip in every space group; whatever is drawn has the composition it must have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.crystals.scrambled_crystals import assert_same_description, made_up
from tests.retrieval.known_templates import symmetric_crystals, with_elements
from unigen.crystals.symmetric import SymmetricCrystal
from unigen.elements import composition_pairs
from unigen.models.wyckoff.batch import collate_shortlists, collate_wyckoff
from unigen.models.wyckoff.grammar import WyckoffGrammar
from unigen.models.wyckoff.tokens import Start, WyckoffSequence, decode, encode, plain_start, plan
from unigen.retrieval.shortlist import Shortlist
from unigen.symmetry.crystal_systems import complete_lattice, free_lattice
from unigen.symmetry.space_groups import space_group
from unigen.tokens import vocabulary
from unigen.tokens.composition import composition_symbols
from unigen.tokens.sequence import Channel

rows = st.integers(0, len(symmetric_crystals()) - 1)
seeds = st.integers(0, 2**31)
compositions = st.dictionaries(st.integers(1, 94), st.integers(1, 8), min_size=1, max_size=4)


crystals = st.tuples(st.booleans(), rows, st.integers(1, 230), st.integers(0, 99), st.integers(1, 5), seeds)
"""Recipes of crystals: see ``make``."""


def make(recipe: tuple) -> SymmetricCrystal:
    """A real crystal, or a made-up one of any space group, orbits in any order."""
    is_real, row, number, seed, orbits, shuffle = recipe
    crystal = symmetric_crystals()[row] if is_real else made_up(number, seed, orbits)
    assume(max(crystal.counts.values()) <= vocabulary.MAX_COUNT)
    return in_order(crystal, np.random.default_rng(shuffle).permutation(len(crystal.numbers)))


def start_of(crystal: SymmetricCrystal, seed: int, *, copied: bool) -> Start:
    """A neighbour of the same template with other numbers, or a plain guess."""
    if not copied:
        return plain_start(crystal.space_group, crystal.numbers, crystal.letters, 100.0)
    random = np.random.default_rng(seed)
    moved = with_elements(crystal, random)
    return Start(
        SymmetricCrystal(crystal.space_group, moved.lattice, crystal.numbers, crystal.letters, moved.free),
        moved.numbers,
    )


def in_order(crystal: SymmetricCrystal, order: np.ndarray) -> SymmetricCrystal:
    parts = crystal.numbers[order], crystal.letters[order], crystal.free[order]
    return SymmetricCrystal(crystal.space_group, crystal.lattice, *parts)


@given(crystals, seeds, st.booleans())
def test_a_crystal_comes_back_whatever_it_started_from(recipe, seed, copied):
    crystal = make(recipe)
    start = start_of(crystal, seed, copied=copied)
    sequence = encode(crystal, start)
    assert_same_description(decode(sequence), in_order(crystal, start.order), 1e-6)
    np.testing.assert_array_equal(sequence.tokens.symbols, plan(start).tokens.symbols)
    assert (sequence.tokens.vectors * (sequence.tokens.channel == Channel.SYMBOL)[:, None] == 0).all()


@given(crystals, seeds, st.booleans())
def test_a_neighbour_encoded_as_itself_has_moved_nowhere(recipe, seed, copied):
    crystal = make(recipe)
    start = start_of(crystal, seed, copied=copied)
    sequence = encode(start.crystal, start)
    np.testing.assert_array_equal(sequence.tokens.vectors, sequence.start)


def written(sequence: WyckoffSequence) -> tuple[int, list[int], np.ndarray]:
    """Space group, letters and where they stand."""
    symbols = sequence.tokens.symbols.tolist()
    (at,) = [place for place, symbol in enumerate(symbols) if vocabulary.group_of(symbol)]
    letters = [place for place, symbol in enumerate(symbols) if vocabulary.letter_of(symbol) is not None]
    assert letters == list(range(at + 1, at + 1 + len(letters)))
    return (
        vocabulary.group_of(symbols[at]),
        [vocabulary.letter_of(symbols[place]) for place in letters],
        np.array(letters),
    )


@given(crystals, seeds, st.booleans())
def test_what_is_written_is_what_the_grammar_allows_and_says(recipe, seed, copied):
    crystal = make(recipe)
    sequence = plan(start_of(crystal, seed, copied=copied))
    number, letters, places = written(sequence)
    grammar = WyckoffGrammar(crystal.counts)
    assert sequence.tokens.symbols[: places[0] - 2].tolist() == composition_symbols(crystal.counts)
    assert sequence.tokens.symbols[places[0] - 2] == (vocabulary.COPY if copied else vocabulary.NEW)
    assert grammar.legal_space_groups()[number]
    for at, letter in enumerate(letters):
        assert grammar.legal_letters(number, letters[:at])[letter]
        element, left = grammar.current(number, letters[:at])
        assert sequence.tokens.descriptor[places[at]].tolist() == [element, left, crystal.counts[element]]
    assert grammar.current(number, letters) is None
    assert not sequence.tokens.descriptor[: places[0]].any()


@given(crystals, seeds, st.booleans())
def test_slots_know_their_orbit_and_only_free_numbers_are_free(recipe, seed, copied):
    crystal = make(recipe)
    start = start_of(crystal, seed, copied=copied)
    sequence, group = plan(start), space_group(crystal.space_group)
    ordered = in_order(start.crystal, start.order)
    (head,) = np.flatnonzero(sequence.tokens.channel == Channel.LATTICE)
    placed = np.flatnonzero(group.dof[ordered.letters])
    assert sequence.tokens.channel[head + 1 :].tolist() == [Channel.FRACTIONAL] * len(placed)
    assert (sequence.tokens.symbols[head:] == vocabulary.SLOT).all()
    assert not (sequence.free * (1 - sequence.free)).any()
    np.testing.assert_array_equal(sequence.free[head], free_lattice(group.crystal_system))
    assert sequence.free.sum() == crystal.n_free
    assert not sequence.free[:head].any()
    assert not sequence.start[:head].any()
    roles = start.roles[start.order][placed].tolist() if copied else [0] * len(placed)
    assert sequence.role[head + 1 :].tolist() == roles
    assert not sequence.role[: head + 1].any()
    for place, orbit in zip(range(head + 1, len(sequence)), placed, strict=True):
        points = group.primitive_multiplicity[ordered.letters[orbit]]
        wanted = [ordered.numbers[orbit], ordered.letters[orbit] + 1, points]
        assert sequence.tokens.descriptor[place].tolist() == wanted
        np.testing.assert_allclose(sequence.start[place, :3], ordered.free[orbit], atol=1e-7)


@given(crystals, seeds, st.booleans())
def test_the_composition_is_drawn_and_the_template_only_when_it_is_new(recipe, seed, copied):
    crystal = make(recipe)
    sequence = plan(start_of(crystal, seed, copied=copied))
    *_, places = written(sequence)
    prompt = 2 * len(crystal.counts) + 2
    wanted = [*range(1, prompt), *([] if copied else [places[0] - 1, *places])]
    assert np.flatnonzero(sequence.written).tolist() == wanted


@given(compositions, st.integers(1, 230), seeds)
def test_any_legal_path_with_any_numbers_is_a_crystal_of_the_composition(counts, number, seed):
    random, grammar = np.random.default_rng(seed), WyckoffGrammar(counts)
    if not grammar.legal_space_groups()[number]:
        number = int(random.choice(np.flatnonzero(grammar.legal_space_groups())))
    letters: list[int] = []
    numbers: list[int] = []
    while (legal := np.flatnonzero(grammar.legal_letters(number, letters))).size:
        numbers.append(grammar.current(number, letters)[0])
        letters.append(int(random.choice(legal)))
    start = plain_start(number, np.array(numbers), np.array(letters), 20.0 * sum(counts.values()))
    assert start.order.tolist() == list(range(len(letters)))
    sequence = plan(start)
    sequence.tokens.vectors[:] = random.normal(size=sequence.tokens.vectors.shape) * 3
    lattice = sequence.tokens.channel == Channel.LATTICE
    sequence.tokens.vectors[lattice] = [*random.uniform(1, 3, 3), *random.uniform(1.4, 1.8, 3)]
    crystal, group = decode(sequence), space_group(number)
    assert crystal.counts == crystal.to_crystal().counts == dict(sorted(counts.items()))
    assert (crystal.space_group, crystal.letters.tolist(), crystal.numbers.tolist()) == (number, letters, numbers)
    np.testing.assert_array_equal(crystal.lattice, complete_lattice(group.crystal_system, crystal.lattice))
    assert ((crystal.free >= 0) & (crystal.free < 1)).all()
    assert not crystal.free[np.arange(3) >= group.dof[crystal.letters][:, None]].any()


@given(crystals, st.floats(1.0, 1e4))
def test_a_plain_start_has_the_volume_it_is_given(recipe, volume):
    crystal = make(recipe)
    start = plain_start(crystal.space_group, crystal.numbers, crystal.letters, volume).crystal
    assert start.to_crystal().volume == pytest.approx(volume, rel=1e-9)
    assert start.lattice[0] == start.lattice[1] == start.lattice[2]
    assert not start.free.any()


def test_the_smallest_negative_number_is_not_one_whole_cell():
    crystal = SymmetricCrystal(1, np.array([4.0, 4, 4, 1.6, 1.6, 1.6]), np.array([8]), np.array([0]), np.zeros((1, 3)))
    sequence = encode(crystal, plain_start(1, crystal.numbers, crystal.letters, 64.0))
    for value in (-1e-30, -1e-10, 1.0, 0.99999999, -0.0):
        sequence.tokens.vectors[-1, :3] = value
        free = decode(sequence).free
        assert ((free >= 0) & (free < 1)).all()


def test_the_same_elements_stand_in_the_same_order_everywhere():
    counts = {8: 3, 22: 1, 38: 1}
    order = [number for number, _ in composition_pairs(counts)]
    assert Shortlist.empty(counts).elements.tolist() == order
    assert [n for n, _ in WyckoffGrammar(counts).pairs] == order


@given(st.lists(st.tuples(crystals, seeds, st.booleans()), min_size=1, max_size=4))
def test_a_batch_holds_every_sequence_and_zeros_beyond(several):
    known = [make(recipe) for recipe, *_ in several]
    starts = [start_of(one, seed, copied=copied) for one, (_, seed, copied) in zip(known, several, strict=True)]
    sequences = [encode(crystal, start) for crystal, start in zip(known, starts, strict=True)]
    shortlists = collate_shortlists([Shortlist.empty(crystal.counts) for crystal in known])
    batch = collate_wyckoff(sequences, [-1] * len(sequences), shortlists)
    assert batch.lengths.tolist() == [len(sequence) for sequence in sequences]
    for row, sequence in enumerate(sequences):
        for name in ("symbols", "vectors", "channel", "descriptor"):
            whole = getattr(batch.tokens, name)[row].numpy()
            np.testing.assert_array_equal(whole[: len(sequence)], getattr(sequence.tokens, name))
            assert not whole[len(sequence) :].any()
        for name in ("start", "free", "role", "written"):
            whole = getattr(batch, name)[row].numpy()
            np.testing.assert_array_equal(whole[: len(sequence)], getattr(sequence, name))
            assert not whole[len(sequence) :].any()
    assert not batch.neighbours.valid.any()
