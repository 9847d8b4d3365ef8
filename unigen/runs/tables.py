"""What is printed of structures: the facts of a generated crystal, and tables for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.dimensionality import NETWORKS, dimensionality
from unigen.crystals.plausibility.close_contacts import closest_contact
from unigen.crystals.prototypes import prototype_name
from unigen.elements import ATOMIC_NUMBER, format_formula, is_organic
from unigen.molecules.ensemble import RELATIVE, WEIGHT
from unigen.runs.terminal_table import WIDTH, Column, terminal_table
from unigen.shapes import Float

if TYPE_CHECKING:
    from rich.table import Table

MIN_DISTANCE = 0.5
"""Angstrom, own periodic images included; with MIN_VOLUME what `unigen.eval` calls structurally valid. Here, where a
user is told whether to look at a crystal, pairs of elements have larger limits of their own."""

MIN_VOLUME = 0.1
"""Cubic Angstrom."""

_MOLECULAR = 1
"""Highest dimensionality of bonded networks that an organic crystal has: of the 77 known ones of the bundled table 75
are molecules, one is chains, one a framework."""

SHOWN = 20
"""Structures in a printed table: with its notes it fits a terminal."""

_LIKELIHOOD = "log p: log-likelihood in nats; larger is likelier within one composition"
_ANGLES = "α β γ (°)"  # noqa: RUF001 - the field's letters
_COPIED = "distance: between the two compositions' elements; 0 is the same composition"
_ABOVE_HULL = "above hull: energy above the convex hull of known phases, eV/atom"
_WEIGHED = "weight: the model's probability that a cell of this size follows this relative (or none)"


def check_sample(crystal: Crystal, symprec: float = 0.1) -> dict[str, object]:
    """The facts written beside every sample; about two milliseconds for ten atoms.

    Args:
        crystal: the sample.
        symprec: tolerance of the space group, Angstrom; by default that of the per-structure tables of evaluations.

    Returns:
        ``space_group`` (Hermann-Mauguin symbol) and ``space_group_number``, ``density`` in g/cm^3,
        ``smallest_distance`` in Angstrom (own periodic images included), ``volume`` in cubic Angstrom, and ``valid``:
        smallest distance at least 0.5 Angstrom, volume at least 0.1 cubic Angstrom, and no two elements closer than
        known crystals have them (`unigen.crystals.plausibility.close_contacts`); where they are, ``close_contact`` says
        which; where the cell is not primitive ``primitive_atoms``, the number of atoms in the one that is; where its
        structure type has a name ``prototype`` (`unigen.crystals.prototypes`); where its bonds make no framework
        ``network``: layers, chains or molecules (`unigen.crystals.dimensionality`). An organic composition whose atoms
        are bonded into layers or a framework is not valid either, and ``not_molecular`` says so.
    """
    number, symbol = crystal.space_group(symprec)
    closest = crystal.smallest_distance()
    contact = closest_contact(crystal)
    primitive = crystal.primitive_atoms()
    more: dict[str, object] = {"primitive_atoms": primitive} if primitive < len(crystal) else {}
    if contact is not None:
        more["close_contact"] = contact.reason
    if prototype := prototype_name(crystal, number):
        more["prototype"] = prototype
    dimension = dimensionality(crystal)
    if dimension in NETWORKS:
        more["network"] = NETWORKS[dimension]
    molecular = dimension <= _MOLECULAR or not is_organic(crystal.reduced_formula)
    if not molecular:
        more["not_molecular"] = (
            f"atoms of {crystal.reduced_formula} are bonded into {NETWORKS.get(dimension, 'a framework')}"
        )
    return more | {
        "space_group": symbol,
        "space_group_number": number,
        "density": crystal.density,
        "smallest_distance": closest,
        "volume": crystal.volume,
        "valid": contact is None and molecular and closest >= MIN_DISTANCE and crystal.volume >= MIN_VOLUME,
    }


def cell_parameters(crystal: Crystal) -> tuple[float, float, float, float, float, float]:
    """Lengths a, b, c in Angstrom and angles alpha (between b and c), beta, gamma in degrees."""
    return lengths_and_angles(crystal.lattice)


def lengths_and_angles(lattice: Float[np.ndarray, "3 3"]) -> tuple[float, float, float, float, float, float]:
    """The same of a lattice, whose rows are vectors in Angstrom."""
    lengths = np.linalg.norm(lattice, axis=1)
    unit = lattice / lengths[:, None]
    # rounding may carry a cosine beyond 1
    cosines = np.clip([unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]], -1.0, 1.0)
    a, b, c = lengths.tolist()
    alpha, beta, gamma = np.degrees(np.arccos(cosines)).tolist()
    return a, b, c, alpha, beta, gamma


def samples_table(rows: Sequence[Mapping[str, object]], total: int | None = None, width: int = WIDTH) -> Table:
    """A table of samples for the terminal; every cell is whole at 80 columns.

    Args:
        rows: one mapping a sample: ``crystal`` (the Crystal), what `check_sample` returns, and where known ``formula``
            (as the user wrote it; the cell's own by default), ``log_likelihood``, and ``source`` of what starts from
            a known structure (``id``, ``formula``, ``distance``, ``probability``), and ``above_hull`` in eV/atom, which
            takes the place of ``valid``: what is not valid is not judged. The first `SHOWN` are shown.
        total: how many there are, when ``rows`` is only the beginning.
        width: of the terminal, characters.
    """
    copied = any("source" in row for row in rows)
    total = len(rows) if total is None else total
    notes = [_COPIED] if copied else [_LIKELIHOOD] if any("log_likelihood" in row for row in rows) else []
    notes += [_WEIGHED] if "weight" in _merit(rows[:SHOWN]) else []
    judged = any("above_hull" in row for row in rows)
    notes += [_ABOVE_HULL] if judged else []
    notes += [f"and {total - SHOWN} more"] if total > SHOWN else []
    cell = (f"a b c (Å)\n{_ANGLES}",) if copied else ("a b c (Å)", _ANGLES)
    columns = [
        Column("formula", "names"),
        Column("space group", "spaces"),
        *map(Column, (*cell, "g/cm³", "d min\n(Å)", "above\nhull" if judged else "valid")),
        *[Column("follows", "names")] * copied,
        Column(_merit(rows[:SHOWN])),
    ]
    cells = [_copied_cells(row) if copied else _cells(row) for row in rows[:SHOWN]]
    return terminal_table(columns, cells, "\n".join(notes) or None, width)


_FACTS = 4
"""Columns of a ranker's facts in a printed table; all are in ``ranking.csv`` and on the page."""

_PREDICTED = 36
"""Characters, at most, of a line that is folded in no case: those of all properties of QM9 are shorter, and at 80
columns formula, SMILES and the number that ranks have their least room beside it."""


def answers_table(rows: Sequence[Mapping[str, Any]], total: int, unit: str, width: int = WIDTH) -> Table:
    """A table of ranked answers for the terminal: what they are, and the first numbers that ranked them.

    Args:
        rows: journal lines of answers that were made.
        total: how many there are.
        unit: of the number that ranks.
        width: of the terminal, characters.
    """
    crystals = any("checks" in row for row in rows)
    ranked = any(row["ranking"]["rank"] > 1 for row in rows)  # of scans there may be one answer a composition
    known = any("known" in row for row in rows)
    found = dict.fromkeys(
        name
        for row in rows
        for name, value in row["ranking"].items()
        if isinstance(value, int | float) and name not in ("rank", "candidate")
    )
    numbers = list(found)
    if not ranked and not any(row["ranking"].get("energy_above_lowest") for row in rows):
        numbers = [name for name in numbers if name != "energy_above_lowest"]  # each is its own lowest
    if known and "energy_above_hull" in numbers:  # what several compositions compare by
        numbers.sort(key=lambda name: name != "energy_above_hull")
    asked = any("_predicted" in name for name in numbers)
    numbers = numbers[: 1 if asked else _FACTS]
    quantity = next(iter(found), "")
    columns = [
        *[Column("rank")] * (ranked or len(rows) == 1),
        Column("formula", "names"),
        Column("space group", "spaces") if crystals else Column("SMILES", "anywhere", least=10),
        *[Column("known")] * known,
    ]
    for name in numbers:
        heading = name.replace("_", " ")
        columns.append(Column(f"{heading}\n({unit})" if name == quantity and unit else heading))
    if asked:
        longest = max(len(line) for row in rows for line in _predicted(row["ranking"]))
        columns.append(Column("predicted", "spaces", least=max(len("predicted"), min(longest, _PREDICTED))))
    cells = []
    for row in rows:
        ranking = row["ranking"]
        if crystals:
            kind = f"{row['checks']['space_group']} ({row['checks']['space_group_number']})"
            formula = "\n".join([crystal_formula(row), *filter(None, [row["checks"].get("prototype")])])
        else:
            kind, formula = str(row["smiles"]), str(row["formula"])
        values = [ranking.get(name, "") for name in numbers]
        cells.append(
            [
                *[str(ranking["rank"])] * (ranked or len(rows) == 1),
                formula,
                kind,
                *[str(row.get("known", ""))] * known,
                *[f"{value:.4g}" if isinstance(value, float) else str(value) for value in values],
                *["\n".join(_predicted(ranking))] * asked,
            ]
        )
    return terminal_table(columns, cells, f"and {total - len(rows)} more" if total > len(rows) else None, width)


def _predicted(ranking: Mapping[str, Any]) -> list[str]:
    """Every property that was asked for, a line each: a column of each would not fit a terminal."""
    lines = []
    for column, value in ranking.items():
        name, _, unit = column.partition(" (")
        if name.endswith("_predicted"):
            asked = ranking[column.replace("_predicted", "_asked", 1)]
            error = ranking.get(column.replace("_predicted", "_error", 1))
            bar = f" ± {error:.2g}" if error is not None else ""
            found = f"{name.removesuffix('_predicted')} {value:.4g}{bar} {unit.removesuffix(')')}".rstrip()
            lines.append(f"{found} (asked {asked:.4g})")
    return lines


def crystal_formula(row: Mapping[str, Any]) -> str:
    """Formula of the cell of a journal line."""
    counts = Counter(ATOMIC_NUMBER[site["element"]] for site in row["sites"])
    return format_formula(dict(counts))


def _merit(rows: Sequence[Mapping[str, object]]) -> str:
    sources = [source for row in rows if isinstance(source := row.get("source"), Mapping)]
    if not sources:
        return "log p"
    return "distance\nweight" if any("probability" in source for source in sources) else "distance"


def _cells(row: Mapping[str, object]) -> tuple[str, ...]:
    lengths, angles = _cell(row)
    log_likelihood = row.get("log_likelihood")
    merit = f"{log_likelihood:.1f}" if isinstance(log_likelihood, int | float) else "-"
    return (_formula(row), f"{row['space_group']} ({row['space_group_number']})", lengths, angles, *_facts(row), merit)


def _copied_cells(row: Mapping[str, object]) -> tuple[str, ...]:
    """Two lines a sample."""
    source = row["source"]
    assert isinstance(source, Mapping)
    group = f"{row['space_group']}\n({row['space_group_number']})"
    follows = "formula" in source
    if "shown" in source:  # a drawing of its own beside what it was shown
        origin = "none, shown\n" + str(source.get("shown_formula", "none"))
    else:
        origin = f"{source['formula']}\n{source['id']}" if follows else "none: written\nanew"
    merit = f"{source['distance']:.3f}" if follows else ""
    if "probability" in source:
        merit += f"\n{source['probability']:.0%}"
    return (_formula(row), group, "\n".join(_cell(row)), *_facts(row), origin, merit)


def _formula(row: Mapping[str, object]) -> str:
    """With the name of its structure type below, where it has one."""
    formula = str(row.get("formula") or _crystal(row).formula)
    return "\n".join([formula, *([str(row["prototype"])] if "prototype" in row else [])])


def _cell(row: Mapping[str, object]) -> tuple[str, str]:
    a, b, c, alpha, beta, gamma = cell_parameters(_crystal(row))
    return f"{a:.2f} {b:.2f} {c:.2f}", f"{alpha:.0f} {beta:.0f} {gamma:.0f}"


def _facts(row: Mapping[str, object]) -> tuple[str, str, str]:
    above = row.get("above_hull")
    last = f"{above:.3f}" if isinstance(above, int | float) else "yes" if row["valid"] else "no"
    return f"{row['density']:.2f}", f"{row['smallest_distance']:.2f}", last


def _crystal(row: Mapping[str, object]) -> Crystal:
    crystal = row["crystal"]
    assert isinstance(crystal, Crystal)
    return crystal


def conformers_table(rows: Sequence[Mapping[str, object]], total: int, width: int = WIDTH) -> Table:
    """A table of conformers for the terminal, the lowest of each molecule first.

    Args:
        rows: journal lines of conformers that are kept, of `unigen.sample.ensemble`; the first `SHOWN` are shown.
        total: how many there are.
        width: of the terminal, characters.
    """
    columns = [Column("rank"), Column("SMILES", "anywhere", least=10), Column("ΔE\n(kcal/mol)"), Column("weight\n(%)")]
    cells = [
        [str(row["rank"]), str(row["smiles"]), f"{row[RELATIVE]:.2f}", f"{100 * float(str(row[WEIGHT])):.1f}"]
        for row in rows[:SHOWN]
    ]
    return terminal_table(columns, cells, f"and {total - SHOWN} more" if total > SHOWN else None, width)


def molecules_table(rows: Sequence[Mapping[str, object]], total: int, width: int = WIDTH) -> Table:
    """A table of molecules for the terminal.

    Args:
        rows: journal lines of samples that were made; the first `SHOWN` are shown.
        total: how many there are.
        width: of the terminal, characters.
    """
    columns = [Column("formula", "names"), Column("SMILES", "anywhere", least=10), Column("d min\n(Å)")]
    cells = []
    for row in rows[:SHOWN]:
        closest = row["smallest_distance"]
        cells.append([str(row["formula"]), str(row["smiles"]), f"{closest:.2f}" if isinstance(closest, float) else "-"])
    return terminal_table(columns, cells, f"and {total - SHOWN} more" if total > SHOWN else None, width)
