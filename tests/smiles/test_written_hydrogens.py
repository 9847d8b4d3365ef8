"""Hydrogens implied or written: one molecule, one order of atoms, each form made of the other, both drawn soundly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from tests.smiles.real_skeletons import canonical, nci_molecules
from tests.smiles.test_smiles_grammar import FORMULAS, assert_molecule, walk
from unigen.smiles.grammar import SmilesGrammar
from unigen.smiles.hydrogens import with_hydrogens, without_hydrogens
from unigen.smiles.reader import read_smiles
from unigen.smiles.text import smiles_symbols, smiles_text
from unigen.smiles.writer import write_smiles
from unigen.tokens.vocabulary import END, element_symbol

SEEDS = st.integers(0, 2**32 - 1)
ELEMENTS, CHARGES = frozenset({6, 7, 8, 9, 16, 17}), frozenset({(7, 1), (8, -1), (6, -1), (7, -1), (16, 1)})


@settings(max_examples=60)
@given(st.integers(0, 10**6), SEEDS)
def test_both_forms_are_one_molecule_and_each_is_made_of_the_other(place, seed):
    known = nci_molecules(25)
    text, skeleton = known[place % len(known)]
    written = write_smiles(skeleton, np.random.default_rng(seed))
    counts = skeleton.hydrogens[written.order]
    rank = np.argsort(written.order)
    atoms = [int(rank[atom]) if atom >= 0 else -1 for atom in written.atom]
    symbols, belonging = with_hydrogens(written.symbols.tolist(), atoms, counts.tolist())
    assert len(symbols) == len(belonging)
    assert without_hydrogens(symbols) == written.symbols.tolist()
    assert canonical(smiles_text(symbols)) == text
    mol = Chem.MolFromSmiles(smiles_text(symbols), sanitize=False)
    hydrogens = [atom for atom in mol.GetAtoms() if atom.GetAtomicNum() == 1 and atom.GetDegree() == 1]
    assert len(hydrogens) == counts.sum()
    written_at = np.flatnonzero(np.array(symbols) == element_symbol(1))
    of_each = np.bincount([belonging[place] for place in written_at], minlength=len(counts))
    assert of_each.tolist() == counts.tolist()


@pytest.mark.parametrize(
    ("implied", "written"),
    [
        ("[H][H]", "[H][H]"),
        ("[H+]", "[H+]"),
        ("C", "C([H])([H])([H])([H])"),
        ("C[C@H](N)O", "C([H])([H])([H])[C@]([H])(N([H])([H]))O([H])"),
        ("C[C@H]1CO1", "C([H])([H])([H])[C@@]1([H])C([H])([H])O1"),
        ("F/C=C/Cl", "F/C([H])=C([H])/Cl"),
        ("[NH3+]C%10CC%10", "[N+]([H])([H])([H])C%10([H])C([H])([H])C%10([H])([H])"),
    ],
)
def test_forms_of_a_few(implied, written):
    symbols = smiles_symbols(implied)
    read = read_smiles(symbols)
    assert smiles_text(with_hydrogens(symbols, read.atom.tolist(), read.skeleton.hydrogens.tolist())[0]) == written
    assert smiles_text(without_hydrogens(smiles_symbols(written))) == implied
    assert Chem.CanonSmiles(implied) == Chem.CanonSmiles(written)


@settings(max_examples=15)
@given(st.sampled_from([None, *FORMULAS]), st.booleans(), SEEDS)
def test_what_is_drawn_is_a_molecule_of_what_was_asked_for(formula, stereo, seed):
    grammar = SmilesGrammar(formula=formula, stereo=stereo, hydrogens="written")
    symbols = walk(grammar, np.random.default_rng(seed))
    implied = without_hydrogens(symbols)
    assert_molecule(implied, grammar)
    read = read_smiles(implied)
    assert with_hydrogens(implied, read.atom.tolist(), read.skeleton.hydrogens.tolist())[0] == symbols
    assert Chem.CanonSmiles(smiles_text(symbols)) == Chem.CanonSmiles(smiles_text(implied))


@settings(max_examples=8)
@given(st.integers(0, 10**6), SEEDS)
def test_real_molecules_can_be_drawn(place, seed):
    known = [one for one in nci_molecules(25) if _is_writable(one[1])]
    skeleton = known[place % len(known)][1]
    written = write_smiles(skeleton, np.random.default_rng(seed))
    rank = np.argsort(written.order)
    atoms = [int(rank[atom]) if atom >= 0 else -1 for atom in written.atom]
    symbols, _ = with_hydrogens(written.symbols.tolist(), atoms, skeleton.hydrogens[written.order].tolist())
    state = SmilesGrammar(ELEMENTS, len(skeleton), CHARGES, stereo=True, hydrogens="written").start()
    for number, symbol in enumerate([*symbols, END]):
        assert state.legal()[symbol], smiles_text(symbols[:number])
        state = state.write(symbol)


def _is_writable(skeleton) -> bool:
    charged = {(n, c) for n, c in zip(skeleton.numbers.tolist(), skeleton.charges.tolist(), strict=True) if c}
    plain = set(skeleton.numbers.tolist()) <= ELEMENTS and charged <= CHARGES and len(skeleton) <= 10
    return plain and not skeleton.charges.sum()
