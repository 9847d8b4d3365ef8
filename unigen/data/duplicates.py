"""Find crystals that occur more than once: same composition, and the same structure to pymatgen's StructureMatcher."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice

from unigen.crystals.crystal import Crystal
from unigen.data.compositions import reduced_formulas
from unigen.data.crystal_store import CrystalDataset
from unigen.parallel import Workers

_BUCKETS_A_TASK = 64
"""Sent to a worker at once: most buckets hold two or three crystals, too little work to be sent alone."""


def find_duplicates(crystals: CrystalDataset, workers: int = 1) -> dict[int, int]:
    """Index of every crystal that matches an earlier one, with the index of the first such.

    Two crystals match as pymatgen's StructureMatcher with its default tolerances says. They are compared inside buckets
    of equal reduced formula and number of atoms in the primitive cell that StructureMatcher would make.

    Args:
        crystals: what to compare.
        workers: processes.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, formula in enumerate(reduced_formulas(crystals)):
        members[formula].append(index)
    buckets = (indices for indices in members.values() if len(indices) > 1)

    def tasks() -> Iterator[tuple[list[list[int]], list[list[Crystal]]]]:
        for several in iter(lambda: list(islice(buckets, _BUCKETS_A_TASK)), []):
            yield several, [[crystals[index] for index in indices] for indices in several]

    repeated: dict[int, int] = {}
    with Workers(workers) as pool:
        for several, firsts in pool.in_order(match_buckets, tasks(), "finding duplicates"):
            for indices, first in zip(several, firsts, strict=True):
                repeated |= {indices[later]: indices[earlier] for later, earlier in first.items()}
    return dict(sorted(repeated.items()))


def match_buckets(buckets: list[list[Crystal]]) -> list[dict[int, int]]:
    """For each bucket, the positions of repeated crystals and of the first like each."""
    return [_match_bucket(bucket) for bucket in buckets]


def _match_bucket(bucket: list[Crystal]) -> dict[int, int]:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    # StructureMatcher would reduce both structures again in every comparison; once each gives the same answer.
    matcher = StructureMatcher(primitive_cell=False)
    structures = [crystal.to_pymatgen().get_primitive_structure().get_reduced_structure() for crystal in bucket]
    kept: dict[int, list[int]] = defaultdict(list)
    repeated: dict[int, int] = {}
    for index, structure in enumerate(structures):
        alike = kept[len(structure)]  # primitive cells of other sizes cannot match
        first = next((earlier for earlier in alike if matcher.fit(structures[earlier], structure)), None)
        if first is None:
            alike.append(index)
        else:
            repeated[index] = first
    return repeated
