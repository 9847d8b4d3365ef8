"""What a user should know of a request before it is drawn: units of the properties, and values nobody has seen."""

from __future__ import annotations

from unigen.models.generator import Generator
from unigen.models.smiles.generator import MoleculeGenerator
from unigen.models.wyckoff.generator import WyckoffGenerator
from unigen.nn.conditions.properties import property_numbers
from unigen.request import CrystalRequest, MoleculeRequest


def remarks(generator: Generator, request: CrystalRequest | MoleculeRequest) -> list[str]:
    """A line a property: its value and unit beside the range of the training data, a warning outside of it.

    Raises:
        UserError: a property that the model does not know.
    """
    if not request.properties:
        return []
    match generator:
        case MoleculeGenerator():
            ranges = generator.model.embedding.property_range[1:].tolist()
        case WyckoffGenerator(model=model) if model.adapter is not None:
            ranges = model.adapter.range.tolist()
        case _:
            return []
    config = generator.model.config
    numbers = property_numbers(request.properties, config.properties)
    units = [*config.units, *[""] * len(config.properties)]
    return [_remark(config.properties[n], value, units[n], *ranges[n]) for n, value in numbers.items()]


def _remark(name: str, value: float, unit: str, low: float, high: float) -> str:
    asked, known = (f"{text} {unit}".rstrip() for text in (f"{name} {value:g}", f"{low:.4g} to {high:.4g}"))
    if low <= value <= high:
        return f"{asked} ({known})"
    return f"warning: {asked} lies outside of the training data: {known}"
