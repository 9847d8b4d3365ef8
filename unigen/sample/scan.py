"""A chemical system over its compositions: the plausible formulas of some elements and of all their subsets.

Which ratios are looked at is what is known: those of known formulas of any elements, given to the elements of the
system in every way. Of each subsystem the formulas nearest to a known one come first (chemical distance, see
`unigen.retrieval.neighbours`), formulas that are known themselves before all others, and only those count whose charges
can balance (SMACT, see `unigen.crystals.plausibility.charge_balance`; alloys and elements pass).
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import combinations, permutations
from pathlib import Path

from unigen.data.crystal_store import open_crystals
from unigen.disk import durable_text
from unigen.elements import ATOMIC_NUMBER, SYMBOLS, chemical_rank, format_formula, reduce_counts
from unigen.errors import UserError
from unigen.models.checkpoint import model_folder
from unigen.models.families import UNLEARNED
from unigen.request import CrystalRequest
from unigen.retrieval.build_table import TABLE, open_table
from unigen.retrieval.compositions import Compositions, Formula
from unigen.retrieval.neighbours import NeighbourIndex
from unigen.retrieval.table import TemplateTable

MOST_ATOMS = 40
"""Atoms of a formula unit: at least one has to fit into a cell. Known formulas of the system are asked for anyway."""

OFTEN = 2
"""Known compositions that a ratio must have to be tried with other elements: one alone may be a solid solution that a
database wrote in large whole numbers. Of the bundled table this leaves 236 of the 380 ratios of four elements."""

MOST_ELEMENTS = 6
"""Of a scan: 63 subsystems. Each element more doubles them, and multiplies the ways to give it a ratio."""

LIMIT = 20
"""Formulas of a subsystem: of four elements up to 15 * 20, which are drawn in minutes."""

SCAN = "compositions.csv"
"""The list of them in a run folder."""


@dataclass(frozen=True)
class Composition:
    """A formula of the system.

    Attributes:
        formula: reduced.
        system: its elements, such as ``"Li-P-O"``.
        distance: chemical distance to the nearest formula of the table; 0 for one of these.
        known: whether a structure of it is known, to the table or to what else counts.
        charge_balanced: whether its charges can balance; of a known formula, too, but there it decides nothing.
        relative: the formula of the table at that distance.
    """

    formula: str
    system: str
    distance: float
    known: bool
    charge_balanced: bool
    relative: str


@dataclass(frozen=True)
class Scan:
    """The compositions of a chemical system.

    Attributes:
        elements: of the system.
        compositions: one request each: by number of elements, then system, then distance.
        unbalanced: formulas that were passed over since no charges of their elements balance.
        beyond: formulas behind the last of each system, of which nobody asked whether they balance.
        held: formulas that were passed over since the user has them.
        known_to: what knows those that are known, in words.
    """

    elements: tuple[str, ...]
    compositions: tuple[Composition, ...]
    unbalanced: int
    beyond: int
    held: int = 0
    known_to: tuple[str, ...] = ("the table",)

    @property
    def facts(self) -> dict[str, str | int]:
        """How many, and what was left out, for ``run.yaml``."""
        return {
            "system": "-".join(self.elements),
            "compositions": len(self.compositions),
            "known": sum(each.known for each in self.compositions),
            "unbalanced": self.unbalanced,
            "beyond": self.beyond,
            **({"held": self.held} if self.held else {}),
        }

    @property
    def summary(self) -> str:
        """The same in a line."""
        facts = self.facts
        return (
            f"{facts['system']}: {facts['compositions']} compositions, {facts['known']} of them known to "
            f"{' or '.join(self.known_to)}; left out: "
            f"{self.unbalanced} whose charges do not balance, {self.beyond} behind the nearest of their systems, not "
            "looked at" + (f", {self.held} of --known" if self.held else "")
        )


def known_compositions(model: str | Path, retrieve_from: str | Path | None = None) -> Compositions:
    """What a model knows: the compositions of its table, or of the dataset that is retrieved from.

    Raises:
        UserError: it has none.
    """
    if str(model) in UNLEARNED and retrieve_from is not None:
        return Compositions.of_dataset(open_crystals(retrieve_from))
    return known_table(model, retrieve_from).compositions


def known_table(model: str | Path, retrieve_from: str | Path | None = None) -> TemplateTable:
    """The table of a model that learns, or of the dataset that is retrieved from; raises as `known_compositions`."""
    if retrieve_from is None:
        table = None if str(model) in UNLEARNED else model_folder(model) / TABLE
        if table is None or not table.exists():
            raise UserError("no known formulas to choose from", where=str(model), next_step="give --retrieve-from")
        retrieve_from = table
    return open_table(retrieve_from)


def scan_system(
    elements: Sequence[str],
    known: Compositions,
    limit: int = LIMIT,
    *,
    must_contain: Collection[str] = (),
    held: Collection[Formula] = (),
    on_hull: Collection[Formula] = (),
    known_to: tuple[str, ...] = ("the table",),
) -> Scan:
    """The plausible formulas of a chemical system and its subsystems.

    Args:
        elements: symbols, whose order makes no difference.
        known: cells of any elements.
        limit: formulas of a subsystem, at most.
        must_contain: symbols that each subsystem has.
        held: formulas that are left out, whether they are known or not.
        on_hull: formulas that are marked as known, too; they decide neither what is looked at nor the order.
        known_to: what knows the formulas of ``known`` and ``on_hull``, in words.

    Example:
        >>> scan = scan_system(["Na", "Cl"], known_compositions("unigen-crystal-small"), limit=1)
        >>> [each.formula for each in scan.compositions]
        ['Na', 'Cl', 'NaCl']
    """
    # late: the chemistry stack need not be there where only models are trained and drawn from
    from unigen.crystals.plausibility.charge_balance import check_composition

    numbers = sorted({ATOMIC_NUMBER[symbol] for symbol in elements}, key=chemical_rank)
    formulas = known.formulas
    ratios = Counter(tuple(sorted(count for _, count in formula)) for formula in formulas)
    index = NeighbourIndex.fit(known)
    chosen: list[Composition] = []
    required = {ATOMIC_NUMBER[symbol] for symbol in must_contain}
    unbalanced = beyond = passed = 0
    for system in (each for size in range(1, len(numbers) + 1) for each in combinations(numbers, size)):
        if not required <= {*system}:
            continue
        ranked: list[tuple[float, int, str, bool, str, Formula]] = []
        for counts in _formulas(system, formulas, ratios):
            key = tuple(sorted(counts.items()))
            if key in held:
                passed += 1
                continue
            is_known = key in formulas
            formula = relative = format_formula(counts)
            distance = 0.0
            if not is_known:
                nearest = next(index.of_formula(counts))
                distance, relative = nearest.distance, format_formula(reduce_counts(known.counts(nearest.source))[0])
            ranked.append((round(distance, 9), sum(counts.values()), formula, is_known, relative, key))
        # equally near ones by size, then by spelling: the order of a set must decide nothing
        ranked.sort(key=lambda each: (not each[3], *each[:3]))
        left = limit
        for place, (distance, _, formula, is_known, relative, key) in enumerate(ranked):
            if not left:
                beyond += len(ranked) - place
                break
            balanced = check_composition(formula).valid
            if not (balanced or is_known):
                unbalanced += 1
                continue
            name = "-".join(SYMBOLS[number] for number in system)
            chosen.append(Composition(formula, name, distance, is_known or key in on_hull, balanced, relative))
            left -= 1
    return Scan(tuple(SYMBOLS[number] for number in numbers), tuple(chosen), unbalanced, beyond, passed, known_to)


def _formulas(
    system: tuple[int, ...], known: Collection[Formula], ratios: Counter[tuple[int, ...]]
) -> list[dict[int, int]]:
    """The known formulas of exactly these elements, and every ratio given to them in every way."""
    found = {formula for formula in known if {number for number, _ in formula} == set(system)}
    for counts, times in ratios.items():
        if len(counts) == len(system) and times >= OFTEN and sum(counts) <= MOST_ATOMS:
            found |= {tuple(sorted(zip(system, order, strict=True))) for order in permutations(counts)}
    return [dict(formula) for formula in found]


def scan_requests(
    requests: Sequence[CrystalRequest], scans: Sequence[Scan], distinct: str | None = None
) -> list[CrystalRequest]:
    """One request a composition: all that a request for a set of elements wants besides, of each formula of its scan.

    Args:
        requests: with elements and without a formula.
        scans: of each request's elements.
        distinct: given where the samples of each composition are to have different space groups.
    """
    return [
        replace(
            request,
            formula=each.formula,
            elements=None,
            must_contain=None,
            distinct=distinct and "space_group",
            id=f"{request.id} {each.formula}" if request.id else None,
        )
        for request, scan in zip(requests, scans, strict=True)
        for each in scan.compositions
    ]


def scan_each(
    requests: Sequence[CrystalRequest],
    model: str | Path,
    retrieve_from: str | Path | None,
    limit: int = LIMIT,
    *,
    held: Collection[Formula] = (),
    on_hull: Collection[Formula] = (),
    known_to: tuple[str, ...] = ("the table",),
) -> list[Scan]:
    """The scan of the elements of each request; what is known beside the table, as `scan_system` takes it.

    Raises:
        UserError: a request without elements, or with more than elements to say what it is of; too many elements.
    """
    for request in requests:
        if request.elements is None or request.formula is not None or request.n_atoms is not None:
            raise UserError(
                "a scan is of elements", got=request.to_dict() or None, wanted="--elements, no formula, z or n_atoms"
            )
        if len(set(request.elements)) > MOST_ELEMENTS:
            raise UserError(
                "too many elements to scan", got=len(set(request.elements)), wanted=f"up to {MOST_ELEMENTS}"
            )
    known = known_compositions(model, retrieve_from)
    systems = dict.fromkeys((request.elements or (), request.must_contain or ()) for request in requests)
    scans = {
        (elements, required): scan_system(
            elements, known, limit, must_contain=required, held=held, on_hull=on_hull, known_to=known_to
        )
        for elements, required in systems
    }
    return [scans[request.elements or (), request.must_contain or ()] for request in requests]


def write_scan(path: str | Path, compositions: Iterable[Composition]) -> None:
    """Compositions as a table, each once: ``formula``, ``system``, ``distance``, ``known``, ..."""
    with durable_text(Path(path), newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Composition)])
        table.writeheader()
        table.writerows(asdict(each) for each in dict.fromkeys(compositions))


def write_scan_requests(path: str | Path, scan: Scan) -> None:
    """The compositions as a file of requests, to be edited: ``id,formula``, where the id says the system."""
    with durable_text(Path(path), newline="") as file:
        table = csv.writer(file)
        table.writerow(("id", "formula"))
        table.writerows((f"{each.system} {each.formula}", each.formula) for each in scan.compositions)
