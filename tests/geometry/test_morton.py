"""Morton codes against their definition bit by bit, and the symmetries of the cube against matrices."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from unigen.geometry import morton

CPU = torch.device("cpu")
depths = st.integers(1, morton.MAX_DEPTH)


@st.composite
def cells_of_a_grid(draw):
    depth = draw(depths)
    cell = st.tuples(*[st.integers(0, 2**depth - 1)] * 3)
    return depth, torch.tensor(draw(st.lists(cell, min_size=1, max_size=40, unique=True)))


@given(cells_of_a_grid())
def test_bits_of_a_code_are_those_of_the_coordinates(grid):
    depth, cells = grid
    codes = morton.interleave(cells, depth)
    for code, cell in zip(codes.tolist(), cells.tolist(), strict=True):
        assert code == sum((c >> bit & 1) << 3 * bit + axis for axis, c in enumerate(cell) for bit in range(depth))
    assert torch.equal(morton.deinterleave(codes, depth), cells)


@given(cells_of_a_grid())
def test_a_parent_knows_its_children_and_what_they_hold(grid):
    depth, cells = grid
    above = 5 << 3 * depth  # what stands above the code stays
    codes = (morton.interleave(cells, depth) | above).sort().values
    counts = torch.arange(1, len(codes) + 1)
    parents, held, masks = morton.coarsen(codes, counts)
    expected: dict[int, tuple[int, int]] = {}
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        before, mask = expected.get(code >> 3, (0, 0))
        expected[code >> 3] = before + count, mask | 1 << (code & 7)
    assert parents.tolist() == sorted(expected)
    assert list(zip(held.tolist(), masks.tolist(), strict=True)) == [expected[code] for code in parents.tolist()]
    assert int(morton.popcount(masks).sum()) == len(codes)


def test_there_are_48_different_symmetries_and_the_first_changes_nothing():
    matrices = morton.operations(CPU)
    assert len({tuple(matrix.flatten().tolist()) for matrix in matrices}) == morton.OPERATIONS
    assert torch.equal(matrices[0], torch.eye(3, dtype=torch.int64))
    assert torch.equal(matrices @ matrices.transpose(1, 2), matrices[:1].expand_as(matrices))


@given(cells_of_a_grid(), st.integers(0, morton.OPERATIONS - 1))
def test_a_symmetry_of_cells_is_a_permutation_of_bits(grid, number):
    depth, cells = grid
    operation = torch.full((len(cells),), number)
    codes = morton.interleave(cells, depth)
    moved = morton.transform_cells(cells, operation, 2**depth)
    middle = (2**depth - 1) / 2
    turned = (cells.double() - middle) @ morton.operations(CPU)[number].double().T + middle
    assert torch.equal(moved.double(), turned)
    assert torch.equal(morton.interleave(moved, depth), morton.transform_codes(codes, operation, depth))


@given(st.lists(st.integers(0, 7), min_size=1, max_size=8, unique=True), st.integers(0, morton.OPERATIONS - 1))
def test_a_symmetry_permutes_the_bits_of_a_mask(children, number):
    operation = torch.tensor([number])
    moved = morton.transform_codes(torch.tensor(children), operation.expand(len(children)), 1)
    mask = torch.tensor([sum(1 << child for child in children)])
    assert morton.transform_masks(mask, operation).item() == sum(1 << child for child in moved.tolist())
