"""``unigen inspect``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def inspect(
    model: Annotated[str, typer.Argument(help="Bundled name, such as unigen-crystal-small, or a model folder.")],
    on: Annotated[
        str | None, typer.Option(help="Built dataset, such as mp-20:test; default: known structures.")
    ] = None,
    n: Annotated[int, typer.Option(min=1, help="Sequences to read.")] = 16,
    out: Annotated[Path | None, typer.Option(help="Folder for the numbers and a page with pictures.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws the structures; same seed, same numbers.")] = 0,
) -> object:
    """What the layers of a model do: how far they look, how many heads they need, how gradients fade."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from unigen.api.inspection import inspect as inspect_layers
    from unigen.report.inspection_page import COLUMNS, layer_rows, remarks

    found = inspect_layers(model, on=on, n=n, out=out, seed=seed, progress=True)
    console = Console()
    table = Table(box=SIMPLE_HEAD, pad_edge=False)  # fits 80 columns whatever the mixer
    for place, column in enumerate(COLUMNS):
        heading = column.replace("effective ", "effective\n").replace("rank of ", "rank of\n")
        table.add_column(heading, no_wrap=True, justify="left" if place == 1 else "right")
    for row in layer_rows(found):
        table.add_row(*map(Text, row))
    console.print(table)
    for remark in remarks(found):
        console.print(Text(remark))
    if out is not None:
        console.out(f"written to {out}", highlight=False)
    return found.summary()
