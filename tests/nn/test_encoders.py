"""Laws of all encoders: a structure is the same however it is turned, moved, written or batched."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crystals.real_crystals import prototypes
from unigen.geometry.neighbours import neighbour_pairs
from unigen.geometry.rotation import random_rotation
from unigen.models.property.batch import graph_of
from unigen.molecules.molecule import Molecule
from unigen.nn.encoders.choice import (
    EncoderChoice,
    EquivariantChoice,
    FrameAveragingChoice,
    MessagePassingChoice,
    build_encoder,
)
from unigen.nn.encoders.frame_averaging import FrameAveragingEncoder
from unigen.nn.encoders.graphs import AtomGraph, collate_graphs
from unigen.nn.encoders.monoid import MonoidFold
from unigen.nn.encoders.pooling import Readout
from unigen.nn.encoders.radial import envelope
from unigen.nn.encoders.spectral import SpectralPositions, Spectrum, spectrum

CUTOFF = 4.0
CHOICES: dict[str, EncoderChoice] = {
    "message_passing": MessagePassingChoice(width=16, layers=2, radial=8, cutoff=CUTOFF),
    "frame_averaging": FrameAveragingChoice(width=16, layers=2, heads=2, radial=8, cutoff=CUTOFF),
    "frame_averaging, spectral": FrameAveragingChoice(
        width=16, layers=2, heads=2, radial=8, cutoff=CUTOFF, positional=4
    ),
    "equivariant": EquivariantChoice(width=16, layers=2, hidden="8x0e + 4x1o + 2x2e", radial=8, cutoff=CUTOFF),
}
CRYSTALS = [crystal for crystal in prototypes(80) if len(crystal) <= 12]
MOLECULES = [Molecule.from_smiles(text, seed=0) for text in ("C", "CCO", "c1ccccc1", "C[C@H](N)C(=O)O", "O")]
"""Alanine has a hand; energies and gaps do not depend on it."""


def _symmetric(molecule: Molecule) -> np.ndarray:
    """Its positions, but of methane and benzene exact ones, whose graphs have equal eigenvalues."""
    if molecule.smiles == "C":
        return np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.63
    if molecule.smiles == "c1ccccc1":
        angle = np.arange(6) * np.pi / 3
        ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(6)], 1)
        return np.concatenate([1.39 * ring, 2.48 * ring])
    return molecule.positions.astype(np.float64)


SYMMETRIC = {molecule.smiles: _symmetric(molecule) for molecule in MOLECULES}


@pytest.fixture(scope="module", params=CHOICES)
def encoder(request):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = build_encoder(CHOICES[request.param]).double().eval()
        with torch.no_grad():  # away from a start at which messages may count nothing
            for parameter in encoder.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return encoder


def features(encoder, graphs: list[AtomGraph]) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        encoded = encoder(collate_graphs(graphs, torch.float64))
    return encoded.atoms, encoded.structures


def alike(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool((a - b).abs().max() < 1e-9)


@settings(max_examples=15)
@given(st.sampled_from(MOLECULES), st.integers(0, 2**31))
def test_turned_moved_and_reordered_molecules_are_the_same(encoder, molecule, seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(molecule))
    turned = molecule.positions.astype(np.float64) @ random_rotation(rng) + rng.normal(size=3)
    atoms, whole = features(encoder, [graph_of(molecule, CUTOFF)])
    new_atoms, new_whole = features(encoder, [AtomGraph.of(molecule.numbers[order], turned[order], None, CUTOFF)])
    assert alike(new_atoms, atoms[torch.from_numpy(order)])
    assert alike(new_whole, whole)
    assert not alike(
        whole, features(encoder, [graph_of(MOLECULES[0] if len(molecule) > 5 else MOLECULES[2], CUTOFF)])[1]
    )


@settings(max_examples=15)
@given(st.sampled_from(CRYSTALS), st.integers(0, 2**31))
def test_a_crystal_is_the_same_in_any_cell(encoder, crystal, seed):
    """Turned, its origin elsewhere, another basis of the lattice, its atoms in other images, and a larger cell."""
    rng = np.random.default_rng(seed)
    lattice = crystal.lattice @ random_rotation(rng)
    sites = crystal.frac_coords.astype(np.float64)
    atoms, whole = features(encoder, [AtomGraph.of(crystal.numbers, sites @ lattice, lattice, CUTOFF)])
    basis = np.eye(3, dtype=int)
    basis[0, 1], basis[2, 0] = rng.integers(-1, 2, 2)
    moved = sites + rng.random(3) + rng.integers(-1, 2, sites.shape)
    same = AtomGraph.of(crystal.numbers, moved @ lattice, basis @ lattice, CUTOFF)
    new_atoms, new_whole = features(encoder, [same])
    assert alike(new_atoms, atoms)
    assert alike(new_whole, whole)
    if getattr(encoder, "positions", None) is not None:  # of molecules: a larger cell has a larger spectrum
        return
    axis = rng.integers(3)
    doubled = np.concatenate([sites @ lattice, sites @ lattice + lattice[axis]])
    larger = lattice * np.where(np.arange(3) == axis, 2, 1)[:, None]
    twice, mean = features(encoder, [AtomGraph.of(np.tile(crystal.numbers, 2), doubled, larger, CUTOFF)])
    assert alike(twice, atoms.repeat(2, 1))
    assert alike(mean, whole)


def test_mirror_images_differ_where_they_should(encoder):
    """Energies do not know of them; frames that are rotations do, in what has a hand."""
    knows_hands = isinstance(encoder, FrameAveragingEncoder)
    for molecule, has_hand in ((MOLECULES[3], True), (MOLECULES[4], False)):  # alanine, water
        mirrored = AtomGraph.of(molecule.numbers, molecule.positions.astype(np.float64) * [1, 1, -1], None, CUTOFF)
        (_, whole), (_, other) = features(encoder, [graph_of(molecule, CUTOFF)]), features(encoder, [mirrored])
        assert alike(whole, other) != (knows_hands and has_hand), molecule.smiles


def test_a_structure_in_a_batch_is_as_alone(encoder):
    graphs = [graph_of(structure, CUTOFF) for structure in (*CRYSTALS[:6], *MOLECULES)]
    _, together = features(encoder, graphs)
    alone = torch.cat([features(encoder, [graph])[1] for graph in graphs])
    assert alike(together, alone)
    batch, rows = collate_graphs(graphs, torch.float64), torch.tensor([7, 2])
    with torch.no_grad():
        assert alike(encoder(batch.select(rows)).structures, together[rows])


def test_an_atom_that_comes_into_sight_changes_nothing_at_once(encoder):
    def pair(distance: float) -> torch.Tensor:
        positions = np.array([[0.0, 0, 0], [1.0, 0, 0], [1.0 + distance, 0, 0]])
        return features(encoder, [AtomGraph.of(np.array([6, 8, 1]), positions, None, CUTOFF)])[0]

    assert (pair(CUTOFF - 1e-4) - pair(CUTOFF + 1e-4)).abs().max() < 1e-8
    assert (pair(CUTOFF - 1.0) - pair(CUTOFF + 1e-4)).abs().max() > 1e-6


def test_an_atom_alone_has_features(encoder):
    atoms, whole = features(encoder, [AtomGraph.of(np.array([2]), np.zeros((1, 3)), None, CUTOFF)])
    assert torch.isfinite(atoms).all()
    assert alike(atoms, whole)


def spectra(positions: np.ndarray, numbers: np.ndarray) -> Spectrum:
    graphs = collate_graphs([AtomGraph.of(numbers, positions, None, CUTOFF)], torch.float64)
    return spectrum(graphs, envelope(graphs.separation.norm(dim=-1), CUTOFF / 2))


@settings(max_examples=15)
@given(st.sampled_from(MOLECULES), st.integers(0, 2**31))
def test_the_basis_of_an_eigenspace_says_nothing(molecule, seed):
    """Whatever eigenvectors stand for the spectrum, of the same sign or another, turned where eigenvalues agree."""
    torch.manual_seed(seed)
    network = SpectralPositions(3, 8, CUTOFF / 2).double()
    found = spectra(SYMMETRIC[molecule.smiles], molecule.numbers)
    values, vectors = found.values[0], found.vectors[0]
    turned = vectors * torch.randint(0, 2, (len(values),)).mul(2).sub(1)
    for first in range(len(values)):
        same = ((values - values[first]).abs() < 1e-8).nonzero()[:, 0]
        if same[0] == first and len(same) > 1:
            rotation = torch.linalg.qr(torch.randn(len(same), len(same), dtype=torch.float64)).Q
            turned[:, same] = turned[:, same] @ rotation
    assert alike(network.kernel(Spectrum(values[None], turned[None])), network.kernel(found))


def test_a_little_change_of_a_structure_changes_its_positions_a_little():
    """At benzene and methane, too, whose eigenvectors are arbitrary, and turn at once when the molecule is bent."""
    torch.manual_seed(0)
    network = SpectralPositions(3, 8, CUTOFF / 2).double()
    rng = np.random.default_rng(0)
    turned = False
    for molecule in MOLECULES:
        positions = SYMMETRIC[molecule.smiles]
        before = spectra(positions, molecule.numbers)
        shift = rng.normal(size=positions.shape)
        bent = [spectra(positions + size * shift, molecule.numbers) for size in (1e-3, 1e-5)]
        changes = [(network.kernel(after) - network.kernel(before)).abs().max().item() for after in bent]
        assert changes[0] < 1e-2
        assert changes[1] < 2e-2 * changes[0]  # a hundredth of the way, about
        turned |= bool((bent[1].vectors.abs() - before.vectors.abs()).abs().max() > 0.1)
    assert turned


def test_the_spectrum_is_that_of_the_laplacian_and_tells_rings_from_chains():
    ring, chain = (Molecule.from_smiles(text, seed=0) for text in ("C1CCCCC1", "CCCCCC"))
    for molecule in (ring, chain):
        positions = molecule.positions.astype(np.float64)
        distance = np.linalg.norm(positions[:, None] - positions, axis=-1)
        weight = (
            envelope(torch.from_numpy(distance).flatten(), CUTOFF / 2).view(distance.shape).numpy()
        )  # of an atom with itself 1, too
        scale = 1 / np.sqrt(weight.sum(1))
        laplacian = np.eye(len(molecule)) - scale[:, None] * weight * scale
        found = spectra(positions, molecule.numbers).values[0].numpy()
        assert np.allclose(found, np.linalg.eigvalsh(laplacian), atol=1e-9)
        assert abs(found[0]) < 1e-9 < found[1]
        assert found[-1] < 2
    apart = [spectra(each.positions.astype(np.float64), each.numbers).values[0, 1] for each in (ring, chain)]
    assert apart[0] > 2 * apart[1]


@settings(max_examples=20)
@given(st.sampled_from(CRYSTALS), st.floats(1.0, 6.0))
def test_neighbours_are_those_found_by_trying_all_cells(crystal, cutoff):
    positions = crystal.frac_coords.astype(np.float64) @ crystal.lattice
    pairs, cells = neighbour_pairs(positions, crystal.lattice, cutoff)
    # lattice planes of each kind are so far apart, and two atoms may lie at both ends of the cell
    heights = 1 / np.linalg.norm(np.linalg.inv(crystal.lattice), axis=0)
    reach = [np.arange(-far, far + 1) for far in np.ceil(cutoff / heights).astype(int) + 1]
    grid = np.stack(np.meshgrid(*reach, indexing="ij"), -1).reshape(-1, 3)
    away = positions[None, :, None] + (grid @ crystal.lattice)[None, None] - positions[:, None, None]
    distance = np.linalg.norm(away, axis=-1)
    near = np.argwhere((distance < cutoff) & (distance > 1e-9))
    found = {(first, second, *grid[cell].tolist()) for first, second, cell in near.tolist()}
    assert set(zip(*pairs.tolist(), *cells.T.tolist(), strict=True)) == found


@pytest.mark.parametrize("how", ["sum", "mean", "attention"])
def test_what_is_summed_grows_with_the_structure_and_the_rest_does_not(how):
    torch.manual_seed(0)
    readout = Readout((how, "mean"), 8, columns=2).double()
    graph = graph_of(MOLECULES[1], CUTOFF)
    atoms = torch.randn(len(graph.numbers), 8, dtype=torch.float64)
    one, two = (readout(x, torch.zeros(len(x), dtype=torch.int64), 1) for x in (atoms, atoms.repeat(2, 1)))
    assert one.shape == (1, 2, 2)
    assert alike(two[:, 1], one[:, 1])
    assert alike(two[:, 0], (2 if how == "sum" else 1) * one[:, 0])


@pytest.mark.parametrize("pooling", ["sum", "mean", "attention", "monoid"])
@settings(max_examples=10)
@given(seed=st.integers(0, 2**31))
def test_what_is_read_out_knows_no_order_of_atoms_and_no_batch(encoder, pooling, seed):
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        readout = Readout((pooling,), encoder.width, columns=3).double().eval()
    orders = [rng.permutation(len(molecule)) for molecule in MOLECULES]
    given_order = [graph_of(molecule, CUTOFF) for molecule in MOLECULES]
    other_order = [
        AtomGraph.of(molecule.numbers[order], molecule.positions[order].astype(np.float64), None, CUTOFF)
        for molecule, order in zip(MOLECULES, orders, strict=True)
    ]

    def told(graphs: list[AtomGraph]) -> torch.Tensor:
        batch = collate_graphs(graphs, torch.float64)
        with torch.no_grad():
            return readout(encoder.of_atoms(batch), batch.structure, len(batch))

    together = told(given_order)
    assert alike(told(other_order), together)
    assert alike(torch.cat([told([graph]) for graph in given_order]), together)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 2**31))
def test_a_monoid_commutes_and_folds_a_tree(lengths, seed):
    """Each structure on its own: pairs of neighbours in the order, then pairs of pairs; an atom alone is itself."""
    torch.manual_seed(seed)
    fold = MonoidFold(4).double().eval()
    a, b = torch.randn(2, 5, 4, dtype=torch.float64)
    assert alike(fold.operator(a, b), fold.operator(b, a))
    atoms = torch.randn(sum(lengths), 4, dtype=torch.float64)
    structure = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    found = fold(atoms, structure, len(lengths))
    for part, row in zip(atoms.split(lengths), found, strict=True):
        left = list(part[(part @ fold.direction).argsort()])
        while len(left) > 1:
            pairs = [fold.operator(*(each[None] for each in left[i : i + 2]))[0] for i in range(0, len(left) - 1, 2)]
            left = pairs + left[len(left) - len(left) % 2 :]
        assert alike(left[0], row)
    fold.train()  # every order of three atoms or more is another tree
    drawn = torch.stack([fold(atoms, structure, len(lengths)) for _ in range(20)])
    varies = (drawn - drawn[0]).abs().amax((0, 2)) > 1e-12
    assert varies.tolist() == [length > 2 for length in lengths]


def test_a_monoid_learns_to_be_associative():
    """Told the largest of six, in orders that are drawn: what is left to the tree is little beside what is told."""
    torch.manual_seed(0)
    fold, ends = MonoidFold(16), torch.nn.ModuleList([torch.nn.Linear(1, 16), torch.nn.Linear(16, 1)])
    optimizer = torch.optim.Adam([*fold.parameters(), *ends.parameters()], lr=1e-2)
    structure = torch.arange(64).repeat_interleave(6)
    for _ in range(400):
        x = torch.rand(384, 1)
        error = (ends[1](fold(ends[0](x), structure, 64))[:, 0] - x.view(64, 6).amax(1)).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    x = torch.rand(384, 1)
    with torch.no_grad():
        once, again = (ends[1](fold(ends[0](x), structure, 64))[:, 0] for _ in range(2))
    largest = x.view(64, 6).amax(1)
    assert (once - largest).square().mean() < 0.5 * largest.var()
    assert (once - again).square().mean() < 0.05 * once.var()
