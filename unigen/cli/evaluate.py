"""``unigen evaluate``: parse, call, print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from unigen.cli.options import Batch, Device, PotentialName, Scheme, Workers
from unigen.disk import alone_at

if TYPE_CHECKING:
    from unigen.eval.report import Report

app = typer.Typer(help="Judge anyone's structures.", no_args_is_help=True)

Seed = Annotated[int, typer.Option(min=0, help="Of the bootstrap intervals and of whatever is drawn.")]
Out = Annotated[Path, typer.Option(help="Report; a CSV with a row a sample stands beside it.")]
LargestFragment = Annotated[bool, typer.Option(help="Of reference entries in several pieces take the largest.")]
Page = Annotated[bool, typer.Option(help="Also an HTML page with every structure in 3D, beside the report.")]


@contextmanager
def _report_at(out: Path) -> Iterator[None]:
    """Hold the place of the report, which is nobody else's."""
    from unigen.eval.report import Report

    with alone_at(out):
        Report.check_free(out)
        yield


@app.command("crystals")
def evaluate_crystals(
    samples: Annotated[Path, typer.Argument(help="Run folder, CIF folder, extxyz, JSON lines, CSV, ...")],
    reference: Annotated[str | None, typer.Option(help="Dataset (mp-20:test) or files.")] = None,
    protocol: Annotated[str | None, typer.Option(help="csp or denovo; by default what the input allows.")] = None,
    k: Annotated[int | None, typer.Option(min=1, help="Samples a reference, at most.")] = None,
    only_sampled: Annotated[bool, typer.Option(help="Leave references without samples out (csp).")] = False,
    coverage: Annotated[bool, typer.Option(help="Also COV-R and COV-P (slow; denovo).")] = False,
    breakdown: Annotated[bool, typer.Option(help="Match rates by size and free parameters, too (csp).")] = False,
    neighbours_of: Annotated[str | None, typer.Option(help="Rates by chemical distance to MINE:train.")] = None,
    relax: Annotated[int, typer.Option(min=0, help="Relax the first so many; 0: none, or all with --hull.")] = 0,
    hull: Annotated[str | None, typer.Option(help="Energy above this reference set (unigen hull build).")] = None,
    potential: PotentialName = "chgnet",
    energy_scheme: Scheme = None,
    max_steps: Annotated[int, typer.Option(min=0, help="Of relaxation.")] = 500,
    predictor: Annotated[
        str, typer.Option(help="Of properties asked for that are not computed: bundled name, model folder.")
    ] = "unigen-crystal-predictor",
    against: Annotated[str | None, typer.Option(help="Another method's structures: energies by composition.")] = None,
    device: Device = "cpu",
    batch: Batch = None,
    workers: Workers = None,
    seed: Seed = 0,
    out: Out = Path("report.json"),
    page: Page = True,
) -> object:
    """Match rates against references (csp), or validity, uniqueness, novelty and distributions (denovo)."""
    from unigen.energies.potential import find_potential
    from unigen.energies.relaxation import RelaxSettings
    from unigen.eval.crystals.evaluate import evaluate_crystals as evaluate
    from unigen.eval.crystals.stability import StabilityRules
    from unigen.sample.predict import open_predictor

    with _report_at(out):
        stability = None
        if relax or hull or against:
            calculator = find_potential(potential, energy_scheme, device, batch)
            settings, folder = RelaxSettings(max_steps=max_steps), out.with_suffix(".relaxed")
            # --relax 0 beside --hull or --against: all samples
            stability = StabilityRules.of(calculator, settings, folder, hull, relax or None, against, samples)
        report = evaluate(
            samples,
            reference,
            protocol,
            k=k,
            only_sampled=only_sampled,
            coverage=coverage,
            breakdown=breakdown,
            neighbours_of=neighbours_of,
            stability=stability,
            predictor=partial(open_predictor, predictor, device),
            workers=workers,
            seed=seed,
            progress=True,
        )
        return _print_report(report, out, page=page)


def _print_report(report: Report, out: Path, *, page: bool) -> object:
    from rich.console import Console

    from unigen.report.evaluation_page import write_evaluation_page

    written = [*report.write(out)]
    if page:
        written.append(write_evaluation_page(report, out.with_suffix(".html")))
    Console().print(*report.tables())
    typer.echo(f"written: {', '.join(str(path) for path in written)}")
    return json.loads(written[0].read_text())


@app.command("molecules")
def evaluate_molecules(
    samples: Annotated[Path, typer.Argument(help="Run folder, SDF, XYZ, extxyz, or a folder of these.")],
    reference: Annotated[str | None, typer.Option(help="Dataset (qm9:train), files, or a list of SMILES.")] = None,
    known: Annotated[
        list[str] | None, typer.Option(help="A dataset, table of SMILES or file, of which no molecule is novel.")
    ] = None,
    posebusters: Annotated[int, typer.Option(min=0, help="So many, and as many of the reference (slow).")] = 0,
    strain: Annotated[int, typer.Option(min=0, help="Relax so many with GFN2-xTB, and of the reference.")] = 0,
    moses: Annotated[int, typer.Option(min=0, help="So many by the metrics of MOSES, against the reference.")] = 0,
    largest_fragment: LargestFragment = False,
    workers: Workers = None,
    seed: Seed = 0,
    out: Out = Path("report.json"),
    page: Page = True,
) -> object:
    """EDM's stability, validity by RDKit, uniqueness, novelty and distributions, each over all samples."""
    from unigen.eval.molecules.evaluate import evaluate_molecules as evaluate

    with _report_at(out):
        report = evaluate(
            samples,
            reference,
            known=known or (),
            posebusters=posebusters,
            strain=strain,
            moses=moses,
            relaxed=out.with_suffix(".relaxed"),
            largest_fragment=largest_fragment,
            workers=workers,
            seed=seed,
            progress=True,
        )
        return _print_report(report, out, page=page)


@app.command("conditional")
def evaluate_conditional(
    samples: Annotated[Path, typer.Argument(help="Run folder of molecules that were asked to have properties.")],
    reference: Annotated[str, typer.Option(help="Dataset (qm9:test) or files of molecules with true values.")],
    predictor: Annotated[str, typer.Option(help="Bundled name or model folder.")] = "unigen-qm9-predictor",
    seed: Seed = 0,
    out: Out = Path("report.json"),
    page: Page = True,
) -> object:
    """Error of each requested property by a trained predictor, beside its floor and what is trivial."""
    from unigen.eval.molecules.conditional import evaluate_conditional as evaluate
    from unigen.sample.predict import load_predictor

    with _report_at(out):
        report = evaluate(samples, reference, load_predictor(predictor), seed=seed, progress=True)
        return _print_report(report, out, page=page)


@app.command("conformers")
def evaluate_conformers(
    reference: Annotated[str, typer.Option(help="Dataset (qm9:test) or files of reference conformers.")],
    samples: Annotated[Path | None, typer.Argument(help="Run folder, SDF, XYZ, ...; none: RDKit's ETKDG.")] = None,
    threshold: Annotated[float, typer.Option(help="Covered below it, Angstrom.")] = 0.5,
    baseline: Annotated[Literal["etkdg", "none"], typer.Option(help="With and without MMFF clean-up.")] = "etkdg",
    only_sampled: Annotated[bool, typer.Option(help="Leave molecules without samples out.")] = False,
    largest_fragment: Annotated[
        bool, typer.Option(help="Of samples and references in several pieces take the largest.")
    ] = False,
    workers: Workers = None,
    seed: Seed = 0,
    out: Out = Path("report.json"),
    page: Page = True,
) -> object:
    """Coverage and matching (COV, MAT) against reference conformers, beside RDKit's ETKDG."""
    from unigen.eval.molecules.conformers import evaluate_conformers as evaluate

    with _report_at(out):
        report = evaluate(
            samples,
            reference,
            threshold=threshold,
            baseline=baseline == "etkdg",
            only_sampled=only_sampled,
            largest_fragment=largest_fragment,
            workers=workers,
            seed=seed,
            progress=True,
        )
        return _print_report(report, out, page=page)
