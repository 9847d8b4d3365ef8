"""Every path of legal symbols is a molecule of what was asked for, and real molecules are such paths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, rdBase

from tests.smiles.real_skeletons import qm9_molecules
from unigen.errors import UserError
from unigen.smiles import grammar as grammar_module
from unigen.smiles.atoms import CHARGED, NEUTRAL
from unigen.smiles.completion import LONG_BOUND, Completion
from unigen.smiles.grammar import QM9_CHARGES, QM9_ELEMENTS, SmilesGrammar
from unigen.smiles.reader import read_smiles
from unigen.smiles.skeleton import skeleton_of
from unigen.smiles.text import smiles_symbols, smiles_text
from unigen.smiles.writer import write_smiles
from unigen.tokens.vocabulary import END, VOCABULARY_SIZE

FORMULAS = (
    {6: 1, 1: 4},
    {6: 7, 1: 10, 8: 2},
    {6: 9, 1: 20},
    {6: 6},
    {6: 4, 7: 4, 8: 1},
    {7: 2, 8: 1},
    {8: 2, 1: 2},
    {6: 1, 9: 4},
    {6: 2, 7: 1, 8: 2, 1: 5},
    {6: 6, 7: 1, 8: 1, 9: 1, 1: 4},
    {6: 5, 7: 4, 1: 2},
)
seeds = st.integers(0, 2**32 - 1)


def walk(grammar, rng, limit=400):
    """Draw legal symbols uniformly until END."""
    state, symbols = grammar.start(), []
    while not state.ended:
        legal = np.flatnonzero(state.legal())
        assert len(legal), f"dead end after {smiles_text(symbols)}"
        symbols.append(int(rng.choice(legal)))
        state = state.write(symbols[-1])
        assert len(symbols) < limit
    assert symbols.pop() == END
    assert not state.legal().any()
    return symbols


def assert_molecule(symbols, grammar):
    """RDKit takes it as it is: one molecule, the same hydrogens and charges, no radical, all as asked for."""
    text, read = smiles_text(symbols), read_smiles(symbols).skeleton
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(text)
    assert mol is not None, text
    assert len(Chem.GetMolFrags(mol)) == 1, text
    atoms = list(mol.GetAtoms())
    assert [atom.GetTotalNumHs() for atom in atoms] == read.hydrogens.tolist(), text
    assert [atom.GetFormalCharge() for atom in atoms] == read.charges.tolist(), text
    assert not any(atom.GetNumRadicalElectrons() for atom in atoms), text
    assert len(read) <= grammar.max_heavy
    assert read.charges.sum() == grammar.total_charge
    assert set(read.numbers.tolist()) <= grammar.elements
    charged = {pair for pair in zip(read.numbers.tolist(), read.charges.tolist(), strict=True) if pair[1]}
    assert charged <= grammar.charges
    if grammar.formula is not None:
        assert read.counts == {number: count for number, count in sorted(grammar.formula.items()) if count}, text
    if not grammar.stereo:
        assert not set(text) & set("@/\\"), text


@pytest.mark.parametrize("stereo", [False, True], ids=["flat", "stereo"])
def test_random_paths_are_molecules_as_asked_for(stereo):
    rng, grammar = np.random.default_rng(0), SmilesGrammar(stereo=stereo)
    written = [walk(grammar, rng) for _ in range(40)]
    for symbols in written:
        assert_molecule(symbols, grammar)
    assert len({smiles_text(symbols) for symbols in written}) > 20


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_random_paths_have_exactly_the_formula(formula):
    rng = np.random.default_rng(1)
    for stereo in (False, True):
        grammar = SmilesGrammar(formula=formula, stereo=stereo)
        for _ in range(3):
            assert_molecule(walk(grammar, rng), grammar)


@given(
    st.sets(st.sampled_from(sorted(NEUTRAL)), min_size=1),
    st.sets(st.sampled_from(sorted(CHARGED))),
    st.integers(1, 12),
    st.integers(0, 4),
    st.booleans(),
    seeds,
)
def test_no_grammar_has_a_dead_end(elements, charges, max_heavy, max_rings, stereo, seed):
    grammar = SmilesGrammar(
        frozenset(elements), max_heavy, frozenset(charges), stereo=stereo, max_rings=max(max_rings, 1)
    )
    rng = np.random.default_rng(seed)
    assert_molecule(walk(grammar, rng), grammar)


@settings(max_examples=25)
@given(st.integers(1, 12), st.integers(0, 4), seeds)
def test_a_smallest_size_holds_unless_nothing_more_can_be_bonded(least, more, seed):
    grammar = SmilesGrammar(frozenset({6, 7}), least + more, frozenset(), min_heavy=least)
    symbols = walk(grammar, np.random.default_rng(seed))
    assert_molecule(symbols, grammar)
    assert len(read_smiles(symbols).skeleton) >= least or not read_smiles(symbols).skeleton.hydrogens[-1]


@settings(max_examples=25)
@given(seeds)
def test_no_formula_has_a_dead_end(seed):
    rng = np.random.default_rng(seed)
    drawn = read_smiles(walk(SmilesGrammar(max_heavy=int(rng.integers(1, 16)), stereo=True), rng)).skeleton
    grammar = SmilesGrammar(formula=drawn.counts, max_heavy=16, stereo=bool(rng.integers(2)))
    assert_molecule(walk(grammar, rng), grammar)


def assert_legal(grammar, symbols):
    state = grammar.start()
    for place, symbol in enumerate([*symbols, END]):
        assert state.legal()[symbol], f"{smiles_text(symbols)}: {smiles_text(symbols[:place])}| cannot go on"
        state = state.write(symbol)


def test_real_molecules_are_legal():
    rng = np.random.default_rng(2)
    flat, stereo = SmilesGrammar(), SmilesGrammar(stereo=True)
    for molecule in qm9_molecules(300)[60:90]:
        made = skeleton_of(molecule.numbers, molecule.charges, molecule.bonds, molecule.positions).skeleton
        assert_legal(flat, write_smiles(made, rng, stereo=False).symbols.tolist())
        assert_legal(stereo, write_smiles(made, rng).symbols.tolist())


def test_real_molecules_are_legal_paths_of_their_own_formula():
    rng = np.random.default_rng(3)
    for molecule in qm9_molecules(300)[:25]:
        made = skeleton_of(molecule.numbers, molecule.charges, molecule.bonds, molecule.positions).skeleton
        assert_legal(SmilesGrammar(formula=molecule.counts, stereo=True), write_smiles(made, rng).symbols.tolist())


@pytest.mark.parametrize(
    "text", ["C1=CC=CC=C1", "C12C3C4C1C5C2C3C45", "C=1C=CC=CC1", "C[N+](C)(C)CC([O-])=O", "[C-]#[O+]", "CS(C)(=O)=O"]
)
def test_molecules_that_chemists_know_are_legal(text):
    grammar = SmilesGrammar(frozenset(NEUTRAL), 12, frozenset(CHARGED))
    made = read_smiles(smiles_symbols(text)).skeleton
    assert_legal(grammar, write_smiles(made).symbols.tolist())


def test_a_walk_is_never_changed_by_writing():
    start = SmilesGrammar(formula={6: 2, 1: 6, 8: 1}).start()
    symbols = smiles_symbols("CCO")
    first = start.write(symbols[0])
    before = first.legal()
    first.write(symbols[1]).write(symbols[2])
    assert np.array_equal(first.legal(), before)
    assert before.shape == (VOCABULARY_SIZE,)


@settings(max_examples=6)
@given(st.sampled_from((None, *FORMULAS)), st.integers(1, 9), st.booleans(), seeds)
def test_what_is_legal_does_not_depend_on_what_was_asked_before(formula, max_rings, stereo, seed):
    """A grammar that many have asked answers as one that nobody has, at every prefix, whatever the bounded search."""
    rng = np.random.default_rng(seed)
    asked, unasked = (SmilesGrammar(formula=formula, stereo=stereo, max_rings=max_rings) for _ in range(2))
    symbols, *_ = [walk(asked, rng) for _ in range(5)]
    known, fresh = asked.start(), unasked.start()
    for symbol in (*symbols, END):
        assert np.array_equal(known.legal(), fresh.legal()), smiles_text(symbols)
        known, fresh = known.write(symbol), fresh.write(symbol)


def test_a_search_finds_the_same_with_or_without_memory():
    """Of any bound: what a shorter or longer search has left behind changes no answer."""
    rng = np.random.default_rng(5)
    for formula in (None, *FORMULAS):
        grammar = SmilesGrammar(formula=formula, stereo=True)
        known, place = grammar.completion, grammar.start()
        while not place.ended:
            place = place.write(int(rng.choice(np.flatnonzero(place.legal()))))
            bound = int(rng.integers(1, 40))
            alone = Completion(known.elements, known.spellings, known.most_rings)
            assert alone.completes(place.state, bound) == known.completes(place.state, bound)


@settings(max_examples=12)
@given(st.sampled_from((None, *FORMULAS)), st.integers(1, 60), seeds)
def test_a_longer_search_loses_no_answer(formula, bound, seed):
    """What a short search lets be written a longer one does, too; and where it finds nothing, there is a way on."""
    rng = np.random.default_rng(seed)
    short, long = (SmilesGrammar(formula=formula, stereo=True).start() for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        while not short.ended:
            patch.setattr(grammar_module, "BOUND", LONG_BOUND)
            more = long.legal()
            patch.setattr(grammar_module, "BOUND", bound)
            legal = short.legal()
            assert legal.any()
            assert not (legal & ~more).any(), [*smiles_text(np.flatnonzero(legal & ~more).tolist())]
            search = short.grammar.completion.completes
            assert search(short.state, bound) <= search(short.state, LONG_BOUND)
            symbol = int(rng.choice(np.flatnonzero(legal)))
            short, long = short.write(symbol), long.write(symbol)


def test_a_mask_is_shared_and_cannot_be_written_to():
    grammar = SmilesGrammar()
    carbon, nitrogen = smiles_symbols("C")[0], smiles_symbols("N")[0]
    chain = grammar.start().write(carbon).write(carbon)
    assert chain.legal() is grammar.start().write(nitrogen).write(carbon).legal()
    with pytest.raises(ValueError, match="read-only"):
        chain.legal()[carbon] = False


def test_charge_can_be_asked_for():
    rng, grammar = np.random.default_rng(0), SmilesGrammar(total_charge=1, charges=frozenset({(7, 1)}))
    for _ in range(30):
        assert_molecule(walk(grammar, rng), grammar)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"formula": {6: 1, 1: 5}}, "no molecule of these atoms"),
        ({"formula": {6: 1, 1: 6}}, "no molecule of these atoms"),
        ({"formula": {9: 3}}, "no molecule of these atoms"),
        ({"formula": {6: 1, 8: 1}}, "no molecule of these atoms"),
        ({"formula": {6: 1, 11: 1}}, "may not occur.*Na"),
        ({"formula": {6: 10, 1: 22}}, "heavy atoms.*10"),
        ({"formula": {1: 2}}, "heavy atoms"),
        ({"total_charge": 1, "charges": frozenset({(8, -1)})}, "no molecule of these atoms.*charge \\+1"),
        ({"elements": frozenset({6, 26})}, "valence is not known.*Fe"),
        ({"charges": frozenset({(6, 2)})}, "no known valence"),
        ({"max_rings": 10}, "max_rings"),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(wanted, reason):
    with pytest.raises(UserError, match=reason):
        SmilesGrammar(**wanted)


def test_defaults_are_what_qm9_holds():
    molecules = qm9_molecules(300)
    assert {number for molecule in molecules for number in molecule.counts} - {1} <= QM9_ELEMENTS
    pairs = {pair for m in molecules for pair in zip(m.numbers.tolist(), m.charges.tolist(), strict=True)}
    assert {pair for pair in pairs if pair[1]} <= QM9_CHARGES
