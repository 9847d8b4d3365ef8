"""Structures in a notebook: a picture to turn, and beside many of them a list to choose from.

The picture is a page of its own in a frame, so that neither the notebook's styles nor its other outputs touch it; it
loads nothing from anywhere, and 3Dmol in it is packed (0.2 MB an output).
"""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any

from unigen.crystals.crystal import Crystal
from unigen.eval.report import Report, metric_texts
from unigen.models.generator import Sample
from unigen.molecules.molecule import Molecule
from unigen.report.html import asset, page_data, template
from unigen.report.page import Item, Kind, Page, Value

SIZE = 260
"""Pixels of the picture: several fit on a screen."""

MOST_ITEMS = 50
"""Structures of a list: a notebook is saved with all of them, a kilobyte each; a run folder has a page for more."""

_SCRIPTS = ("columns", "structure", "viewer", "notebook")

_COLUMNS = (
    "rank",
    "space_group",
    "score",
    "energy_per_atom",
    "energy_above_lowest",
    "above_hull",
)
"""What a list tells besides formula and symmetry; everything else is in ``to_dataframe``."""


def html_of(shown: object) -> str:
    """The picture of one structure.

    Args:
        shown: a Crystal, a Molecule or a Sample; a Report is a table of its first numbers.
    """
    if isinstance(shown, Report):
        return _report_html(shown)
    if isinstance(shown, Sample):
        kind: Kind = "molecules" if isinstance(shown.structure, Molecule) else "crystals"
        return samples_html([shown], kind)
    assert isinstance(shown, Crystal | Molecule), "only these show themselves"
    item = Item("structure", shown, {}, _subtitle(shown))
    return _frame([item], "molecules" if isinstance(shown, Molecule) else "crystals")


def _report_html(report: Report) -> str:
    shown = report.first_metrics
    numbers = [(name, *metric_texts(name, metric)) for name, metric in shown.items()]
    rows = [("", "value", "95 % interval", "over"), *numbers]
    lines = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows)
    more = len(report.metrics) - len(shown)
    note = f"<p>and {more} more in report.metrics</p>" if more else ""
    table = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<p>{escape(report.title)}</p><table>{table}</table>{note}"


def samples_html(samples: Sequence[Sample[Any, Any]], kind: Kind) -> str:
    """The picture of samples, those that failed counted below the list.

    Args:
        samples: in their order.
        kind: what they are.
    """
    made = [sample for sample in samples if sample.structure is not None]
    failed = [sample for sample in samples if sample.structure is None]
    notes = [f"and {len(made) - MOST_ITEMS} more"] if len(made) > MOST_ITEMS else []
    notes += [f"{len(failed)} failed; the first: {failed[0].reason}"] if failed else []
    if not made:
        return f"<p>{escape('; '.join(notes) or 'no samples')}</p>"
    items = [Item(each.model, each.structure, _columns(each), _told(each)) for each in made[:MOST_ITEMS]]
    return _frame(items, kind, "; ".join(notes))


def _columns(sample: Sample[Any, Any]) -> dict[str, Value]:
    values: dict[str, Value] = {**sample.ranking, **sample.facts}
    if sample.source.get("formula"):
        values["follows"] = str(sample.source["formula"])
    return {name: values[name] for name in (*_COLUMNS, "follows") if name in values}


def _told(sample: Sample[Any, Any]) -> str:
    assert sample.structure is not None, "of what was made"
    return _subtitle(sample.structure)


def _subtitle(structure: Crystal | Molecule) -> str:
    """Space group or SMILES."""
    return structure.smiles if isinstance(structure, Molecule) else structure.space_group(0.1).symbol


def _frame(items: Sequence[Item], kind: Kind, note: str = "") -> str:
    page = Page("", kind, items)
    text = template("notebook.html").render(
        data=page_data(page, items),
        packed=_packed(),
        scripts=[asset(f"{name}.js") for name in _SCRIPTS],
        licence=asset("3Dmol-LICENSE.txt"),
        size=SIZE,
        note=note,
    )
    width = SIZE + 10 if len(items) == 1 and not note else 900
    style = f"border: 0; width: {width}px; max-width: 100%; height: {SIZE + 30}px"
    return f'<iframe title="{kind} in 3D" srcdoc="{escape(text)}" style="{style}"></iframe>'


@cache
def _packed() -> str:
    # without a time in it: the same picture is the same text
    return b64encode(gzip.compress(asset("3Dmol-min.js").encode(), 9, mtime=0)).decode()
