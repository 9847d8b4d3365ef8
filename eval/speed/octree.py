"""Microseconds a molecule to make octree tokens of a batch, against a loop over structures in the same run.

python eval/speed/octree.py --molecules 1000

The loop is what one writes first: for each molecule a dictionary of nodes, filled level by level. Both take the arrays
of the molecules and give the same tokens (checked here). They take turns, on one core; of each the least time counts,
since what else runs on a machine only ever adds. In a turn the batch is made some times over: its memory is then at
hand, as it is in training.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from measurement import circumstances, write

from unigen.data.molecule_store import open_molecules
from unigen.models.octree.tokens import OctreeGrid, Octrees, encode

Token = tuple[int, int, tuple[int, ...]]
"""Level, code, atoms of each child."""

_TIMES = 9
"""A batch takes a fortieth of the time of a loop."""

Leaf = tuple[int, int, int, tuple[int, ...]]
"""Level, code, element, offset."""


def octree_of(grid: OctreeGrid, numbers: np.ndarray, positions: np.ndarray) -> tuple[list[Token], list[Leaf]]:
    """The same as ``encode`` of one molecule in bins, one atom and one node at a time."""
    places = np.rint((positions - positions.min(0)) / (grid.cell / grid.bins)).astype(int).tolist()
    atoms = {}
    for number, place in zip(numbers.tolist(), places, strict=True):
        x, y, z = (along // grid.bins for along in place)
        code = 0
        for level in reversed(range(grid.depth)):
            code = code << 3 | (x >> level & 1) | (y >> level & 1) << 1 | (z >> level & 1) << 2
        atoms[code] = number, place
    counts, nodes, alone = dict.fromkeys(atoms, 1), {}, {}
    for level in range(1, grid.depth + 1):
        parents: dict[int, list[int]] = {}
        for code, count in counts.items():
            parents.setdefault(code >> 3, [0] * 8)[code & 7] = count
        counts = {code: sum(children) for code, children in parents.items()}
        for code, children in parents.items():
            if not (grid.stops_at_single and counts[code] == 1):
                nodes[-level, code] = level, code, tuple(children)
        alone[level] = {code for code, count in counts.items() if count == 1} if grid.stops_at_single else set()
    leaves = []
    for code in sorted(atoms):
        number, place = atoms[code]
        level = max((above for above in alone if code >> 3 * above in alone[above]), default=0)
        size = grid.bins << level
        leaves.append((level, code >> 3 * level, number, tuple(along % size for along in place)))
    return [nodes[key] for key in sorted(nodes)], leaves


def assert_same(batch: Octrees, made: list[tuple[list[Token], list[Leaf]]]) -> None:
    """Both say the same of every molecule."""
    nodes = [token for tokens, _ in made for token in tokens]
    leaves = [leaf for _, found in made for leaf in found]
    ours = zip(batch.level.tolist(), batch.code.tolist(), map(tuple, batch.child_counts.tolist()), strict=True)
    assert list(ours) == nodes, "other nodes"
    columns = (batch.leaf_level, batch.leaf_code, batch.element)
    placed = zip(*(column.tolist() for column in columns), map(tuple, batch.offset.tolist()), strict=True)
    assert list(placed) == leaves, "other leaves"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--molecules", type=int, default=1000)
    parser.add_argument("--dataset", default="qm9:test")
    parser.add_argument("--turns", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    facts = circumstances(threads=1)
    dataset = open_molecules(options.dataset)
    molecules = [dataset[index] for index in range(options.molecules)]
    numbers = torch.from_numpy(np.concatenate([molecule.numbers for molecule in molecules]))
    positions = torch.from_numpy(np.concatenate([molecule.positions for molecule in molecules]))
    lengths = torch.tensor([len(molecule) for molecule in molecules])
    parts = list(zip(numbers.split(lengths.tolist()), positions.split(lengths.tolist()), strict=True))
    cases: dict[str, dict[str, float]] = {}
    for name, grid in (("whole depth", OctreeGrid()), ("stops at single atoms", OctreeGrid(stops_at_single=True))):

        def together(grid: OctreeGrid = grid) -> Octrees:
            return encode(grid, numbers, positions, lengths)

        def one_by_one(grid: OctreeGrid = grid) -> list[tuple[list[Token], list[Leaf]]]:
            return [octree_of(grid, molecule.numbers, molecule.positions) for molecule in molecules]

        def batches_of_one(grid: OctreeGrid = grid) -> list[Octrees]:
            return [encode(grid, *part, torch.tensor([len(part[0])])) for part in parts]

        assert_same(together(), one_by_one())
        ways = {"batch": together, "loop": one_by_one, "batches_of_one": batches_of_one}
        least = dict.fromkeys(ways, float("inf"))
        for _ in range(options.turns):
            for way, work in [("batch", together)] * _TIMES + list(ways.items()):
                started = time.perf_counter()
                work()
                least[way] = min(least[way], time.perf_counter() - started)
        micro = {way: seconds / len(molecules) * 1e6 for way, seconds in least.items()}
        tokens = float(together().lengths.double().mean())
        cases[name] = {f"{way}_us": round(value, 2) for way, value in micro.items()} | {
            "loop_to_batch": round(micro["loop"] / micro["batch"], 1),
            "batches_of_one_to_batch": round(micro["batches_of_one"] / micro["batch"], 1),
            "tokens": round(tokens, 1),
        }
        print(name, cases[name], flush=True)
    size = {"molecules": len(molecules), "dataset": options.dataset, "turns": options.turns}
    write("octree", facts | size | {"unit": "microseconds a molecule, least of all turns", "cases": cases})


if __name__ == "__main__":
    main()
