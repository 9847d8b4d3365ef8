"""The page of a run or an evaluation: one HTML file that needs nothing else, with a gallery to turn, filter and sort.

What an item, a figure or a table says may come from strangers' files: it enters the page as text or as an image, never
as markup, and the page's content security policy lets no script run but ours and nothing be loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.molecules.molecule import Molecule
from unigen.report.pictures.conventional_cell import SYMPREC
from unigen.report.quantities import By

Value = float | int | bool | str | None


@dataclass(frozen=True, eq=False)
class Item:
    """One sample.

    Attributes:
        id: its name, and that of the file made of it.
        structure: None for a failure.
        columns: what is known about it, by name; filtered and sorted by. Numbers, true or false, or text.
        subtitle: a short second line below the formula.
        file: a file that holds it, relative to the page, where there is one.
        location: where in that file, such as "entry 3", if it is not a file of its own.
        reason: why there is no structure.
        left_out: it is no failure: what it is of has others in its place.
    """

    id: str
    structure: Crystal | Molecule | None
    columns: Mapping[str, Value] = field(default_factory=dict)
    subtitle: str = ""
    file: str = ""
    location: str = ""
    reason: str = ""
    left_out: bool = False


@dataclass(frozen=True)
class Figure:
    """A picture.

    Attributes:
        title: what it shows.
        svg: an SVG document; it is shown as an image, so nothing in it can run or load.
        text: the same in words, for those who do not see it.
        wide: it takes the room of two.
    """

    title: str
    svg: str
    text: str
    wide: bool = False


@dataclass(frozen=True)
class Table:
    """A table of texts; the first column names the row.

    Attributes:
        title: what it shows.
        columns: its heads.
        rows: of texts.
        note: what the reader has to know, below it.
        folded: only its title is seen until the reader opens it.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    folded: bool = False


@dataclass(frozen=True, eq=False)
class Page:
    """Everything on a page.

    Attributes:
        title: its heading.
        kind: what the items are.
        items: all samples in their order, failures included.
        figures: distributions, hulls, energies.
        tables: the main numbers, before the structures.
        appendix: further tables, behind them.
        settings: of the run, nested as one likes.
        notes: what the reader has to know first, a line each.
        units: of columns, by name, where `unigen.report.quantities` does not know them.
        on_cards: columns whose values stand on every card, and first in the table of structures.
        made_by: what values come from, by the words of `unigen.report.quantities.By`, such as the potential's name.
        symprec: tolerance of conventional cells, Angstrom: that of the space groups on the page.
    """

    title: str
    kind: Kind
    items: Sequence[Item] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    appendix: Sequence[Table] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    on_cards: Sequence[str] = ()
    made_by: Mapping[By, str] = field(default_factory=dict)
    symprec: float = SYMPREC
