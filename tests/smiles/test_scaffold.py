"""What begins with a scaffold holds it, names its atoms in the order told, and can be gone on with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from tests.smiles.real_skeletons import nci_smiles
from unigen.errors import UserError
from unigen.molecules.rdkit_smiles import kekule_smiles
from unigen.smiles.reader import read_smiles
from unigen.smiles.scaffold import attachment_points, begin_smiles
from unigen.smiles.skeleton import Skeleton
from unigen.smiles.text import smiles_symbols, smiles_text


def scaffold(text: str) -> Skeleton:
    return read_smiles(smiles_symbols(kekule_smiles(text))).skeleton.without_stereo()


@settings(max_examples=60)
@given(st.sampled_from([text for text in nci_smiles()[:400] if "." not in text]), st.integers(0, 2**31))
def test_a_molecule_that_goes_on_holds_the_scaffold(text, seed):
    rng = np.random.default_rng(seed)
    held = scaffold(text)
    places = attachment_points(held)
    if not places:
        return
    place = int(rng.choice(places))
    begun = begin_smiles(held, place, rng)
    longer = [*begun.symbols, *smiles_symbols("F")]
    read = read_smiles(longer).skeleton
    assert begun.order[0] == place
    assert read.numbers[: len(held)].tolist() == held.numbers[begun.order].tolist()
    assert read.bonds[read.bonds[:, 1] == len(held), :2].tolist() == [[0, len(held)]]
    lost = held.hydrogens[begun.order] - read.hydrogens[: len(held)]
    assert lost.tolist() == [1] + [0] * (len(held) - 1)
    mol = Chem.MolFromSmiles(smiles_text(longer))
    core = Chem.MolFromSmiles(text)
    Chem.RemoveStereochemistry(core)
    assert mol.HasSubstructMatch(core)


def test_charged_and_full_atoms_are_not_added_to():
    assert attachment_points(scaffold("C[NH3+]")) == [0]
    with pytest.raises(UserError, match="no hydrogen"):
        begin_smiles(scaffold("FC(F)(F)F"), 1, np.random.default_rng(0))
