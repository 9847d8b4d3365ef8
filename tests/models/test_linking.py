"""A linker between two fragments: both stay where they are, in one sound graph of what was asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from tests.models.small_molecules import small_molecule_model
from unigen.elements import hill_formula
from unigen.errors import UserError
from unigen.models.generator import Candidate, Job
from unigen.models.smiles import generator as molecule_generator
from unigen.models.smiles.generator import MoleculeGenerator
from unigen.models.smiles.settings import MoleculeSettings
from unigen.molecules.molecule import Molecule
from unigen.request import MoleculeRequest
from unigen.sample.requests import read_atoms


def together(*fragments: Molecule) -> Molecule:
    """One molecule of several, each where it stands."""
    sizes = np.cumsum([0, *map(len, fragments)])
    bonds = [each.bonds + np.array([size, size, 0]) for each, size in zip(fragments, sizes[:-1], strict=True)]
    joined = {
        name: np.concatenate([getattr(each, name) for each in fragments])
        for name in ("numbers", "positions", "charges")
    }
    return Molecule(joined["numbers"], joined["positions"], np.concatenate(bonds), joined["charges"])


def moved(molecule: Molecule, distance: float) -> Molecule:
    return replace(molecule, positions=molecule.positions + np.array([distance, 0.0, 0.0]), smiles="")


METHANOL, AMMONIA = (Molecule.from_smiles(text) for text in ("CO", "N"))


@pytest.fixture(scope="module")
def generator() -> MoleculeGenerator:
    """Untrained: what it writes follows from the grammar, what it draws is broken."""
    return MoleculeGenerator(small_molecule_model(), "small", settings=MoleculeSettings(steps=3, redraws=2, repairs=1))


@pytest.fixture
def unjudged(monkeypatch):
    """Graphs and fixed atoms are looked at, not distances."""
    monkeypatch.setattr(molecule_generator, "fault_of", lambda molecule: "")


def linked(generator: MoleculeGenerator, count: int = 4, **wanted) -> list[Candidate[Molecule]]:
    return generator.draw([Job(MoleculeRequest(**wanted), 0, index, 3) for index in range(count)])


@pytest.mark.usefixtures("unjudged")
@pytest.mark.parametrize("gap", [4.0, 5.5])
def test_both_fragments_stay_where_they_are_in_one_molecule(generator, gap):
    pair = together(METHANOL, moved(AMMONIA, gap))
    made = [each.structure for each in linked(generator, 8, scaffold=pair.to_sdf()) if each.structure is not None]
    assert made
    for molecule in made:
        assert not molecule.fragments.any()
        assert molecule.to_rdkit().HasSubstructMatch(Chem.MolFromSmarts("[CX4][OX2]"))
        heavy = pair.positions[pair.numbers > 1]
        assert np.linalg.norm(molecule.positions[:, None] - heavy, axis=2).min(0).max() < 1e-3
        kept = np.linalg.norm(molecule.positions[:, None] - pair.positions[pair.numbers == 1], axis=2).min(0) < 1e-3
        assert kept.any(), "hydrogens of the atoms that nothing was bonded to"


@pytest.mark.usefixtures("unjudged")
def test_a_formula_holds_for_all_of_it(generator):
    pair = together(METHANOL, moved(AMMONIA, 4.5))
    made = [each.structure for each in linked(generator, 8, scaffold=pair.to_sdf(), formula="C4H11NO")]
    assert {hill_formula(molecule.counts) for molecule in made if molecule is not None} == {"C4H11NO"}


@pytest.mark.usefixtures("unjudged")
@pytest.mark.parametrize(("attach", "pattern"), [((1, 7), "C[OH]"), ((2, 7), "[CH3]O")])
def test_only_the_atoms_that_are_named_are_bonded_to(generator, attach, pattern):
    """Atom 7 is the nitrogen; of methanol the carbon, or the oxygen."""
    pair = together(METHANOL, moved(AMMONIA, 5.0))
    made = [each.structure for each in linked(generator, 8, scaffold=pair.to_sdf(), attach=attach)]
    assert any(made)
    for molecule in filter(None, made):
        assert molecule.to_rdkit().HasSubstructMatch(Chem.MolFromSmarts(pattern)), molecule.to_smiles()


@pytest.mark.usefixtures("unjudged")
def test_of_one_scaffold_too_the_atom_can_be_named(generator):
    for each in linked(generator, scaffold=METHANOL.to_sdf(), attach=[2]):
        assert each.structure.to_rdkit().HasSubstructMatch(Chem.MolFromSmarts("[CH3]O[!#1]"))


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"scaffold": together(METHANOL, moved(AMMONIA, 9), moved(AMMONIA, 18)).to_sdf()}, "too many fragments; got 3"),
        ({"scaffold": METHANOL.to_sdf(), "attach": (7,)}, "no such atom in the scaffold; got 7; wanted 1 to 6"),
        ({"scaffold": METHANOL.to_sdf(), "attach": (3,)}, "bonded to this atom of the scaffold; got 3"),
        ({"scaffold": together(METHANOL, moved(AMMONIA, 4)).to_sdf(), "formula": "CH4O"}, "fragments have more atoms"),
        ({"scaffold": together(METHANOL, moved(AMMONIA, 40)).to_sdf()}, "linker: does not reach"),
        ({"scaffold": together(AMMONIA, moved(METHANOL, 9)).to_sdf(), "attach": (7,)}, "of the scaffold; got 7"),
        (
            {"scaffold": together(METHANOL, moved(AMMONIA, 9)).to_sdf(), "attach": (7,), "largest_fragment": True},
            "not in the largest fragment of the scaffold; got atom 7",
        ),
    ],
)
def test_what_cannot_be_linked_is_said(generator, wanted, says):
    for each in linked(generator, 1, **wanted):
        assert each.structure is None
        assert says in each.reason


def test_atoms_without_a_scaffold_and_words_are_refused():
    with pytest.raises(UserError, match="names atoms of a scaffold"):
        MoleculeRequest(attach=(1,))
    with pytest.raises(UserError, match="not numbers of atoms; got a,b"):
        read_atoms("a,b")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 99), min_size=1, max_size=4))
def test_numbers_of_atoms_are_read_as_they_are_written(atoms):
    assert read_atoms(",".join(map(str, atoms))) == tuple(atoms)
