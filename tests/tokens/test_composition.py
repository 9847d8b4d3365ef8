"""Only compositions that satisfy the request can be written, and every path of legal symbols ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.request import CrystalRequest
from unigen.tokens import vocabulary
from unigen.tokens.composition import composition_symbols, grammar_for, read_pairs

compositions = st.dictionaries(st.integers(1, 118), st.integers(1, 5), min_size=1, max_size=4)
chemical_systems = st.lists(st.integers(1, 118), min_size=1, max_size=5, unique=True)


def walk(grammar, rng, limit=200):
    """Draw legal symbols uniformly until END."""
    symbols = [vocabulary.BEGIN]
    while symbols[-1] != vocabulary.END:
        legal = np.flatnonzero(grammar.legal(symbols))
        assert len(legal), f"dead end after {symbols}"
        symbols.append(int(rng.choice(legal)))
        assert len(symbols) < limit
    return symbols


@given(compositions)
def test_a_composition_is_written_and_read_back(counts):
    symbols = composition_symbols(counts)
    assert dict(read_pairs(symbols)) == counts
    assert symbols == composition_symbols(dict(reversed(counts.items())))


@given(compositions, st.integers(0, 2**31))
def test_a_requested_composition_is_the_only_thing_that_can_be_written(counts, seed):
    formula = "".join(f"{SYMBOLS[number]}{count}" for number, count in counts.items())
    request = CrystalRequest(formula=formula, n_atoms=sum(counts.values()))
    written = walk(grammar_for(request, 64), np.random.default_rng(seed))
    assert written == composition_symbols(counts)


@given(chemical_systems, st.integers(1, 20), st.integers(0, 2**31))
def test_elements_and_size_are_kept_on_every_legal_path(numbers, n_atoms, seed):
    elements = tuple(SYMBOLS[number] for number in numbers)
    grammar = grammar_for(CrystalRequest(elements=elements, n_atoms=n_atoms), 20)
    pairs = read_pairs(walk(grammar, np.random.default_rng(seed)))
    assert sum(count for _, count in pairs) == n_atoms
    assert {number for number, _ in pairs} <= set(numbers)
    assert composition_symbols(dict(pairs))[1:-1] == [
        symbol for n, c in pairs for symbol in (vocabulary.element_symbol(n), vocabulary.count_symbol(c))
    ]


@given(chemical_systems, st.sets(st.integers(0, 4)), st.integers(0, 20), st.integers(0, 2**31))
def test_what_must_be_there_is_there_on_every_legal_path(numbers, places, more, seed):
    elements = [SYMBOLS[number] for number in numbers]
    required = tuple(elements[place] for place in sorted(places) if place < len(elements))
    if not required:
        return
    # of any size, or of a size that has room for them
    n_atoms = None if more == 0 else min(len(required) + more - 1, 20)
    for allowed in (tuple(elements), required, None):
        request = CrystalRequest(elements=allowed, must_contain=required, n_atoms=n_atoms)
        pairs = dict(read_pairs(walk(grammar_for(request, 20), np.random.default_rng(seed))))
        assert {SYMBOLS[number] for number in pairs} >= set(required)
        assert sum(pairs.values()) <= 20
        if allowed is not None:
            assert {SYMBOLS[number] for number in pairs} <= set(allowed)
        if n_atoms is not None:
            assert sum(pairs.values()) == n_atoms


@given(st.integers(0, 2**31))
def test_elements_that_nobody_knows_are_not_written(seed):
    known = frozenset({3, 8, 26})
    pairs = read_pairs(walk(grammar_for(CrystalRequest(), 20, known=known), np.random.default_rng(seed)))
    assert {number for number, _ in pairs} <= known
    for request in (CrystalRequest(elements=("Li", "Fr")), CrystalRequest(must_contain=("Fr",))):
        with pytest.raises(UserError, match="no known structure has such an element, so none is written; got Fr"):
            grammar_for(request, 20, known=known)
    # a formula says what is wanted
    assert grammar_for(CrystalRequest(formula="FrCl", z=1), 20, known=known).counts == {87: 1, 17: 1}


@given(st.integers(0, 2**31))
def test_de_novo_never_exceeds_the_largest_cell(seed):
    pairs = read_pairs(walk(grammar_for(CrystalRequest(), 20), np.random.default_rng(seed)))
    assert 1 <= sum(count for _, count in pairs) <= 20


@given(compositions)
def test_every_composition_the_encoder_writes_is_legal(counts):
    grammar = grammar_for(CrystalRequest(), 64)
    symbols = composition_symbols(counts)
    assert all(grammar.legal(symbols[:at])[symbols[at]] for at in range(1, len(symbols)))


def test_symbols_do_not_overlap():
    elements = [vocabulary.element_symbol(number) for number in range(1, len(SYMBOLS))]
    counts = [vocabulary.count_symbol(count) for count in range(1, vocabulary.MAX_COUNT + 1)]
    control = [*range(4), vocabulary.COPY, vocabulary.NEW]
    assert control[:4] == [vocabulary.PAD, vocabulary.BEGIN, vocabulary.END, vocabulary.SLOT]
    groups = [vocabulary.group_symbol(number) for number in range(1, 231)]
    letters = [vocabulary.letter_symbol(letter) for letter in range(vocabulary.LETTER_COUNT)]
    kinds = [
        (elements, vocabulary.element_of, 1),
        (counts, vocabulary.count_of, 1),
        (groups, vocabulary.group_of, 1),
        (letters, vocabulary.letter_of, 0),
    ]
    marks = [vocabulary.mark_symbol(mark) for mark in vocabulary.MARKS]
    crystals = sorted(control + elements + counts + groups + letters)
    everything = crystals + marks
    assert crystals == list(range(vocabulary.CRYSTAL_VOCABULARY_SIZE))
    assert everything == list(range(vocabulary.VOCABULARY_SIZE))
    assert [vocabulary.mark_of(symbol) for symbol in marks] == list(vocabulary.MARKS)
    assert all(vocabulary.mark_of(symbol) is None for symbol in crystals)
    for symbols, meaning, first in kinds:
        assert [meaning(symbol) for symbol in symbols] == list(range(first, first + len(symbols)))
        assert all(meaning(symbol) is None for symbol in everything if symbol not in symbols)
