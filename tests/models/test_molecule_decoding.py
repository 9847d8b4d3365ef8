"""Drawn atom after atom with a memory, or by whole passes: the same positions."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.models.small_model import ATTENTION, HYBRID
from tests.models.small_molecules import batch, small_molecule_model
from unigen.models.smiles.position_decoding import draw_positions
from unigen.models.smiles.settings import MoleculeSettings
from unigen.nn.process.solvers import dpm_solver_2m, karras_levels

SETTINGS = MoleculeSettings(steps=3, temperature=1.0)


def normal(seed: int = 0) -> torch.Tensor:
    return torch.randn(*batch().positions.shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("frame", "mixers"),
    [("local", ATTENTION), ("fixed", ATTENTION), ("local", HYBRID)],
    ids=["local", "fixed", "hybrid"],
)
@torch.no_grad()
def test_every_atom_is_where_a_whole_pass_would_put_it(frame, mixers):
    model, plans, random = small_molecule_model(frame=frame, mixers=mixers), batch(), normal()
    drawn = replace(plans, positions=draw_positions(model, plans, random[:, :, None], SETTINGS))
    everyone = torch.arange(plans.numbers.shape[1]).expand(len(plans), -1)
    frames = model.frames(drawn, everyone)
    vectors = frames.local(drawn.positions)
    states, springs = model.states(drawn, vectors, frames)
    head = model.atom_head
    levels = karras_levels(SETTINGS.steps, head.process.sigma_min, head.process.sigma_max)
    for row, atoms in enumerate(plans.num_atoms.tolist()):
        for atom in range(1, atoms):
            context = head.context(states[row, plans.slot[row, atom] - 1][None])
            free = frames.free[row, atom]
            here = springs.of(torch.arange(len(springs.ends)) == row * plans.numbers.shape[1] + atom)

            def pull(x: torch.Tensor, sigma: torch.Tensor, context=context, free=free, here=here) -> torch.Tensor:
                return x + free * (head.denoise(x, sigma, context, here.pulls) - x)

            solved = dpm_solver_2m(pull, head.process.prior(random[row, atom][None]) * free, levels)[0]
            placed = vectors[row, atom]
            if free.sum() < 3:  # a distance is never negative, whatever was drawn
                placed, solved = placed.abs(), solved.abs()
            assert (placed - solved).abs().max() < 2e-2, (row, atom)


@torch.no_grad()
def test_the_first_atom_is_the_origin_and_rows_do_not_mix():
    model, plans, random = small_molecule_model(), batch(), normal()
    positions = draw_positions(model, plans, random[:, :, None], SETTINGS)
    assert not positions[:, 0].any()
    for row in (0, len(plans) - 1):
        rows = torch.tensor([row])
        atoms = int(plans.num_atoms[row])
        alone = draw_positions(model, plans.select(rows), random[rows][:, :, None], SETTINGS)
        torch.testing.assert_close(alone[0, :atoms], positions[row, :atoms], atol=5e-3, rtol=0)
