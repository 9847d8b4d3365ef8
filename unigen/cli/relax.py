"""``unigen relax``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unigen.cli.options import Batch, Device, Format, Scheme, Workers
from unigen.disk import alone_in


def relaxed_lines(out: Path) -> object:
    """What the journal of a folder holds, one object a structure."""
    from unigen.journal import JOURNAL, read_lines

    return {"path": out, "relaxed": list(read_lines(out / JOURNAL))}


def relax(
    samples: Annotated[Path, typer.Argument(help="Run folder, CIF folder, extxyz, JSON lines, CSV, SDF, XYZ, ...")],
    out: Annotated[Path, typer.Option(help="Folder; the same command goes on after an interruption.")],
    potential: Annotated[
        str | None,
        typer.Option(
            help="Of crystals: chgnet (default), chgnet-r2scan, 7net-0, 7net-l3i5, or an ASE calculator "
            "package.module:Class. Of molecules: gfn2-xtb."
        ),
    ] = None,
    energy_scheme: Scheme = None,
    fmax: Annotated[float, typer.Option(help="Largest force at the end, eV/A.")] = 0.05,
    max_steps: Annotated[int, typer.Option(min=0, help="Of the optimiser; 0 computes energies only.")] = 500,
    pressure: Annotated[float, typer.Option(help="Hydrostatic, GPa; enthalpies are told beside energies.")] = 0.0,
    fix_symmetry: Annotated[bool, typer.Option(help="Keep the space group, made exact first.")] = False,
    symprec: Annotated[float, typer.Option(help="Tolerance of --fix-symmetry, Angstrom.")] = 0.01,
    fix_cell: Annotated[bool, typer.Option(help="Only the atoms move.")] = False,
    fix_atoms: Annotated[bool, typer.Option(help="Only the cell changes; fractional coordinates stay.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="The first so many structures.")] = None,
    format_: Format = None,
    top: Annotated[int | None, typer.Option(min=1, help="Copy so many of each composition, best first.")] = None,
    largest_fragment: Annotated[bool, typer.Option(help="Of molecules in several pieces take the largest.")] = False,
    window: Annotated[
        float | None, typer.Option(min=0, help="Of conformers keep those so many kcal/mol above the lowest, at most.")
    ] = None,
    distinct: Annotated[
        float | None,
        typer.Option(min=0, help="Of conformers nearer than this (heavy atoms, Angstrom) keep the lowest."),
    ] = None,
    workers: Workers = None,
    device: Device = "cpu",
    batch: Batch = None,
    page: Annotated[bool, typer.Option(help="Also report.html, with every relaxed structure in 3D.")] = True,
) -> object:
    """Relax anyone's crystals, cell and all, with a named potential, or molecules with GFN2-xTB; all done is kept."""
    from rich.console import Console

    from unigen.data.readers.contents import kind_of
    from unigen.energies.potential import find_potential
    from unigen.energies.relaxation import RelaxSettings
    from unigen.errors import UserError
    from unigen.molecules.ensemble import EnsembleRules
    from unigen.molecules.relaxation.xtb import GFN2, XtbSettings, check_potential
    from unigen.report.relaxation_page import write_crystals_page, write_molecules_page
    from unigen.runs.formats import read_formats
    from unigen.runs.relaxation import relax_crystal_files, relax_molecule_files

    formats = read_formats(format_)

    rules = None if window is None and distinct is None else EnsembleRules(window=window, distinct=distinct)
    console = Console()
    if potential is not None and potential.lower() == GFN2:
        potential = GFN2
    with alone_in(out):
        if kind_of(samples) == "crystals":
            if potential == GFN2:
                raise UserError("gfn2-xtb relaxes molecules", where=str(samples), got="crystals")
            if largest_fragment or rules is not None:
                option = "--largest-fragment" if largest_fragment else "--window and --distinct"
                verb = "is" if largest_fragment else "are"
                raise UserError(f"{option} {verb} for molecules", where=str(samples), got="crystals")
            chosen = find_potential(potential or "chgnet", energy_scheme, device, batch)
            settings = RelaxSettings(
                fmax=fmax,
                max_steps=max_steps,
                fix_symmetry=fix_symmetry,
                symprec=symprec,
                fix_cell=fix_cell,
                fix_atoms=fix_atoms,
                pressure=pressure,
            )
            crystals = relax_crystal_files(
                samples,
                out,
                chosen,
                settings,
                limit=limit,
                formats=formats,
                top=top,
                workers=workers,
                console=console,
            )
            if page:
                write_crystals_page(out, crystals)
            return relaxed_lines(out)
        if format_ is not None or top is not None:
            raise UserError("--format and --top are for crystals", where=str(samples), got="molecules")
        if fix_symmetry or fix_cell or fix_atoms or pressure:
            raise UserError("a cell, its symmetry and a pressure are of crystals", where=str(samples), got="molecules")
        check_potential(potential, str(samples))
        if energy_scheme or batch or device != "cpu":
            raise UserError("molecules are relaxed by gfn2-xtb, on the CPU, one by one", where=str(samples))
        xtb = XtbSettings(fmax=fmax, max_steps=max_steps)
        molecules = relax_molecule_files(
            samples,
            out,
            xtb,
            rules=rules,
            limit=limit,
            largest_fragment=largest_fragment,
            workers=workers,
            console=console,
        )
        if page:
            write_molecules_page(out, molecules)
        return relaxed_lines(out)
