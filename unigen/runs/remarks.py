"""What a user should know of a request before it is drawn: units of the properties, and values nobody has seen."""

from __future__ import annotations

from unigen.models.generator import Generator
from unigen.request import CrystalRequest, MoleculeRequest


def remarks(generator: Generator, request: CrystalRequest | MoleculeRequest) -> list[str]:
    """A line a property: its value and unit beside the range of the training data, a warning outside of it.

    Raises:
        UserError: a property that the model does not know.
    """
    ranges = generator.ranges(request.properties)
    return [_remark(name, request.properties[name], unit, low, high) for name, (low, high, unit) in ranges.items()]


def _remark(name: str, value: float, unit: str, low: float, high: float) -> str:
    asked, known = (f"{text} {unit}".rstrip() for text in (f"{name} {value:g}", f"{low:.4g} to {high:.4g}"))
    if low <= value <= high:
        return f"{asked} ({known})"
    return f"warning: {asked} lies outside of the training data: {known}"
