"""Formulas that count as known: those of datasets, and of the reference sets of hulls, which hold no structures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unigen.data.crystal_store import open_crystals
from unigen.data.dataset_file import resolve_dataset
from unigen.elements import parse_formula
from unigen.energies.hull.reference import ENTRIES, built_hulls, hull_folder, open_reference
from unigen.errors import UserError
from unigen.retrieval.compositions import Compositions, Formula, reduced_formula


def formulas_of(names: Sequence[str | Path]) -> frozenset[Formula]:
    """The reduced formulas of all of them.

    Args:
        names: datasets or hulls, by name or path; a name that both have is the dataset's.

    Raises:
        UserError: neither is built, or its file is broken.
    """
    return frozenset().union(*map(_formulas, names))


def formulas_of_hull(name: str | Path) -> frozenset[Formula]:
    """The reduced formulas of a hull; raises as `open_reference`."""
    return frozenset(reduced_formula(parse_formula(formula)) for formula in open_reference(name).formulas)


def known_file(name: str | Path) -> Path:
    """The file of a dataset or hull that holds its formulas; raises as `formulas_of`."""
    return hull_folder(name) / ENTRIES if _is_hull(name) else resolve_dataset(name)[0]


def _formulas(name: str | Path) -> frozenset[Formula]:
    return formulas_of_hull(name) if _is_hull(name) else Compositions.of_dataset(open_crystals(name)).formulas


def _is_hull(name: str | Path) -> bool:
    """Whether it is a hull and no dataset."""
    try:
        resolve_dataset(name)
    except UserError:
        try:
            hull_folder(name)
        except UserError:
            hulls = ", ".join(folder.name for folder in built_hulls()) or "none"
            raise UserError(
                f"neither a dataset nor a hull {str(name)!r} is built",
                wanted=f"one of unigen data list, or a hull ({hulls})",
                next_step="run: unigen data build, or unigen hull build",
            ) from None
        return True
    return False
