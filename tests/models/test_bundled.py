"""The published models: cards complete, weights small, loadable, and doing what the card says."""

import statistics

import numpy as np
import pytest

from unigen.cards import find_cards
from unigen.models.card import read_model_card
from unigen.models.checkpoint import WEIGHTS, load_model
from unigen.molecules.descriptors import computed
from unigen.molecules.geometry_check import fault_of
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import canonical_smiles, without_stereo
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.sample.generate import generate
from unigen.sample.load import load

BUNDLED = find_cards("models")


def test_the_default_models_are_there():
    assert {"unigen-crystal-small", "unigen-molecule", "unigen-molecule-small"} <= set(BUNDLED)


@pytest.mark.parametrize("name", BUNDLED)
def test_card_and_weights_agree(name):
    card, folder = read_model_card(BUNDLED[name]), BUNDLED[name].parent
    assert card.name == name
    assert (folder / WEIGHTS).stat().st_size <= 20e6
    model = load_model(folder)
    assert sum(parameter.numel() for parameter in model.parameters()) == card.parameters
    assert "to be measured" not in repr(card)


def test_simple_salts_are_drawn_as_everybody_knows_them():
    sample = generate(CrystalRequest(formula="MgO", z=1), seed=0)[0]
    assert sample.template == "225 Mg:a O:b"
    assert sample.source["formula"] == "MgO"
    assert 17 < sample.structure.volume < 21  # 18.7 cubic Angstrom in nature


def test_a_formula_nobody_knows_follows_its_likes():
    """No known BaTiO3 is followed when told so, and yet the cell has its atoms and the stated space group."""
    sample = generate(
        CrystalRequest(formula="BaTiO3", z=1), model=load("unigen-crystal-small", exclude_formula=True), seed=0
    )[0]
    assert sample.source["formula"] != "BaTiO3"
    assert sample.structure.counts == {8: 3, 22: 1, 56: 1}
    assert sample.structure.space_group(0.01).number == int(sample.template.split()[0])


DRUGS = {
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "clopidogrel": "COC(=O)[C@H](c1ccccc1Cl)N1CCc2sccc2C1",
    "sildenafil": "CCCc1nn(C)c2c1nc([nH]c2=O)-c1cc(ccc1OCC)S(=O)(=O)N1CCN(C)CC1",
    "bromazepam": "O=C1CN=C(c2ccccn2)c2cc(Br)ccc2N1",
    "fosfomycin": "C[C@@H]1O[C@@H]1P(=O)(O)O",
    "decane": "CCCCCCCCCC",
    "liothyronine": "N[C@@H](Cc1cc(I)c(Oc2ccc(O)c(I)c2)c(I)c1)C(=O)O",
    "tavaborole": "OB1OCc2cc(F)ccc21",
}


@pytest.mark.parametrize("name", DRUGS)
def test_drugs_get_all_their_conformers_and_keep_graph_and_stereo(name):
    samples = generate(MoleculeRequest(smiles=DRUGS[name]), n=3, seed=0)
    assert [sample.reason for sample in samples] == [""] * 3
    for sample in samples:
        assert fault_of(sample.structure) == ""
        assert sample.structure.to_smiles() == canonical_smiles(DRUGS[name])


BONDS = {"[H][H]": 0.741, "F": 0.917, "O": 0.958, "N": 1.012, "Cl": 1.275}
"""Of the hydrogens, Angstrom, as measured (Huber and Herzberg 1979; Benedict et al. 1956; Kuchitsu et al. 1968)."""


@pytest.mark.parametrize("smiles", BONDS)
def test_the_smallest_molecules_have_the_bonds_that_are_measured(smiles):
    formula = Molecule.from_smiles(smiles).formula
    for request in (MoleculeRequest(smiles=smiles), MoleculeRequest(formula=formula)):
        lengths = [
            np.linalg.norm(molecule.positions[one] - molecule.positions[two])
            for molecule in (sample.structure for sample in generate(request, n=8, seed=0))
            for one, two, _ in molecule.bonds
        ]
        assert np.mean(lengths) == pytest.approx(BONDS[smiles], rel=0.03)


def test_stereo_is_as_the_smiles_says():
    for smiles in ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "C/C=C/C", "C/C=C\\C", "O[C@H]1C[C@@H]1F"):
        samples = generate(MoleculeRequest(smiles=smiles), n=3, seed=1)
        assert {sample.structure.to_smiles() for sample in samples} == {canonical_smiles(smiles)}


def test_molecules_from_nothing_are_mostly_stable_and_what_their_text_says():
    made = [sample.structure for sample in generate(MoleculeRequest(), n=64, model="unigen-molecule-small", seed=0)]
    assert all(without_stereo(molecule.to_smiles()) == without_stereo(molecule.smiles) for molecule in made)
    assert sum(fault_of(molecule) == "" for molecule in made) >= 52
    assert len({molecule.to_smiles() for molecule in made}) >= 60


def test_a_large_gap_and_a_small_one_give_other_molecules():
    wide, narrow = (
        [
            sample.structure
            for sample in generate(
                MoleculeRequest(properties={"gap": gap}), n=24, model="unigen-molecule-small", seed=0
            )
        ]
        for gap in (0.34, 0.18)
    )
    double = [sum((m.bonds[:, 2] > 1).sum() for m in made) for made in (wide, narrow)]
    assert double[0] < 0.5 * double[1]


def test_light_and_dense_crystals_when_asked_for():
    model = load("unigen-crystal-small", guidance=2.0, score=False)
    found = {}
    for density in (3.0, 8.0):
        samples = generate(CrystalRequest(properties={"density": density}), n=24, model=model, seed=0)
        found[density] = statistics.median(sample.structure.density for sample in samples)
    assert abs(found[3.0] - 3.0) < 1.0
    assert abs(found[8.0] - 8.0) < 1.5


def test_a_high_weight_and_a_low_one_give_other_molecules():
    found = {}
    for weight in (150.0, 350.0):
        samples = generate(MoleculeRequest(properties={"weight": weight}), n=16, seed=0)
        made = [sample.structure.to_rdkit() for sample in samples if sample.structure is not None]
        found[weight] = statistics.median(computed(mol, ["weight"])["weight"] for mol in made)
    assert abs(found[150.0] - 150.0) < 50.0
    assert abs(found[350.0] - 350.0) < 50.0
