"""Seconds for uniqueness and novelty, against pymatgen's StructureMatcher.group_structures in the same run.

python eval/speed/novelty.py --samples 10000 --references 45000 --crystals oqmd-icsd mp-20:val mp-20:test

Half of the samples are copies of references, half are of crystals that are left out, all with their atoms moved by 0.1
Angstrom. Too few crystals are filled up with copies, moved likewise. The alternative gets a subset of both, in one
process, as this package then does: ``group_structures(samples)`` for uniqueness, ``group_structures(references +
samples)`` for novelty, where a sample is novel when no reference is in its group. A group is what is like its first
member, which need not be a reference that a sample is like: a few verdicts may differ.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import chain
from typing import TypeVar

import numpy as np
from measurement import circumstances, write
from pymatgen.analysis.structure_matcher import StructureMatcher

from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import open_crystals
from unigen.eval.crystals.novelty import find_novel, find_unique
from unigen.eval.crystals.protocol import DENOVO
from unigen.parallel import Workers

MOVED = 0.1
"""Angstrom, standard deviation of every coordinate."""

Found = TypeVar("Found")


@dataclass(frozen=True)
class Timing:
    """Wall-clock seconds, and what was found in them."""

    unique_seconds: float
    novel_seconds: float
    unique: int
    novel: int


def timed(work: Callable[[], Found]) -> tuple[float, Found]:
    """Wall-clock seconds and the result."""
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def moved(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    """The same with its atoms moved."""
    moves = rng.normal(scale=MOVED, size=crystal.frac_coords.shape) @ np.linalg.inv(crystal.lattice)
    return Crystal(crystal.numbers, crystal.frac_coords + moves, crystal.lattice)


def build(names: list[str], samples: int, references: int, seed: int = 0) -> tuple[list[Crystal], list[Crystal]]:
    """Samples and references out of built datasets; a fifth of the crystals at least are left out of the references."""
    rng = np.random.default_rng(seed)
    datasets = [open_crystals(name) for name in names]
    pool = list(chain.from_iterable((dataset[index] for index in range(len(dataset))) for dataset in datasets))
    order = [pool[index] for index in rng.permutation(len(pool))]
    known = order[: min(references, len(pool) * 4 // 5)]
    left = order[len(known) :]
    known += [moved(known[index], rng) for index in rng.integers(len(known), size=references - len(known))]
    sides = (known, left)
    drawn = [sides[number % 2][rng.integers(len(sides[number % 2]))] for number in range(samples)]
    return [moved(crystal, rng) for crystal in drawn], known


def ours(samples: list[Crystal], references: list[Crystal], workers: int) -> tuple[Timing, np.ndarray, np.ndarray]:
    """By this package, with the start of the processes; and both verdicts."""
    limit, rules = DENOVO.max_candidates, DENOVO.matching
    with Workers(workers) as crew:
        unique_seconds, unique = timed(lambda: find_unique(samples, rules, limit, crew))
        novel_seconds, novel = timed(lambda: find_novel(samples, references, rules, limit, crew))
    timing = Timing(unique_seconds, novel_seconds, int(unique.holds.sum()), int(novel.holds.sum()))
    return timing, unique.holds, novel.holds


def grouped(samples: list[Crystal], references: list[Crystal]) -> tuple[Timing, np.ndarray, np.ndarray]:
    """By pymatgen; and both verdicts."""
    rules = DENOVO.matching
    matcher = StructureMatcher(ltol=rules.ltol, stol=rules.stol, angle_tol=rules.angle_tol)
    made, known = ([crystal.to_pymatgen() for crystal in each] for each in (samples, references))
    place = {id(structure): number for number, structure in enumerate([*made, *known])}

    def members(structures: list) -> list[list[int]]:
        return [[place[id(each)] for each in group] for group in matcher.group_structures(structures)]

    unique_seconds, classes = timed(lambda: members(made))
    novel_seconds, together = timed(lambda: members([*known, *made]))
    unique, novel = np.zeros(len(made), dtype=bool), np.ones(len(made), dtype=bool)
    unique[[min(group) for group in classes]] = True
    for group in together:
        if max(group) >= len(made):
            novel[[number for number in group if number < len(made)]] = False
    return Timing(unique_seconds, novel_seconds, int(unique.sum()), int(novel.sum())), unique, novel


def compare(samples: list[Crystal], references: list[Crystal]) -> dict[str, object]:
    """Both on the same crystals, in one process each."""
    here, unique, novel = ours(samples, references, 1)
    there, unique_there, novel_there = grouped(samples, references)
    return {
        "samples": len(samples),
        "references": len(references),
        "unigen": rounded(here),
        "group_structures": rounded(there),
        "unique_ratio": round(there.unique_seconds / here.unique_seconds, 2),
        "novel_ratio": round(there.novel_seconds / here.novel_seconds, 2),
        "verdicts_that_differ": {
            "unique": int((unique != unique_there).sum()),
            "novel": int((novel != novel_there).sum()),
        },
    }


def rounded(timing: Timing) -> dict[str, float | int]:
    """Ready for JSON."""
    return {name: round(value, 2) for name, value in asdict(timing).items()}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--references", type=int, default=45_000)
    parser.add_argument("--crystals", nargs="+", default=["oqmd-icsd"], help="built datasets")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--subset", type=int, nargs=2, default=[500, 2250], help="samples and references for both")
    options = parser.parse_args()
    facts = circumstances(threads=options.workers)
    samples, references = build(options.crystals, options.samples, options.references)
    whole, _, _ = ours(samples, references, options.workers)
    print(f"{len(samples)} samples, {len(references)} references: {rounded(whole)}", flush=True)
    both = compare(samples[: options.subset[0]], references[: options.subset[1]])
    print("\n".join(f"{name}: {value}" for name, value in both.items()))
    size = {"samples": len(samples), "references": len(references), "crystals_from": options.crystals}
    write("novelty", facts | size | {"unit": "wall-clock seconds", "unigen": rounded(whole), "subset": both})


if __name__ == "__main__":
    main()
