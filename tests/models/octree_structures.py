"""Points in a box, real molecules and real crystals as a batch for the octree tokenizer, and random legal walks."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from hypothesis import strategies as st

from tests.models.small_molecules import molecules
from tests.retrieval.known_templates import symmetric_crystals
from unigen.models.octree.grammar import OctreeWalk, count_bounds
from unigen.models.octree.tokens import OctreeGrid, Octrees

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Atomic numbers, coordinates, atoms of each structure."""

GRIDS = (
    OctreeGrid(depth=4, cell=0.5, bins=5),
    OctreeGrid(depth=4, cell=0.5, bins=5, stops_at_single=True),
    OctreeGrid(depth=4, cell=0.5, position="continuous"),
    OctreeGrid(depth=4, cell=0.5, position="continuous", stops_at_single=True),
    OctreeGrid(depth=4, periodic=True, bins=6),
    OctreeGrid(depth=4, periodic=True, position="continuous", stops_at_single=True),
)


def batch_of(structures: list[tuple[np.ndarray, np.ndarray]]) -> Batch:
    numbers, coords = (np.concatenate(parts) for parts in zip(*structures, strict=True))
    lengths = [len(part) for part, _ in structures]
    return torch.from_numpy(numbers).long(), torch.from_numpy(coords).double(), torch.tensor(lengths)


@cache
def real_molecules() -> Batch:
    return batch_of([(molecule.numbers, molecule.positions) for molecule in molecules()])


@cache
def real_crystals() -> Batch:
    crystals = [each.to_crystal() for each in symmetric_crystals()[::7]]  # of all crystal systems
    return batch_of([(c.numbers, c.frac_coords) for c in crystals if len(c) <= 20])


@st.composite
def points(draw, grid: OctreeGrid, structures: int = 3, most: int = 12) -> Batch:
    """Structures of atoms in different cells of a grid, anywhere within them; one atom is at a corner of the box.

    On the torus coordinates are multiples of 2^-20, to which integers can be added without rounding.
    """
    made = []
    for _ in range(draw(st.integers(1, structures))):
        cell = st.tuples(*[st.integers(0, grid.cells - 2)] * 3)
        cells = np.array(draw(st.lists(cell, min_size=1, max_size=most, unique=True)))
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        inside = rng.uniform(0.5 / grid.bins, 1 - 0.6 / grid.bins, cells.shape)
        if grid.periodic:
            coords = np.round((cells + inside) * grid.cell_side * 2**20) / 2**20
        else:
            cells = cells - cells.min(0)
            inside[cells == 0] = 0.0  # so that anchoring at the smallest coordinate moves nothing
            coords = (cells + inside) * grid.cell_side
        made.append((rng.integers(1, 10, len(cells)), coords))
    return batch_of(made)


def random_walk(
    grid: OctreeGrid, composition: torch.Tensor, rng: np.random.Generator, box: torch.Tensor | None = None
) -> Octrees:
    """Octrees drawn token by token, uniformly among what is legal."""
    walk = OctreeWalk(grid, composition, box)

    def drawn(legal: torch.Tensor) -> torch.Tensor:
        assert bool(legal.any(-1).all()), "nothing is legal"
        scores = torch.from_numpy(rng.random(legal.shape)).masked_fill(~legal, -1.0)
        return scores.argmax(-1)

    for _ in range(10_000):
        rows = walk.at_node.nonzero()[:, 0]
        if len(rows):
            mask = drawn(walk.legal_masks(rows))
            walk.write_node(rows, random_counts(walk, rows, mask, rng))
        rows = walk.at_leaf.nonzero()[:, 0]
        if len(rows):
            walk.write_leaf(rows, drawn(walk.legal_elements(rows)), random_offset(walk, rows, drawn, rng))
        if not bool((walk.at_node | walk.at_leaf).any()):
            return walk.octrees()
    raise AssertionError("a walk does not end")


def random_counts(walk: OctreeWalk, rows: torch.Tensor, mask: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Atoms of each child, one after the other within the bounds."""
    capacities, (_, _, count) = walk.capacities(rows), walk.next_node(rows)
    counts = torch.zeros(len(rows), 8, dtype=torch.int64)
    for octant in range(8):
        counts[:, octant] = count - counts.sum(1)  # all that is left stands here for the time being
        low, high = (bound[:, octant] for bound in count_bounds(capacities, mask, counts))
        assert bool((low <= high).all())
        counts[:, octant] = torch.from_numpy(rng.integers(low.numpy(), high.numpy() + 1))
    assert torch.equal(counts.sum(1), count)
    return counts


def random_offset(walk: OctreeWalk, rows: torch.Tensor, drawn, rng: np.random.Generator) -> torch.Tensor:
    """Octants of a leaf of many cells one after the other, then a place in the cell."""
    level, code = walk.next_leaf(rows)
    cell = torch.zeros(len(rows), 3, dtype=torch.int64)
    while bool((level > 0).any()):
        larger = (level > 0).nonzero()[:, 0]
        octant = drawn(walk.legal_octants(rows[larger], level[larger], code[larger]))
        level, code = level.clone(), code.clone()
        level[larger] -= 1
        code[larger] = code[larger] << 3 | octant
        cell[larger] += (octant[:, None] >> torch.arange(3) & 1) << level[larger, None]
    if walk.grid.is_binned:
        return cell * walk.grid.bins + torch.from_numpy(rng.integers(0, walk.grid.bins, cell.shape))
    return cell + torch.from_numpy(rng.random(cell.shape)) * 0.999
