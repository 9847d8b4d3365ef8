"""Ensembles of samples: nothing is lost, what is kept comes first by energy, and what is not says why."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unigen.errors import UserError
from unigen.eval.molecules.etkdg import etkdg_conformers
from unigen.models.generator import Sample
from unigen.molecules.ensemble import ENERGY, LEFT_OUT, RANK, RELATIVE, WEIGHT, EnsembleRules, is_left_out
from unigen.molecules.relaxation.force_field import CONVERGED, NO_PARAMETERS, mmff_energy, mmff_relaxed
from unigen.parallel import Workers
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.sample.ensemble import (
    DRAWN_AS,
    NOT_RELAXED,
    EnsembleSettings,
    ensemble_settings,
    make_ensembles,
    open_relaxed,
)

ASKED = ("CCCCO", "CC(O)CN")
"""The second leaves a centre open: conformers of both hands are drawn."""


@cache
def drawn() -> tuple[Sample, ...]:
    """Eight of each, one of which failed, one could not be relaxed."""
    samples = []
    for request_index, smiles in enumerate(ASKED):
        found = [mmff_relaxed(each)[0] for each in (*etkdg_conformers(smiles, 4, 1), *etkdg_conformers(smiles, 4, 2))]
        for index, molecule in enumerate(found):
            sample = Sample(
                structure=molecule,
                request=MoleculeRequest(smiles=smiles),
                request_index=request_index,
                index=index,
                seed=0,
                model="test",
                log_likelihood=None,
                score=0.0,
                source={"relaxed": CONVERGED},
                facts={ENERGY: mmff_energy(molecule)},
            )
            if index == 2:
                sample = replace(sample, structure=None, reason="broken", facts={}, source={})
            if index == 5:
                sample = replace(sample, source={"relaxed": NO_PARAMETERS}, facts={})
            samples.append(sample)
    return tuple(samples)


def made(rules: EnsembleRules, samples: tuple[Sample, ...]) -> list[Sample]:
    with Workers(1) as workers:
        return make_ensembles(samples, EnsembleSettings(relax="mmff", rules=rules), workers, None)


@settings(max_examples=20)
@given(
    window=st.one_of(st.none(), st.floats(0.0, 5.0)),
    distinct=st.one_of(st.none(), st.floats(0.0, 1.0)),
)
def test_every_draw_is_there_kept_or_with_its_reason(window, distinct):
    found = made(EnsembleRules(window=window, distinct=distinct), drawn())
    assert [(each.request_index, each.index) for each in found] == [(r, n) for r in range(2) for n in range(8)]
    assert sorted((each.request_index, each.facts[DRAWN_AS]) for each in found) == sorted(
        (each.request_index, each.index) for each in drawn()
    )
    for request_index in range(2):
        own = [each for each in found if each.request_index == request_index]
        kept = [each for each in own if each.structure is not None]
        assert kept == own[: len(kept)]  # what is not kept stands behind
        left_out = [each for each in own if is_left_out(each.facts)]
        assert len(kept) + len(left_out) == 6
        assert Counter(each.reason for each in own[-2:]) == {"broken": 1, f"not relaxed: {NO_PARAMETERS}": 1}
        assert [each.facts.get(LEFT_OUT) for each in own[-2:]].count(NOT_RELAXED) == 1
        for smiles in {each.structure.to_smiles() for each in kept}:
            one = [each for each in kept if each.structure.to_smiles() == smiles]
            assert sum(each.facts[WEIGHT] for each in one) == pytest.approx(1.0)
            assert [each.facts[RANK] for each in one] == list(range(1, len(one) + 1))
            above = [each.facts[RELATIVE] for each in one]
            assert above[0] == 0.0
            assert above == sorted(above)
        for each in left_out:  # a reason names a conformer that is kept and lower
            if each.reason.startswith("duplicate of "):
                other = own[int(each.reason.split()[2])]
                assert other.structure is not None
                assert other.facts[ENERGY] <= each.facts[ENERGY]
            else:
                assert each.facts[RELATIVE] > window


def test_each_hand_of_an_open_centre_has_an_ensemble_of_its_own():
    found = [each for each in made(EnsembleRules(), drawn()) if each.request_index == 1 and each.structure is not None]
    assert len({each.structure.to_smiles() for each in found}) == 2
    assert [each.facts[RANK] for each in found].count(1) == 2


def test_what_is_kept_carries_its_energies_into_files():
    best = made(EnsembleRules(distinct=0.5), drawn())[0]
    assert best.structure.properties == {name: best.facts[name] for name in (ENERGY, RELATIVE, WEIGHT)}
    assert "<boltzmann_weight>" in best.structure.to_sdf()
    assert mmff_energy(best.structure) == pytest.approx(best.facts[ENERGY], abs=1e-6)


def test_xtb_relaxes_what_was_drawn_and_says_what_it_could_not():
    pytest.importorskip("tblite")
    (ethanol,) = etkdg_conformers("CCO", 1, 1)
    apart = ethanol.positions + 4.0 * (np.arange(len(ethanol)) == 8)[:, None]  # its last hydrogen far away
    samples = [
        replace(drawn()[0], structure=molecule, request=MoleculeRequest(smiles="CCO"), index=index, facts={}, source={})
        for index, molecule in enumerate((replace(ethanol, positions=apart), ethanol))
    ]
    by_xtb = EnsembleSettings(relax="xtb", rules=EnsembleRules(window=6.0, distinct=0.1))
    with Workers(1) as workers:
        kept, lost = make_ensembles(samples, by_xtb, workers, open_relaxed(by_xtb))
    assert (kept.facts[DRAWN_AS], kept.facts[RANK], kept.source["relaxed"]) == (1, 1, "gfn2-xtb converged")
    assert kept.facts[WEIGHT] == 1.0
    assert (lost.structure, lost.facts[LEFT_OUT]) == (None, NOT_RELAXED)
    assert lost.reason.startswith(("not relaxed: ", "GFN2-xTB made or broke a bond", "another stereo"))


def test_options_that_say_nothing_are_refused():
    ethanol, open_one = MoleculeRequest(smiles="CCO"), MoleculeRequest(formula="C2H6O")
    assert ensemble_settings([ethanol], None, None, None) is None
    assert ensemble_settings([open_one], "mmff", None, None) is None  # the generator's own
    assert ensemble_settings([ethanol], "mmff", None, None, ranked=True) is None
    assert ensemble_settings([ethanol], "xtb", 6.0, 0.5).rules == EnsembleRules(window=6.0, distinct=0.5)
    assert ensemble_settings([open_one], "xtb", None, None).method == "GFN2-xTB"
    with pytest.raises(UserError, match="--window compares relaxed conformers"):
        ensemble_settings([ethanol], "none", 6.0, None)
    with pytest.raises(UserError, match="--distinct is of conformers of one molecule"):
        ensemble_settings([ethanol, open_one], "mmff", None, 0.5)
    with pytest.raises(UserError, match="--window is of conformers of one molecule"):
        ensemble_settings([CrystalRequest(formula="NaCl")], "xtb", 6.0, None)
    with pytest.raises(UserError, match="conformers are sorted by energy, not ranked"):
        ensemble_settings([ethanol], "xtb", None, None, ranked=True)
