"""The structures of a dataset as a file of requests, for benchmarks: cells, molecules, or values of a property."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from unigen.data.compositions import compositions, densities
from unigen.data.crystal_store import CrystalDataset
from unigen.data.molecule_store import MoleculeDataset
from unigen.data.store import Dataset
from unigen.data.summary import open_any
from unigen.disk import durable_text
from unigen.elements import format_formula
from unigen.errors import UserError
from unigen.shapes import Float


def write_requests(
    name: str, out: str | Path, *, limit: int | None = None, properties: Sequence[str] = (), seed: int = 0
) -> int:
    """Write one request a structure as CSV.

    Crystals give ``id,formula,n_atoms`` (the whole primitive cell), molecules ``id,smiles``; with properties only these
    are written, of crystals in one column, of molecules one each: their values are asked for, not the structures.

    Args:
        name: a built dataset, ``NAME`` or ``NAME:SPLIT``, or a path.
        out: file to write.
        limit: so many, drawn by the seed; None writes all in order.
        properties: names; of crystals also ``density``. Structures without one of the values are left out.
        seed: of the draw.

    Returns:
        How many requests there are.

    Raises:
        UserError: the dataset is not built, a property that it does not have, or the disk is full.
    """
    dataset, _ = open_any(name)
    values = np.column_stack([_values(dataset, each) for each in properties]) if properties else None
    rows = np.arange(len(dataset)) if values is None else np.flatnonzero(np.isfinite(values).all(axis=1))
    if limit is not None:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:limit])
    if values is None:
        header, lines = _for_structures(dataset, rows)
    else:
        header, lines = _for_properties(dataset, rows, properties, values[rows])
    with durable_text(Path(out), newline="") as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows(lines)
    return len(rows)


def _values(dataset: Dataset, name: str) -> Float[np.ndarray, "rows"]:
    """One a structure, NaN where unknown."""
    if name == "density" and isinstance(dataset, CrystalDataset):
        return densities(dataset)
    if name not in dataset.properties:
        names = [*dataset.properties, *["density"] * isinstance(dataset, CrystalDataset)]
        raise UserError(f"no property {name!r}", where=dataset.name, wanted=f"one of {', '.join(names) or 'none'}")
    return dataset.properties[name]


def _for_properties(
    dataset: Dataset, rows: np.ndarray, names: Sequence[str], values: np.ndarray
) -> tuple[Sequence[str], Iterator[Sequence[object]]]:
    """Requests for values: of crystals all in one column, of molecules a column each."""
    ids = dataset.ids[rows].tolist()
    if isinstance(dataset, MoleculeDataset):
        return ("id", *names), ((name, *row) for name, row in zip(ids, values.tolist(), strict=True))
    texts = (";".join(f"{name}={value:.6g}" for name, value in zip(names, row, strict=True)) for row in values)
    return ("id", "properties"), zip(ids, texts, strict=True)


def _for_structures(dataset: Dataset, rows: np.ndarray) -> tuple[Sequence[str], Iterator[Sequence[object]]]:
    """Requests for the structures themselves."""
    chosen = dataset.select(rows)
    if isinstance(chosen, MoleculeDataset):
        return ("id", "smiles"), zip(chosen.ids, chosen.smiles, strict=True)
    cells = zip(chosen.ids, compositions(chosen), strict=True)
    return ("id", "formula", "n_atoms"), ((name, format_formula(cell), sum(cell.values())) for name, cell in cells)
