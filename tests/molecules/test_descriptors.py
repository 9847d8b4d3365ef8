"""Computed properties: known values, and nothing that depends on positions, order or how hydrogens are written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

from tests.molecules.real_molecules import nci_smiles
from unigen.errors import UserError
from unigen.molecules.descriptors import DESCRIPTORS, check_descriptors, computed

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def test_aspirin_is_what_the_databases_say():
    found = computed(Chem.MolFromSmiles(ASPIRIN), DESCRIPTORS)
    assert found["weight"] == pytest.approx(180.16, abs=0.01)
    assert found["TPSA"] == pytest.approx(63.6, abs=0.1)
    assert (found["donors"], found["acceptors"], found["rings"], found["rotatable_bonds"]) == (1, 3, 1, 2)
    assert found["logP"] == pytest.approx(1.31, abs=0.01)
    assert 0.5 < found["QED"] < 0.6
    assert 1 < found["SA"] < 2


@given(st.sampled_from(nci_smiles(60)), st.integers(0, 2**32 - 1))
def test_order_and_hydrogens_do_not_matter(smiles, seed):
    mol = Chem.MolFromSmiles(smiles)
    full = Chem.AddHs(mol)
    order = np.random.default_rng(seed).permutation(full.GetNumAtoms()).tolist()
    shuffled = Chem.RenumberAtoms(full, order)
    assert computed(mol, DESCRIPTORS) == pytest.approx(computed(shuffled, DESCRIPTORS), abs=1e-6)


def test_a_name_that_is_none_is_told_with_what_may_be_meant():
    with pytest.raises(UserError, match="logP"):
        check_descriptors(["logp"])
