"""The structures of a dataset as a file of requests, for benchmarks: cells, molecules, or values of a property."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unigen.data.compositions import compositions, densities
from unigen.data.crystal_store import CrystalDataset
from unigen.data.left_out import LEFT_OUT, LeftOut, write_left_out
from unigen.data.molecule_store import MoleculeDataset
from unigen.data.store import Dataset
from unigen.data.summary import open_any
from unigen.disk import durable_text
from unigen.elements import format_formula
from unigen.errors import UserError
from unigen.shapes import Float


class WrittenRequests(NamedTuple):
    """What was written.

    Attributes:
        requests: so many are in the file.
        left_out: structures without a request: unreadable, or without a value that is asked for.
        left_out_path: the table of them beside the file; None where nothing was left out.
    """

    requests: int
    left_out: list[LeftOut]
    left_out_path: Path | None


def write_requests(
    name: str, out: str | Path, *, limit: int | None = None, properties: Sequence[str] = (), seed: int = 0
) -> WrittenRequests:
    """Write one request a structure as CSV, and beside it a table of what has none.

    Crystals give ``id,formula,n_atoms`` (the whole primitive cell), molecules ``id,smiles``; with properties only these
    are written, of crystals in one column, of molecules one each: their values are asked for, not the structures.

    Args:
        name: a built dataset, ``NAME`` or ``NAME:SPLIT``, or a path, whose unreadable entries are left out.
        out: file to write.
        limit: so many, drawn by the seed; None writes all in order.
        properties: names; of crystals also ``density``. Structures without one of the values are left out.
        seed: of the draw.

    Raises:
        UserError: the dataset is not built, a property that it does not have, or the disk is full.
    """
    dataset, left_out = open_any(name)
    values = np.column_stack([_values(dataset, each) for each in properties]) if properties else None
    rows = np.arange(len(dataset))
    if values is not None:
        known = np.isfinite(values)
        rows = np.flatnonzero(known.all(axis=1))
        for row in np.flatnonzero(~known.all(axis=1)).tolist():
            missing = [each for each, is_known in zip(properties, known[row], strict=True) if not is_known]
            left_out.append(LeftOut(str(dataset.ids[row]), name, f"no {' and no '.join(missing)}"))
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
    path = Path(out).with_name(f"{Path(out).stem}.{LEFT_OUT}")
    if not left_out:
        path.unlink(missing_ok=True)  # of an earlier file of this name
        return WrittenRequests(len(rows), [], None)
    write_left_out(path, left_out)
    return WrittenRequests(len(rows), left_out, path)


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
