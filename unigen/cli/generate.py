"""``unigen generate``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from unigen.cli.options import Axis, Format, Scheme, Wavelength, Workers
from unigen.errors import UserError

app = typer.Typer(help="Generate structures.", no_args_is_help=True)

Samples = Annotated[int, typer.Option("--n", "-n", min=1, help="Samples a request.")]
Out = Annotated[Path, typer.Option(help="Run folder; an interrupted run goes on.")]
# Settings of models: None is "not given", and what is shown is the default of the bundled models.
Solver = Annotated[
    Literal["dpm2m", "heun"] | None, typer.Option(help="heun evaluates twice a step.", show_default="dpm2m")
]
Guidance = Annotated[
    float | None, typer.Option(min=0.0, help="Weight of properties; 1: as the model holds it.", show_default="1.0")
]
Within = Annotated[float | None, typer.Option(min=0.0, help="De novo: unknown formulas, so near to a known one.")]
WANTED, CHOICE, STABLE = "What is wanted", "The best of many candidates", "Until so many are stable"
ENSEMBLE = "Energies of conformers"
"""Groups of options in the help."""

Candidates = Annotated[
    int | None,
    typer.Option(
        min=1, help="Draw so many for each request, keep the best --n.", show_default="20", rich_help_panel=CHOICE
    ),
]
Picture = Annotated[bool, typer.Option(help="Draw the first samples into samples.png.")]
Page = Annotated[bool, typer.Option(help="Write report.html: every sample in 3D, to filter and sort.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")]


@app.command("crystal")
def generate_crystal(
    formula: Annotated[
        str | None,
        typer.Option(
            help="Such as SrTiO3; or ABX3, 'ABX3 with A in Cs,Rb; X in halogens'; none: de novo.",
            rich_help_panel=WANTED,
        ),
    ] = None,
    z: Annotated[
        int | None,
        typer.Option(help="Formula units, of the reduced formula, in the primitive cell.", rich_help_panel=WANTED),
    ] = None,
    n_atoms: Annotated[int | None, typer.Option(help="Atoms in the primitive cell.", rich_help_panel=WANTED)] = None,
    elements: Annotated[
        str | None, typer.Option(help="Only these may occur, such as Li,Fe,P,O.", rich_help_panel=WANTED)
    ] = None,
    must_contain: Annotated[str | None, typer.Option(help="These have to occur.", rich_help_panel=WANTED)] = None,
    chemical_system: Annotated[
        str | None, typer.Option(help="All of these and no others: Li-Fe-P-O.", rich_help_panel=WANTED)
    ] = None,
    charge_balanced: Annotated[
        bool, typer.Option("--charge-balanced", help="De novo: only charges that balance.", rich_help_panel=WANTED)
    ] = False,
    known: Annotated[
        list[str] | None, typer.Option(help="Dataset or hull; no formula of it is drawn.", rich_help_panel=WANTED)
    ] = None,
    space_group: Annotated[
        str | None, typer.Option(help="Number or symbol, or several: 221,Pnma.", rich_help_panel=WANTED)
    ] = None,
    crystal_system: Annotated[
        str | None, typer.Option(help="A crystal system, from triclinic to cubic.", rich_help_panel=WANTED)
    ] = None,
    template: Annotated[
        str | None, typer.Option(help="Wyckoff letters, such as '221 Sr:a Ti:b O:c'.", rich_help_panel=WANTED)
    ] = None,
    property_: Annotated[
        list[str] | None, typer.Option("--property", help="NAME=VALUE, such as density=5.", rich_help_panel=WANTED)
    ] = None,
    distances: Annotated[
        str | None,
        typer.Option("--min-distance", help="Angstrom: 1.8, or by pair Ti-O=1.7,O-O=2.2.", rich_help_panel=WANTED),
    ] = None,
    volume_per_atom: Annotated[
        str | None, typer.Option(help="Range in A^3/atom, such as 12:18 or :18.", rich_help_panel=WANTED)
    ] = None,
    density: Annotated[
        str | None, typer.Option(help="Range in g/cm^3; --property density=5 steers.", rich_help_panel=WANTED)
    ] = None,
    distinct: Annotated[
        Literal["space-group"] | None,
        typer.Option(help="Different space groups before any comes twice.", rich_help_panel=WANTED),
    ] = None,
    scan: Annotated[
        bool, typer.Option("--scan", help="All plausible compositions of --elements.", rich_help_panel=WANTED)
    ] = False,
    scan_limit: Annotated[
        int | None,
        typer.Option(
            min=1, help="Compositions of a subsystem, or of ABX3, at most.", show_default="20", rich_help_panel=WANTED
        ),
    ] = None,
    parents: Annotated[
        list[Path] | None, typer.Option(help="Structures to follow first: files, folders.", rich_help_panel=WANTED)
    ] = None,
    more_parents: Annotated[list[Path] | None, typer.Argument(hidden=True)] = None,
    requests: Annotated[
        Path | None, typer.Option(help="CSV or JSON lines, one request a row.", rich_help_panel=WANTED)
    ] = None,
    n: Samples = 1,
    out: Out = Path("generated"),
    model: Annotated[str, typer.Option(help="Bundled name, model folder, or 'nearest'.")] = "unigen-crystal-small",
    retrieve_from: Annotated[str | None, typer.Option(help="Known structures; default: the model's own.")] = None,
    exclude_formula: Annotated[bool, typer.Option(help="Follow none of the formula's own.")] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Solver steps a vector.", show_default="14")] = None,
    solver: Solver = None,
    guidance: Guidance = None,
    temperature: Annotated[
        float | None, typer.Option(min=0.05, help="1: the model; lower: likelier, less varied.", show_default="0.7")
    ] = None,
    within: Within = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed and device: the same structures.")] = 0,
    candidates: Candidates = None,
    rank_by: Annotated[
        Literal["likelihood", "energy", "pxrd", "property"] | None,
        typer.Option(help="What chooses among candidates.", show_default="likelihood", rich_help_panel=CHOICE),
    ] = None,
    pxrd: Annotated[
        Path | None,
        typer.Option(
            help="Powder pattern to explain: ranked by with --rank-by pxrd, asked for where the model hears peaks.",
            rich_help_panel=CHOICE,
        ),
    ] = None,
    wavelength: Wavelength = None,
    axis: Axis = None,
    potential: Annotated[
        str | None,
        typer.Option(
            help="Of energies: chgnet, 7net-0, ..., package.module:Class.",
            show_default="chgnet",
            rich_help_panel=CHOICE,
        ),
    ] = None,
    energy_scheme: Scheme = None,
    relax: Annotated[
        int | None, typer.Option(min=1, help="Relax the best so many of each request.", rich_help_panel=CHOICE)
    ] = None,
    fix_symmetry: Annotated[
        bool, typer.Option("--fix-symmetry", help="Relax within the space group.", rich_help_panel=CHOICE)
    ] = False,
    pressure: Annotated[
        str | None, typer.Option(help="GPa, such as 0,20,50: who is stable where.", rich_help_panel=CHOICE)
    ] = None,
    hull: Annotated[
        str | None, typer.Option(help="Reference set (unigen hull build); energies above it.", rich_help_panel=CHOICE)
    ] = None,
    workers: Workers = None,
    score: Annotated[bool, typer.Option(help="Compute each sample's exact log-likelihood.")] = True,
    symprec: Annotated[float | None, typer.Option(help="Also symmetrised CIFs, tolerance in Angstrom.")] = None,
    format_: Format = None,
    cif: Annotated[bool, typer.Option(help="Write one CIF a sample.")] = True,
    picture: Picture = True,
    page: Page = True,
    batch_size: Annotated[int, typer.Option(min=1, help="Candidates drawn at once.")] = 512,
    device: Device = "cpu",
    stable: Annotated[
        float | None,
        typer.Option(help="Draw until -n are at most so many eV/atom above --hull, relaxed.", rich_help_panel=STABLE),
    ] = None,
    draws: Annotated[
        int | None, typer.Option(min=1, help="Of --stable, at most.", show_default="20 x -n", rich_help_panel=STABLE)
    ] = None,
    known_formulas: Annotated[
        bool, typer.Option(help="With --stable de novo: also known formulas.", rich_help_panel=STABLE)
    ] = False,
) -> object:
    """Crystals for a formula, a symmetry, a set of elements, or de novo, as extxyz, CIF, JSON lines and a page.

    A formula such as ABX3, X2YZ or A2BB'O6 asks for --n new compositions, one crystal each. Its letters are capitals
    that are no symbols, and beside them B behind A, C behind A and B, Y behind X or with Z. R is a rare earth, T a
    transition metal, X at the end an anion, another letter at the end any element, one before it a metal or metalloid.
    Behind "with" stands what a letter may be: A in Cs,Rb; B=B; X in any.
    """
    from rich.console import Console

    from unigen.api.runs import check_pattern, formats_of, of_asking, only_given, ranking_of, run_crystals, stable_rules
    from unigen.retrieval.parents import read_parents
    from unigen.runs.crystal_files import CrystalFolder
    from unigen.runs.generation import RunSettings
    from unigen.sample.expansion import expand
    from unigen.sample.requests import read_pressures, read_requests, requests_of

    given = only_given(
        formula=formula,
        z=z,
        n_atoms=n_atoms,
        elements=elements,
        must_contain=must_contain,
        chemical_system=chemical_system,
        charge_balanced=charge_balanced or None,
        space_group=space_group,
        crystal_system=crystal_system,
        template=template,
        properties=property_,
        min_distance=distances,
        volume_per_atom=volume_per_atom,
        density=density,
        distinct=None if scan else distinct,
        pxrd=pxrd,
    )
    if requests is not None and given:
        raise UserError("--requests stands alone", next_step=f"put {', '.join(given)} into the file")
    asked = requests_of(given) if requests is None else read_requests(requests)
    wanted, n, scans = expand(
        asked,
        n,
        model,
        retrieve_from,
        known=known or (),
        hull=hull,
        seed=seed,
        scan=scan,
        limit=scan_limit,
        distinct=distinct,
    )
    for each in scans:
        typer.echo(each.summary)
    if more_parents and not parents:  # --parents a.cif b.cif: what follows the first is an argument to the parser
        raise UserError("unexpected argument", got=more_parents[0], next_step="unigen generate crystal --help")
    settings = RunSettings(
        n=n,
        model=model,
        retrieve_from=retrieve_from,
        exclude_formula=exclude_formula,
        known=tuple(known or ()),
        parents=read_parents([*parents, *(more_parents or ())]) if parents else None,
        scans=scans,
        decoding=only_given(steps=steps, solver=solver, temperature=temperature, guidance=guidance, within=within),
        seed=seed,
        score=score,
        batch_size=batch_size,
        device=device,
        wavelength=wavelength,
        axis=axis,
    )
    ranking = ranking_of(
        stable=stable,
        candidates=candidates,
        by=rank_by,
        potential=potential,
        energy_scheme=energy_scheme,
        relax=relax,
        fix_symmetry=fix_symmetry or None,
        pressures=None if pressure is None else read_pressures(pressure),
        hull=hull,
        **of_asking(model, rank_by, only_given(wavelength=wavelength, axis=axis)),
    )
    if pxrd is not None:
        for remark in check_pattern(pxrd, ranking, model, wavelength, axis):
            typer.echo(remark)
    rules = stable_rules(
        stable,
        len(wanted),
        hull,
        potential,
        energy_scheme,
        device,
        draws=draws,
        known_formulas=known_formulas,
        ranked=ranking is not None,
    )
    folder = CrystalFolder(out, symprec=symprec, formats=formats_of(format_, cif=cif))
    rows = run_crystals(wanted, folder, settings, ranking, rules, workers, Console(), picture=picture, page=page)
    return {"path": out, "samples": rows}


@app.command("molecule")
def generate_molecule(
    smiles: Annotated[str | None, typer.Option(help="Conformers of this molecule, its stereo kept.")] = None,
    smiles_file: Annotated[Path | None, typer.Option(help="One SMILES a line, perhaps a name behind it.")] = None,
    requests: Annotated[Path | None, typer.Option(help="CSV: id, smiles, formula, and a column a property.")] = None,
    formula: Annotated[str | None, typer.Option(help="Exact composition, such as C7H10O2.")] = None,
    property_: Annotated[list[str] | None, typer.Option("--property", help="NAME=VALUE; several may be given.")] = None,
    scaffold: Annotated[
        Path | None, typer.Option(help="SDF: its heavy atoms stay, more are added; two fragments: a linker.")
    ] = None,
    attach: Annotated[
        str | None,
        typer.Option(help="Atoms of the scaffold, from 1, to bond to: 5,12.", show_default="all with a hydrogen"),
    ] = None,
    n: Samples = 1,
    out: Out = Path("generated"),
    model: Annotated[str, typer.Option(help="Bundled name or model folder.")] = "unigen-molecule",
    largest_fragment: Annotated[bool, typer.Option(help="Of several pieces take the largest.")] = False,
    relax: Annotated[
        Literal["none", "mmff", "xtb"] | None,
        typer.Option(
            help="Relax each, by MMFF94 or GFN2-xTB; conformers are sorted by energy.",
            show_default="none",
            rich_help_panel=ENSEMBLE,
        ),
    ] = None,
    window: Annotated[
        float | None,
        typer.Option(min=0, help="Keep conformers up to so many kcal/mol above the lowest.", rich_help_panel=ENSEMBLE),
    ] = None,
    distinct: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Of conformers nearer than this (heavy atoms, Angstrom) keep the lowest; --n are drawn, fewer stay.",
            rich_help_panel=ENSEMBLE,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes of --relax xtb; by default one a core.", rich_help_panel=ENSEMBLE),
    ] = None,
    guidance: Guidance = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Solver steps an atom.", show_default="14")] = None,
    solver: Solver = None,
    temperature: Annotated[
        float | None, typer.Option(min=0.05, help="Of positions; lower: likelier, less varied.", show_default="0.4")
    ] = None,
    symbol_temperature: Annotated[float | None, typer.Option(min=0.05, help="Of SMILES.", show_default="0.8")] = None,
    redraws: Annotated[
        int | None,
        typer.Option(min=0, help="How often what is broken, or of wrong stereo, is drawn again.", show_default="8"),
    ] = None,
    draws_per_atom: Annotated[
        int | None, typer.Option(min=1, help="Places tried for an atom until one is sound.", show_default="8")
    ] = None,
    repairs: Annotated[
        int | None, typer.Option(min=0, help="How often it is taken back to where it went wrong.", show_default="1")
    ] = None,
    settle: Annotated[
        bool | None, typer.Option(help="A harmonic pass over what is still wrong.", show_default="True")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed and device: the same molecules.")] = 0,
    candidates: Candidates = None,
    rank_by: Annotated[Literal["property"] | None, typer.Option(help="What chooses among candidates.")] = None,
    predictor: Annotated[
        str | None,
        typer.Option(help="Of the properties: bundled name, model folder.", show_default="unigen-qm9-chooser"),
    ] = None,
    picture: Picture = True,
    page: Page = True,
    batch_size: Annotated[int, typer.Option(min=1, help="Molecules drawn at once.")] = 256,
    device: Device = "cpu",
) -> object:
    """Molecules de novo, of a formula, with properties, on a scaffold; or conformers of SMILES; as SDF and a page."""
    from rich.console import Console

    from unigen.api.runs import only_given, ranking_of, run_molecules
    from unigen.runs.generation import RunSettings
    from unigen.sample.ensemble import ensemble_settings
    from unigen.sample.requests import molecule_requests

    wanted = molecule_requests(
        smiles, smiles_file, requests, formula, property_ or (), scaffold, largest_fragment, attach or ()
    )
    settings = RunSettings(
        n=n,
        model=model,
        decoding=only_given(
            steps=steps,
            solver=solver,
            temperature=temperature,
            symbol_temperature=symbol_temperature,
            guidance=guidance,
            redraws=redraws,
            draws_per_atom=draws_per_atom,
            repairs=repairs,
            settle=settle,
            relax=None if relax == "xtb" else relax,
        ),
        seed=seed,
        batch_size=batch_size,
        device=device,
    )
    ranking = ranking_of(candidates=candidates, by=rank_by, predictor=predictor)
    ensemble = ensemble_settings(wanted, relax, window, distinct, ranked=ranking is not None)
    rows = run_molecules(
        wanted, out, settings, ranking, workers, Console(), ensemble=ensemble, picture=picture, page=page
    )
    return {"path": out, "samples": rows}
