"""Legal walks write exactly what was asked for, and every octree is a legal walk."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.octree_structures import GRIDS, random_walk, real_crystals, real_molecules
from unigen.errors import UserError
from unigen.models.octree.grammar import (
    OctreeWalk,
    child_capacities,
    count_bounds,
    legal_masks,
    mask_of,
    masked_log_probabilities,
)
from unigen.models.octree.separation import BlockPlaces
from unigen.models.octree.tokens import OctreeGrid, decode, encode, length_bound

WALKED = (
    *GRIDS,
    OctreeGrid(depth=1, bins=3),
    OctreeGrid(depth=2, bins=3, separation=2),
    OctreeGrid(depth=3, bins=3, separation=2, stops_at_single=True),
    OctreeGrid(depth=3, bins=3, periodic=True, separation=2),
    OctreeGrid(depth=3, bins=3, periodic=True, separation=2, stops_at_single=True),
)
FEW = settings(max_examples=10)  # each is a batch of walks of some hundred steps, with shapes checked at every call
EACH_GRID = pytest.mark.parametrize("grid", WALKED, ids=str)


@st.composite
def compositions(draw, most):
    """Rows of atoms by atomic number, of up to so many atoms."""
    rows = draw(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=most), min_size=1, max_size=4))
    return torch.stack([torch.bincount(torch.tensor(row), minlength=10) for row in rows])


@EACH_GRID
@FEW
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_every_walk_decodes_to_the_composition_and_encodes_as_it_was_drawn(grid, data, seed):
    composition = data.draw(compositions(min(grid.capacity, 20)))
    octrees = random_walk(grid, composition, np.random.default_rng(seed))
    numbers, coords = decode(grid, octrees)
    lengths = composition.sum(1)
    assert torch.equal(octrees.leaf_lengths, lengths)
    for row, part in zip(composition, numbers.split(lengths.tolist()), strict=True):
        assert torch.equal(torch.bincount(part, minlength=10), row)
    for length, atoms in zip(octrees.lengths.tolist(), lengths.tolist(), strict=True):
        assert length <= length_bound(grid, atoms)
    # the cube stays where it is if one atom is at its corner: so it is encoded with one there, on the torus without
    anchored = replace(grid, periodic=True, separation=1)
    unit = anchored.side / grid.side
    again = encode(anchored, numbers, coords * unit, lengths)
    for name in ("level", "code", "child_counts", "node_lengths", "leaf_level", "leaf_code", "element"):
        assert torch.equal(getattr(again, name), getattr(octrees, name)), name
    assert torch.allclose(again.offset.double(), octrees.offset.double(), atol=1e-9)
    if grid.separation == 2:
        assert_apart(grid, octrees)


def assert_apart(grid, octrees):
    for index in range(len(octrees)):
        one = octrees[index]
        _, coords = decode(grid, one)
        cells = torch.floor(coords / grid.cell_side + 1e-6).long()
        gap = (cells[:, None] - cells).abs()
        gap = torch.minimum(gap, grid.cells - gap) if grid.periodic else gap
        assert bool((gap.max(-1).values.fill_diagonal_(9) > 1).all())


@pytest.mark.parametrize("grid", [grid for grid in WALKED if grid.separation == 2], ids=str)
def test_a_full_box_can_be_drawn(grid):
    composition = torch.zeros(1, 10, dtype=torch.int64)
    composition[0, 6] = grid.capacity
    assert_apart(grid, random_walk(grid, composition, np.random.default_rng(0)))


@FEW
@given(st.data(), st.tuples(*[st.integers(1, 16)] * 3), st.integers(0, 2**32))
def test_atoms_stay_in_the_box(data, box, seed):
    grid = data.draw(st.sampled_from([GRIDS[0], GRIDS[1], replace(GRIDS[1], separation=2)]))
    room = int(torch.tensor(box).div(grid.separation, rounding_mode="floor").prod())
    composition = data.draw(compositions(20))
    boxes = torch.tensor([box] * len(composition))
    if int(composition.sum(1).max()) > room:
        with pytest.raises(UserError, match="more atoms than the box can hold"):
            OctreeWalk(grid, composition, boxes)
        return
    _, coords = decode(grid, random_walk(grid, composition, np.random.default_rng(seed), boxes))
    assert bool((coords < torch.tensor(box) * grid.cell_side - 1e-9).all())


def replayed(grid, octrees, composition):
    """A walk along given octrees, each token of which must be legal; the number of choices at each."""
    walk, choices = OctreeWalk(grid, composition), []
    starts = [lengths.cumsum(0) - lengths for lengths in (octrees.node_lengths, octrees.leaf_lengths)]
    while bool((walk.at_node | walk.at_leaf).any()):
        rows = walk.at_node.nonzero()[:, 0]
        if len(rows):
            token = (starts[0] + walk.node)[rows]
            level, code, count = walk.next_node(rows)
            assert torch.equal(level, octrees.level[token])
            assert torch.equal(code, octrees.code[token])
            legal, mask, children = walk.legal_masks(rows), octrees.mask[token], octrees.child_counts[token]
            assert bool(legal.gather(1, mask[:, None]).all())
            low, high = count_bounds(walk.capacities(rows), mask, children)
            assert bool(((low <= children) & (children <= high)).all())
            assert torch.equal(children.sum(1), count)
            choices.append(legal.sum(1))
            walk.write_node(rows, children)
        rows = walk.at_leaf.nonzero()[:, 0]
        if len(rows):
            leaf = (starts[1] + walk.leaf)[rows]
            level, code = walk.next_leaf(rows)
            assert torch.equal(level, octrees.leaf_level[leaf])
            assert torch.equal(code, octrees.leaf_code[leaf])
            assert bool(walk.legal_elements(rows).gather(1, octrees.element[leaf][:, None]).all())
            assert_octants_are_legal(walk, rows, octrees.offset[leaf])
            walk.write_leaf(rows, octrees.element[leaf], octrees.offset[leaf])
    return walk, choices


def assert_octants_are_legal(walk, rows, offset):
    level, code = walk.next_leaf(rows)
    cell = torch.div(offset, walk.grid.steps, rounding_mode="floor").long()
    for row, at, leaf, inside in zip(rows.tolist(), level.tolist(), code.tolist(), cell.tolist(), strict=True):
        cube = leaf
        for below in range(at - 1, -1, -1):
            legal = walk.legal_octants(torch.tensor([row]), torch.tensor([below + 1]), torch.tensor([cube]))
            octant = sum((along >> below & 1) << axis for axis, along in enumerate(inside))
            assert bool(legal[0, octant])
            cube = cube << 3 | octant


@pytest.mark.parametrize("stops", [False, True])
@pytest.mark.parametrize("separation", [1, 2])
@pytest.mark.parametrize("data", [real_molecules, real_crystals])
def test_real_structures_are_legal_walks(data, separation, stops):
    # 128 cells: the largest cells of these crystals then have atoms in cells that do not touch
    periodic = data is real_crystals
    grid = OctreeGrid(depth=7 if periodic else 6, periodic=periodic, separation=separation, stops_at_single=stops)
    numbers, coords, lengths = data()
    octrees = encode(grid, numbers, coords, lengths)
    composition = torch.stack([torch.bincount(part, minlength=119) for part in numbers.split(lengths.tolist())])
    walk, choices = replayed(grid, octrees, composition)
    assert max(int(each.max()) for each in choices) > 100
    again = walk.octrees()
    assert torch.equal(again.code, octrees.code)
    assert torch.equal(again.offset, octrees.offset)


@given(st.lists(st.integers(0, 64), min_size=8, max_size=8), st.integers(1, 40))
def test_legal_masks_are_those_that_can_be_filled(capacities, count):
    legal = legal_masks(torch.tensor([capacities]), torch.tensor([count]))[0]
    for mask in range(256):
        children = [octant for octant in range(8) if mask >> octant & 1]
        room = sum(capacities[child] for child in children)
        possible = bool(children) and len(children) <= count <= room and all(capacities[child] for child in children)
        assert bool(legal[mask]) == possible


@given(st.data())
def test_counts_within_their_bounds_are_all_that_can_be_completed(data):
    capacities = data.draw(st.lists(st.integers(1, 4), min_size=8, max_size=8))
    children = sorted(data.draw(st.lists(st.integers(0, 7), min_size=1, max_size=4, unique=True)))
    room = sum(capacities[child] for child in children)
    count = data.draw(st.integers(len(children), room))
    mask = torch.tensor([sum(1 << child for child in children)])

    def ways(place, rest):
        """Every way to fill the children from this one on."""
        if place == len(children):
            return [()] if rest == 0 else []
        most = capacities[children[place]]
        return [(k, *others) for k in range(1, most + 1) for others in ways(place + 1, rest - k)]

    every = ways(0, count)
    place = data.draw(st.integers(0, len(children) - 1))
    before = data.draw(st.sampled_from(every))[:place]
    counts = torch.zeros(1, 8, dtype=torch.int64)
    for child, k in zip(children, (*before, count - sum(before)), strict=False):
        counts[0, child] = k
    low, high = (int(bound[0, children[place]]) for bound in count_bounds(torch.tensor([capacities]), mask, counts))
    assert list(range(low, high + 1)) == sorted({way[place] for way in every if way[:place] == before})


def test_capacities_of_a_small_cube():
    grid = OctreeGrid(depth=2, separation=2)
    root = torch.tensor([2]), torch.tensor([0])
    assert child_capacities(grid, *root, torch.tensor([[4, 4, 4]])).tolist() == [[1] * 8]
    assert child_capacities(grid, *root, torch.tensor([[4, 2, 4]])).tolist() == [[1, 1, 0, 0, 1, 1, 0, 0]]
    grid = OctreeGrid(depth=3)
    assert child_capacities(grid, torch.tensor([3]), torch.tensor([0]), torch.tensor([[8, 8, 5]])).tolist() == [
        [64] * 4 + [16] * 4
    ]


def test_masked_probabilities_add_up_to_one():
    legal = torch.tensor([[True, False, True], [False, False, True]])
    scores = masked_log_probabilities(torch.tensor([[1.0, 50.0, 2.0], [0.0, 3.0, -100.0]]), legal)
    assert torch.allclose(scores.exp().sum(-1), torch.ones(2))
    assert torch.equal(scores.exp() > 0, legal)
    assert torch.allclose(scores[0, 2] - scores[0, 0], torch.tensor(1.0))


def test_a_cell_that_leaves_a_later_atom_none_is_not_legal():
    """Three blocks in a row: if the first atom takes the upper side, so must the second, and the third."""
    places = BlockPlaces(OctreeGrid(depth=3, separation=2))
    for x in range(3):
        places.occupy((x, 0, 0))
    places.settle((2, 0, 0), 0)
    lower = [octant & 1 == 0 for octant in range(8)]
    assert places.octants((0, 0, 0)) == lower
    assert places.octants((1, 0, 0)) == lower
    places.settle((1, 0, 0), 0)
    assert all(not free for free, below in zip(places.octants((0, 0, 0)), lower, strict=True) if not below)
    assert places.has_place((3, 3, 3))


def test_masks_of_counts():
    counts = torch.tensor([[0, 3, 0, 0, 0, 0, 0, 1]])
    assert mask_of(counts).tolist() == [0b10000010]
