"""What crystals and molecules are compared by, distribution beside distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.molecules.molecule import Molecule
from unigen.report.figures.histogram import histogram
from unigen.report.page import Figure, Value
from unigen.report.quantities import unit_of

MOST_REFERENCES = 10_000
"""References that are looked at, evenly spaced over all."""

_SAME = 1e-6
"""Values that differ by less are one: nothing moves in a relaxation of no steps."""

Quantity = tuple[str, str, Callable[..., float]]
"""Name, unit, and value of a structure."""


def _radius(molecule: Molecule) -> float:
    """Root mean square distance of the atoms from their middle."""
    centred = molecule.positions - molecule.positions.mean(axis=0)
    return float(np.sqrt((centred**2).sum(axis=1).mean()))


_CRYSTALS: tuple[Quantity, ...] = (
    ("density", "g/cm³", lambda crystal: crystal.density),
    ("volume per atom", "Å³", lambda crystal: crystal.volume / len(crystal)),
    ("atoms in the cell", "", len),
    ("elements", "", lambda crystal: len(crystal.counts)),
)
_MOLECULES: tuple[Quantity, ...] = (
    ("heavy atoms", "", lambda molecule: int((molecule.numbers != 1).sum())),
    ("atoms", "", len),
    ("elements", "", lambda molecule: len(molecule.counts)),
    ("radius of gyration", "Å", _radius),
)


def column_distributions(
    columns: Mapping[str, Sequence[Value]], kind: Kind, marks: Mapping[str, Sequence[float]] | None = None
) -> list[Figure]:
    """A figure a column of numbers; none of what is the same for all samples.

    Args:
        columns: values by name, None where there is none.
        kind: of the samples; it says the units.
        marks: values with a line of their own, by name.
    """
    figures = []
    for name, column in columns.items():
        values = [value for value in column if isinstance(value, float)]
        if values and max(values) - min(values) > _SAME:
            marked = (marks or {}).get(name, ())
            figures.append(histogram(name.replace("_", " "), values, unit=unit_of(name, kind), marks=marked))
    return [figure for figure in figures if figure]


def distributions(
    kind: Kind, samples: Sequence[Crystal | Molecule], reference: Sequence[Crystal | Molecule] = ()
) -> list[Figure]:
    """A figure a quantity; none of what is the same for all samples, where there is no reference.

    Args:
        kind: what they are.
        samples: what was made.
        reference: what it should be like, if anything.
    """
    # a step rounded up, so never more than these; 1 where there are no references, as 0 is no step
    references = reference[:: -(-len(reference) // MOST_REFERENCES) or 1]
    figures = []
    for name, unit, value in _CRYSTALS if kind == "crystals" else _MOLECULES:
        made = [value(each) for each in samples]
        if references or len(set(made)) > 1:
            figures.append(histogram(name, made, [value(each) for each in references], unit))
    return [figure for figure in figures if figure]
