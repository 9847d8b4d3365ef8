"""Requests from a CSV or JSON-lines file, one a row."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from unigen.crystals.template import apply_template
from unigen.errors import UserError
from unigen.request import CrystalRequest
from unigen.symmetry.space_groups import space_group_number

_FIELDS = tuple(field.name for field in fields(CrystalRequest))
_WHOLE_NUMBERS = ("z", "n_atoms")
_WORDS = ("formula", "crystal_system", "template", "id")


def read_requests(path: str | Path) -> list[CrystalRequest]:
    """Read requests; columns (or keys) are the fields of CrystalRequest, ``elements`` comma separated or a list.

    ``space_group`` is a number or a symbol, ``properties`` such as ``density=5;band_gap=1``; a template's formula and
    size are filled in.

    Raises:
        UserError: naming file and row: unreadable, an unknown column, a request that contradicts itself.
    """
    return [_request(values, where) for values, where in request_rows(Path(path), _FIELDS)]


def request_rows(path: Path, known: Sequence[str] | None) -> list[tuple[dict, str]]:
    """The rows of a file, empty fields left out, with where each stands.

    Args:
        path: CSV, or JSON lines by its ending.
        known: columns there may be; None for any.

    Raises:
        UserError: unreadable, no row, a column that is not known.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("cannot read the requests", where=str(path), got=getattr(error, "strerror", error)) from error
    rows = _json_rows(text, path) if path.suffix in (".jsonl", ".json", ".ndjson") else _csv_rows(text, path, known)
    found = [(_values(row, f"{path}:{number}", known), f"{path}:{number}") for number, row in rows]
    if not found:
        raise UserError("no requests in the file", where=str(path))
    return found


def _csv_rows(text: str, path: Path, known: Sequence[str] | None) -> Iterator[tuple[int, dict]]:
    table = csv.DictReader(text.splitlines())
    unknown = [name for name in table.fieldnames or () if known is not None and name not in known]
    if unknown:
        raise UserError(f"unknown column {unknown[0]!r}", where=str(path), wanted=", ".join(known or ()))
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


def _values(row: dict, where: str, known: Sequence[str] | None) -> dict:
    values = {name: value for name, value in row.items() if value not in (None, "")}
    if None in values:  # what csv.DictReader calls the fields beyond its columns
        raise UserError("more fields than columns", where=where, got=values[None])
    unknown = [str(name) for name in values if known is not None and name not in known]
    if unknown:
        raise UserError(f"unknown field {unknown[0]!r}", where=where, wanted=", ".join(known or ()))
    return values


def _request(values: dict, where: str) -> CrystalRequest:
    try:
        return request_of(values)
    except UserError as error:
        raise UserError(str(error), where=where) from error


def request_of(fields: Mapping[str, object]) -> CrystalRequest:
    """A request from the fields that are given, as files and the command line write them.

    Raises:
        UserError: a field that cannot be read, or a request that contradicts itself.

    Example:
        >>> request_of({"template": "Fm-3m Na:a Cl:b", "z": "1"}).formula
        'NaCl'
    """
    values: dict[str, Any] = dict(fields)
    values |= {name: _whole(name, values[name]) for name in _WHOLE_NUMBERS if name in values}
    values |= {name: str(values[name]) for name in _WORDS if name in values}
    if "elements" in values:
        values["elements"] = split_elements(values["elements"])
    if "properties" in values:
        values["properties"] = read_properties(values["properties"])
    if "space_group" in values:
        values["space_group"] = _space_group(values["space_group"])
    return apply_template(CrystalRequest(**values))


def read_properties(properties: object) -> dict[str, float]:
    """Values by name from ``["gap=0.25", "mu=1.5"]``, ``"gap=0.25;mu=1.5"``, or a mapping.

    Raises:
        UserError: anything else, or a name given twice.
    """
    if isinstance(properties, Mapping):
        properties = [f"{name}={value}" for name, value in properties.items()]
    texts = properties.split(";") if isinstance(properties, str) else properties
    values: dict[str, float] = {}
    for text in texts if isinstance(texts, list | tuple) else [texts]:
        name, sign, number = str(text).partition("=")
        try:
            value = float(number)
        except ValueError:
            sign = ""
        if not sign or not name.strip():
            raise UserError("property: not a name and a number", got=text, wanted="such as gap=0.25")
        if name.strip() in values:
            raise UserError(f"property {name.strip()}: given twice")
        values[name.strip()] = value
    return values


def _space_group(value: object) -> int:
    """A number, also as the ``225.0`` that spreadsheets make of it, or a symbol."""
    try:
        return _whole("space_group", value)
    except UserError:
        return space_group_number(str(value))


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
