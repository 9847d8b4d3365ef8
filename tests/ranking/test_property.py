"""Ranking by property: the nearest wins, whatever the order of atoms or the pose; what is broken comes last."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crystals.real_crystals import crystals, elemental_crystals
from tests.eval.known_molecules import PLAIN, embedded, permuted
from tests.models.small_predictor import POOLINGS, electrons_network, small_predictor
from unigen.crystals.crystal import Crystal, repeat_cell
from unigen.errors import UserError
from unigen.geometry.rotation import random_rotation
from unigen.models.generator import Range, Sample
from unigen.molecules.molecule import Molecule
from unigen.parallel import Workers
from unigen.ranking.likelihood import LikelihoodRanker
from unigen.ranking.property import ComputedDensity, PropertyRanker
from unigen.ranking.ranker import Rating
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.sample.predict import NetworkPredictor

ELECTRONS = NetworkPredictor(electrons_network({"gap": "sum"}), "electrons")
"""Predicts as a gap the number of electrons, exactly."""

SMALL = NetworkPredictor(deepcopy(small_predictor()).float(), "small")


def sample(structure, request, *, score=0.0, log_likelihood=None, reason="") -> Sample:
    return Sample(structure, request, 0, 0, 0, "maker", log_likelihood, score, reason)


def rate(ranker, *groups) -> list[list[Rating]]:
    return ranker.rate(groups, Workers(1))


def best(ratings: list[Rating]) -> int:
    return int(np.argmax([rating.merit for rating in ratings]))


@given(asked=st.floats(-50, 150), order=st.permutations(PLAIN))
@settings(max_examples=20)
def test_the_nearest_property_wins(asked, order):
    request = MoleculeRequest(properties={"gap": asked})
    group = [sample(embedded(smiles), request) for smiles in order]
    (ratings,) = rate(PropertyRanker(ELECTRONS), group)
    off = [abs(embedded(smiles).numbers.sum() - asked) for smiles in order]
    assert off[best(ratings)] == min(off)
    assert [rating.value for rating in ratings] == pytest.approx(off, abs=1e-4)
    assert all(rating.merit == pytest.approx(-rating.value, abs=1e-6) for rating in ratings)


def test_a_rating_says_what_was_asked_and_how_far_the_prediction_is():
    request = MoleculeRequest(properties={"gap": 12.5})
    ranker = PropertyRanker(ELECTRONS, {"gap": Range(2.0, 100.0, "hartree", 5.0)})
    ((rating,),) = rate(ranker, [sample(embedded("C"), request)])
    assert rating.facts == {"gap_predicted (hartree)": 10.0, "gap_asked (hartree)": 12.5, "gap_off_by (hartree)": -2.5}
    assert (rating.value, rating.merit, rating.reason) == (0.5, -0.5, "")
    assert rating.structure is embedded("C")


def test_a_rating_says_how_far_off_the_prediction_may_be_where_the_predictor_does():
    request = MoleculeRequest(properties={"gap": 12.5})
    network = electrons_network({"gap": "sum"}, error_bars=True)
    network.scale.fill_(0.5)
    predictor = NetworkPredictor(network, "electrons")
    group = [sample(embedded("CC"), request), sample(None, request, reason="not made"), sample(embedded("CO"), request)]
    (ratings,) = rate(PropertyRanker(predictor), group)
    told = predictor.predict([group[0].structure, group[2].structure]).errors[:, 0]
    assert [ratings[place].facts["gap_error"] for place in (0, 2)] == pytest.approx(told, abs=1e-6)
    assert told.min() > 0
    assert "gap_error" not in ratings[1].facts
    (silent,) = rate(PropertyRanker(ELECTRONS), group)
    assert all("gap_error" not in rating.facts for rating in silent)


@given(seed=st.integers(0, 2**32 - 1), smiles=st.sampled_from(PLAIN), shift=st.floats(-30, 30))
@settings(max_examples=20)
def test_order_and_pose_of_the_atoms_do_not_matter(seed, smiles, shift):
    rotation = random_rotation(np.random.default_rng(seed))
    molecule = permuted(embedded(smiles), seed)
    moved = replace(molecule, positions=molecule.positions @ rotation.T + shift)
    request = MoleculeRequest(properties=dict.fromkeys(POOLINGS, 1.0))
    ranker = PropertyRanker(SMALL)
    ((one, other),) = rate(ranker, [sample(embedded(smiles), request), sample(moved, request)])
    assert one.value == pytest.approx(other.value, rel=1e-4, abs=1e-5)


def test_requests_do_not_mix_and_batches_say_nothing():
    wanted = [MoleculeRequest(properties={"gap": value}) for value in (10.0, 42.0, 26.0)]
    groups = [[sample(embedded(smiles), request) for smiles in PLAIN] for request in wanted]
    together = rate(PropertyRanker(ELECTRONS), *groups)
    apart = [rate(PropertyRanker(ELECTRONS), group)[0] for group in groups]
    assert [[each.merit for each in group] for group in together] == [[each.merit for each in group] for group in apart]
    assert [PLAIN[best(group)] for group in together] == ["C", "c1ccccc1", "CCO"]
    assert rate(PropertyRanker(ELECTRONS)) == []
    assert rate(PropertyRanker(ELECTRONS), [], groups[0])[0] == []


def test_of_several_properties_the_one_that_is_farthest_off_counts_in_spreads():
    class Two:
        name, version, trained_on, properties = "two", "", "nothing", ("gap", "mu")

        def __call__(self, structures):
            return np.array([[each.numbers.sum(), len(each)] for each in structures], dtype=float)

    request = MoleculeRequest(properties={"gap": 10.0, "mu": 9.0})
    group = [sample(embedded("C"), request), sample(embedded("CCO"), request)]  # 10 electrons, 5 atoms; 26, 9
    gap_is_wide = {"gap": Range(0, 100, "", 16.0), "mu": Range(0, 10, "", 1.0)}
    gap_is_narrow = {"gap": Range(0, 100, "", 2.0), "mu": Range(0, 10, "", 1.0)}
    assert [rating.value for rating in rate(PropertyRanker(Two(), gap_is_wide), group)[0]] == [4.0, 1.0]
    assert [rating.value for rating in rate(PropertyRanker(Two(), gap_is_narrow), group)[0]] == [4.0, 8.0]


def test_what_failed_is_broken_or_unknown_to_the_predictor_comes_last_with_its_reason():
    whole = embedded("CCO")
    torn = replace(whole, positions=whole.positions + np.eye(len(whole))[:, :1] * 9.0)
    request = MoleculeRequest(properties={"gap": 26.0})  # what the broken molecule is predicted to have, exactly
    group = [
        sample(torn, request),
        sample(None, request, reason="the grammar ended"),
        sample(embedded("CCl"), request),
        sample(embedded("CC(F)(F)F"), request),
    ]
    (ratings,) = rate(PropertyRanker(ELECTRONS), group)
    assert best(ratings) == 3
    assert np.isfinite(ratings[3].merit)
    assert all(rating.merit == -np.inf and rating.value is None for rating in ratings[:3])
    assert ratings[0].reason.startswith("broken; got")
    assert ratings[1].reason == "the grammar ended"
    assert "trained without Cl" in ratings[2].reason
    assert [rating.structure for rating in ratings] == [each.structure for each in group]


def test_a_prediction_that_is_no_number_is_none():
    class Nowhere:
        name, version, trained_on, properties = "nowhere", "", "nothing", ("gap",)

        def __call__(self, structures):
            return np.full((len(structures), 1), np.nan)

    request = MoleculeRequest(properties={"gap": 1.0})
    ((rating,),) = rate(PropertyRanker(Nowhere()), [sample(embedded("C"), request)])
    assert (rating.merit, rating.reason) == (-np.inf, "nowhere gives no number")


@given(crystal=crystals(), asked=st.floats(0.1, 30), seed=st.integers(0, 99), copies=st.integers(1, 3))
@settings(max_examples=20)
def test_density_is_exact_whatever_the_cell(crystal, asked, seed, copies):
    from pymatgen.core import Structure

    order = np.random.default_rng(seed).permutation(len(crystal))
    other = Crystal(crystal.numbers[order], crystal.frac_coords[order] + 0.37, crystal.lattice)
    request = CrystalRequest(properties={"density": asked})
    group = [sample(each, request) for each in (crystal, other, repeat_cell(crystal, copies))]
    (ratings,) = rate(PropertyRanker(ComputedDensity()), group)
    exact = Structure(crystal.lattice, crystal.numbers, crystal.frac_coords).density
    for rating in ratings:
        assert rating.value == pytest.approx(abs(exact - asked), abs=1e-4)
        assert rating.facts["density_predicted"] == pytest.approx(exact, abs=1e-4)


def test_the_densest_element_is_found():
    request = CrystalRequest(properties={"density": 22.6})
    group = [sample(crystal, request) for crystal in elemental_crystals()]
    (ratings,) = rate(PropertyRanker(ComputedDensity()), group)
    assert elemental_crystals()[best(ratings)].formula in ("Os2", "Ir")


def test_what_cannot_be_ranked_is_refused_in_one_line():
    methane: Molecule = embedded("C")
    crystal = elemental_crystals()[0]
    for ranker, structure, request, said in (
        (PropertyRanker(ELECTRONS), methane, MoleculeRequest(), "asks for none"),
        (
            PropertyRanker(ELECTRONS),
            methane,
            MoleculeRequest(properties={"mu": 1.0}),
            "nothing predicts the property 'mu', so that it cannot rank; got predictor electrons",
        ),
        (
            PropertyRanker(ComputedDensity()),
            crystal,
            CrystalRequest(properties={"band_gap": 1.0}),
            "nothing predicts the property 'band_gap', so that it cannot rank; got predictor computed density",
        ),
        (LikelihoodRanker("maker"), methane, MoleculeRequest(), "molecules cannot be ranked by likelihood"),
    ):
        with pytest.raises(UserError, match=re.escape(said)) as refused:
            rate(ranker, [sample(structure, request)])
        assert "\n" not in str(refused.value)


def test_likelihood_is_the_generators_own_score():
    request, crystal = CrystalRequest(formula="Fe"), elemental_crystals()[0]
    group = [
        sample(crystal, request, score=-3.0, log_likelihood=-5.0),
        sample(crystal, request, score=-1.0),
        sample(None, request, score=9.0, reason="atoms coincide"),
    ]
    (ratings,) = rate(LikelihoodRanker("maker"), group)
    assert [rating.merit for rating in ratings] == [-3.0, -1.0, -np.inf]
    assert ratings[0].facts == {"log_likelihood": -5.0}
    assert (ratings[2].value, ratings[2].reason) == (None, "atoms coincide")
    assert "maker" in LikelihoodRanker("maker").trained_on
