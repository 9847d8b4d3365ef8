"""Requests from a CSV or JSON-lines file, one a row."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from unigen.errors import UserError
from unigen.request import CrystalRequest

_FIELDS = tuple(field.name for field in fields(CrystalRequest))
_WHOLE_NUMBERS = ("z", "n_atoms")


def read_requests(path: str | Path) -> list[CrystalRequest]:
    """Read requests; columns (or keys) are the fields of CrystalRequest, ``elements`` comma separated or a list.

    Raises:
        UserError: naming file and row: unreadable, an unknown column, a request that contradicts itself.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("cannot read the requests", where=str(path), got=getattr(error, "strerror", error)) from error
    rows = _json_rows(text, path) if path.suffix in (".jsonl", ".json", ".ndjson") else _csv_rows(text, path)
    requests = [_request(row, f"{path}:{number}") for number, row in rows]
    if not requests:
        raise UserError("no requests in the file", where=str(path))
    return requests


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, dict]]:
    table = csv.DictReader(text.splitlines())
    unknown = [name for name in table.fieldnames or () if name not in _FIELDS]
    if unknown:
        raise UserError(f"unknown column {unknown[0]!r}", where=str(path), wanted=", ".join(_FIELDS))
    yield from enumerate(table, start=2)


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, dict]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError("not JSON", where=f"{path}:{number}", got=str(error)) from error
            if not isinstance(row, dict):
                raise UserError("not a JSON object", where=f"{path}:{number}", got=type(row).__name__)
            yield number, row


def _request(row: dict, where: str) -> CrystalRequest:
    values = {name: value for name, value in row.items() if value not in (None, "")}
    if None in values:  # what csv.DictReader calls the fields beyond its columns
        raise UserError("more fields than columns", where=where, got=values[None])
    unknown = [str(name) for name in values if name not in _FIELDS]
    if unknown:
        raise UserError(f"unknown field {unknown[0]!r}", where=where, wanted=", ".join(_FIELDS))
    try:
        values |= {name: _whole(name, values[name]) for name in _WHOLE_NUMBERS if name in values}
        if "elements" in values:
            values["elements"] = split_elements(values["elements"])
        return CrystalRequest(**values | {name: str(values[name]) for name in ("formula", "id") if name in values})
    except UserError as error:
        raise UserError(str(error), where=where) from error


def _whole(name: str, value: object) -> int:
    """A whole number, also as the ``5.0`` that spreadsheets make of it."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = float("nan")
    if not number.is_integer():
        raise UserError(f"{name}: not a whole number", got=repr(value))
    return int(number)


def split_elements(elements: object) -> tuple[str, ...]:
    """``"Li,Fe,P,O"`` or a list to symbols; raises UserError for anything else."""
    parts = elements.split(",") if isinstance(elements, str) else elements
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise UserError("elements: not symbols", got=elements, wanted="such as Li,Fe,P,O")
    return tuple(part.strip() for part in parts if part.strip())
