"""The structures of a dataset as a file of requests, for benchmarks: cells, molecules, or values of a property."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from unigen.data.composition import compositions
from unigen.data.durable import durable
from unigen.data.molecule_store import MoleculeDataset
from unigen.data.store import CrystalDataset
from unigen.data.summary import open_any
from unigen.elements import format_formula
from unigen.errors import UserError


def write_requests(
    name: str, out: str | Path, *, limit: int | None = None, properties: Sequence[str] = (), seed: int = 0
) -> int:
    """Write one request a structure as CSV.

    Crystals give ``id,formula,n_atoms`` (the whole primitive cell), molecules ``id,smiles``; with properties only these
    are written, one column each: their values are asked for, not the molecules.

    Args:
        name: a built dataset, ``NAME`` or ``NAME:SPLIT``, or a path.
        out: file to write.
        limit: so many, drawn by the seed; None writes all in order.
        properties: of molecules.
        seed: of the draw.

    Returns:
        How many requests there are.

    Raises:
        UserError: the dataset is not built, a property that it does not have, or the disk is full.
    """
    dataset, _ = open_any(name)
    rows = np.arange(len(dataset))
    if limit is not None:
        rows = np.sort(np.random.default_rng(seed).permutation(len(dataset))[:limit])
    if isinstance(dataset, MoleculeDataset):
        header, lines = _molecules(dataset, rows, properties)
    elif properties:
        raise UserError("holds crystals", where=name, wanted="molecules, whose properties can be requested")
    else:
        header, lines = _crystals(dataset, rows)
    with durable(Path(out)) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows(lines)
    return len(rows)


def _crystals(dataset: CrystalDataset, rows: np.ndarray) -> tuple[Sequence[str], Iterator[Sequence[object]]]:
    chosen = dataset.select(rows)
    cells = zip(chosen.ids, compositions(chosen), strict=True)
    return ("id", "formula", "n_atoms"), ((name, format_formula(cell), sum(cell.values())) for name, cell in cells)


def _molecules(
    dataset: MoleculeDataset, rows: np.ndarray, properties: Sequence[str]
) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
    missing = [name for name in properties if name not in dataset.properties]
    if missing:
        known = ", ".join(dataset.properties) or "none"
        raise UserError(f"no property {missing[0]!r}", where=dataset.name, wanted=f"one of {known}")
    if not properties:
        return ("id", "smiles"), zip(dataset.ids[rows], dataset.smiles[rows], strict=True)
    columns = [dataset.properties[name][rows].tolist() for name in properties]
    return ("id", *properties), zip(dataset.ids[rows], *columns, strict=True)
