"""What a sample was asked to be and what its generator says it is, where the file of samples tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from unigen.crystals.template import apply_template
from unigen.errors import UserError
from unigen.request import CrystalRequest


@dataclass(frozen=True)
class Statement:
    """Request and claim of one sample.

    Attributes:
        request: what was wanted, None where the file does not tell.
        space_group: international number that the generator wrote, None where it wrote none.
    """

    request: CrystalRequest | None = None
    space_group: int | None = None


def read_statement(info: Mapping[str, object]) -> Statement | None:
    """The statement in the fields of an entry: ``request`` (an object), ``space_group``, or else ``template``.

    What cannot be understood is taken as not said: these fields may be somebody else's.

    Example:
        >>> read_statement({"space_group": 221, "request": {"formula": "SrTiO3"}}).request.formula
        'SrTiO3'
    """
    stated = Statement(_request(info.get("request")), _group(info.get("space_group")) or _of_template(info))
    return None if stated == Statement() else stated


def _request(value: object) -> CrystalRequest | None:
    if not isinstance(value, Mapping):
        return None
    given = {each.name: value[each.name] for each in fields(CrystalRequest) if value.get(each.name) is not None}
    if isinstance(given.get("elements"), list):
        given["elements"] = tuple(given["elements"])
    try:
        return apply_template(CrystalRequest(**given))
    except (UserError, TypeError, AttributeError):  # not our own fields, whatever their names
        return None


def _group(value: object) -> int | None:
    """A number of a space group; 0, as a symbol or nothing gives, is none."""
    text = str(value)
    return int(text) if text.isdecimal() and 1 <= int(text) <= 230 else None


def _of_template(info: Mapping[str, object]) -> int | None:
    template = info.get("template")
    return _group(template.partition(" ")[0]) if isinstance(template, str) else None
