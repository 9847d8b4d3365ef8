"""From nothing, or from a formula, to molecules in space: what is written is what stands there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem

from tests.models.small_model import EACH_PATTERN
from tests.models.small_molecules import small_molecule_model
from unigen.models.smiles.conformer_decoding import WrittenMolecule, draw_conformers
from unigen.models.smiles.settings import MoleculeSettings
from unigen.models.smiles.smiles_decoding import draw_smiles
from unigen.smiles.grammar import SmilesGrammar
from unigen.smiles.text import smiles_symbols, smiles_text

FORMULAS = [None, None, {6: 2, 1: 6, 8: 1}, {6: 6, 1: 6}, {6: 3, 1: 7, 7: 1, 8: 2}]
GRAMMARS = [SmilesGrammar(formula=formula) for formula in FORMULAS]
VALUES: list[dict[int, float]] = [{}, {1: 0.3}, {}, {}, {1: 0.1}]
SETTINGS = MoleculeSettings(steps=3, draws_per_atom=1, repairs=0)


def conformers(model, writings, settings):
    return [drawn.molecule for drawn in draw_conformers(model, writings, settings)]


def uniforms(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((len(GRAMMARS), 80))


def test_what_may_be_another_molecule_is_not_mended(written):
    """A small untrained model draws nothing that is sound."""
    settings = replace(SETTINGS, settle=True, draws_per_atom=2)
    mended = draw_conformers(small_molecule_model(), writings(written), settings)
    free = draw_conformers(
        small_molecule_model(), [replace(each, settle=False) for each in writings(written)], settings
    )
    assert any(drawn.settled for drawn in mended)
    assert not any(drawn.settled for drawn in free)
    for one, other in zip(mended, free, strict=True):
        assert one.settled or np.array_equal(one.molecule.positions, other.molecule.positions)


@pytest.fixture(scope="module")
def written() -> list[list[int]]:
    return draw_smiles(small_molecule_model(), GRAMMARS, VALUES, uniforms(), 1.0)


def writings(written: list[list[int]]) -> list[WrittenMolecule]:
    rngs = [np.random.default_rng([7, row]) for row in range(len(written))]
    return [WrittenMolecule(*row) for row in zip(written, VALUES, rngs, strict=True)]


def test_what_is_written_is_a_molecule_of_the_formula_asked_for(written):
    for symbols, formula in zip(written, FORMULAS, strict=True):
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles_text(symbols)))
        counts = np.bincount([atom.GetAtomicNum() for atom in mol.GetAtoms()])
        if formula:
            assert {n: int(c) for n, c in enumerate(counts) if c} == formula


def test_a_row_is_written_alone_as_in_its_batch(written):
    for row, grammar in enumerate(GRAMMARS):
        alone = draw_smiles(small_molecule_model(), [grammar], [VALUES[row]], uniforms()[row : row + 1], 1.0)
        assert alone[0] == written[row]


@EACH_PATTERN
def test_what_was_written_half_is_gone_on_with_as_it_was(mixers):
    """A beginning is read at once, or was written symbol by symbol: the rest is the same."""
    model, random = small_molecule_model(mixers=mixers), uniforms()
    whole = draw_smiles(model, GRAMMARS, VALUES, random, 1.0)
    halves = [len(row) // 2 for row in whole]
    assert len(set(halves)) > 1
    later = np.stack([np.roll(row, -half) for row, half in zip(random, halves, strict=True)])
    beginnings = [row[:half] for row, half in zip(whole, halves, strict=True)]
    assert draw_smiles(model, GRAMMARS, VALUES, later, 1.0, prefixes=beginnings) == whole


def test_what_is_begun_is_gone_on_with():
    begun = smiles_symbols("C1CC1")
    for symbols in draw_smiles(small_molecule_model(), GRAMMARS[:2], VALUES[:2], uniforms(), 1.0, prefixes=[begun] * 2):
        assert symbols[: len(begun)] == begun


def test_without_guidance_properties_are_left_out(written):
    """Guidance 0 is the model that was asked for nothing, 1 the model as it is."""
    model, none = small_molecule_model(), [{}] * len(GRAMMARS)
    asked = draw_smiles(model, GRAMMARS, VALUES, uniforms(), 1.0, guidance=0.0)
    assert asked == draw_smiles(model, GRAMMARS, none, uniforms(), 1.0)
    bare = [replace(one, values={}) for one in writings(written)]
    plain = conformers(model, bare, SETTINGS)
    unguided = conformers(model, writings(written), replace(SETTINGS, guidance=0.0))
    guided = conformers(model, writings(written), replace(SETTINGS, guidance=4.0))
    for one, other, third in zip(plain, unguided, guided, strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=5e-3)
        assert one.numbers.tolist() == third.numbers.tolist()
    assert np.abs(plain[1].positions - guided[1].positions).max() > 1e-2


def test_the_molecules_are_those_that_were_written(written):
    drawn = conformers(small_molecule_model(), writings(written), SETTINGS)
    for molecule, symbols in zip(drawn, written, strict=True):
        text = smiles_text(symbols)
        assert molecule.smiles == text
        mol = molecule.to_rdkit()
        Chem.RemoveStereochemistry(mol)
        assert Chem.MolToSmiles(Chem.RemoveHs(mol)) == Chem.CanonSmiles(text)
        heavy = [atom.GetAtomicNum() for atom in Chem.MolFromSmiles(text).GetAtoms()]
        assert molecule.numbers[: len(heavy)].tolist() == heavy


def test_the_same_random_numbers_give_the_same_molecules_in_any_batch(written):
    together = conformers(small_molecule_model(), writings(written), SETTINGS)
    for row in range(len(written)):
        alone = conformers(small_molecule_model(), [writings(written)[row]], SETTINGS)[0]
        np.testing.assert_allclose(alone.positions, together[row].positions, atol=5e-3)


def test_charges_are_kept():
    writing = WrittenMolecule(smiles_symbols("[NH3+]CC(=O)[O-]"), {}, np.random.default_rng(0))
    molecule = conformers(small_molecule_model(), [writing], SETTINGS)[0]
    assert molecule.charges.sum() == 0
    assert min(molecule.charges.tolist()) == -1
    assert molecule.formula == "C2H5NO2"
