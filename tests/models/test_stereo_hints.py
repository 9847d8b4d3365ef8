"""What the SMILES says of stereo points to where the atom is; nothing points anywhere without stereo."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.small_molecules import molecules
from unigen.geometry.local_frame import local_frames
from unigen.models.smiles.batch import MoleculeBatch, collate_molecules
from unigen.models.smiles.stereo_hints import stereo_hints
from unigen.models.smiles.tokens import encode
from unigen.molecules.molecule import Molecule

SMILES = ("C[C@H](N)C(=O)O", "F/C=C/Cl", "F/C=C\\Cl", "C[C@@]1(F)C[C@H]1O", "O[C@H]1CC[C@@H](C)CC1", "CC/C(F)=C(/C)N")
KNOWN = [Molecule.from_smiles(smiles, seed=2) for smiles in SMILES]


def hints(batch: MoleculeBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """The hints of all atoms, and their vectors."""
    chosen = torch.arange(batch.numbers.shape[1]).expand(len(batch), -1)
    frames = local_frames(batch.positions, batch.near, chosen)
    return stereo_hints(batch, frames, chosen), frames.local(batch.positions)


def encoded(molecule: Molecule, seed: int, *, stereo: bool = True) -> MoleculeBatch:
    return collate_molecules([encode(molecule, np.random.default_rng(seed), stereo=stereo)])


@settings(max_examples=60)
@given(st.sampled_from(KNOWN), st.integers(0, 2**31))
def test_the_atom_lies_where_the_hint_points(molecule, seed):
    """Where its parent is the centre; elsewhere the direction is told from another atom."""
    batch = encoded(molecule, seed)
    hint, vectors = hints(batch)
    several = (batch.order > 0).sum(-1)[0]
    for atom in torch.nonzero(hint[0, :, :3].norm(dim=-1) > 0).ravel().tolist():
        if int(several[atom]) == 1:
            assert float(hint[0, atom, :3] @ vectors[0, atom]) > 0
    said = hint[0, :, 3] != 0
    assert torch.equal(torch.sign(vectors[0, said, 1]), hint[0, said, 3])


def test_every_double_bond_with_sides_is_told_of():
    for molecule in KNOWN[1:3]:
        for seed in range(5):
            assert int((hints(encoded(molecule, seed))[0][..., 3] != 0).sum()) == 1


@settings(max_examples=20)
@given(st.sampled_from(KNOWN), st.integers(0, 2**31))
def test_a_mirror_image_with_the_same_smiles_is_told_the_same_side(molecule, seed):
    """The hint is a side of a plane that stands: when only what is said changes, it turns round."""
    batch = encoded(molecule, seed)
    other = MoleculeBatch(**{**vars(batch), "handed": -batch.handed})
    torch.testing.assert_close(hints(other)[0][..., :3], -hints(batch)[0][..., :3])


def test_without_stereo_nothing_is_told():
    for molecule in (*KNOWN, *molecules()):
        assert not hints(encoded(molecule, 0, stereo=False))[0].any()
