"""A reference set of energies for a convex hull: a Parquet file of the lowest energy of each formula, and its card.

Energies are of one scheme (PBE with MP2020 corrections, OQMD's, a potential's own ...) and of one quantity: "total" per
atom, or "formation" per atom against the elements. Total energies of a potential meet formation energies through the
energies of the elements, see `unigen.energies.hull.elements`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unigen import config
from unigen.data.dataset_file import open_table, unigen_home
from unigen.data.left_out import write_left_out
from unigen.data.ragged import items
from unigen.disk import durable
from unigen.elements import format_formula, parse_formula, reduce_counts
from unigen.energies.hull.provenance import Quantity
from unigen.errors import UserError
from unigen.shapes import Float

ENTRIES, CARD = "entries.parquet", "card.yaml"
LEFT_OUT = "left_out.csv"
LEFT_OUT_COLUMNS = ("source", "id", "reason")
"""Of every row that is in no hull, or that the fit to it does without."""
_COLUMNS = ("id", "formula", "energy_per_atom")


@dataclass(frozen=True, kw_only=True)
class HullCard:
    """The facts about a reference set.

    Attributes:
        name: as in ``--hull NAME``.
        quantity: what its energies are.
        scheme: of its energies.
        sources: where they come from, with column and checksum.
        potential: identity of the potential that computed them; empty for energies that were read.
        relaxation: settings of their relaxation, by a potential.
        entries: rows read, with an energy.
        formulas: different reduced formulas, of which the lowest is kept.
        skipped: rows without a usable energy, by reason; each is in `LEFT_OUT` beside the card.
        notes: what else is to be known of the energies.
    """

    name: str
    quantity: Quantity
    scheme: str
    sources: dict[str, dict[str, str]]
    potential: dict[str, str] = field(default_factory=dict)
    relaxation: dict[str, float] = field(default_factory=dict)
    entries: int = 0
    formulas: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class HullReference:
    """A reference set in memory.

    Attributes:
        card: what the energies are.
        ids: name of the entry behind each formula.
        formulas: reduced, one spelling a composition.
        energies: eV/atom, of the card's quantity and scheme.
    """

    card: HullCard
    ids: list[str]
    formulas: list[str]
    energies: Float[np.ndarray, "formulas"]

    @cached_property
    def by_elements(self) -> dict[frozenset[int], list[int]]:
        """Rows by the set of elements."""
        rows: dict[frozenset[int], list[int]] = {}
        for row, formula in enumerate(self.formulas):
            rows.setdefault(frozenset(parse_formula(formula)), []).append(row)
        return rows


def hulls_home() -> Path:
    """Where reference sets lie: ``hulls`` in `unigen_home`."""
    return unigen_home() / "hulls"


def lowest_of_each(entries: Iterable[tuple[str, str, float]]) -> tuple[list[str], list[str], list[float]]:
    """Ids, reduced formulas and energies of the lowest entry of each reduced formula, sorted by formula.

    Args:
        entries: id, any spelling of a formula, eV/atom.

    Example:
        >>> lowest_of_each([("a", "O2Ti", -3.0), ("b", "Ti2O4", -3.1)])
        (['b'], ['TiO2'], [-3.1])
    """
    lowest: dict[str, tuple[float, str]] = {}
    spelling: dict[str, str] = {}
    for name, formula, energy in entries:
        if formula not in spelling:
            spelling[formula] = format_formula(reduce_counts(parse_formula(formula))[0])
        key = spelling[formula]
        if key not in lowest or energy < lowest[key][0]:  # of equal ones the first
            lowest[key] = (float(energy), name)
    order = sorted(lowest)
    return [lowest[key][1] for key in order], order, [lowest[key][0] for key in order]


def write_reference(reference: HullReference, left_out: Iterable[tuple[str, str, str]] = ()) -> Path:
    """Write a reference set to its home; returns the folder.

    Args:
        reference: the set.
        left_out: source, id and reason of the rows that are not in it.
    """
    folder = hulls_home() / reference.card.name
    write_left_out(folder / LEFT_OUT, left_out, LEFT_OUT_COLUMNS)
    table = pa.table(
        {"id": reference.ids, "formula": reference.formulas, "energy_per_atom": reference.energies.tolist()}
    )
    with durable(folder / ENTRIES) as partial:
        pq.write_table(table, partial, compression="zstd")
    config.write_yaml(folder / CARD, asdict(reference.card))
    return folder


def hull_folder(name: str | Path) -> Path:
    """The folder of a reference set by name or path; raises UserError, naming those there are, when it is not built."""
    for folder in (hulls_home() / str(name), Path(name)):
        if (folder / ENTRIES).exists():
            return folder
    raise UserError(
        f"hull {str(name)!r} is not built",
        wanted=", ".join(folder.name for folder in built_hulls()) or "none is built yet",
        next_step="run: unigen hull build NAME --from SOURCE (see unigen hull build --help)",
    )


def built_hulls() -> list[Path]:
    """The folders of the reference sets that are built here, by name."""
    return sorted(path.parent for path in hulls_home().glob(f"*/{ENTRIES}"))


def read_hull_card(folder: Path) -> HullCard:
    """The card in a folder; raises UserError naming the key that is missing, unknown or of the wrong type."""
    return config.load(HullCard, folder / CARD)


def open_reference(name: str | Path) -> HullReference:
    """Open a reference set by name or by the path of its folder.

    Raises:
        UserError: it is not built, or its files are broken.
    """
    folder = hull_folder(name)
    table, where = open_table(folder / ENTRIES, _COLUMNS, "a hull", "run: unigen hull build"), str(folder / ENTRIES)
    return HullReference(
        card=read_hull_card(folder),
        ids=items(table, "id", pa.string(), where).tolist(),
        formulas=items(table, "formula", pa.string(), where).tolist(),
        energies=items(table, "energy_per_atom", pa.float64(), where),
    )
