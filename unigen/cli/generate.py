"""``unigen generate``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from unigen.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from unigen.models.words.decoding import DecodeSettings
    from unigen.request import CrystalRequest

app = typer.Typer(help="Generate structures.", no_args_is_help=True)

Samples = Annotated[int, typer.Option(min=1, help="Samples a request.")]
Out = Annotated[Path, typer.Option(help="Run folder; an interrupted run goes on.")]
Solver = Annotated[Literal["dpm2m", "heun"], typer.Option(help="heun evaluates twice a step.")]
Guidance = Annotated[float, typer.Option(min=0.0, help="Weight of properties; 1: as the model holds it.")]
Within = Annotated[float | None, typer.Option(min=0.0, help="De novo: unknown formulas, so near to a known one.")]
Picture = Annotated[bool, typer.Option(help="Draw the first samples into samples.png.")]
Page = Annotated[bool, typer.Option(help="Write report.html: every sample in 3D, to filter and sort.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")]


@app.command("crystal")
def generate_crystal(
    formula: Annotated[str | None, typer.Option(help="Composition, such as SrTiO3; none: de novo.")] = None,
    z: Annotated[int | None, typer.Option(help="Formula units in the primitive cell; by default drawn.")] = None,
    n_atoms: Annotated[int | None, typer.Option(help="Atoms in the primitive cell.")] = None,
    elements: Annotated[str | None, typer.Option(help="Only these may occur, such as Li,Fe,P,O.")] = None,
    space_group: Annotated[str | None, typer.Option(help="Number 1 to 230, or symbol such as Pm-3m.")] = None,
    crystal_system: Annotated[str | None, typer.Option(help="A crystal system, from triclinic to cubic.")] = None,
    template: Annotated[str | None, typer.Option(help="Wyckoff letters, such as '221 Sr:a Ti:b O:c'.")] = None,
    property_: Annotated[list[str] | None, typer.Option("--property", help="NAME=VALUE, such as density=5.")] = None,
    requests: Annotated[Path | None, typer.Option(help="CSV or JSON lines, one request a row.")] = None,
    n: Samples = 1,
    out: Out = Path("generated"),
    model: Annotated[str, typer.Option(help="Bundled name, model folder, or 'nearest'.")] = "unigen-crystal-small",
    retrieve_from: Annotated[str | None, typer.Option(help="Known structures; default: the model's own.")] = None,
    exclude_formula: Annotated[bool, typer.Option(help="Follow none of the formula's own.")] = False,
    steps: Annotated[int, typer.Option(min=1, help="Solver steps a vector.")] = 14,
    solver: Solver = "dpm2m",
    guidance: Guidance = 1.0,
    temperature: Annotated[float, typer.Option(min=0.05, help="1: the model; lower: likelier, less varied.")] = 0.7,
    within: Within = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed and device: the same structures.")] = 0,
    rank: Annotated[int, typer.Option(min=1, help="Keep the likeliest of so many candidates.")] = 1,
    score: Annotated[bool, typer.Option(help="Compute each sample's exact log-likelihood.")] = True,
    symprec: Annotated[float | None, typer.Option(help="Also symmetrised CIFs, tolerance in Angstrom.")] = None,
    cif: Annotated[bool, typer.Option(help="Write one CIF a sample.")] = True,
    picture: Picture = True,
    page: Page = True,
    batch_size: Annotated[int, typer.Option(min=1, help="Candidates drawn at once.")] = 512,
    device: Device = "cpu",
) -> None:
    """Crystals for a formula, a symmetry, a set of elements, or de novo, as extxyz, CIF, JSON lines and a page."""
    wanted = _requests(requests, formula, z, n_atoms, elements, space_group, crystal_system, template, property_)
    from unigen.runs.generation import RunSettings, run_generation

    settings = RunSettings(
        n=n,
        model=model,
        retrieve_from=retrieve_from,
        exclude_formula=exclude_formula,
        decoding=_decoding(steps=steps, solver=solver, temperature=temperature, guidance=guidance, within=within),
        seed=seed,
        rank=rank,
        score=score,
        symprec=symprec,
        cif=cif,
        picture=picture,
        page=page,
        batch_size=batch_size,
        device=device,
    )
    run_generation(wanted, out, settings, _console())


def _console() -> Console:
    from rich.console import Console

    return Console()


def _decoding(**settings: Any) -> DecodeSettings:
    from unigen.models.words.decoding import DecodeSettings

    return DecodeSettings(**settings)


def _requests(file: Path | None, *fields: str | int | list[str] | None) -> list[CrystalRequest]:
    """The requests of a file, or the one that these fields make."""
    from unigen.sample.requests import read_requests, request_of

    names = ("formula", "z", "n_atoms", "elements", "space_group", "crystal_system", "template", "properties")
    given = {name: value for name, value in zip(names, fields, strict=True) if value is not None}
    if file is None:
        return [request_of(given)]
    if given:
        raise UserError("--requests stands alone", next_step=f"put {', '.join(given)} into the file")
    return read_requests(file)


@app.command("molecule")
def generate_molecule(
    smiles: Annotated[str | None, typer.Option(help="Conformers of this molecule, its stereo kept.")] = None,
    smiles_file: Annotated[Path | None, typer.Option(help="One SMILES a line, perhaps a name behind it.")] = None,
    requests: Annotated[Path | None, typer.Option(help="CSV: id, smiles, formula, and a column a property.")] = None,
    formula: Annotated[str | None, typer.Option(help="Exact composition, such as C7H10O2.")] = None,
    property_: Annotated[list[str] | None, typer.Option("--property", help="NAME=VALUE; several may be given.")] = None,
    scaffold: Annotated[Path | None, typer.Option(help="SDF: its heavy atoms stay, more are added.")] = None,
    n: Samples = 1,
    out: Out = Path("generated"),
    model: Annotated[str, typer.Option(help="Bundled name or model folder.")] = "unigen-molecule-small",
    largest_fragment: Annotated[bool, typer.Option(help="Of several pieces take the largest.")] = False,
    relax: Annotated[Literal["none", "mmff"], typer.Option(help="Clean up with MMFF94; marked.")] = "none",
    guidance: Guidance = 1.0,
    steps: Annotated[int, typer.Option(min=1, help="Solver steps an atom.")] = 14,
    solver: Solver = "dpm2m",
    temperature: Annotated[float, typer.Option(min=0.05, help="Of positions; lower: likelier, less varied.")] = 0.4,
    symbol_temperature: Annotated[float, typer.Option(min=0.05, help="Of SMILES.")] = 0.8,
    redraws: Annotated[int, typer.Option(min=0, help="How often a conformer of wrong stereo is drawn again.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Same seed and device: the same molecules.")] = 0,
    picture: Picture = True,
    page: Page = True,
    batch_size: Annotated[int, typer.Option(min=1, help="Molecules drawn at once.")] = 256,
    device: Device = "cpu",
) -> None:
    """Molecules de novo, of a formula, with properties, on a scaffold; or conformers of SMILES; as SDF and a page."""
    from unigen.models.smiles.decoding import MoleculeSettings
    from unigen.runs.molecule_generation import MoleculeRun, run_molecules
    from unigen.sample.requests import molecule_requests

    wanted = molecule_requests(smiles, smiles_file, requests, formula, property_ or (), scaffold, largest_fragment)
    drawing = MoleculeSettings(
        steps=steps,
        solver=solver,
        temperature=temperature,
        symbol_temperature=symbol_temperature,
        guidance=guidance,
        redraws=redraws,
        relax=relax,
    )
    run = MoleculeRun(
        n=n,
        model=model,
        drawing=drawing,
        seed=seed,
        picture=picture,
        page=page,
        batch_size=batch_size,
        device=device,
    )
    run_molecules(wanted, out, run, _console())
