"""Real crystals as if they had been generated, to see what a judge says of them: the judge's own error.

python eval/trust/crystals_as_samples.py mp-20:test --count 1000 --known e_above_hull --first 100 --out mp1000.extxyz
unigen evaluate crystals mp1000.extxyz --reference mp-20:test --protocol denovo --relax 100 --hull mp --out mp.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase.io import write

from unigen.data.crystal_store import open_crystals


def main() -> None:
    """Draw crystals of a dataset, those with a known property first, and write them under their ids."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--known", help="property that the first ones have")
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    dataset = open_crystals(options.dataset)
    order = np.random.default_rng(options.seed).permutation(len(dataset))
    known = np.isfinite(dataset.properties[options.known]) if options.known else np.ones(len(dataset), dtype=bool)
    first = order[known[order]][: options.first]
    chosen = [*first, *order[~np.isin(order, first)]][: options.count]
    frames = []
    for index in chosen:
        atoms = dataset[int(index)].to_ase()
        atoms.info = {"id": str(dataset.ids[index])}
        frames.append(atoms)
    write(options.out, frames, format="extxyz")
    print(f"{len(frames)} crystals written to {options.out}")


if __name__ == "__main__":
    main()
