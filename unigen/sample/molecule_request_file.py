"""Requests for molecules: a SMILES file, and properties as the command line writes them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from unigen.errors import UserError
from unigen.request import MoleculeRequest
from unigen.sample.requests import read_properties, request_rows

_WORDS = ("id", "smiles", "formula")


def read_molecule_requests(path: str | Path, *, largest_fragment: bool = False) -> list[MoleculeRequest]:
    """Requests from a CSV or JSON-lines file: ``id``, ``smiles``, ``formula``; every other column is a property.

    Raises:
        UserError: naming file and row: unreadable, a value that is no number, a request that contradicts itself.
    """
    return [_request(values, where, largest_fragment) for values, where in request_rows(Path(path), None)]


def _request(values: dict, where: str, largest_fragment: bool) -> MoleculeRequest:
    words = {name: str(values[name]) for name in _WORDS if name in values}
    try:
        asked = read_properties({name: value for name, value in values.items() if name not in _WORDS})
        return MoleculeRequest(**words, properties=asked, largest_fragment=largest_fragment)
    except UserError as error:
        raise UserError(str(error), where=where) from error


def molecule_requests(
    smiles: str | None,
    smiles_file: Path | None,
    requests: Path | None,
    formula: str | None,
    properties: Iterable[str],
    scaffold: Path | None,
    largest_fragment: bool,
) -> list[MoleculeRequest]:
    """What the command line asks for; see `MoleculeRequest`.

    Raises:
        UserError: a file that cannot be read, a request that contradicts itself.
    """
    readers = {"--smiles-file": (smiles_file, read_smiles_file), "--requests": (requests, read_molecule_requests)}
    others = {"--smiles": smiles, "--formula": formula, "--scaffold": scaffold, "--property": list(properties)}
    given = [name for name, (path, _) in readers.items() if path] + [name for name, value in others.items() if value]
    for path, read in readers.values():
        if path and len(given) > 1:
            raise UserError(f"{given[0]} and {given[1]} exclude each other")
        if path:
            return read(path, largest_fragment=largest_fragment)
    text = None if scaffold is None else _text(scaffold)
    asked = read_properties(list(properties))
    return [
        MoleculeRequest(
            smiles=smiles, formula=formula, properties=asked, scaffold=text, largest_fragment=largest_fragment
        )
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("cannot read", where=str(path), got=getattr(error, "strerror", error)) from error


def read_smiles_file(path: str | Path, *, largest_fragment: bool = False) -> list[MoleculeRequest]:
    """One request a line: a SMILES and, behind blanks, a name; empty lines and lines with ``#`` are left out.

    Raises:
        UserError: a file that cannot be read, or holds nothing.
    """
    lines = _text(Path(path)).splitlines()
    words = [line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#")]
    if not words:
        raise UserError("no SMILES in the file", where=str(path), wanted="one a line, perhaps a name behind it")
    return [
        MoleculeRequest(smiles=row[0], id=row[1].strip() if len(row) > 1 else None, largest_fragment=largest_fragment)
        for row in words
    ]
