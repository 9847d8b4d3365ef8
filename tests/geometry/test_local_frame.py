"""Local frames turn with the molecule, mirror with its mirror image, and lose nothing."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import shortest_path

from unigen.geometry.local_frame import LocalFrames, local_frames

SEEDS = st.integers(0, 2**31)
SIZES = st.integers(1, 12)


def random_tree(rng: np.random.Generator, atoms: int) -> torch.Tensor:
    """Bonds on the shortest way between the atoms of a random tree with a few rings."""
    bonds = np.zeros((atoms, atoms))
    for atom in range(1, atoms):
        bonds[atom, rng.integers(atom)] = 1
    for _ in range(atoms // 4):
        bonds[rng.integers(atoms), rng.integers(atoms)] = 1
    return torch.from_numpy(shortest_path(bonds, directed=False, unweighted=True).astype(np.int64))[None]


def molecule(seed: int, atoms: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(2.0 * rng.normal(size=(1, atoms, 3))), random_tree(rng, atoms)


def everyone(positions: torch.Tensor, near: torch.Tensor) -> tuple[LocalFrames, torch.Tensor]:
    frames = local_frames(positions, near, torch.arange(positions.shape[1])[None])
    return frames, frames.local(positions)


def rotation(seed: int) -> torch.Tensor:
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return torch.from_numpy(q * np.sign(np.linalg.det(q)))


@given(SEEDS, SIZES, SEEDS)
def test_vectors_are_the_same_for_every_rotation_and_translation(seed, atoms, turn):
    positions, near = molecule(seed, atoms)
    moved = positions @ rotation(turn) + torch.tensor([1.0, -2.0, 3.0], dtype=positions.dtype)
    torch.testing.assert_close(everyone(moved, near)[1], everyone(positions, near)[1], atol=1e-8, rtol=0)


@given(SEEDS, SIZES)
def test_a_mirror_image_changes_the_sign_of_the_third_number_alone(seed, atoms):
    positions, near = molecule(seed, atoms)
    mirrored = positions * torch.tensor([1.0, 1.0, -1.0], dtype=positions.dtype)
    flipped = everyone(positions, near)[1] * torch.tensor([1.0, 1.0, -1.0], dtype=positions.dtype)
    torch.testing.assert_close(everyone(mirrored, near)[1], flipped, atol=1e-8, rtol=0)


def built(vectors: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
    """The molecule that the vectors describe, atom after atom."""
    positions = torch.zeros_like(vectors)
    for atom in range(vectors.shape[1]):
        frame = local_frames(positions, near, torch.tensor([[atom]]))
        positions[:, atom] = frame.place(vectors[:, atom : atom + 1])[:, 0]
    return positions


@given(SEEDS, SIZES)
def test_placing_atom_after_atom_gives_the_molecule_back(seed, atoms):
    positions, near = molecule(seed, atoms)
    frames, vectors = everyone(positions, near)
    again = built(vectors, near)
    torch.testing.assert_close(torch.cdist(again, again), torch.cdist(positions, positions), atol=1e-7, rtol=0)
    if atoms > 3:
        handed = [torch.linalg.det(x[0, 1:4] - x[0, 0]) for x in (again, positions)]
        torch.testing.assert_close(*handed, atol=1e-6, rtol=0)
    wanted = [[0, 0, 0], [1, 0, 0], [1, 1, 0], *[[1, 1, 1]] * atoms][:atoms]
    assert frames.free[0].int().tolist() == wanted  # random positions are never on a line
    assert (vectors * (1 - frames.free) == 0).all()


def test_atoms_on_a_line_leave_the_angle_around_it_open():
    line = torch.zeros(1, 5, 3, dtype=torch.float64)
    line[0, :4, 0] = torch.tensor([0.0, 1.2, 2.4, 3.6])
    line[0, 4] = torch.tensor([4.0, 0.6, 0.8])
    near = torch.tensor([[[abs(i - j) for j in range(5)] for i in range(5)]])
    frames, vectors = everyone(line, near)
    assert frames.free[0].sum(-1).tolist() == [0, 1, 2, 2, 2]
    torch.testing.assert_close(vectors[0, 4].abs(), torch.tensor([0.4, 1.0, 0.0], dtype=torch.float64))
    again = built(vectors, near)
    torch.testing.assert_close(torch.cdist(again, again), torch.cdist(line, line))


@given(SEEDS, SIZES)
def test_a_frame_knows_nothing_of_atoms_that_do_not_stand(seed, atoms):
    positions, near = molecule(seed, atoms)
    for chosen in range(atoms):
        hidden = positions.clone()
        hidden[:, chosen:] = 7.0
        one = local_frames(hidden, near, torch.tensor([[chosen]]))
        all_ = local_frames(positions, near, torch.tensor([[chosen]]))
        torch.testing.assert_close(one.axes, all_.axes)
        torch.testing.assert_close(one.origin, all_.origin)
        assert torch.equal(one.parent, all_.parent)


@given(SEEDS, SIZES)
def test_axes_are_right_handed_and_see_what_they_place(seed, atoms):
    positions, near = molecule(seed, atoms)
    frames, vectors = everyone(positions, near)
    unit = torch.eye(3, dtype=positions.dtype).expand_as(frames.axes)
    torch.testing.assert_close(frames.axes @ frames.axes.transpose(-1, -2), unit)
    torch.testing.assert_close(torch.linalg.det(frames.axes), torch.ones_like(frames.axes[..., 0, 0]))
    full = frames.free.sum(-1) == 3
    own = frames.seen(positions).diagonal(dim1=1, dim2=2).transpose(1, 2)
    torch.testing.assert_close(own[full], vectors[full], atol=1e-8, rtol=0)
