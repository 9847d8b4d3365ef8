"""The potentials whose weights come in their wheels: loaded offline, with the energies their own packages give."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from unigen.crystals.crystal import Crystal
from unigen.energies.potential import KNOWN, find_potential
from unigen.energies.relaxation import RelaxSettings, relax, relax_together

NICKEL_OXIDE = Crystal.from_ase(bulk("NiO", "rocksalt", a=4.19))
STATIC = RelaxSettings(max_steps=0)


def energy(name: str) -> float:
    found = relax(NICKEL_OXIDE, find_potential(name), STATIC)
    assert found.energy_per_atom is not None, found.reason
    return found.energy_per_atom


def test_chgnet_gives_its_own_energy():
    model = pytest.importorskip("chgnet.model").CHGNet.load(use_device="cpu", verbose=False)
    assert energy("chgnet") == pytest.approx(float(model.predict_structure(NICKEL_OXIDE.to_pymatgen())["e"]), abs=1e-4)


def test_corrected_and_uncorrected_energies_are_far_apart():
    """Why schemes must not mix: MP2020's corrections of nickel and oxygen are more than 1 eV an atom."""
    pytest.importorskip("chgnet")
    pytest.importorskip("sevenn")
    assert find_potential("chgnet").scheme != find_potential("7net-0").scheme
    assert energy("chgnet") - energy("7net-0") < -1


def test_chgnet_relaxes_a_shaken_crystal():
    pytest.importorskip("chgnet")
    shaken = Crystal(
        NICKEL_OXIDE.numbers, NICKEL_OXIDE.frac_coords + np.array([[0.02, 0, 0], [0, 0, 0]]), NICKEL_OXIDE.lattice
    )
    found = relax(shaken, find_potential("chgnet"), RelaxSettings())
    assert found.outcome == "converged"
    assert found.crystal.space_group(0.1)[0] == 225
    assert np.isclose(found.crystal.volume, NICKEL_OXIDE.volume, rtol=0.05)


@pytest.mark.parametrize("name", KNOWN)
def test_each_says_what_its_energies_are(name):
    pytest.importorskip(KNOWN[name].package)
    found = find_potential(name)
    assert len(found.checkpoint) == 64
    assert found.version.startswith(KNOWN[name].package)


@pytest.mark.parametrize("name", ["chgnet", "7net-0"])
def test_relaxed_together_each_goes_as_it_would_alone(name):
    """Three at a time: where one arrives, or cannot go on, the next sets out."""
    pytest.importorskip(KNOWN[name].package)
    rocksalt = [Crystal.from_ase(bulk(formula, "rocksalt", a=4.3)) for formula in ("NiO", "MgO", "FeO", "CaO")]
    lost = Crystal(np.array([8]), np.zeros((1, 3)), 30 * np.eye(3))
    unknown = Crystal(np.array([118, 8]), NICKEL_OXIDE.frac_coords, NICKEL_OXIDE.lattice)
    crystals = [*rocksalt[:2], lost, unknown, *rocksalt[2:]]
    potential, stops = find_potential(name), RelaxSettings(max_steps=6)
    alone = [relax(crystal, potential, stops) for crystal in crystals]
    together = dict(relax_together(crystals, potential.batch_calculator(), stops, batch=3))
    assert sorted(together) == list(range(len(crystals)))
    for place, one in enumerate(alone):
        other = together[place]
        assert (other.outcome, other.steps) == (one.outcome, one.steps)
        if one.crystal is not None:
            assert other.energy_per_atom == pytest.approx(one.energy_per_atom, abs=2e-5)
            np.testing.assert_allclose(other.crystal.lattice, one.crystal.lattice, atol=1e-3)
    assert [one.outcome for one in alone][2:4] == ["gated", "failed"]


def test_an_element_that_chgnet_does_not_know_is_named_and_stops_no_other():
    pytest.importorskip("chgnet")
    potential = find_potential("chgnet")
    unknown = Crystal(np.array([104, 8]), NICKEL_OXIDE.frac_coords, NICKEL_OXIDE.lattice)
    stops = RelaxSettings(max_steps=1)
    together = dict(relax_together([unknown, NICKEL_OXIDE], potential.batch_calculator(), stops, batch=2))
    for found in (relax(unknown, potential, stops), together[0]):
        assert (found.outcome, found.reason) == ("failed", "ValueError: CHGNet knows no Rf")
    assert together[1].energy_per_atom is not None
