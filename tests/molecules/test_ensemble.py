"""Ensembles: weights of Boltzmann, duplicates by symmetry, and no difference whatever order or pose conformers have."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from unigen.errors import UserError
from unigen.eval.molecules.etkdg import etkdg_conformers
from unigen.molecules.ensemble import GAS_CONSTANT, EnsembleRules, conformer_distance, ensemble, ensembles, heavy_atoms
from unigen.molecules.molecule import Molecule

SMILES = ("CCCCO", "OC(=O)CC(C)c1ccccc1", "O=[N+]([O-])CCC(F)(F)F")


@cache
def conformers(smiles: str) -> list[Molecule]:
    return etkdg_conformers(smiles, 6, seed=3)


def moved(molecule: Molecule, rng: np.random.Generator) -> Molecule:
    """The same conformer, turned, shifted, its atoms in another order."""
    turned = molecule.positions @ Rotation.random(random_state=rng).as_matrix().T + rng.normal(size=3)
    return replace(molecule, positions=turned).selected(rng.permutation(len(molecule)))


rules = st.builds(
    EnsembleRules,
    window=st.one_of(st.none(), st.floats(0.0, 12.0)),
    distinct=st.one_of(st.none(), st.floats(0.0, 2.0)),
    temperature=st.floats(50.0, 2000.0),
)
energies = st.lists(st.integers(-10_000, 10_000), min_size=6, max_size=6, unique=True).map(
    lambda values: [value / 1000 for value in values]
)


@given(st.sampled_from(SMILES), energies, rules)
def test_what_is_kept_is_near_in_energy_apart_in_space_and_weighs_one(smiles, values, wanted):
    found = ensemble(conformers(smiles), values, wanted)
    kept = [place for place, each in enumerate(found) if each.kept]
    assert sum(each.weight for each in found) == pytest.approx(1.0)
    assert int(np.argmin(values)) in kept
    for place, each in enumerate(found):
        assert each.relative_energy == pytest.approx(values[place] - min(values))
        assert each.kept == (not each.reason(0))
        if each.duplicate_of is not None:  # of one that is kept and lower, and as near as it says
            assert found[each.duplicate_of].kept
            assert values[each.duplicate_of] < values[place]
            assert each.rmsd < wanted.distinct
        elif not each.kept:
            assert each.relative_energy > wanted.window
    heavy = [heavy_atoms(conformers(smiles)[place]) for place in kept]
    nearest = [conformer_distance(one, other) for row, one in enumerate(heavy) for other in heavy[:row]]
    assert min(nearest, default=np.inf) >= (wanted.distinct or 0.0) - 1e-6
    assert wanted.window is None or all(found[place].relative_energy <= wanted.window for place in kept)


@given(st.sampled_from(SMILES), energies, rules, st.integers(0, 2**32 - 1))
def test_neither_order_nor_pose_nor_the_zero_of_energies_matters(smiles, values, wanted, seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(values))
    found = ensemble(conformers(smiles), values, wanted)
    shown = [moved(conformers(smiles)[place], rng) for place in order]
    again = ensemble(shown, [values[place] + 3.5 for place in order], wanted)
    back = {int(place): each for place, each in zip(order, again, strict=True)}
    for place, each in enumerate(found):
        assert back[place].rank == each.rank
        assert back[place].weight == pytest.approx(each.weight, abs=1e-9)
        assert back[place].rmsd == (None if each.rmsd is None else pytest.approx(each.rmsd, abs=1e-3))


@given(st.sampled_from(SMILES), energies, rules)
def test_an_ensemble_of_an_ensemble_is_itself(smiles, values, wanted):
    found = ensemble(conformers(smiles), values, wanted)
    kept = [place for place, each in enumerate(found) if each.kept]
    again = ensemble([conformers(smiles)[place] for place in kept], [values[place] for place in kept], wanted)
    assert [each.rank for each in again] == [found[place].rank for place in kept]
    assert [each.weight for each in again] == pytest.approx([found[place].weight for place in kept])


@given(energies, st.floats(50.0, 2000.0))
def test_weights_are_those_of_boltzmann_and_nothing_asked_keeps_all(values, temperature):
    found = ensemble(conformers("CCCCO"), values, EnsembleRules(distinct=0.0, temperature=temperature))
    assert all(each.kept for each in found)
    order = np.argsort(values)
    assert [found[place].rank for place in order] == list(range(1, 7))
    low, high = found[order[0]], found[order[1]]
    gap = values[order[1]] - values[order[0]]
    assert high.weight == pytest.approx(low.weight * np.exp(-gap / (GAS_CONSTANT * temperature)), rel=1e-9)
    only = ensemble(conformers("CCCCO"), values, EnsembleRules(window=0.0))
    assert [place for place, each in enumerate(only) if each.kept] == [order[0]]


def test_symmetry_makes_duplicates_and_mirrors_do_not():
    toluene = Molecule.from_smiles("Cc1ccccc1")
    flipped = toluene.selected(np.array([0, 1, 6, 5, 4, 3, 2, *range(7, len(toluene))]))
    assert conformer_distance(heavy_atoms(toluene), heavy_atoms(flipped)) < 1e-4
    gauche = next(each for each in etkdg_conformers("CCCC", 20, seed=1) if abs(_torsion(each)) < 100)
    mirrored = replace(gauche, positions=gauche.positions * [1, 1, -1])
    left = ensemble([gauche, mirrored], [0.0, 0.0], EnsembleRules(distinct=0.1))
    assert [each.kept for each in left] == [True, True]
    assert [each.weight for each in left] == pytest.approx([0.5, 0.5])


def _torsion(butane: Molecule) -> float:
    from rdkit.Chem import rdMolTransforms

    return float(rdMolTransforms.GetDihedralDeg(butane.to_rdkit().GetConformer(), 0, 1, 2, 3))


def test_few_heavy_atoms_have_one_conformer():
    for smiles in ("O", "[H][H]", "C"):
        one = Molecule.from_smiles(smiles)
        assert [each.kept for each in ensemble([one, one], [0.0, 1.0], EnsembleRules(distinct=0.1))] == [True, False]


def test_each_molecule_has_its_own_ensemble():
    butanol, other = conformers("CCCCO")[:2], conformers("OC(=O)CC(C)c1ccccc1")[:1]
    shown = [butanol[0], other[0], butanol[1], butanol[0]]
    found = ensembles(["a", "b", "a", "a"], shown, [5.0, -40.0, 4.0, 9.0], EnsembleRules(distinct=0.3))
    assert [each.relative_energy for each in found] == [1.0, 0.0, 0.0, 5.0]
    assert found[1].weight == 1.0
    assert (found[3].duplicate_of, found[3].reason("first")) == (0, "duplicate of first (0.00 A)")
    assert ensembles([], [], [], EnsembleRules()) == []


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UserError, match="window: out of range; got -1"):
        EnsembleRules(window=-1.0)
    with pytest.raises(UserError, match="not an energy a conformer"):
        ensemble(conformers("CCCCO")[:2], [1.0, float("nan")], EnsembleRules())
    with pytest.raises(UserError, match="conformers of two molecules"):
        ensemble([Molecule.from_smiles("CCO"), Molecule.from_smiles("CCCC")], [0.0, 1.0], EnsembleRules(distinct=0.5))
    far = ensemble(conformers("CCCCO")[:2], [0.0, 7.4], EnsembleRules(window=6.0))
    assert far[1].reason("") == "7.4 kcal/mol above the lowest"
