"""Octrees are exact, do not depend on the order of atoms or on the batch, and drop nothing."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.octree_structures import GRIDS, points, real_crystals, real_molecules
from unigen.errors import UserError
from unigen.geometry import morton
from unigen.models.octree.tokens import OctreeGrid, Octrees, decode, encode, length_bound

EACH_GRID = pytest.mark.parametrize("grid", GRIDS, ids=str)
REAL = [
    (grid, data)
    for stops in (False, True)
    for grid, data in (
        (OctreeGrid(stops_at_single=stops), real_molecules),
        (OctreeGrid(stops_at_single=stops, separation=2), real_molecules),
        (OctreeGrid(stops_at_single=stops, position="continuous"), real_molecules),
        (OctreeGrid(stops_at_single=stops, periodic=True), real_crystals),
        (OctreeGrid(stops_at_single=stops, periodic=True, position="continuous"), real_crystals),
    )
]
EACH_REAL = pytest.mark.parametrize(("grid", "data"), REAL, ids=lambda each: getattr(each, "__name__", None))


def assert_same(actual: Octrees, expected: Octrees, *but: str) -> None:
    for each in fields(Octrees):
        if each.name not in but:
            assert torch.equal(getattr(actual, each.name), getattr(expected, each.name)), each.name


def in_order_of_leaves(grid, numbers, coords, lengths):
    """Coordinates of each structure sorted as its leaves are: by the Morton code of the cell, computed one by one."""
    expected = []
    for part_numbers, part in zip(numbers.split(lengths.tolist()), coords.split(lengths.tolist()), strict=True):
        origin = torch.zeros(3) if grid.periodic else part.min(0).values
        along = (part - part.floor() if grid.periodic else part - origin) / grid.cell_side
        cells = (torch.round(along * grid.bins) // grid.bins if grid.is_binned else along.floor()).long() % grid.cells
        order = morton.interleave(cells, grid.depth).argsort()
        expected.append((part_numbers[order], part[order]))
    return (torch.cat(parts) for parts in zip(*expected, strict=True))


def assert_round_trip(grid, numbers, coords, lengths):
    found, places = decode(grid, encode(grid, numbers, coords, lengths))
    expected, wanted = in_order_of_leaves(grid, numbers, coords, lengths)
    assert torch.equal(found, expected)
    gap = places - wanted
    gap = gap - gap.round() if grid.periodic else gap
    allowed = grid.cell_side / grid.bins / 2 if grid.is_binned else 0.0
    assert gap.abs().max() <= allowed + 1e-12


@EACH_GRID
@settings(max_examples=20)
@given(data=st.data())
def test_a_coordinate_is_off_by_half_a_bin_at_most(grid, data):
    assert_round_trip(grid, *data.draw(points(grid)))


@EACH_REAL
def test_so_it_is_with_real_structures(grid, data):
    assert_round_trip(grid, *data())


@EACH_GRID
@settings(max_examples=20)
@given(data=st.data())
def test_what_is_decoded_is_encoded_as_before(grid, data):
    numbers, coords, lengths = data.draw(points(grid))
    octrees = encode(grid, numbers, coords, lengths)
    again = encode(grid, *decode(grid, octrees), lengths)
    if grid.is_binned:
        assert_same(again, octrees, "origin")
    else:
        assert_same(again, octrees, "origin", "offset")
        assert (again.offset - octrees.offset).abs().max() < 1e-9


@EACH_GRID
@settings(max_examples=20)
@given(data=st.data())
def test_the_order_of_atoms_says_nothing(grid, data):
    numbers, coords, lengths = data.draw(points(grid, structures=1))
    order = torch.randperm(len(numbers), generator=torch.Generator().manual_seed(data.draw(st.integers(0, 99))))
    assert_same(encode(grid, numbers[order], coords[order], lengths), encode(grid, numbers, coords, lengths))


@EACH_REAL
def test_a_structure_of_a_batch_is_as_alone(grid, data):
    numbers, coords, lengths = data()
    together = encode(grid, numbers, coords, lengths)
    parts = zip(numbers.split(lengths.tolist()), coords.split(lengths.tolist()), strict=True)
    for index, (part_numbers, part_coords) in enumerate(parts):
        assert_same(together[index], encode(grid, part_numbers, part_coords, lengths[index : index + 1]))


@EACH_GRID
@settings(max_examples=20)
@given(data=st.data())
def test_levels_are_in_order_and_masks_say_how_many_nodes_come(grid, data):
    octrees = encode(grid, *data.draw(points(grid)))
    for index in range(len(octrees)):
        one = octrees[index]
        assert one.level.tolist() == sorted(one.level.tolist(), reverse=True)
        assert one.lengths.item() <= length_bound(grid, int(one.leaf_lengths))
        codes = torch.zeros(1, dtype=torch.int64)  # of the root
        counts = one.leaf_lengths
        for level in range(grid.depth, 0, -1):
            single = counts == 1
            told = torch.zeros_like(single) if not grid.stops_at_single else single
            here = one.level == level
            assert torch.equal(one.code[here], codes[~told])
            assert bool((one.code[here].diff() > 0).all())
            assert torch.equal(one.count[here], counts[~told])
            children = one.child_counts[here]
            assert torch.equal(((children > 0).long() << torch.arange(8)).sum(1), one.mask[here])
            parent, octant = children.nonzero(as_tuple=True)
            codes, counts = one.code[here][parent] << 3 | octant, children[parent, octant]
            assert int(morton.popcount(one.mask[here]).sum()) == len(codes)
        assert bool(((one.leaf_code << 3 * one.leaf_level).diff() > 0).all())


@given(st.data(), st.tuples(*[st.integers(-1000, 1000)] * 3))
def test_integer_shifts_of_a_lattice_give_the_same_tokens(data, shift):
    grid = data.draw(st.sampled_from([grid for grid in GRIDS if grid.periodic]))
    numbers, coords, lengths = data.draw(points(grid))
    moved = coords + torch.tensor(shift, dtype=torch.float64)
    assert_same(encode(grid, numbers, moved, lengths), encode(grid, numbers, coords, lengths))


def test_a_shift_by_whole_cells_moves_the_tree_of_a_torus():
    grid = OctreeGrid(depth=3, periodic=True, bins=8)
    coords = torch.tensor([[0.97, 0.5, 0.03], [0.2, 0.2, 0.2]], dtype=torch.float64)
    numbers, lengths = torch.tensor([3, 9]), torch.tensor([2])
    by = torch.tensor([1, 3, 6]) / grid.cells
    _, places = decode(grid, encode(grid, numbers, coords + by, lengths))
    gap = places - (coords + by)[[1, 0]]
    assert (gap - gap.round()).abs().max() <= 0.5 / 64 + 1e-12


@EACH_GRID
@settings(max_examples=20)
@given(data=st.data())
def test_symmetries_of_the_cube_permute_bits(grid, data):
    numbers, coords, lengths = data.draw(points(grid, structures=1))
    plain = encode(grid, numbers, coords, lengths)
    operation = torch.tensor([data.draw(st.integers(0, morton.OPERATIONS - 1))])
    turned = encode(grid, numbers, coords, lengths, operation)
    for level in range(1, grid.depth + 1):
        here = plain.level == level
        number = operation.expand(int(here.sum()))
        codes, order = morton.transform_codes(plain.code[here], number, grid.depth - level).sort()
        assert torch.equal(turned.code[turned.level == level], codes)
        assert torch.equal(turned.mask[turned.level == level], morton.transform_masks(plain.mask[here], number)[order])
    matrix = morton.operations(torch.device("cpu"))[operation[0]].double()
    last = grid.side - (grid.cell_side / grid.bins if grid.is_binned else 0.0)  # the last place of the cube
    found, places = decode(grid, turned)
    elements, before = decode(grid, plain)
    expected = (before - plain.origin - last / 2) @ matrix.T + last / 2
    places = places - turned.origin
    assert torch.equal(found.sort().values, elements.sort().values)
    distances = (places[:, None] - expected).norm(dim=-1)
    assert distances.min(1).values.max() < 1e-9
    assert torch.equal(found, elements[distances.argmin(1)])


def one(grid, coords):
    coords = torch.tensor(coords, dtype=torch.float64)
    return encode(grid, torch.full((len(coords),), 6), coords, torch.tensor([len(coords)]))


def test_nothing_is_dropped():
    grid = OctreeGrid()
    with pytest.raises(UserError, match=r"structure 0 of the batch, atom 0: two atoms in the same cell.*atom 2"):
        one(grid, [[0, 0, 0], [1, 1, 1], [0.05, 0.05, 0.05]])
    with pytest.raises(UserError, match=r"atom 1: an atom outside the box; got 15.4 .*wanted less than 15.36"):
        one(grid, [[0, 0, 0], [0, 15.4, 0]])
    one(grid, [[0, 0, 0], [0, 15.35, 0]])
    with pytest.raises(UserError, match="atom 1: coordinates are not finite"):
        one(grid, [[0, 0, 0], [0, float("nan"), 0]])
    with pytest.raises(UserError, match="structure 1 of the batch: a structure without atoms"):
        encode(grid, torch.tensor([1]), torch.zeros(1, 3, dtype=torch.float64), torch.tensor([1, 0]))
    with pytest.raises(UserError, match="two atoms in touching cells"):
        one(replace(grid, separation=2), [[0, 0, 0], [0.3, 0.3, 0.3]])
    with pytest.raises(UserError, match="two atoms in touching cells"):
        one(OctreeGrid(periodic=True, separation=2), [[0, 0, 0], [0.99, 0, 0.0]])
    one(replace(grid, separation=2), [[0, 0, 0], [0.5, 0.3, 0.3]])
    with pytest.raises(UserError, match="separation 2 cannot be kept"):
        OctreeGrid(separation=2, stops_at_single=True, position="continuous")


def test_the_message_names_the_structure_of_a_large_batch():
    grid = OctreeGrid()
    coords = torch.rand(40, 3, dtype=torch.float64) * 0.01 + torch.arange(40)[:, None] % 10
    coords[27] = coords[25]
    with pytest.raises(UserError, match=r"structure 2 of the batch, atom 5.*structure 2 of the batch, atom 7"):
        encode(grid, torch.full((40,), 6), coords, torch.tensor([10] * 4))


def test_small_trees_by_hand():
    """Two atoms 0.75 apart on x in a cube of four cells of 0.5: on either side of the middle."""
    grid = OctreeGrid(depth=2, cell=0.5, bins=5)
    octrees = one(grid, [[1.0, 0, 0], [0.25, 0, 0]])
    assert octrees.level.tolist() == [2, 1]
    assert octrees.mask.tolist() == [0b1, 0b11]
    assert octrees.child_counts.tolist() == [[2, *[0] * 7], [1, 1, *[0] * 6]]
    assert octrees.offset.tolist() == [[0, 0, 0], [3, 0, 0]]  # 0.75 is bin 7.5 of 0.1, rounded to even
    stopped = one(replace(grid, stops_at_single=True), [[2.0 - 0.5, 0, 0], [0, 0, 0]])
    assert stopped.level.tolist() == [2]
    assert stopped.leaf_level.tolist() == [1, 1]
    assert stopped.offset.tolist() == [[0, 0, 0], [5, 0, 0]]
    assert one(replace(grid, stops_at_single=True), [[3, 3, 3]]).lengths.tolist() == [1]


def test_stopping_and_anchoring_shorten_real_molecules():
    numbers, coords, lengths = real_molecules()
    whole = encode(OctreeGrid(), numbers, coords, lengths).lengths.sum()
    stopped = encode(OctreeGrid(stops_at_single=True), numbers, coords, lengths).lengths.sum()
    assert stopped < 0.6 * whole


def test_single_precision_gives_a_tree_too():
    numbers, coords, lengths = real_molecules()
    octrees = encode(OctreeGrid(), numbers, coords.float(), lengths)
    _, places = decode(OctreeGrid(), octrees)
    assert places.dtype == torch.float32
    assert np.isfinite(places.numpy()).all()
