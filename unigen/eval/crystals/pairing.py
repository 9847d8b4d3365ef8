"""Which sample was made for which reference crystal, and which of its k samples it is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from unigen.errors import UserError
from unigen.eval.crystals.samples import CrystalEntry
from unigen.eval.samples import split_name


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


def ids_pair(samples: Sequence[CrystalEntry], references: Sequence[CrystalEntry]) -> bool:
    """Whether any sample carries the id of a reference."""
    reference_ids = {entry.id for entry in references}
    return any(_claim(sample, reference_ids) is not None for sample in samples)


def pair(samples: Sequence[CrystalEntry], references: Sequence[CrystalEntry]) -> Pairing:
    """Pair by id (``mp-5``, ``mp-5__3``, ``mp-5_3``, or id and index apart); else by composition where it is unique.

    The lowest index used anywhere is taken as the first, so files numbered from 1 pair like those numbered from 0.
    Samples without an index are numbered in the order they come.

    Raises:
        UserError: samples name a reference of which there are two.
    """
    repeated_ids = {name for name, count in Counter(entry.id for entry in references).items() if count > 1}
    for sample in samples if repeated_ids else ():
        claimed = _claim(sample, repeated_ids)
        if claimed is not None:
            places = [entry.where or "in memory" for entry in references if entry.id == claimed[0]]
            raise UserError(
                "two references of one id, which a sample names",
                where=sample.where or sample.id,
                got=f"{claimed[0]} in {places[0]} and {places[1]}",
                next_step="give each reference an id of its own",
            )
    reference_of_id = {entry.id: number for number, entry in enumerate(references)}
    formulas = [entry.crystal.formula if entry.crystal is not None else "" for entry in references]
    times = Counter(formulas)
    # a composition of two references says nothing about whose a sample is
    reference_of_formula = {text: number for number, text in enumerate(formulas) if text and times[text] == 1}
    claims: dict[int, list[tuple[int | None, int]]] = defaultdict(list)  # index, where it is said, and position
    by_composition, unpaired = [], []
    for position, sample in enumerate(samples):
        claim = _claim(sample, reference_of_id.keys())
        if claim is not None:
            claims[reference_of_id[claim[0]]].append((claim[1], position))
        elif sample.crystal is not None and sample.crystal.formula in reference_of_formula:
            claims[reference_of_formula[sample.crystal.formula]].append((sample.index, position))
            by_composition.append(position)
        else:
            unpaired.append(position)
    first = min((index for claimed in claims.values() for index, _ in claimed if index is not None), default=0)
    repeated: list[int] = []
    of_reference = tuple(_by_index(claims.get(number, []), first, repeated) for number in range(len(references)))
    return Pairing(of_reference, tuple(by_composition), tuple(unpaired), tuple(repeated))


def best_scored(pairing: Pairing, samples: Sequence[CrystalEntry], k: int) -> Pairing:
    """Of the first k samples of each reference the one with the highest score, the first of equals; no failures."""

    def best(paired: dict[int, int]) -> dict[int, int]:
        scores = [
            (score, -index)  # max then takes the first of equals
            for index, position in paired.items()
            if index < k and samples[position].crystal is not None and (score := samples[position].score) is not None
        ]
        return {0: paired[-max(scores)[1]]} if scores else {}

    return replace(pairing, of_reference=tuple(map(best, pairing.of_reference)))


def _claim(sample: CrystalEntry, reference_ids: Container[str]) -> tuple[str, int | None] | None:
    """The reference a sample names and its index, when that reference exists."""
    if sample.id in reference_ids:
        return sample.id, sample.index
    split = split_name(sample.id)
    if split is not None and split[0] in reference_ids:
        return split[0], split[1] if sample.index is None else sample.index
    return None


def _by_index(claimed: list[tuple[int | None, int]], first: int, repeated: list[int]) -> dict[int, int]:
    """{index from 0: position}; positions whose index is taken are appended to ``repeated``.

    Samples that state an index go before those that do not, so that none of the latter takes a stated one.
    """
    positions: dict[int, int] = {}
    for index, position in claimed:
        if index is None:
            continue
        if index - first in positions:
            repeated.append(position)
        else:
            positions[index - first] = position
    free = 0
    for index, position in claimed:
        if index is None:
            while free in positions:
                free += 1
            positions[free] = position
    return dict(sorted(positions.items()))
