"""Stereo by positions: invariant under order, turned over by mirrors, blind to what positions do not keep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from tests.molecules.real_molecules import embedded, molecules
from unigen.errors import UserError
from unigen.molecules.imines import imines_turned
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import isomer_smiles, kekule_smiles, parse_smiles
from unigen.molecules.stereoisomers import is_molecule, not_compared, same_stereoisomer, smiles_as_asked

ISOMERS = (
    ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"),
    ("C/C=C/C", r"C/C=C\C"),
    ("[H]/N=C/C", r"[H]/N=C\C"),
    ("[H]/N=C(/C)F", r"[H]/N=C(\C)F"),
    (r"CC/C=C1\C[C@H](O)C1", r"CC/C=C1\C[C@@H](O)C1"),
    (r"C[C@@H]1OC/C(=N\O)CO1", "C[C@@H]1OC/C(=N/O)CO1"),
    ("C[C@H]1C[C@]2(CCO2)C1", "C[C@H]1C[C@@]2(CCO2)C1"),
    ("O[C@H]1C[C@]2(C1)C[C@H](O)C2", "O[C@H]1C[C@@]2(C1)C[C@H](O)C2"),
    ("C[C@H]1CC[C@@H](C)CC1", "C[C@H]1CC[C@H](C)CC1"),
    ("C1CC/C=C/CCC1", r"C1CC/C=C\CCC1"),
    ("C[P@](CC)c1ccccc1", "C[P@@](CC)c1ccccc1"),
    ("C[S@](=O)CC", "C[S@@](=O)CC"),
    ("C[N@+](CC)(CCC)CCCC", "C[N@@+](CC)(CCC)CCCC"),
)
"""Pairs of which RDKit's old perception, its new one, or its removal of hydrogens takes some for one molecule."""


@pytest.mark.parametrize(("one", "other"), ISOMERS)
def test_a_conformer_is_of_the_isomer_that_is_asked_for_and_of_no_other(one, other):
    for asked, not_asked in ((one, other), (other, one)):
        mol = embedded(asked).to_rdkit()
        assert is_molecule(mol, asked)
        assert not is_molecule(mol, not_asked)
        assert is_molecule(mol, Chem.CanonSmiles(asked, useChiral=0))
        assert not same_stereoisomer(mol, embedded(not_asked).to_rdkit())


@pytest.mark.parametrize(("one", "other"), ISOMERS)
def test_the_text_of_a_conformer_says_all_stereo_that_was_asked_for(one, other):
    said = [smiles_as_asked(embedded(asked).to_rdkit(), asked) for asked in (one, other)]
    assert said[0] != said[1]
    for text, asked, not_asked in ((said[0], one, other), (said[1], other, one)):
        mol = embedded(asked).to_rdkit()
        assert is_molecule(mol, text)
        assert not is_molecule(embedded(not_asked).to_rdkit(), text)
        assert smiles_as_asked(mol, text) == text


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("[13CH3][C@H](O)[F:1]", "C[C@H](O)F"),  # no labels
        ("C[N@]1C[C@@H]1C", "C[C@H]1CN1C"),  # nor the hand of a nitrogen
        ("CC=[C@]=CC", "CC=C=CC"),
        ("C[C@H](C)O", "CC(C)O"),  # nor what means nothing
        ("Cl.C[C@H](N)O", "C[C@H](N)O"),
        ("c1ccccc1O", "Oc1ccccc1"),
    ],
)
def test_the_text_of_a_conformer_is_canonical_and_without_what_positions_do_not_keep(asked, said):
    mol = Molecule.from_smiles(asked, largest_fragment=True).to_rdkit()
    assert smiles_as_asked(mol, asked, largest_fragment=True) == said


def test_stereo_that_was_left_open_is_said_as_drawn():
    mol = embedded("CC(O)F").to_rdkit()
    assert smiles_as_asked(mol, "CC(O)F") == Chem.MolToSmiles(Chem.RemoveHs(mol))
    assert "@" in smiles_as_asked(embedded("C/C=C/C(O)F").to_rdkit(), "C/C=C/C(O)F")


def test_more_mappings_than_are_tried_are_neither_yes_nor_no(monkeypatch):
    cis, trans = "C[C@H]1CC[C@@H](C)CC1", "C[C@H]1CC[C@H](C)CC1"
    assert is_molecule(embedded(cis).to_rdkit(), trans) is False
    monkeypatch.setattr("unigen.molecules.stereoisomers.MOST_MAPPINGS", 1)
    assert is_molecule(embedded(cis).to_rdkit(), trans) is None


@given(molecule=molecules(), data=st.data())
def test_the_order_of_the_atoms_does_not_change_the_isomer(molecule, data):
    order = np.array(data.draw(st.permutations(range(len(molecule)))))
    shuffled, text = molecule.selected(order), molecule.smiles
    assert same_stereoisomer(shuffled.to_rdkit(), molecule.to_rdkit())
    assert same_stereoisomer(molecule.to_rdkit(), shuffled.to_rdkit())
    assert is_molecule(shuffled.to_rdkit(), text) == is_molecule(molecule.to_rdkit(), text)


@settings(max_examples=40)
@given(pair=st.sampled_from(ISOMERS), which=st.booleans(), seed=st.integers(0, 2**31))
def test_a_text_says_the_same_however_its_atoms_are_listed(pair, which, seed):
    """RDKit writes the same molecule with another atom first; nothing of that is looked at."""
    mol = Chem.MolFromSmiles(pair[which])
    order = np.random.default_rng(seed).permutation(mol.GetNumAtoms()).tolist()
    text = Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)
    assert is_molecule(embedded(pair[which]).to_rdkit(), text)


@given(molecule=molecules())
def test_a_mirror_image_of_a_mirror_image_is_the_molecule(molecule):
    mirrored = replace(molecule, positions=molecule.positions * [1, 1, -1])
    has_hand = "@" in molecule.to_smiles() and molecule.to_smiles() != mirrored.to_smiles()
    assert same_stereoisomer(mirrored.to_rdkit(), molecule.to_rdkit()) != has_hand


@pytest.mark.parametrize(
    ("smiles", "words"),
    [
        ("[13CH3]C(=O)O", "isotopes"),
        ("[2H]C", "isotopes"),
        ("[CH3:1][CH2:2]O", "atom maps"),
        ("C[N@]1C[C@H]1C", "the hand of a nitrogen, which turns over"),
        ("CC=[C@]=CC", "the hand of an axis"),
        ("CC1=CC=CC(C)=C1C1=C(C)C=CC=C1Cl |wU:7.7|", "the hand of an axis"),
        ("C[C@H](F)O |&1:1|", "hands that the text leaves open (& or o)"),
    ],
)
def test_what_positions_do_not_keep_is_not_compared_and_said(smiles, words):
    assert not_compared(smiles) == (words,)
    molecule = Molecule.from_smiles(smiles)
    assert is_molecule(molecule.to_rdkit(), smiles)
    plain = smiles.split()[0].replace("[N@]", "N").replace("13", "").replace(":1", "").replace(":2", "")
    if words in ("atom maps", "the hand of a nitrogen, which turns over") or "13" in smiles:
        assert (
            isomer_smiles(parse_smiles(smiles))
            == isomer_smiles(parse_smiles(plain))
            == isomer_smiles(Chem.MolFromSmiles(molecule.to_smiles()))
        )


def test_what_can_be_compared_is_not_said_to_be_left_out():
    assert [not_compared(smiles) for pair in ISOMERS for smiles in pair] == [()] * 2 * len(ISOMERS)
    # the bridgeheads of Troeger's base do not turn over
    one, other = "Cc1ccc2c(c1)C[N@@]1C[N@]2Cc2cc(C)ccc21", "Cc1ccc2c(c1)C[N@]1C[N@@]2Cc2cc(C)ccc21"
    assert not_compared(one) == not_compared(other) == ()
    conformer = Molecule.from_smiles("Cc1ccc2c(c1)CN1CN2Cc2cc(C)ccc21").to_rdkit()
    assert is_molecule(conformer, one) != is_molecule(conformer, other)


def test_of_several_molecules_the_largest_is_meant_where_it_is_said():
    acetate = embedded("CC(=O)[O-]").to_rdkit()
    assert is_molecule(acetate, "CC(=O)[O-].[Na+]", largest_fragment=True)
    with pytest.raises(UserError, match="several fragments"):
        is_molecule(acetate, "CC(=O)[O-].[Na+]")


def test_the_hydrogen_of_an_imine_is_turned_and_nothing_else():
    one = embedded("[H]/N=C/C")
    (other,) = imines_turned(one)
    assert is_molecule(other.to_rdkit(), r"[H]/N=C\C")
    assert (other.positions != one.positions).any(axis=1).sum() == 1
    (again,) = imines_turned(other)
    assert again.positions == pytest.approx(one.positions, abs=1e-9)


def test_text_for_a_model_keeps_what_one_perception_overlooks_and_leaves_the_state_of_rdkit():
    before = Chem.GetUseLegacyStereoPerception()
    assert kekule_smiles(r"CC/C=C1\C[C@H](O)C1").count("@") == 1
    assert kekule_smiles("C[C@H]1C[C@]2(CCO2)C1").count("@") == 2
    with pytest.raises(UserError):
        kekule_smiles("C/C=C/C(")
    assert Chem.GetUseLegacyStereoPerception() == before
