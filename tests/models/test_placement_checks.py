"""Atoms are held against those that stand: what is right passes, what is not is drawn anew, all else stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.models.small_molecules import batch, molecules, sequences, small_molecule_model
from unigen.models.smiles.batch import collate_molecules
from unigen.models.smiles.conformer_decoding import WrittenMolecule, draw_conformers
from unigen.models.smiles.network import MoleculeModel
from unigen.models.smiles.placement_checks import PlacementChecks
from unigen.models.smiles.position_decoding import FixedAtoms, draw_positions
from unigen.models.smiles.settings import MoleculeSettings
from unigen.models.smiles.stereo_hints import against_stereo
from unigen.smiles.text import smiles_symbols

PLAIN = MoleculeSettings(steps=2, draws_per_atom=1, repairs=0)
CPU = torch.device("cpu")


def ordered(seed: int = 0):
    return sorted(sequences(seed), key=lambda one: -len(one.numbers))


def checks(seed: int = 0) -> PlacementChecks:
    plans = ordered(seed)
    return PlacementChecks.of(plans, len(plans[0].numbers), CPU)


def badness(held: PlacementChecks, positions: torch.Tensor, num_atoms: torch.Tensor) -> torch.Tensor:
    """Summed over all atoms of each molecule."""
    total = torch.zeros(len(positions))
    for atom in range(1, positions.shape[1]):
        rows = (num_atoms > atom).nonzero()[:, 0]
        total[rows] += held.badness(atom, rows, positions[rows, atom], positions)
    return total


@given(st.integers(0, 1000))
def test_real_molecules_pass_in_whatever_order_they_are_placed(seed):
    real = batch(seed)
    held = checks(seed)
    assert not badness(held, real.positions, real.num_atoms).any()
    assert torch.equal(held.first_fault(real.positions)[0], torch.full((len(real),), real.positions.shape[1]))
    chosen = torch.arange(real.positions.shape[1]).expand(len(real), -1)
    frames = small_molecule_model().frames(real, chosen)
    assert not against_stereo(real, frames, chosen, frames.local(real.positions)).any()


@given(st.integers(0, 1000), st.integers(2, 8))
def test_an_atom_on_another_is_found_and_is_the_first(seed, atom):
    real, held = batch(seed), checks(seed)
    positions = real.positions.clone()
    positions[0, atom] = positions[0, atom - 2] + 0.2
    first, other = held.first_fault(positions)
    assert first[0] == atom
    assert other[0] < atom
    assert held.badness(atom, torch.tensor([0]), positions[0, atom][None], positions) > 0


@given(st.integers(0, 1000), st.integers(1, 6))
def test_atoms_that_are_fixed_count_though_they_come_later(seed, atom):
    real, held = batch(seed), checks(seed)
    rows, positions = torch.tensor([0]), real.positions.clone()
    later = torch.zeros(positions.shape[:2], dtype=torch.bool)
    behind = (held.lower[0, atom] > 0) & (torch.arange(positions.shape[1]) > atom)
    assume(bool(behind.any()))
    other = int(behind.nonzero()[-1])
    on_top = positions[rows, other] + 0.2
    alone = held.badness(atom, rows, on_top, positions)
    assert torch.allclose(held.badness(atom, rows, on_top, positions, later), alone)
    later[0, other] = True
    assert held.badness(atom, rows, on_top, positions, later) > alone + 1
    assert not held.badness(atom, rows, positions[rows, atom], positions, later)


def test_a_mirrored_centre_is_on_the_wrong_side():
    alanine = [one for one in ordered() if one.chirality.any()]
    real = collate_molecules(alanine)
    mirrored = replace(real, positions=real.positions * torch.tensor([1.0, 1.0, -1.0]))
    chosen = torch.arange(real.positions.shape[1]).expand(len(real), -1)
    for each, wrong in ((real, False), (mirrored, True)):
        frames = small_molecule_model().frames(each, chosen)
        found = against_stereo(each, frames, chosen, frames.local(each.positions))
        assert found.any(1).tolist() == [wrong] * len(alanine)


@torch.no_grad()
def test_candidates_never_make_it_worse_and_without_faults_change_nothing():
    model, plans, held = small_molecule_model(), batch(), checks()
    normal = torch.randn(*plans.positions.shape[:2], 6, 3, generator=torch.Generator().manual_seed(1))
    first = draw_positions(model, plans, normal[:, :, :1], PLAIN)
    chosen = draw_positions(model, plans, normal, PLAIN, checks=held)
    before, after = (badness(held, positions, plans.num_atoms) for positions in (first, chosen))
    assert after.sum() < before.sum()
    nothing = PlacementChecks(torch.zeros_like(held.lower), torch.full_like(held.upper, torch.inf))
    hintless = replace(plans, chirality=torch.zeros_like(plans.chirality), cis_trans=torch.zeros_like(plans.cis_trans))
    same = draw_positions(model, hintless, normal, PLAIN, checks=nothing)
    assert torch.equal(same, draw_positions(model, hintless, normal[:, :, :1], PLAIN))


@torch.no_grad()
def test_fixed_atoms_stay_whatever_is_wrong_with_them():
    model, plans, held = small_molecule_model(), batch(), checks()
    where = torch.zeros_like(plans.positions)  # all on one place
    mask = (torch.arange(where.shape[1]) < 3).expand(len(plans), -1)
    normal = torch.randn(*where.shape[:2], 4, 3, generator=torch.Generator().manual_seed(2))
    drawn = draw_positions(model, plans, normal, PLAIN, fixed=FixedAtoms(where, mask), checks=held)
    assert not drawn[:, :3].any()


@pytest.mark.parametrize(
    "settings", [{"draws_per_atom": 1}, {"draws_per_atom": 4}, {"draws_per_atom": 4, "repairs": 0}]
)
def test_a_molecule_is_drawn_the_same_alone_and_among_others(settings):
    model = small_molecule_model()
    texts = ["CC(=O)O", "C[C@H](N)C(=O)O", "C1CC2CC1C2", "F/C=C/Cl"]

    def drawn(which: list[int]) -> list[np.ndarray]:
        written = [
            WrittenMolecule(smiles_symbols(texts[index]), {}, np.random.default_rng([7, index])) for index in which
        ]
        how = MoleculeSettings(steps=2, **settings)
        return [drawn.molecule.positions for drawn in draw_conformers(model, written, how)]

    together = drawn([0, 1, 2, 3])
    for index in range(len(texts)):
        np.testing.assert_allclose(drawn([index])[0], together[index], atol=5e-3)


def test_a_larger_model_begins_with_the_labels_that_a_smaller_one_knows():
    small = small_molecule_model()
    large = MoleculeModel(replace(small.config, max_atoms=60))
    begun = large.beginning(small.state_dict())
    known = small.state_dict()["embedding.index.weight"]
    assert torch.equal(begun["embedding.index.weight"][: len(known)], known)
    large.load_state_dict(begun)
    assert len(molecules()) == len(batch())


@given(st.integers(1, 4))
def test_the_first_rows_of_a_batch_are_those_that_would_be_selected(count):
    rows = batch()
    first, selected = rows.select(slice(count)), rows.select(torch.arange(min(count, len(rows))))
    for name, part in vars(first).items():
        if isinstance(part, torch.Tensor):
            assert torch.equal(part, getattr(selected, name))
    assert torch.equal(first.tokens.symbols, selected.tokens.symbols)
