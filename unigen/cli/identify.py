"""``unigen identify``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unigen.cli.options import Axis, Wavelength, Workers


def identify(
    pxrd: Annotated[Path, typer.Argument(help="Powder pattern: columns of text, CIF, an instrument's file.")],
    elements: Annotated[str | None, typer.Option(help="Only structures of these, such as Ti,O.")] = None,
    formula: Annotated[str | None, typer.Option(help="Only structures of this composition.")] = None,
    known: Annotated[str | None, typer.Option(help="Dataset; default: the table of unigen-crystal-small.")] = None,
    n: Annotated[int, typer.Option(min=1, help="Structures to list.")] = 10,
    out: Annotated[Path | None, typer.Option(help="Folder for the CIFs of the listed structures.")] = None,
    wavelength: Wavelength = None,
    axis: Axis = None,
    workers: Workers = None,
) -> object:
    """Which known structure is it? Ranked by a powder pattern, with the cell that fits best."""
    from rich.console import Console
    from rich.table import Table

    from unigen import parallel
    from unigen.crystals.powder.files import read_pattern
    from unigen.disk import alone_in, durable
    from unigen.elements import ATOMIC_NUMBER, parse_formula
    from unigen.errors import UserError
    from unigen.models.checkpoint import model_folder
    from unigen.ranking.identification import identify as search
    from unigen.ranking.identification import open_known
    from unigen.retrieval.build_table import TABLE
    from unigen.sample.requests import split_elements

    symbols = None if elements is None else split_elements(elements)
    for symbol in symbols or ():
        if symbol not in ATOMIC_NUMBER:
            raise UserError(f"elements: unknown element {symbol!r}", wanted="symbols such as Ti,O")
    counts = None if formula is None else parse_formula(formula)
    pattern = read_pattern(pxrd, wavelength=wavelength, axis=axis)
    structures = open_known(model_folder("unigen-crystal-small") / TABLE if known is None else known)
    console = Console()
    for remark in pattern.remarks:
        console.out(f"{pxrd}: {remark}", highlight=False)
    with parallel.Workers(workers, progress=True) as pool:
        result = search(
            pattern,
            structures,
            pool,
            elements=None if symbols is None else [ATOMIC_NUMBER[symbol] for symbol in symbols],
            formula=counts,
            n=n,
        )
    listed = []
    table = Table("id", "formula", "space group", "similarity", "Rwp", "scale")
    for each in result.found:
        residual = "" if pattern.peaks else f"{each.r_wp:.3f}"
        group = each.crystal.space_group(symprec=0.1)
        row = (each.id, each.crystal.reduced_formula, f"{group.symbol} ({group.number})", f"{each.similarity:.3f}")
        table.add_row(*row, residual, f"{each.scale:.4f}")
        found = {"id": each.id, "formula": each.crystal.reduced_formula, "space_group": group.number}
        listed.append(found | {"similarity": each.similarity, "r_wp": each.r_wp, "scale": each.scale})
    console.print(table)
    if remark := result.poor_fit:
        console.out(f"warning: {remark}", highlight=False)
    console.out(f"{result.compared:,} known structures compared", highlight=False)
    for reason, count in result.left_out.items():
        console.out(f"left out: {count:,} {reason}", highlight=False)
    if out is not None:
        with alone_in(out):
            for place, each in enumerate(result.found, start=1):
                safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in each.id)
                with durable(out / f"{place:02d}-{safe}.cif") as partial:
                    each.crystal.to_cif(partial)
        console.out(f"written to {out}", highlight=False)
    return {"found": listed, "compared": result.compared, "left_out": result.left_out}
