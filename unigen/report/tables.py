"""What a generated crystal is, in one line of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from unigen.data.crystal import Crystal

if TYPE_CHECKING:
    from rich.table import Table

MIN_DISTANCE = 0.5
"""Angstrom, own periodic images included; with MIN_VOLUME what `unigen.eval` calls structurally valid."""

MIN_VOLUME = 0.1
"""Cubic Angstrom."""


def check_sample(crystal: Crystal, symprec: float = 0.1) -> dict[str, object]:
    """The facts written beside every sample; about a millisecond for ten atoms.

    Args:
        crystal: the sample.
        symprec: tolerance of the space group, Angstrom.

    Returns:
        ``space_group`` (Hermann-Mauguin symbol) and ``space_group_number``, ``density`` in g/cm^3,
        ``smallest_distance`` in Angstrom (own periodic images included), ``volume`` in cubic Angstrom, and ``valid``:
        smallest distance at least 0.5 Angstrom and volume at least 0.1 cubic Angstrom.
    """
    number, symbol = crystal.space_group(symprec)
    closest = crystal.smallest_distance()
    return {
        "space_group": symbol,
        "space_group_number": number,
        "density": crystal.density,
        "smallest_distance": closest,
        "volume": crystal.volume,
        "valid": closest >= MIN_DISTANCE and crystal.volume >= MIN_VOLUME,
    }


def cell_parameters(crystal: Crystal) -> tuple[float, float, float, float, float, float]:
    """Lengths a, b, c in Angstrom and angles alpha (between b and c), beta, gamma in degrees."""
    lengths = np.linalg.norm(crystal.lattice, axis=1)
    unit = crystal.lattice / lengths[:, None]
    cosines = np.clip([unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]], -1.0, 1.0)
    a, b, c = lengths.tolist()
    alpha, beta, gamma = np.degrees(np.arccos(cosines)).tolist()
    return a, b, c, alpha, beta, gamma


def samples_table(rows: Iterable[Mapping[str, object]], limit: int = 20) -> Table:
    """A table of samples for the terminal.

    Args:
        rows: one mapping a sample: ``crystal`` (the Crystal), what `check_sample` returns, and ``formula`` (as the
            user wrote it; the cell's own by default) and ``score`` (log-likelihood) where known.
        limit: rows shown; how many more there are is said below.
    """
    from rich.table import Table

    shown = list(rows)
    table = Table(caption=f"and {len(shown) - limit} more" if len(shown) > limit else None, caption_justify="left")
    table.add_column("formula")
    table.add_column("space group")
    table.add_column("a b c (Å)  alpha beta gamma (°)", no_wrap=True)
    for heading in ("density (g/cm³)", "smallest distance (Å)", "valid", "score"):
        table.add_column(heading, justify="right")
    for row in shown[:limit]:
        table.add_row(*_cells(row))
    return table


def _cells(row: Mapping[str, object]) -> tuple[str, ...]:
    crystal = row["crystal"]
    assert isinstance(crystal, Crystal)
    a, b, c, alpha, beta, gamma = cell_parameters(crystal)
    return (
        str(row.get("formula") or crystal.formula),
        f"{row['space_group']} ({row['space_group_number']})",
        f"{a:.2f} {b:.2f} {c:.2f}  {alpha:.0f} {beta:.0f} {gamma:.0f}",
        f"{row['density']:.2f}",
        f"{row['smallest_distance']:.2f}",
        "yes" if row["valid"] else "no",
        f"{score:.2f}" if isinstance(score := row.get("score"), int | float) else "-",
    )
