"""``unigen relax``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unigen.cli.potential_options import Batch, Device, PotentialName, Scheme, Workers


def relax(
    samples: Annotated[Path, typer.Argument(help="Run folder, CIF folder, extxyz, JSON lines, CSV, ...")],
    out: Annotated[Path, typer.Option(help="Folder; the same command goes on after an interruption.")],
    potential: PotentialName = "chgnet",
    energy_scheme: Scheme = None,
    fmax: Annotated[float, typer.Option(help="Largest force at the end, eV/A.")] = 0.05,
    max_steps: Annotated[int, typer.Option(min=0, help="Of FIRE; 0 computes energies only.")] = 500,
    limit: Annotated[int | None, typer.Option(min=1, help="The first so many structures.")] = None,
    workers: Workers = None,
    device: Device = "cpu",
    batch: Batch = None,
) -> None:
    """Relax anyone's crystals with a named potential, cell and all; what is done is kept."""
    from rich.console import Console

    from unigen.stability.potential import find_potential
    from unigen.stability.relax_files import relax_files
    from unigen.stability.relaxation import RelaxSettings

    chosen = find_potential(potential, energy_scheme, device, batch)
    settings = RelaxSettings(fmax=fmax, max_steps=max_steps)
    relax_files(samples, out, chosen, settings, limit=limit, workers=workers, console=Console())
