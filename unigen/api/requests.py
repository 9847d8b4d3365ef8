"""What a call of ``generate`` wants: formulas, objects, mappings, files and keywords to requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from unigen.errors import UserError
from unigen.models.families import UNLEARNED
from unigen.models.generator import Generator
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.sample.generate import BUNDLED
from unigen.sample.load import load
from unigen.sample.requests import (
    FormulaTypeRequest,
    molecule_requests,
    read_molecule_requests,
    read_pressures,
    read_requests,
    requests_of,
)

Request = CrystalRequest | MoleculeRequest
Wanted = str | Path | Request | Mapping[str, Any] | Sequence[str | Request | Mapping[str, Any]]

_ROWS = (".csv", ".jsonl", ".json", ".ndjson")
"""Endings of files of requests."""


def kind_of_request(requests: Any, model: Any, kind: str | None, *of_molecules: object) -> type[Request]:
    """What is to be made."""
    if kind not in (None, "crystal", "molecule"):
        raise UserError("kind: no such structures", got=kind, wanted="crystal or molecule")
    if kind is not None:
        return MoleculeRequest if kind == "molecule" else CrystalRequest
    first = requests[0] if isinstance(requests, list | tuple) and requests else requests
    if isinstance(first, CrystalRequest | MoleculeRequest):
        return type(first)
    if isinstance(first, Mapping) and "smiles" in first:
        return MoleculeRequest
    makes = model.makes if isinstance(model, Generator) else _makes(model)
    return MoleculeRequest if makes == "molecules" or any(each is not None for each in of_molecules) else CrystalRequest


def _makes(model: Any) -> str:
    """What a model makes first; crystals where none is named, and where it cannot be told yet."""
    if model is None or str(model) in UNLEARNED:
        return "crystals"
    if str(model) == BUNDLED[MoleculeRequest]:
        return "molecules"
    if str(model) == BUNDLED[CrystalRequest]:
        return "crystals"
    return load(model).makes


def crystal_requests(requests: Any, fields: dict[str, object]) -> list[CrystalRequest | FormulaTypeRequest]:
    """Requests for crystals.

    Args:
        requests: the first argument of ``generate``.
        fields: the keywords that say what is wanted; they hold for every formula.

    Raises:
        UserError: nothing that is a request, one that contradicts itself, something said twice.
    """
    if isinstance(requests, Path) or (isinstance(requests, str) and requests.lower().endswith(_ROWS)):
        if fields:
            raise UserError(
                "a file of requests stands alone", got=", ".join(fields), next_step="put them into the file"
            )
        return read_requests(requests)
    several = (
        list(requests) if isinstance(requests, Iterable) and not isinstance(requests, str | Mapping) else [requests]
    )
    if not several:
        raise UserError("no requests: an empty list", wanted="formulas such as SrTiO3, or CrystalRequest")
    wanted: list[CrystalRequest | FormulaTypeRequest] = []
    for each in several:
        if isinstance(each, CrystalRequest):
            if fields:
                raise UserError("a CrystalRequest says all that is wanted", got=", ".join(fields))
            wanted.append(each)
        elif each is None or isinstance(each, str | Mapping):
            own = {} if each is None else {"formula": each} if isinstance(each, str) else dict(each)
            twice = sorted(own.keys() & fields.keys())
            if twice:
                raise UserError(f"{twice[0]}: said twice", got=f"{own[twice[0]]} and {fields[twice[0]]}")
            wanted += requests_of(own | fields)
        else:
            raise UserError(
                "no request", got=type(each).__name__, wanted="a formula, a CrystalRequest, or fields of one"
            )
    return wanted


def molecule_requests_of(requests: Any, fields: dict[str, Any], own: dict[str, Any]) -> list[MoleculeRequest]:
    """Requests for molecules; see `crystal_requests`.

    Args:
        requests: the first argument of ``generate``.
        fields: the keywords that crystals have too: ``formula`` and ``properties``.
        own: ``smiles`` (or several), ``smiles_file``, ``scaffold``, ``attach``, ``largest_fragment``.
    """
    piece = own.get("largest_fragment", False)
    if isinstance(requests, Path) or (isinstance(requests, str) and requests.lower().endswith(_ROWS)):
        if fields or own.keys() - {"largest_fragment"}:
            raise UserError("a file of requests stands alone", next_step="put the rest into the file")
        return read_molecule_requests(requests, largest_fragment=piece)
    several = list(requests) if isinstance(requests, list | tuple) else [requests]
    if any(isinstance(each, MoleculeRequest) for each in several):
        if fields or own or not all(isinstance(each, MoleculeRequest) for each in several):
            raise UserError("a MoleculeRequest says all that is wanted", got=", ".join([*fields, *own]) or None)
        return several
    unknown = fields.keys() - {"formula", "properties"}
    if unknown:
        raise UserError(f"{min(unknown)}: of crystals", next_step="leave kind='molecule' out")
    if any(isinstance(each, Mapping) for each in several):
        return [MoleculeRequest(**{"largest_fragment": piece, **each}) for each in several]
    formulas = [each for each in several if each is not None] or [fields.get("formula")]
    texts = own.get("smiles")
    properties = fields.get("properties", {})
    if isinstance(properties, Mapping):
        properties = [f"{name}={value}" for name, value in properties.items()]
    scaffold, smiles_file = (None if own.get(name) is None else Path(own[name]) for name in ("scaffold", "smiles_file"))
    return [
        request
        for formula in formulas
        for text in ([texts] if isinstance(texts, str | None) else texts)
        for request in molecule_requests(
            text,
            smiles_file,
            None,
            formula,
            properties.split(";") if isinstance(properties, str) else properties,
            scaffold,
            piece,
            own.get("attach", ()),
        )
    ]


def pressures_of(pressure: str | float | Sequence[float] | None) -> tuple[float, ...] | None:
    """Pressures in GPa: one, several, or as the command line writes them."""
    if pressure is None:
        return None
    if isinstance(pressure, str):
        return read_pressures(pressure)
    return tuple(map(float, pressure)) if isinstance(pressure, Sequence) else (float(pressure),)
