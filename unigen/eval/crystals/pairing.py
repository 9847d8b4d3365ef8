"""Which sample was made for which reference crystal, and which of its k samples it is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from unigen.eval.crystals.samples import Entry, split_name


@dataclass(frozen=True, eq=False)
class Pairing:
    """Samples by reference; all integers are positions in the two lists that were paired.

    Attributes:
        of_reference: for each reference its samples as {index: position}, index 0 being the first of k.
        by_composition: samples paired by composition, having no id of a reference.
        unpaired: samples that belong to no reference.
        repeated: samples that claim a reference and index already taken; they are not scored.
    """

    of_reference: tuple[dict[int, int], ...]
    by_composition: tuple[int, ...] = ()
    unpaired: tuple[int, ...] = ()
    repeated: tuple[int, ...] = ()

    @property
    def k(self) -> int:
        """Samples of the reference that has the most (counting up to its highest index)."""
        return max((max(samples) + 1 for samples in self.of_reference if samples), default=0)


def ids_pair(samples: Sequence[Entry], references: Sequence[Entry]) -> bool:
    """Whether any sample carries the id of a reference."""
    known = {entry.id for entry in references}
    return any(_claim(sample, known) is not None for sample in samples)


def pair(samples: Sequence[Entry], references: Sequence[Entry]) -> Pairing:
    """Pair by id (``mp-5``, ``mp-5__3``, ``mp-5_3``, or id and index apart); else by composition where it is unique.

    The lowest index used anywhere is taken as the first, so files numbered from 1 pair like those numbered from 0.
    Samples without an index are numbered in the order they come.
    """
    position_of = {entry.id: position for position, entry in enumerate(references)}
    by_composition = _unique_compositions(references)
    claims: dict[int, list[tuple[int | None, int]]] = defaultdict(list)
    fallback, unpaired = [], []
    for number, sample in enumerate(samples):
        claim = _claim(sample, position_of.keys())
        if claim is not None:
            claims[position_of[claim[0]]].append((claim[1], number))
        elif sample.crystal is not None and sample.crystal.formula in by_composition:
            claims[by_composition[sample.crystal.formula]].append((sample.index, number))
            fallback.append(number)
        else:
            unpaired.append(number)
    base = min((index for claimed in claims.values() for index, _ in claimed if index is not None), default=0)
    repeated: list[int] = []
    numbered = tuple(_number(claims.get(position, []), base, repeated) for position in range(len(references)))
    return Pairing(numbered, tuple(fallback), tuple(unpaired), tuple(repeated))


def best_scored(pairing: Pairing, samples: Sequence[Entry], k: int) -> Pairing:
    """Of the first k samples of each reference the one with the highest score, the first of equals; no failures."""

    def best(paired: dict[int, int]) -> dict[int, int]:
        scores = [
            (score, -index)
            for index, number in paired.items()
            if index < k and samples[number].crystal is not None and (score := samples[number].score) is not None
        ]
        return {0: paired[-max(scores)[1]]} if scores else {}

    return replace(pairing, of_reference=tuple(map(best, pairing.of_reference)))


def _claim(sample: Entry, known: Container[str]) -> tuple[str, int | None] | None:
    """The reference a sample names and its index, when that reference exists."""
    if sample.id in known:
        return sample.id, sample.index
    split = split_name(sample.id)
    if split is not None and split[0] in known:
        return split[0], split[1] if sample.index is None else sample.index
    return None


def _number(claimed: list[tuple[int | None, int]], base: int, repeated: list[int]) -> dict[int, int]:
    """{index from 0: position}; positions whose index is taken are appended to ``repeated``."""
    taken: dict[int, int] = {}
    for index, number in claimed:
        if index is None:
            continue
        if index - base in taken:
            repeated.append(number)
        else:
            taken[index - base] = number
    free = 0
    for index, number in claimed:
        if index is None:
            while free in taken:
                free += 1
            taken[free] = number
    return dict(sorted(taken.items()))


def _unique_compositions(references: Sequence[Entry]) -> dict[str, int]:
    formulas = [entry.crystal.formula if entry.crystal is not None else "" for entry in references]
    times = Counter(formulas)
    return {formula: position for position, formula in enumerate(formulas) if formula and times[formula] == 1}
