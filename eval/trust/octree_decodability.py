"""Is every octree that is drawn a structure of the composition that was asked for? Counted, with nothing thrown away.

    python eval/trust/octree_decodability.py --out octree-decodability.json
    python eval/trust/octree_decodability.py --steps 300 --out octree-decodability.json

Compositions of QM9 test (configs/octree.yaml, smaller, drawn in a box) and of MP-20 test (configs/octree-crystals.yaml,
on the torus); of each kind all the variants that decide what is legal. Weights are random, the hardest case for a
grammar, since nothing that is odd is unlikely; with ``--steps`` they are trained for so many. Each structure is drawn
once. Columns, percent of what was asked for:

decodable    atoms with finite places, all inside of the box or the cell
as asked     exactly the composition
same octree  written as an octree again, it has the tokens that it was drawn as
in bound     no more tokens than the bound that is told before
apart        no two atoms closer than the grid allows (in one cell; with ``separation`` 2 in touching ones)
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from unigen.config import load
from unigen.data.crystal_store import open_crystals
from unigen.data.molecule_store import open_molecules
from unigen.disk import write_text
from unigen.eval.report import provenance
from unigen.models.checkpoint import load_model
from unigen.models.octree.decoding import Counts, OctreeSettings, decode
from unigen.models.octree.network import OctreeModel
from unigen.models.octree.token_draws import Noise
from unigen.models.octree.tokens import Octrees, encode, length_bound
from unigen.models.octree.tokens import decode as places_of
from unigen.train.run import train
from unigen.train.settings import TrainConfig

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SMALL = (
    "compile=false",
    "threads=1",
    "data.batch_size=32",
    "match_structures=0",
    "model.width=64",
    "model.head_width=64",
    "model.mixers=[attention, attention]",
)
VARIANTS: dict[str, tuple[str, ...]] = {
    "as configured": (),
    "full depth": ("model.stops_at_single=false",),
    "diffusion head": ("model.position=continuous",),
    "no touching cells": ("model.separation=2",),
    "doubled": ("model.form=doubled",),
}
KINDS = {"molecules": "octree.yaml", "crystals": "octree-crystals.yaml"}
DATA = {
    "molecules": ("data.train=qm9:train", "data.val=qm9:val"),
    "crystals": ("data.train=crystal-train:train", "data.val=crystal-train:val"),
}
BATCH = 100


def compositions(kind: str, count: int, most: int) -> list[Counts]:
    """Of the first test structures that are not too large."""
    dataset = open_molecules("qm9:test") if kind == "molecules" else open_crystals("mp-20:test")
    found: list[Counts] = []
    for structure in dataset:
        if len(structure) <= most:
            found.append(structure.counts)
        if len(found) == count:
            break
    return found


def network(kind: str, changes: tuple[str, ...], steps: int) -> OctreeModel:
    """Random, or trained for so many steps."""
    own = [*SMALL, *DATA[kind], *changes]
    if not steps:
        torch.manual_seed(0)
        config = load(TrainConfig, CONFIGS / KINDS[kind], own)
        model = OctreeModel(config.model)
        with torch.no_grad():
            for parameter in model.parameters():  # heads begin at zero: nothing would be odd
                parameter.add_(0.05 * torch.randn_like(parameter))
        return model.eval()
    with tempfile.TemporaryDirectory() as folder:
        fixed = [f"max_steps={steps}", f"validate_every={steps}", f"out={folder}/run", "optim.warmup_steps=20"]
        trained = load_model(train(load(TrainConfig, CONFIGS / KINDS[kind], [*own, *fixed])))
    assert isinstance(trained, OctreeModel), "the configs are of octrees"
    return trained.eval()


def judged(model: OctreeModel, asked: list[Counts], first: int) -> dict[str, list[bool]]:
    """One batch, drawn once."""
    rngs = [np.random.default_rng([0, first + row]) for row in range(len(asked))]
    noise = Noise.of(rngs, model.grid, model.config.max_atoms, torch.device("cpu"))
    octrees = decode(model, asked, noise, OctreeSettings()).octrees
    # random weights draw places at the very edge of a cell, where single precision rounds into the next one
    octrees = replace(octrees, origin=octrees.origin.double())
    numbers, coords = places_of(model.grid, octrees)
    lengths = octrees.leaf_lengths
    parts, places = numbers.split(lengths.tolist()), coords.split(lengths.tolist())
    # the box of a molecule is laid around it, so what is written again stands where it stood only on the torus
    torus, side = replace(model.grid, periodic=True), 1.0 if model.grid.periodic else model.grid.side
    again = encode(torus, numbers, coords / side, lengths)
    inside = [bool(((each >= 0) & (each <= side) & each.isfinite()).all()) for each in places]
    return {
        "decodable": inside,
        "as asked": [_counts(part) == wanted for part, wanted in zip(parts, asked, strict=True)],
        "same octree": _same(octrees, again),
        "in bound": [
            int(length) <= length_bound(model.grid, sum(wanted.values()))
            for length, wanted in zip(octrees.lengths, asked, strict=True)
        ],
        "apart": [_apart(model, each) for each in places],
    }


def _counts(numbers: torch.Tensor) -> Counts:
    found, counts = numbers.unique(return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _same(one: Octrees, other: Octrees) -> list[bool]:
    """Nodes and leaves of each structure; of places, which round, ``apart`` tells."""

    def trees(octrees: Octrees) -> list[list[list[int]]]:
        nodes, leaves = octrees.node_lengths.tolist(), octrees.leaf_lengths.tolist()
        of_nodes = [each.split(nodes) for each in (octrees.level, octrees.code, octrees.mask)]
        of_leaves = [each.split(leaves) for each in (octrees.leaf_level, octrees.leaf_code, octrees.element)]
        return [[part.tolist() for part in parts] for parts in zip(*of_nodes, *of_leaves, strict=True)]

    return [drawn == written for drawn, written in zip(trees(one), trees(other), strict=True)]


def _apart(model: OctreeModel, coords: torch.Tensor) -> bool:
    """By cells: with ``separation`` 2 the cells of two atoms differ by two or more along some axis."""
    grid = model.grid
    cells = torch.floor(coords / grid.cell_side + 1e-9).long()
    difference = (cells[:, None] - cells).abs()
    if grid.periodic:
        difference = torch.minimum(difference, grid.cells - difference)
    largest = difference.amax(-1) + torch.eye(len(cells), dtype=torch.long) * grid.cells
    return bool((largest >= grid.separation).all())


def main() -> None:
    """Draw, count, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="structures of each row")
    parser.add_argument("--steps", type=int, default=0, help="of training before; 0: random weights")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    content: dict[str, object] = json.loads(options.out.read_text()) if options.out.exists() else {}
    rows: dict[str, dict[str, float | int]] = {}
    for kind in KINDS:
        for name, changes in VARIANTS.items():
            model = network(kind, changes, options.steps)
            asked = compositions(kind, options.count, model.config.max_atoms)
            found: dict[str, list[bool]] = {}
            for start in range(0, len(asked), BATCH):
                for column, each in judged(model, asked[start : start + BATCH], start).items():
                    found.setdefault(column, []).extend(each)
            shares = {column: round(100 * float(np.mean(each)), 2) for column, each in found.items()}
            rows[f"{kind}: {name}"] = {"structures": len(asked)} | shares
            print(kind, name, rows[f"{kind}: {name}"], flush=True)
    content[f"{options.steps} steps" if options.steps else "random weights"] = rows
    content["provenance"] = provenance("")
    write_text(options.out, json.dumps(content, indent=1) + "\n")
    columns = list(next(iter(rows.values())))
    table = Table("", *columns)
    for name, row in rows.items():
        table.add_row(name, *(str(row[column]) for column in columns))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
