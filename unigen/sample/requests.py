"""Requests for crystals and molecules, as files of rows, SMILES files and the command line write them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from unigen.crystals.template import apply_template
from unigen.data.readers.smiles import NAMES, read_smiles_list
from unigen.elements import ATOMIC_NUMBER, SYMBOLS, format_formula, parse_formula
from unigen.errors import UserError
from unigen.parsing import csv_errors, parse_json, read_whole
from unigen.request import ALL_PAIRS, CrystalRequest, Limits, MoleculeRequest
from unigen.sample.wildcards import FormulaType, read_formula_type
from unigen.symmetry.space_groups import space_group_number

Request = TypeVar("Request")
Number = TypeVar("Number", int, float)

_CRYSTAL_FIELDS = (*(field.name for field in fields(CrystalRequest)), "chemical_system")
_WHOLE_NUMBERS = ("z", "n_atoms")
_CRYSTAL_TEXTS = ("formula", "crystal_system", "template", "pxrd", "id")
_MOLECULE_TEXTS = ("id", "smiles", "formula")


def read_requests(path: str | Path) -> list[CrystalRequest | FormulaTypeRequest]:
    """Read requests; columns (or keys) are the fields of CrystalRequest, ``elements`` comma separated or a list.

    ``chemical_system`` (``Li-Fe-P-O``) stands for ``elements`` and ``must_contain``.

    ``space_group`` is a number or a symbol or several of them (``221,Pnma``), ``properties`` such as
    ``density=5;band_gap=1``, ``min_distance`` such as ``1.8`` or ``1.8;Ti-O=1.7``, ``volume_per_atom`` and ``density``
    such as ``12:18``; a template's formula and size are filled in.

    Raises:
        UserError: naming file and row: unreadable, an unknown column, a request that contradicts itself.
    """
    return _requests(Path(path), _CRYSTAL_FIELDS, requests_of)


def read_molecule_requests(path: str | Path, *, largest_fragment: bool = False) -> list[MoleculeRequest]:
    """Requests from a CSV or JSON-lines file: ``id`` (or ``name``), ``smiles``, ``formula``, in whatever case.

    Every other column is a property.

    Raises:
        UserError: naming file and row: unreadable, a value that is no number, a request that contradicts itself.
    """

    def request(values: Mapping[str, object]) -> list[MoleculeRequest]:
        known = {name: name.lower() for name in values if name.lower() in (*_MOLECULE_TEXTS, *NAMES)}
        texts = {known[name]: str(values[name]) for name in known}
        return [
            MoleculeRequest(
                smiles=texts.get("smiles"),
                formula=texts.get("formula"),
                properties=read_properties({name: value for name, value in values.items() if name not in known}),
                largest_fragment=largest_fragment,
                id=next((texts[name] for name in NAMES if name in texts), None),
            )
        ]

    return _requests(Path(path), None, request)


def read_smiles_file(path: str | Path, *, largest_fragment: bool = False) -> list[MoleculeRequest]:
    """One request a line, as `unigen.data.readers.smiles.read_smiles_list` reads them.

    Raises:
        UserError: a file that cannot be read, or holds nothing.
    """
    listed = list(read_smiles_list(Path(path)))
    if not listed:
        raise UserError("no SMILES in the file", where=str(path), wanted="one a line, perhaps a name behind it")
    return [
        MoleculeRequest(smiles=each.smiles, id=each.name or None, largest_fragment=largest_fragment) for each in listed
    ]


def read_pressures(text: str) -> tuple[float, ...]:
    """Pressures in GPa, as the command line writes them: ``0,20,50``.

    Raises:
        UserError: not numbers.
    """
    return _numbers(text, float, "pressure: not numbers", "GPa, such as 0,20,50")


def molecule_requests(
    smiles: str | None,
    smiles_file: Path | None,
    requests: Path | None,
    formula: str | None,
    properties: Iterable[str],
    scaffold: Path | None,
    largest_fragment: bool,
    attach: Sequence[int] | str = (),
) -> list[MoleculeRequest]:
    """What the command line asks for; see `MoleculeRequest`.

    Raises:
        UserError: a file that cannot be read, a request that contradicts itself.
    """
    readers = {"--smiles-file": (smiles_file, read_smiles_file), "--requests": (requests, read_molecule_requests)}
    others: dict[str, object] = {"--smiles": smiles, "--formula": formula, "--property": list(properties)}
    others |= {"--scaffold": scaffold, "--attach": attach}
    given = [name for name, (path, _) in readers.items() if path] + [name for name, value in others.items() if value]
    for path, read in readers.values():
        if path and len(given) > 1:
            raise UserError(f"{given[0]} and {given[1]} exclude each other")
        if path:
            return read(path, largest_fragment=largest_fragment)
    return [
        MoleculeRequest(
            smiles=smiles,
            formula=formula,
            properties=read_properties(list(properties)),
            scaffold=None if scaffold is None else _text(scaffold, "cannot read"),
            attach=read_atoms(attach) if isinstance(attach, str) else tuple(attach),
            largest_fragment=largest_fragment,
        )
    ]


def read_atoms(text: str) -> tuple[int, ...]:
    """Numbers of atoms, from 1, as the command line writes them: ``5,12``.

    Raises:
        UserError: not numbers.
    """
    return _numbers(text, int, "attach: not numbers of atoms", "such as 5,12")


def _numbers(text: str, number: Callable[[str], Number], error: str, wanted: str) -> tuple[Number, ...]:
    """The numbers of a text with commas between them; raises UserError with these words."""
    try:
        return tuple(number(word) for word in text.split(","))
    except ValueError as reason:
        raise UserError(error, got=text, wanted=wanted) from reason


def _text(path: Path, error: str) -> str:
    try:
        return read_whole(path)
    except UserError as reason:
        said = str(reason).removeprefix(f"{path}: ").removeprefix("cannot be read; got ")
        raise UserError(error, where=str(path), got=said) from reason


def _requests(
    path: Path, columns: Sequence[str] | None, requests_of_row: Callable[[Mapping[str, object]], list[Request]]
) -> list[Request]:
    """The requests of each row of a CSV file, or of JSON lines by its ending; ``columns`` None: there may be any.

    Raises:
        UserError: naming file and row: unreadable, an unknown column, what ``requests_of_row`` raises.
    """
    text = _text(path, "cannot read the requests")
    if path.suffix in (".jsonl", ".json", ".ndjson"):
        rows = list(_json_rows(text, path))
    else:
        rows = list(_csv_rows(text, path, columns))
    if not rows:
        raise UserError("no requests in the file", where=str(path))
    requests: list[Request] = []
    for number, row in rows:
        where = f"{path}:{number}"
        values = {name: value for name, value in row.items() if value not in (None, "")}
        if None in values:  # what csv.DictReader calls the fields beyond its columns
            raise UserError("more fields than columns", where=where, got=values[None])
        unknown = [str(name) for name in values if columns is not None and name not in columns]
        if unknown:
            raise UserError(f"unknown field {unknown[0]!r}", where=where, wanted=", ".join(columns or ()))
        try:
            requests += requests_of_row(values)
        except UserError as error:
            raise UserError(str(error), where=where) from error
    return requests


def _csv_rows(text: str, path: Path, columns: Sequence[str] | None) -> Iterator[tuple[int, dict]]:
    heading = text.split("\n", 1)[0]
    # a table of one column has no other mark
    delimiter = next((mark for mark in ",;\t" if mark in heading), ",")
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    with csv_errors(path, table):
        table.fieldnames = [name.strip() for name in table.fieldnames or ()]
        unknown = [name for name in table.fieldnames or () if columns is not None and name not in columns]
        if unknown:
            raise UserError(f"unknown column {unknown[0]!r}", where=str(path), wanted=", ".join(columns or ()))
        for row in table:
            yield table.line_num, row


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, dict]]:
    # at "\n" only: JSON may hold the other separators of lines inside its strings
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            row = parse_json(line, f"{path}:{number}")
            if not isinstance(row, dict):
                raise UserError("not a JSON object", where=f"{path}:{number}", got=type(row).__name__)
            yield number, row


@dataclass(frozen=True)
class FormulaTypeRequest:
    """A crystal of any plausible composition of a formula type; `unigen.sample.expansion` makes it requests for those.

    Attributes:
        type: the formula, with letters that may be what is plausible.
        values: all else that is wanted, as `CrystalRequest` has it.

    Raises:
        UserError: fields that contradict each other.
    """

    type: FormulaType
    values: Mapping[str, Any]

    def __post_init__(self) -> None:
        assert self.type.counts, "read here, where the row of a file can be named"
        assert self.rest is not None, "likewise"

    @property
    def rest(self) -> CrystalRequest:
        """What does not depend on the composition."""
        return CrystalRequest(**{name: self.values[name] for name in self.values if name not in _OF_A_FORMULA})

    def of(self, elements: Mapping[str, str]) -> CrystalRequest:
        """The request with these elements for the letters, those of a template too."""
        return _of_type(self.type, elements, self.values)


_OF_A_FORMULA = ("z", "template", "distinct", "id")
"""Fields that say nothing without a formula."""


def requests_of(fields: Mapping[str, object]) -> list[CrystalRequest | FormulaTypeRequest]:
    """One request for each formula of a type whose letters are all listed and that the elements allow; else one.

    Raises:
        UserError: as `request_of`, `read_formula_type` and `FormulaType.formulas`.
    """
    formula = fields.get("formula")
    kind = read_formula_type(formula) if isinstance(formula, str) else None
    if kind is None:
        return [request_of(fields)]
    values = _values_of({name: value for name, value in fields.items() if name != "formula"})
    if kind.is_open:
        return [FormulaTypeRequest(kind, values)]
    may, must = values.get("elements") or SYMBOLS, values.get("must_contain") or ()
    every = [({*kind.fixed, *elements.values()}, elements) for elements in kind.formulas().values()]
    allowed = [elements for all_of_it, elements in every if {*must} <= all_of_it <= {*may}]
    # where none is, the first says why
    return [_of_type(kind, elements, values) for elements in allowed or [every[0][1]]]


def _of_type(kind: FormulaType, elements: Mapping[str, str], values: Mapping[str, Any]) -> CrystalRequest:
    formula = format_formula(parse_formula(kind.filled(elements)))
    own: dict[str, Any] = {"formula": formula}
    if values.get("id") is not None:
        own["id"] = f"{values['id']} {formula}"
    if "template" in values:  # 221 A:a B:b X:c
        own["template"] = re.sub(r"[^\s:]+(?=:)", lambda word: elements.get(word[0], word[0]), values["template"])
    return apply_template(CrystalRequest(**{**values, **own}))


def request_of(fields: Mapping[str, object]) -> CrystalRequest:
    """A request from the fields that are given, as files and the command line write them.

    Raises:
        UserError: a field that cannot be read, or a request that contradicts itself.

    Example:
        >>> request_of({"template": "Fm-3m Na:a Cl:b", "z": "1"}).formula
        'NaCl'
    """
    return apply_template(CrystalRequest(**_values_of(fields)))


def _values_of(fields: Mapping[str, object]) -> dict[str, Any]:
    """The fields as `CrystalRequest` has them."""
    values: dict[str, Any] = dict(fields)
    values |= {name: _whole_number(name, values[name]) for name in _WHOLE_NUMBERS if name in values}
    values |= {name: str(values[name]) for name in _CRYSTAL_TEXTS if name in values}
    if "chemical_system" in values:
        system = values.pop("chemical_system")
        given = [name for name in ("elements", "must_contain") if name in values]
        if given:
            raise UserError(f"chemical_system and {given[0]} exclude each other", got=system)
        values |= {"elements": system, "must_contain": system}
    for name in ("elements", "must_contain"):
        if name in values:
            values[name] = split_elements(values[name], name)
    if "charge_balanced" in values:
        values["charge_balanced"] = _yes_or_no("charge_balanced", values["charge_balanced"])
    values |= {name: values[name].strip().lower() for name in ("crystal_system",) if name in values}
    if "properties" in values:
        values["properties"] = read_properties(values["properties"])
    if "space_group" in values:
        values["space_group"] = _space_groups(values["space_group"])
    if "min_distance" in values:
        values["min_distance"] = read_distances(values["min_distance"])
    values |= {name: read_limits(name, values[name]) for name in ("volume_per_atom", "density") if name in values}
    if "distinct" in values:
        values["distinct"] = str(values["distinct"]).replace("-", "_")
    return values


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


def read_distances(distances: object) -> dict[str, float]:
    """Angstrom by pair of elements from ``1.8``, ``"Ti-O=1.7,O-O=2.2"``, ``"1.8;Ti-O=1.7"``, or a mapping.

    Raises:
        UserError: anything else, or a pair given twice.

    Example:
        >>> read_distances("1.8, Ti-O=1.7")
        {'all': 1.8, 'Ti-O': 1.7}
    """
    parts: Iterable[tuple[object, object]]
    if isinstance(distances, Mapping):
        parts = distances.items()
    else:
        texts = [text.strip() for text in re.split("[,;]", str(distances)) if text.strip()]
        parts = [(pair or ALL_PAIRS, value) for pair, _, value in (text.rpartition("=") for text in texts)]
    values: dict[str, float] = {}
    for pair, value in parts:
        name = str(pair).strip()
        if name in values:
            raise UserError(f"min_distance {name}: given twice")
        values[name] = _number("min_distance", value, "1.8, or by pair Ti-O=1.7,O-O=2.2")
    return values


def read_limits(name: str, limits: object) -> Limits:
    """Lowest and highest value from ``"12:18"``, ``"12:"``, ``":18"``, or a list of two; raises UserError otherwise."""
    wanted = "a range such as 12:18, 12: or :18"
    ends = limits.split(":") if isinstance(limits, str) else limits
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise UserError(f"{name}: not a range", got=limits, wanted=wanted)
    low, high = (None if end is None or str(end).strip() == "" else _number(name, end, wanted) for end in ends)
    return low, high


def _number(name: str, value: object, wanted: str) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: not a number", got=repr(value), wanted=wanted) from error


def _space_groups(value: object) -> int | tuple[int, ...]:
    """One space group, or several as ``"221, Pnma"`` or a list."""
    parts = re.split("[,;]", value) if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        return _space_group(parts)
    groups = tuple(_space_group(part) for part in parts if str(part).strip())
    return groups[0] if len(groups) == 1 else groups


def _space_group(value: object) -> int:
    """A number, also as the ``225.0`` that spreadsheets make of it, or a symbol."""
    try:
        return _whole_number("space_group", value)
    except UserError:
        return space_group_number(str(value))


def _whole_number(name: str, value: object) -> int:
    """A whole number, also as the ``5.0`` that spreadsheets make of it."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = float("nan")
    if not number.is_integer():
        raise UserError(f"{name}: not a whole number", got=repr(value))
    return int(number)


def _yes_or_no(name: str, value: object) -> bool:
    """A truth value, as tables write it."""
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    said = words.get(str(value).strip().lower())
    if said is None:
        raise UserError(f"{name}: neither yes nor no", got=repr(value))
    return said


def split_elements(elements: object, name: str = "elements") -> tuple[str, ...]:
    """``"Li,Fe,P,O"``, ``"Li-Fe-P-O"`` or a list to symbols, in any case; raises UserError for anything else.

    What is no symbol stays as it is, for who says so.

    Raises:
        UserError: no text or list of texts, or two capitals that are a symbol or two: CO.
    """
    parts = re.split(r"[,;\s-]+", elements) if isinstance(elements, str) else elements
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise UserError(f"{name}: not symbols", got=elements, wanted="such as Li,Fe,P,O")
    return tuple(_symbol(part.strip(), name) for part in parts if part.strip())


def _symbol(text: str, name: str) -> str:
    symbol = text.capitalize()
    if text == symbol or symbol not in ATOMIC_NUMBER:
        return text
    if text.isupper() and all(letter in ATOMIC_NUMBER for letter in text):
        raise UserError(
            f"{name}: {text} may be {symbol}, or {' and '.join(text)}",
            next_step=f"write {symbol}, or {','.join(text)}",
        )
    return symbol
