"""``unigen data``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unigen.cli.removal import Yes, remove_folder
from unigen.disk import alone_at, alone_in
from unigen.errors import UserError

app = typer.Typer(help="Build and look at datasets.", no_args_is_help=True)


@app.command("build")
def data_build(
    name: Annotated[str, typer.Argument(help="A recipe (unigen data list) or a name of your own.")],
    source: Annotated[list[str] | None, typer.Option("--from", help="Files, a folder, or a built dataset.")] = None,
    dedup: Annotated[bool, typer.Option(help="Keep one of each set of equal structures.")] = False,
    exclude_compositions_of: Annotated[list[str] | None, typer.Option(help="NAME or NAME:SPLIT.")] = None,
    max_atoms: Annotated[int | None, typer.Option(min=1, help="Largest primitive cell, or molecule.")] = None,
    largest_fragment: Annotated[bool, typer.Option(help="Of salts and mixtures, keep the largest molecule.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Read the first so many entries of each split.")] = None,
    merge_splits: Annotated[bool, typer.Option(help="Forget the sources' splits: all rows are train.")] = False,
    split_val: Annotated[float, typer.Option(min=0.0, help="Fraction to split off as val.")] = 0.0,
    properties: Annotated[
        Path | None, typer.Option(help="CSV of properties by id; one that lies in the folder is found.")
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option(help="SOURCE:OLD=NEW: a property of one source under another name.")
    ] = None,
    conformers: Annotated[int, typer.Option(min=1, help="Of each SMILES, so many rows with other positions.")] = 1,
    relax: Annotated[str | None, typer.Option(help="Relax what is estimated from a SMILES: mmff94s, gfn2-xtb.")] = None,
    compute: Annotated[
        list[str] | None, typer.Option(help="A property to compute of every molecule: logP, QED, TPSA, SA ...")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
) -> object:
    """Build a dataset: checked crystals in primitive cells, or molecules with their bonds, in one Parquet file."""
    from rich.console import Console

    from unigen.data.build import BuildOptions, build_dataset
    from unigen.data.summary import print_result

    options = BuildOptions(
        dedup=dedup,
        exclude_compositions_of=tuple(exclude_compositions_of or ()),
        max_atoms=max_atoms,
        merge_splits=merge_splits,
        split_val=split_val,
        largest_fragment=largest_fragment,
        limit=limit,
        properties=properties,
        rename=tuple(rename or ()),
        conformers=conformers,
        relax=relax,
        compute=tuple(compute or ()),
    )
    console = Console()
    result = build_dataset(name, tuple(source or ()), options, workers=workers, console=console)
    print_result(result, console)
    return result


@app.command("smiles")
def data_smiles(
    name: Annotated[str, typer.Argument(help="A recipe of molecules, or a name of your own.")],
    source: Annotated[list[str] | None, typer.Option("--from", help="Files, a folder, or a built dataset.")] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="NAME or NAME:SPLIT, none of whose molecules may occur.")
    ] = None,
    largest_fragment: Annotated[bool, typer.Option(help="Of salts and mixtures, keep the largest molecule.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Read the first so many entries of each split.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
) -> object:
    """Write a table of SMILES without positions, which a model of molecules learns to write (data.smiles)."""
    from rich.console import Console

    from unigen.data.left_out import left_out_table
    from unigen.data.smiles_build import build_smiles_table

    console = Console()
    result = build_smiles_table(
        name,
        tuple(source or ()),
        exclude=tuple(exclude or ()),
        largest_fragment=largest_fragment,
        limit=limit,
        workers=workers,
        console=console,
    )
    if result.rejected:
        console.print(left_out_table("left out, because", result.rejected))
    for words, count in result.not_kept.items():
        typer.echo(f"not kept, {words}: {count:,} molecules")
    counts = ", ".join(f"{count:,} {split}" for split, count in result.splits.items())
    typer.echo(f"SMILES: {counts}; written to {result.path}")
    return result


@app.command("templates")
def data_templates(
    name: Annotated[str, typer.Argument(help="A built dataset.")],
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
) -> object:
    """Find the symmetry of a dataset's crystals, so that models can retrieve from it (--retrieve-from)."""
    from unigen.data.dataset_file import resolve_dataset
    from unigen.retrieval.build_table import build_table
    from unigen.retrieval.table import MAX_ATOMS, MAX_ORBITS

    with alone_in(resolve_dataset(name)[0].parent):
        result = build_table(name, workers=workers, progress=True)
        counts = ", ".join(f"{count:,} at {symprec:g} A" for symprec, count in sorted(result.symprec.items()))
        typer.echo(f"{result.crystals:,} crystals ({counts}), {result.templates:,} templates written to {result.path}")
        if result.not_followed:
            limit = f"more than {MAX_ATOMS} atoms or {MAX_ORBITS} orbits"
            typer.echo(f"too large for a model to follow ({limit}): {result.not_followed:,}")
    return result


@app.command("neighbours")
def data_neighbours(
    name: Annotated[str, typer.Argument(help="A built dataset with templates.")],
    retrieve_from: Annotated[
        str | None, typer.Option(help="Where neighbours come from; by default NAME:train.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
) -> object:
    """Find which known structures of other formulas each crystal resembles: lessons for wyckoff and octree models."""
    from unigen.data.dataset_file import resolve_dataset
    from unigen.retrieval.verdicts import judge_neighbours

    with alone_in(resolve_dataset(name)[0].parent):
        result = judge_neighbours(name, retrieve_from or f"{name}:train", workers=workers, progress=True)
        typer.echo(
            f"{result.crystals:,} crystals: the nearest neighbour matches {result.first:.1%}, one of the shortlist "
            f"{result.any_kind:.1%}, one has the same template for {result.same_template:.1%}; written to {result.path}"
        )
    return result


@app.command("list")
def data_list() -> object:
    """Recipes and built datasets."""
    from rich.console import Console

    from unigen.data.summary import list_datasets, print_datasets

    entries = list_datasets()
    print_datasets(entries, Console())
    return entries


@app.command("show")
def data_show(name: Annotated[str, typer.Argument(help="A built dataset, or a Parquet file.")]) -> object:
    """Counts, elements, sizes and property ranges of a dataset."""
    from rich.console import Console

    from unigen.data.summary import print_summary, summarise

    summary = summarise(name)
    print_summary(summary, Console())
    return summary


@app.command("remove")
def data_remove(
    names: Annotated[list[str], typer.Argument(help="Built datasets.")],
    yes: Yes = False,
) -> object:
    """Remove built datasets, with their templates, neighbours and SMILES; recipes stay, and can be built again."""
    from unigen.data.dataset_file import built_kind, datasets_home
    from unigen.data.molecule_store import smiles_table_path

    for name in names:
        if built_kind(name) is None and not smiles_table_path(name).exists():
            built = sorted({path.parent.name for path in datasets_home().glob("*/*.parquet")})
            raise UserError(f"dataset {name!r} is not built", wanted=", ".join(built) or "none is built")
    return [remove_folder(datasets_home() / name, yes=yes) for name in names]


@app.command("requests")
def data_requests(
    name: Annotated[str, typer.Argument(help="A built dataset, NAME or NAME:SPLIT.")],
    out: Annotated[Path, typer.Option(help="CSV for: unigen generate ... --requests.")],
    limit: Annotated[int | None, typer.Option(min=1, help="So many, drawn by the seed.")] = None,
    property_: Annotated[
        list[str] | None, typer.Option("--property", help="Ask for its values, not for the molecules.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
) -> object:
    """One request a structure of a dataset, for benchmarks: cells, SMILES, or values of properties."""
    from rich.console import Console

    from unigen.data.left_out import by_reason, left_out_table
    from unigen.data.request_export import write_requests

    with alone_at(out):
        written = write_requests(name, out, limit=limit, properties=property_ or (), seed=seed)
        if written.left_out:
            reasons = by_reason((each.where, each.reason) for each in written.left_out)
            Console().print(left_out_table("no request, because", reasons))
            typer.echo(f"each of them: {written.left_out_path}")
        typer.echo(f"{written.requests} requests written to {out}")
    return {"requests": written.requests, "left_out": len(written.left_out), "path": out}


@app.command("scan")
def data_scan(
    elements: Annotated[str, typer.Argument(help="A chemical system, such as Li,Fe,P,O.")],
    out: Annotated[Path, typer.Option(help="CSV for: unigen generate crystal --requests.")],
    limit: Annotated[int | None, typer.Option(min=1, help="A subsystem, at most.", show_default="20")] = None,
    model: Annotated[str, typer.Option(help="Whose known structures.")] = "unigen-crystal-small",
    retrieve_from: Annotated[str | None, typer.Option(help="A built dataset with templates in their place.")] = None,
) -> object:
    """The plausible compositions of a chemical system and its subsystems, one request each."""
    from unigen.request import CrystalRequest
    from unigen.sample.requests import split_elements
    from unigen.sample.scan import LIMIT, scan_each, write_scan_requests

    with alone_at(out):
        (scan,) = scan_each([CrystalRequest(elements=split_elements(elements))], model, retrieve_from, limit or LIMIT)
        write_scan_requests(out, scan)
        typer.echo(f"{scan.summary}; written to {out}")
    return {"summary": scan.summary, "path": out}
