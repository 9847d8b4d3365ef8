"""What is held while a crystal relaxes stays as it was; what presses on it makes it smaller."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import spglib
from ase.build import bulk
from ase.constraints import FixSymmetry
from ase.units import GPa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.energies.alloys import EMT, METALS, fcc, ordered, potential, strained
from unigen.config import read_yaml, write_yaml
from unigen.crystals.crystal import Crystal
from unigen.energies.batched_forces import SinglePoint
from unigen.energies.kept_symmetry import EXACT, KeptSymmetry
from unigen.energies.relaxation import ADDED_SETTINGS, RelaxSettings, relax, relax_together
from unigen.energies.relaxed_crystals import RelaxedCrystals
from unigen.errors import UserError
from unigen.parallel import Workers

SYMMETRIC = RelaxSettings(fix_symmetry=True)


def space_group(crystal: Crystal, symprec: float = 1e-5) -> int:
    return spglib.get_symmetry_dataset((crystal.lattice, crystal.frac_coords, crystal.numbers), symprec=symprec).number


@st.composite
def distorted(draw) -> Crystal:
    """An fcc or hcp metal, or an alloy, strained but for its symmetry: perhaps doubled, perhaps left-handed."""
    one, other = draw(st.lists(st.sampled_from(METALS), min_size=2, max_size=2, unique=True))
    scale = draw(st.floats(0.93, 1.08))
    kind = draw(st.sampled_from(["fcc", "hcp", "ordered", "primitive"]))
    if kind == "fcc":
        crystal = fcc(one, scale)
    elif kind == "ordered":
        cell = ordered(one, other)
        crystal = Crystal(cell.numbers, cell.frac_coords, cell.lattice @ np.diag([scale, scale, 1.03]))
    else:
        length = np.linalg.norm(bulk(one).cell.array[0]) * scale
        atoms = bulk(one, "hcp", a=length, c=1.7 * length) if kind == "hcp" else bulk(one, a=length * np.sqrt(2))
        crystal = Crystal.from_ase(atoms)
    if draw(st.booleans()):
        crystal = Crystal.from_ase(crystal.to_ase() * (1, 1, 2))
    if draw(st.booleans()):
        crystal = Crystal(crystal.numbers, crystal.frac_coords[:, [1, 0, 2]], crystal.lattice[[1, 0, 2]])
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    shaken = crystal.frac_coords + rng.normal(0, 1e-4, crystal.frac_coords.shape)
    return Crystal(crystal.numbers, shaken, crystal.lattice)


@settings(max_examples=3)
@given(distorted())
def test_the_symmetry_is_made_exact_and_kept(crystal):
    group = space_group(crystal, SYMMETRIC.symprec)
    found = relax(crystal, potential(), SYMMETRIC)
    assert found.outcome == "converged", found.reason
    if space_group(found.crystal) != group:  # it may reach a group that contains its own, which is said
        assert found.reason.startswith(f"space group {group} has become ")
    assert relax(crystal, potential(), RelaxSettings()).energy_per_atom <= found.energy_per_atom + 2e-3
    atoms = crystal.to_ase()
    kept = KeptSymmetry.constrain(atoms, SYMMETRIC.symprec)
    assert kept.space_group == group
    assert kept.largest_miss(found.crystal.to_ase()) < EXACT


def test_a_group_stays_that_would_be_left():
    """An atom at a saddle point that symmetry forbids to leave: bcc copper falls to fcc where it may."""
    bcc = Crystal.from_ase(bulk("Cu", "bcc", a=2.87, cubic=True))
    shaken = Crystal(bcc.numbers, bcc.frac_coords, bcc.lattice @ np.diag([0.998, 0.998, 1.004]))
    free = relax(shaken, potential(), RelaxSettings(fmax=1e-3))
    held = relax(shaken, potential(), RelaxSettings(fmax=1e-3, fix_symmetry=True, symprec=0.05))
    assert space_group(held.crystal) == 229
    assert free.energy_per_atom < held.energy_per_atom - 0.005


def test_ase_alone_keeps_operations_that_the_structure_misses():
    """Near the tolerance its two searches find two groups: why the constraint is made again until it holds."""
    rng = np.random.default_rng(0)
    atoms = bulk("Cu", "fcc", cubic=True, a=3.6) * (2, 1, 1)
    atoms.positions += rng.normal(0, 0.003, atoms.positions.shape)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.003 / 4, (3, 3))), scale_atoms=True)
    once = atoms.copy()
    found = KeptSymmetry._of(FixSymmetry(once, 0.01), 1, 0.01)
    assert found.largest_miss(once) > 1e-3
    kept = KeptSymmetry.constrain(atoms, 0.01)
    assert kept.largest_miss(atoms) < 1e-12
    assert space_group(Crystal.from_ase(atoms)) == kept.space_group


@settings(max_examples=4)
@given(strained(), st.booleans())
def test_a_fixed_cell_stays_to_the_last_bit(crystal, symmetric):
    found = relax(crystal, potential(), RelaxSettings(fix_cell=True, fix_symmetry=symmetric))
    assert found.outcome == "converged"
    assert found.crystal.lattice.tobytes() == crystal.unskewed().lattice.tobytes()
    assert found.volume_change == 0
    assert found.energy_per_atom <= found.initial_energy_per_atom + 1e-9


@settings(max_examples=3)
@given(strained(), st.booleans())
def test_fixed_atoms_keep_their_fractional_coordinates_to_the_last_bit(crystal, symmetric):
    found = relax(crystal, potential(), RelaxSettings(fix_atoms=True, fix_symmetry=symmetric))
    assert found.outcome == "converged"
    assert found.crystal.frac_coords.tobytes() == crystal.frac_coords.tobytes()
    assert found.displacement == 0
    assert found.energy_per_atom <= found.initial_energy_per_atom + 1e-9


@settings(max_examples=2)
@given(st.sampled_from(METALS), st.sampled_from([5.0, 20.0, 50.0]))
def test_pressure_makes_it_smaller_until_the_energy_pays_for_it(symbol, pressure):
    tight = RelaxSettings(fmax=5e-4)
    free, pressed = (relax(fcc(symbol), potential(), replace(tight, pressure=p)) for p in (0.0, pressure))
    pulled = relax(fcc(symbol), potential(), replace(tight, pressure=-2.0))
    volumes = [each.crystal.volume / len(each.crystal) for each in (pressed, free, pulled)]
    assert volumes == sorted(volumes)
    assert volumes[0] < 0.99 * volumes[1]
    assert free.enthalpy_per_atom is None
    assert pressed.energy_per_atom > free.energy_per_atom
    assert pressed.enthalpy_per_atom == pytest.approx(pressed.energy_per_atom + pressure * GPa * volumes[0], abs=1e-12)

    def energy(strain: float) -> float:
        cell = Crystal(pressed.crystal.numbers, pressed.crystal.frac_coords, pressed.crystal.lattice * strain)
        return relax(cell, potential(), RelaxSettings(max_steps=0)).energy_per_atom

    step = 1e-3
    slope = (energy(1 + step) - energy(1 - step)) / (volumes[0] * ((1 + step) ** 3 - (1 - step) ** 3))
    assert slope == pytest.approx(-pressure * GPa, rel=0.02)  # dE/dV = -P


def test_no_pressure_is_the_relaxation_as_it_was():
    crystal = ordered("Cu", "Au")
    plain, pressed = (relax(crystal, potential(), RelaxSettings(pressure=p)) for p in (0.0, 1e-9))
    assert pressed.steps == plain.steps
    assert pressed.energy_per_atom == pytest.approx(plain.energy_per_atom, abs=1e-9)
    assert pressed.enthalpy_per_atom == pytest.approx(plain.energy_per_atom, abs=1e-9)


@settings(max_examples=2)
@given(
    st.lists(strained() | distorted(), min_size=1, max_size=3),
    st.sampled_from(["fix_symmetry", "fix_cell", "fix_atoms", ""]),
)
def test_many_together_end_where_each_does_alone(crystals, held):
    stops = RelaxSettings(pressure=0.0 if held == "fix_cell" else 10.0, **({held: True} if held else {}))

    def compute(structures):
        results = []
        for atoms in structures:
            free = atoms.copy()
            free.set_constraint()
            free.calc = potential().calculator()
            results.append(
                SinglePoint(energy=free.get_potential_energy(), forces=free.get_forces(), stress=free.get_stress())
            )
        return results

    together = dict(relax_together(crystals, compute, stops, batch=2))
    for index, crystal in enumerate(crystals):
        alone = relax(crystal, potential(), stops)
        assert together[index].outcome == alone.outcome == "converged"
        assert together[index].energy_per_atom == pytest.approx(alone.energy_per_atom, abs=1e-9)
        assert together[index].enthalpy_per_atom == pytest.approx(alone.enthalpy_per_atom, abs=1e-9)
        np.testing.assert_allclose(together[index].crystal.lattice, alone.crystal.lattice, atol=1e-8)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fix_cell": True, "fix_atoms": True}, "nothing is left to relax"),
        ({"fix_cell": True, "pressure": 5.0}, "a fixed cell does not feel a pressure; got 5 GPa"),
        ({"pressure": float("nan")}, "pressure: out of range"),
        ({"pressure": 1e6}, "pressure: out of range"),
        ({"symprec": 0.0}, "symprec: out of range"),
    ],
)
def test_settings_that_contradict_each_other_or_nature(given, said):
    with pytest.raises(UserError, match=said):
        RelaxSettings(**given)


def test_an_older_folder_goes_on_and_one_of_another_pressure_does_not(tmp_path):
    crystals = [fcc("Cu"), fcc("Ag")]
    with Workers(1) as workers:
        first = RelaxedCrystals(tmp_path / "a", potential(), RelaxSettings()).relax(crystals, workers)
        facts = read_yaml(tmp_path / "a" / "relax.yaml")
        assert facts["settings"] == asdict(RelaxSettings())
        told = {*facts["settings"]} - {*ADDED_SETTINGS}
        older = {name: facts["settings"][name] for name in sorted(told)} | {"min_contact": 0.85}
        write_yaml(tmp_path / "a" / "relax.yaml", facts | {"settings": older})
        again = RelaxedCrystals(tmp_path / "a", potential(), RelaxSettings()).relax(crystals, workers)
        assert [each.energy_per_atom for each in again] == [each.energy_per_atom for each in first]
        with pytest.raises(UserError, match=r"holds other results; got settings.pressure: 3"):
            RelaxedCrystals(tmp_path / "a", potential(), RelaxSettings(pressure=3.0))
        # of the time before the gate of close contacts: its results may be others
        del older["min_contact"]
        write_yaml(tmp_path / "a" / "relax.yaml", facts | {"settings": older})
        with pytest.raises(UserError, match=r"got settings.min_contact: 0.85; wanted settings.min_contact: 0.0"):
            RelaxedCrystals(tmp_path / "a", potential(), RelaxSettings())


def test_the_command_says_enthalpies_and_refuses_constraints_on_molecules(unigen, refused, tmp_path):
    fcc("Cu", 1.03).to_cif(tmp_path / "cu.cif")
    emt = ("--potential", EMT, "--energy-scheme", "EMT", "--workers", 1)
    code, out, err = unigen("relax", "cu.cif", "--out", "relaxed", "--fix-symmetry", "--pressure", 20, *emt)
    assert code == 0, err
    assert "1 converged; at 20 GPa" in " ".join(out.split())
    assert "enthalpy_per_atom" in (tmp_path / "relaxed" / "report.html").read_text()
    assert "enthalpy_per_atom" in (tmp_path / "relaxed" / "relaxed.extxyz").read_text()
    (tmp_path / "water.xyz").write_text("3\n\nO 0 0 0.12\nH 0 0.76 -0.48\nH 0 -0.76 -0.48\n")
    assert "are of crystals" in refused("relax", "water.xyz", "--out", "molecules", "--fix-cell")
    assert "nothing is left to relax" in refused("relax", "cu.cif", "--out", "none", "--fix-cell", "--fix-atoms")
