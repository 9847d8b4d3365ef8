"""Each atom's slot stands where its bonds backwards are known, and a molecule cut off there is a beginning of it."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.small_molecules import molecules
from unigen.models.smiles.atoms_first import atoms_first, pairs_when_placed, partial_sequence
from unigen.models.smiles.tokens import encode, graph_distances
from unigen.tokens import vocabulary
from unigen.tokens.sequence import Channel

PLACES, SEEDS = st.integers(0, len(molecules()) - 1), st.integers(0, 2**31)


def both(place: int, seed: int):
    plain = encode(molecules()[place], np.random.default_rng(seed), {1: 0.5}, stereo=False)
    return plain, atoms_first(plain)


@given(PLACES, SEEDS)
def test_the_same_tokens_and_atoms_in_another_order(place, seed):
    plain, mixed = both(place, seed)
    is_symbol = (mixed.tokens.channel == Channel.SYMBOL) & (mixed.tokens.symbols != vocabulary.SLOT)
    assert mixed.tokens.symbols[is_symbol].tolist() == plain.tokens.symbols[plain.tokens.channel == 0].tolist()
    assert sorted(mixed.slot) == np.flatnonzero(mixed.tokens.channel == Channel.CARTESIAN).tolist()
    assert mixed.token_atom[mixed.slot].tolist() == list(range(len(mixed.numbers)))
    np.testing.assert_array_equal(mixed.positions, plain.positions)
    np.testing.assert_array_equal(mixed.bond_order, plain.bond_order)


@given(PLACES, SEEDS)
def test_a_slot_comes_when_its_bonds_backwards_are_written(place, seed):
    """Behind all symbols of its atom, before any of the next; rings closed by then are closed by its own digits."""
    _, mixed = both(place, seed)
    heavy = int((mixed.numbers > 1).sum())
    for atom, slot in enumerate(mixed.slot[:heavy].tolist()):
        own = np.flatnonzero((mixed.token_atom == atom) & (mixed.tokens.channel == Channel.SYMBOL))
        assert own.max() == slot - 1
        assert mixed.tokens.symbols[slot - 1] == vocabulary.SLOT
        assert not (mixed.token_atom[:slot] > atom).any()
        following = int(mixed.tokens.symbols[slot + 1]) if slot + 1 < len(mixed) else vocabulary.END
        assert not str(vocabulary.mark_of(following)).isdigit()
    end = int(np.flatnonzero(mixed.tokens.symbols == vocabulary.END)[0])
    assert (mixed.slot[heavy:] > end).all()


@given(PLACES, SEEDS)
def test_what_is_said_of_two_atoms_is_what_was_known_when_the_later_came(place, seed):
    plain, mixed = both(place, seed)
    heavy = int((plain.numbers > 1).sum())
    np.testing.assert_array_equal(mixed.graph_distance, mixed.graph_distance.T)
    np.testing.assert_array_equal(mixed.ring_size, mixed.ring_size.T)
    for atom in range(heavy):
        near, ring = pairs_when_placed(plain.bond_order[: atom + 1, : atom + 1], atom + 1)
        np.testing.assert_array_equal(near, mixed.graph_distance[: atom + 1, : atom + 1])
        np.testing.assert_array_equal(ring, mixed.ring_size[: atom + 1, : atom + 1])
    np.testing.assert_array_equal(mixed.graph_distance[heavy:], graph_distances(plain.bond_order > 0)[heavy:])


@settings(max_examples=25)
@given(PLACES, SEEDS)
def test_a_molecule_cut_off_is_its_beginning(place, seed):
    _, mixed = both(place, seed)
    heavy = int((mixed.numbers > 1).sum())
    symbols, is_symbol = mixed.tokens.symbols, mixed.tokens.channel == Channel.SYMBOL
    text = np.flatnonzero(is_symbol & (symbols != vocabulary.SLOT) & (symbols != vocabulary.BEGIN))
    for atom, slot in enumerate(mixed.slot.tolist()):
        written, ended = symbols[text[text < slot]].tolist(), atom >= heavy
        written = written[:-1] if ended else written
        found = partial_sequence(written, list(mixed.positions[:atom]), {1: 0.5}, ended=ended, placing=True)
        assert found.tokens.symbols.tolist() == symbols[: slot + 1].tolist()
        assert found.token_atom.tolist() == mixed.token_atom[: slot + 1].tolist()
        for name in ("numbers", "charges", "positions"):
            np.testing.assert_array_equal(getattr(found, name)[:atom], getattr(mixed, name)[:atom])
        for name in ("graph_distance", "ring_size", "bond_order"):
            np.testing.assert_array_equal(getattr(found, name), getattr(mixed, name)[: atom + 1, : atom + 1])
        if not ended:
            for placed, length in ((atom, slot - 1), (atom + 1, slot + 1)):
                where = list(mixed.positions[:placed])
                cut = partial_sequence(written, where, {1: 0.5}, ended=False, placing=False)
                assert cut.tokens.symbols.tolist() == symbols[:length].tolist()
                assert len(cut.numbers) == placed
    nothing = partial_sequence([], [], {1: 0.5}, ended=False, placing=False)
    assert nothing.tokens.symbols.tolist() == symbols[:2].tolist()


@settings(max_examples=25)
@given(PLACES, SEEDS)
def test_it_may_be_cut_off_at_any_symbol(place, seed):
    """All atoms but those whose group is not complete are placed, so the sequence is the one of the whole molecule."""
    _, mixed = both(place, seed)
    symbols, is_symbol = mixed.tokens.symbols, mixed.tokens.channel == Channel.SYMBOL
    end = int(np.flatnonzero(symbols == vocabulary.END)[0])
    for length in range(2, end):
        if mixed.tokens.channel[length - 1] == Channel.CARTESIAN or symbols[length - 1] != vocabulary.SLOT:
            text = symbols[:length][is_symbol[:length] & (symbols[:length] != vocabulary.SLOT)][1:].tolist()
            placed = int((mixed.slot < length).sum())
            cut = partial_sequence(text, list(mixed.positions[:placed]), {1: 0.5}, ended=False, placing=False)
            assert cut.tokens.symbols.tolist() == symbols[:length].tolist()
            assert cut.token_atom.tolist() == mixed.token_atom[:length].tolist()
