"""``unigen finetune``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from unigen.cli.options import Workers


def finetune(
    model: Annotated[str, typer.Argument(help="Bundled name, such as unigen-crystal-small, or a model folder.")],
    data: Annotated[str, typer.Option(help="Your structures: a built dataset, a folder or a file.")],
    out: Annotated[Path, typer.Option(help="Run folder; an interrupted run goes on.")] = Path("finetuned"),
    property_: Annotated[
        str | None, typer.Option("--property", help="Learn to be asked for this column of the data.")
    ] = None,
    properties: Annotated[
        Path | None, typer.Option(help="CSV of properties by id; one that lies in the folder is found.")
    ] = None,
    unit: Annotated[str, typer.Option(help="Of the property, for messages and the card.")] = "",
    steps: Annotated[int, typer.Option(min=1, help="At most; it ends early when nothing is gained.")] = 300,
    split_val: Annotated[float, typer.Option(min=0.01, max=0.9, help="Held out, if the data holds out none.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Same seed and machine: the same model.")] = 0,
    accelerator: Annotated[Literal["cpu", "gpu", "auto"], typer.Option(help="That it trains on.")] = "cpu",
    workers: Workers = None,
) -> object:
    """Train a bundled model further on your own structures; prints what it can do before and after."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from unigen.runs.fine_tuning import FineTuneSettings, fine_tune, report_rows

    settings = FineTuneSettings(
        model=model,
        data=data,
        out=out,
        property=property_,
        properties=properties,
        unit=unit,
        steps=steps,
        split_val=split_val,
        seed=seed,
        accelerator=accelerator,
        workers=workers,
    )
    console = Console()
    result = fine_tune(settings, console)
    heading, *rows = report_rows(result, settings)
    table = Table()
    for place, column in enumerate(heading):
        table.add_column(column, justify="right" if place else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
    for note in result.notes:
        console.out(note, highlight=False)
    console.out(f"model written to {result.model}", highlight=False)
    return result
