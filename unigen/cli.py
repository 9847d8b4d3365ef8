"""The command line: parse, call, print. Heavy libraries are imported inside the commands, so that help is instant."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from unigen.errors import UserError

if TYPE_CHECKING:
    from unigen.eval.report import Report
    from unigen.request import CrystalRequest

app = typer.Typer(
    help="UniGen: crystals from a formula, with models that run on a laptop.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
generate_app = typer.Typer(help="Generate structures.", no_args_is_help=True)
evaluate_app = typer.Typer(help="Judge anyone's structures.", no_args_is_help=True)
data_app = typer.Typer(help="Build and look at datasets.", no_args_is_help=True)
models_app = typer.Typer(help="Bundled models.", no_args_is_help=True)
app.add_typer(generate_app, name="generate")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(data_app, name="data")
app.add_typer(models_app, name="models")


def main() -> None:
    """Entry point: a UserError is one line on standard error and exit code 2; an interrupt 130."""
    try:
        app(prog_name="unigen")
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: what is finished is kept, the same command goes on\n")
        sys.exit(130)


@generate_app.command("crystal")
def generate_crystal(
    formula: Annotated[str | None, typer.Option(help="Composition, such as SrTiO3; none: de novo.")] = None,
    z: Annotated[int | None, typer.Option(help="Formula units in the primitive cell; by default drawn.")] = None,
    n_atoms: Annotated[int | None, typer.Option(help="Atoms in the primitive cell.")] = None,
    elements: Annotated[str | None, typer.Option(help="Only these may occur, such as Li,Fe,P,O.")] = None,
    space_group: Annotated[str | None, typer.Option(help="Number 1 to 230, or symbol such as Pm-3m.")] = None,
    crystal_system: Annotated[str | None, typer.Option(help="A crystal system, from triclinic to cubic.")] = None,
    template: Annotated[str | None, typer.Option(help="Wyckoff letters, such as '221 Sr:a Ti:b O:c'.")] = None,
    requests: Annotated[Path | None, typer.Option(help="CSV or JSON lines, one request a row.")] = None,
    n: Annotated[int, typer.Option(min=1, help="Samples a request.")] = 1,
    out: Annotated[Path, typer.Option(help="Run folder; an interrupted run goes on.")] = Path("generated"),
    model: Annotated[str, typer.Option(help="Bundled name, model folder, or 'nearest'.")] = "unigen-crystal-small",
    retrieve_from: Annotated[str | None, typer.Option(help="Known structures; default: the model's own.")] = None,
    exclude_formula: Annotated[bool, typer.Option(help="Follow none of the formula's own.")] = False,
    steps: Annotated[int, typer.Option(min=1, help="Solver steps a vector.")] = 14,
    solver: Annotated[Literal["dpm2m", "heun"], typer.Option(help="heun evaluates twice a step.")] = "dpm2m",
    temperature: Annotated[float, typer.Option(min=0.05, help="1: the model; lower: likelier, less varied.")] = 0.7,
    seed: Annotated[int, typer.Option(min=0, help="Same seed and device: the same structures.")] = 0,
    rank: Annotated[int, typer.Option(min=1, help="Keep the likeliest of so many candidates.")] = 1,
    score: Annotated[bool, typer.Option(help="Compute each sample's exact log-likelihood.")] = True,
    symprec: Annotated[float | None, typer.Option(help="Also symmetrised CIFs, tolerance in Angstrom.")] = None,
    cif: Annotated[bool, typer.Option(help="Write one CIF a sample.")] = True,
    picture: Annotated[bool, typer.Option(help="Draw the first samples into samples.png.")] = True,
    batch_size: Annotated[int, typer.Option(min=1, help="Candidates drawn at once.")] = 512,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
) -> None:
    """Crystals for a formula, a symmetry, a set of elements, or de novo, as extxyz, CIF and JSON lines."""
    wanted = _requests(requests, formula, z, n_atoms, elements, space_group, crystal_system, template)
    from rich.console import Console

    from unigen.report.generation import RunSettings, run_generation
    from unigen.sample.decoder import DecodeSettings

    settings = RunSettings(
        n=n,
        model=model,
        retrieve_from=retrieve_from,
        exclude_formula=exclude_formula,
        decoding=DecodeSettings(steps=steps, solver=solver, temperature=temperature),
        seed=seed,
        rank=rank,
        score=score,
        symprec=symprec,
        cif=cif,
        picture=picture,
        batch_size=batch_size,
        device=device,
    )
    run_generation(wanted, out, settings, Console())


def _requests(file: Path | None, *fields: str | int | None) -> list[CrystalRequest]:
    """The requests of a file, or the one that these fields make."""
    from unigen.sample.request_file import read_requests, request_of

    names = ("formula", "z", "n_atoms", "elements", "space_group", "crystal_system", "template")
    given = {name: value for name, value in zip(names, fields, strict=True) if value is not None}
    if file is None:
        return [request_of(given)]
    if given:
        raise UserError("--requests stands alone", next_step=f"put {', '.join(given)} into the file")
    return read_requests(file)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="A complete YAML, such as configs/tiny.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key.sub=value ...")] = None,
) -> None:
    """Train a model; the same command after any interruption goes on where the last checkpoint was."""
    from unigen.config import load
    from unigen.train.settings import TrainConfig

    settings = load(TrainConfig, config, overrides or ())
    from unigen.train.run import train as run

    typer.echo(f"model written to {run(settings)}")


@evaluate_app.command("crystals")
def evaluate_crystals(
    samples: Annotated[Path, typer.Argument(help="Run folder, CIF folder, extxyz, JSON lines, CSV, ...")],
    reference: Annotated[str | None, typer.Option(help="Dataset (mp-20:test) or files.")] = None,
    protocol: Annotated[str | None, typer.Option(help="csp or denovo; by default what the input allows.")] = None,
    k: Annotated[int | None, typer.Option(min=1, help="Samples a reference, at most.")] = None,
    only_sampled: Annotated[bool, typer.Option(help="Leave references without samples out (csp).")] = False,
    coverage: Annotated[bool, typer.Option(help="Also COV-R and COV-P (slow; denovo).")] = False,
    breakdown: Annotated[bool, typer.Option(help="Match rates by size and free parameters, too (csp).")] = False,
    neighbours_of: Annotated[str | None, typer.Option(help="And by distance to this dataset, MINE:train.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap intervals.")] = 0,
    out: Annotated[Path, typer.Option(help="Report; a CSV with a row a structure stands beside it.")] = Path(
        "report.json"
    ),
) -> None:
    """Match rates against references (csp), or validity, uniqueness, novelty and distributions (denovo)."""
    from unigen.eval.run import evaluate_crystals as evaluate

    report = evaluate(
        samples,
        reference,
        protocol,
        k=k,
        only_sampled=only_sampled,
        coverage=coverage,
        breakdown=breakdown,
        neighbours_of=neighbours_of,
        workers=workers,
        seed=seed,
        progress=True,
    )
    _print_report(report, out)


def _print_report(report: Report, out: Path) -> None:
    from rich.console import Console

    written = report.write(out)
    Console().print(*report.tables())
    typer.echo(f"written: {', '.join(str(path) for path in written)}")


@evaluate_app.command("molecules")
def evaluate_molecules(
    samples: Annotated[Path, typer.Argument(help="Run folder, SDF, XYZ, extxyz, or a folder of these.")],
    reference: Annotated[str | None, typer.Option(help="Dataset (qm9:train), files, or a list of SMILES.")] = None,
    posebusters: Annotated[int, typer.Option(min=0, help="So many, and as many of the reference (slow).")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the intervals and of what is drawn.")] = 0,
    out: Annotated[Path, typer.Option(help="Report; a CSV with a row a molecule stands beside it.")] = Path(
        "report.json"
    ),
) -> None:
    """EDM's stability, validity by RDKit, uniqueness, novelty and distributions, each over all samples."""
    from unigen.eval.molecules import evaluate_molecules as evaluate

    report = evaluate(samples, reference, posebusters=posebusters, workers=workers, seed=seed, progress=True)
    _print_report(report, out)


@evaluate_app.command("conformers")
def evaluate_conformers(
    reference: Annotated[str, typer.Option(help="Dataset (qm9:test) or files of reference conformers.")],
    samples: Annotated[Path | None, typer.Argument(help="Run folder, SDF, XYZ, ...; none: RDKit's ETKDG.")] = None,
    threshold: Annotated[float, typer.Option(help="Covered below it, Angstrom.")] = 0.5,
    baseline: Annotated[Literal["etkdg", "none"], typer.Option(help="With and without MMFF clean-up.")] = "etkdg",
    only_sampled: Annotated[bool, typer.Option(help="Leave molecules without samples out.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the intervals and of the baseline.")] = 0,
    out: Annotated[Path, typer.Option(help="Report; a CSV with a row a conformer stands beside it.")] = Path(
        "report.json"
    ),
) -> None:
    """Coverage and matching (COV, MAT) against reference conformers, beside RDKit's ETKDG."""
    from unigen.eval.conformers import evaluate_conformers as evaluate

    report = evaluate(
        samples,
        reference,
        threshold=threshold,
        baseline=baseline == "etkdg",
        only_sampled=only_sampled,
        workers=workers,
        seed=seed,
        progress=True,
    )
    _print_report(report, out)


@data_app.command("build")
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
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
) -> None:
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
    )
    console = Console()
    print_result(build_dataset(name, tuple(source or ()), options, workers=workers, console=console), console)


@data_app.command("templates")
def data_templates(
    name: Annotated[str, typer.Argument(help="A built dataset.")],
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
) -> None:
    """Find the symmetry of a dataset's crystals, so that models can retrieve from it (--retrieve-from)."""
    from unigen.retrieval.build_table import build_table

    result = build_table(name, workers=workers, progress=True)
    found = ", ".join(f"{count:,} at {symprec:g} A" for symprec, count in sorted(result.symprec.items()))
    typer.echo(f"{result.crystals:,} crystals ({found}), {result.templates:,} templates written to {result.path}")


@data_app.command("neighbours")
def data_neighbours(
    name: Annotated[str, typer.Argument(help="A built dataset with templates.")],
    retrieve_from: Annotated[
        str | None, typer.Option(help="Where neighbours come from; by default NAME:train.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one a core.")] = None,
) -> None:
    """Find which known structures of other formulas each crystal resembles: lessons for a wyckoff model."""
    from unigen.eval.neighbour_verdicts import judge_neighbours

    result = judge_neighbours(name, retrieve_from or f"{name}:train", workers=workers, progress=True)
    typer.echo(
        f"{result.crystals:,} crystals: the nearest neighbour matches {result.first:.1%}, one of the shortlist "
        f"{result.any_kind:.1%}, one has the same template for {result.same_template:.1%}; written to {result.path}"
    )


@data_app.command("list")
def data_list() -> None:
    """Recipes and built datasets."""
    from rich.console import Console

    from unigen.data.listing import list_datasets, print_datasets

    print_datasets(list_datasets(), Console())


@data_app.command("show")
def data_show(name: Annotated[str, typer.Argument(help="A built dataset, or a Parquet file.")]) -> None:
    """Counts, elements, sizes and property ranges of a dataset."""
    from rich.console import Console

    from unigen.data.summary import print_summary, summarise

    print_summary(summarise(name), Console())


@data_app.command("requests")
def data_requests(
    name: Annotated[str, typer.Argument(help="A built dataset, NAME or NAME:SPLIT.")],
    out: Annotated[Path, typer.Option(help="CSV for: unigen generate crystal --requests.")],
) -> None:
    """One request a crystal of a dataset, for structure-prediction benchmarks."""
    from unigen.data.summary import write_requests

    typer.echo(f"{write_requests(name, out)} requests written to {out}")


@models_app.command("list")
def models_list() -> None:
    """Bundled models."""
    from rich.console import Console

    from unigen.report.model_list import models_table

    Console().print(models_table())


@models_app.command("pack")
def models_pack(
    model: Annotated[str, typer.Argument(help="A model folder, such as runs/mine/model.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    dtype: Annotated[Literal["fp32", "bf16"], typer.Option(help="bf16 halves the weights.")] = "bf16",
    templates: Annotated[str | None, typer.Option(help="Dataset whose templates go with it, to retrieve from.")] = None,
    reranker_from: Annotated[str | None, typer.Option(help="Model folder whose reranker it gets.")] = None,
) -> None:
    """Copy a model with smaller weights, to pass it on."""
    from unigen.models.checkpoint import load_model, save_model, take_reranker
    from unigen.retrieval.build_table import copy_table
    from unigen.sample.load import model_folder

    packed = load_model(model_folder(model))
    if reranker_from is not None:
        take_reranker(packed, load_model(model_folder(reranker_from)))
    save_model(packed, out, dtype)
    if templates is not None:
        copy_table(templates, out)
    typer.echo(f"written: {out}")
