"""Templates of the requested cell are all that can be written, and all of them can be."""

from functools import cache

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from unigen.crystals.template import Template
from unigen.elements import composition_pairs
from unigen.errors import UserError
from unigen.models.wyckoff.capacity import positions
from unigen.models.wyckoff.grammar import WyckoffGrammar
from unigen.symmetry.space_groups import LETTERS, space_group

GROUPS = (1, 2, 10, 47, 62, 123, 139, 166, 191, 194, 221, 225, 227, 230)
SMALL = ((1,), (2,), (3,), (6,), (8,), (1, 1), (1, 3), (2, 2), (2, 6), (1, 1, 1), (1, 1, 3), (1, 2, 3), (2, 2, 2))

compositions = st.dictionaries(st.integers(1, 118), st.integers(1, 8), min_size=1, max_size=5)
space_groups = st.integers(1, 230)


def cell(counts):
    """A composition with these counts, in the order of writing."""
    made = dict(zip((3, 12, 22, 8), counts, strict=False))
    assert [count for _, count in composition_pairs(made)] == list(counts)
    return made


@cache
def templates(number, counts):
    """Every sequence of letters that writes these counts, found by trying everything; no memory, no shortcuts."""
    group, found = space_group(number), []
    size, fixed = group.primitive_multiplicity.tolist(), (group.dof == 0).tolist()

    def place(letters, element, rest, first):
        if element == len(counts):
            found.append(letters)
            return
        for letter in range(first, len(size)):
            if size[letter] > rest or (fixed[letter] and letter in letters):
                continue
            left = rest - size[letter]
            following = (element, left, letter) if left else (element + 1, sum(counts[element + 1 : element + 2]), 0)
            place((*letters, letter), *following)

    place((), 0, counts[0], 0)
    return found


def walk(grammar, number, rng):
    """Draw legal letters uniformly until there are none."""
    letters = []
    while (legal := np.flatnonzero(grammar.legal_letters(number, letters))).size:
        letters.append(int(rng.choice(legal)))
    return letters


@pytest.mark.parametrize("number", GROUPS)
@pytest.mark.parametrize("counts", SMALL, ids=str)
def test_legal_is_what_trying_everything_finds(number, counts):
    grammar, everything = WyckoffGrammar(cell(counts)), templates(number, counts)
    assert grammar.legal_space_groups()[number] == bool(everything)
    following = {letters[:at]: set() for letters in everything for at in range(len(letters) + 1)} or {(): set()}
    for letters in everything:
        for at, letter in enumerate(letters):
            following[letters[:at]].add(letter)
    for start, wanted in following.items():
        assert set(np.flatnonzero(grammar.legal_letters(number, start)).tolist()) == wanted, start


@given(compositions, space_groups, st.integers(0, 2**31))
@example({1: 4, 3: 4, 6: 4, 8: 4, 9: 4, 11: 4, 12: 8, 13: 20}, 47, 0)
def test_every_legal_path_ends_with_exactly_the_composition(counts, number, seed):
    grammar = WyckoffGrammar(counts)
    rng = np.random.default_rng(seed)
    if not grammar.legal_space_groups()[number]:
        assert not grammar.legal_letters(number, []).any()
        number = int(rng.choice(np.flatnonzero(grammar.legal_space_groups())))
    letters = walk(grammar, number, rng)
    assert grammar.current(number, letters) is None
    numbers = numbers_of(grammar, number, letters)
    template = Template(number, numbers, tuple(letters))  # refuses a fixed position twice
    assert template.counts == counts
    assert (template.numbers, template.letters) == (numbers, tuple(letters))


def numbers_of(grammar, number, letters):
    """The element of each letter, as the grammar itself says."""
    return tuple(grammar.current(number, letters[:at])[0] for at in range(len(letters)))


@given(compositions, space_groups, st.integers(0, 2**31))
def test_what_is_to_be_placed_goes_down_by_the_multiplicity(counts, number, seed):
    grammar = WyckoffGrammar(counts)
    if not grammar.legal_space_groups()[number]:
        number = 1
    letters = walk(grammar, number, np.random.default_rng(seed))
    assert grammar.current(number, []) == grammar.pairs[0]
    size = space_group(number).primitive_multiplicity
    for at, letter in enumerate(letters):
        element, rest = grammar.current(number, letters[:at])
        following = grammar.current(number, letters[: at + 1])
        left = rest - int(size[letter])
        assert left >= 0
        assert following == (element, left) if left else following in [None, *grammar.pairs]


@given(compositions)
def test_without_symmetry_everything_fits(counts):
    grammar = WyckoffGrammar(counts)
    assert grammar.legal_space_groups()[1]
    assert not grammar.legal_space_groups()[0]
    assert walk(grammar, 1, np.random.default_rng(0)) == [0] * sum(counts.values())
    grammar.check()


@given(compositions)
def test_odd_counts_need_odd_multiplicities(counts):
    odd = any(count % 2 for count in counts.values())
    even_groups = [n for n in range(1, 231) if not (space_group(n).primitive_multiplicity % 2).any()]
    assert len(even_groups) > 50
    assert not (odd and WyckoffGrammar(counts).legal_space_groups()[even_groups].any())


@given(st.dictionaries(st.integers(1, 118), st.integers(1, 24), min_size=1, max_size=6), space_groups)
def test_less_to_place_fits_where_more_did(counts, number):
    if WyckoffGrammar(counts).legal_space_groups()[number]:
        for element in counts if len(counts) > 1 else ():
            fewer = {other: count for other, count in counts.items() if other != element}
            assert WyckoffGrammar(fewer).legal_space_groups()[number]


def test_only_allowed_space_groups_are_legal():
    grammar = WyckoffGrammar({38: 1, 22: 1, 8: 3}, frozenset({2, 62, 221}))
    assert np.flatnonzero(grammar.legal_space_groups()).tolist() == [2, 221]


def test_fixed_positions_count_across_elements():
    grammar = WyckoffGrammar({11: 1, 17: 1}, frozenset({225}))
    assert legal(grammar, 225, []) == "ab"
    assert legal(grammar, 225, [0]) == "b"
    assert legal(grammar, 225, [1]) == "a"
    assert legal(grammar, 225, [0, 1]) == ""


def legal(grammar, number, letters):
    return "".join(LETTERS[letter] for letter in np.flatnonzero(grammar.legal_letters(number, letters)))


def test_masks_belong_to_their_caller():
    grammar = WyckoffGrammar({8: 2})
    grammar.legal_letters(1, [])[:] = False
    assert grammar.legal_letters(1, []).any()


@pytest.mark.parametrize("number", range(1, 231))
def test_capacity_of_an_untouched_group_counts_its_positions(number):
    group, capacity = space_group(number), positions(number).capacity(0)
    assert sum(capacity.unused) == (group.dof == 0).sum()
    assert capacity.free[-1] == group.primitive_multiplicity.max()
    assert np.prod([have + 1 for have in capacity.unused]) <= 27  # why the search is short


@pytest.mark.parametrize(
    ("counts", "groups", "said"),
    [
        ({11: 1, 17: 1}, {62, 227}, ["ClNa|NaCl", "62, 227", "z = 2, 4"]),
        ({38: 1, 22: 1, 8: 4}, {225}, ["SrTiO4", "space groups 225", "another z or n_atoms"]),
        ({8: 13}, {198, 205, 206}, ["O13", "198, 205-206", "z = 4, 8"]),
        ({8: 1}, set(), ["space groups none", "none of up to 300 atoms fits"]),
    ],
)
def test_a_cell_that_fits_nowhere_is_refused(counts, groups, said):
    with pytest.raises(UserError) as refusal:
        WyckoffGrammar(counts, frozenset(groups)).check()
    for part in said:
        assert any(word in str(refusal.value) for word in part.split("|")), (part, str(refusal.value))
