"""``unigen hull``: parse, call, print."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from unigen.cli.options import Batch, Device, PotentialName, Scheme, Workers
from unigen.cli.removal import Yes, remove_folder
from unigen.disk import alone_in

app = typer.Typer(help="Reference sets of energies, for the energy above the convex hull.", no_args_is_help=True)

Sources = Annotated[list[str], typer.Option("--from", help="Dataset (mp-20:val), CSV, or JSON of pymatgen entries.")]


@app.command("build")
def hull_build(
    name: Annotated[str, typer.Argument(help="A name of your own.")],
    sources: Sources,
    energy: Annotated[str | None, typer.Option(help="Column with energies, eV/atom.")] = None,
    quantity: Annotated[Literal["formation", "total"], typer.Option(help="What the energies are.")] = "formation",
    energy_scheme: Scheme = None,
    potential: Annotated[str | None, typer.Option(help="Compute the energies of datasets with this potential.")] = None,
    max_steps: Annotated[int, typer.Option(min=0, help="Of relaxation; 0: structures as they are.")] = 500,
    workers: Workers = None,
    device: Device = "cpu",
    batch: Batch = None,
) -> object:
    """Build a reference set from energies you have, or by relaxing datasets with the potential that will judge."""
    from unigen import parallel
    from unigen.energies.hull.build import build_by_potential, build_from_energies
    from unigen.energies.hull.reference import LEFT_OUT, hull_folder, hulls_home
    from unigen.energies.potential import find_potential
    from unigen.energies.relaxation import RelaxSettings
    from unigen.errors import UserError

    with alone_in(hulls_home() / name):
        if potential is not None:
            chosen = find_potential(potential, energy_scheme, device, batch)
            with parallel.Workers(workers, progress=True) as pool:
                card = build_by_potential(name, sources, chosen, RelaxSettings(max_steps=max_steps), pool)
        elif energy_scheme is None:
            raise UserError(
                "energies without a scheme cannot be compared", next_step="give --energy-scheme, such as MP2020"
            )
        else:
            card = build_from_energies(name, sources, energy=energy, quantity=quantity, scheme=energy_scheme)
    typer.echo(
        f"hull {name}: {card.formulas:,} formulas of {card.entries:,} entries; {card.quantity} energies, {card.scheme}"
    )
    for reason, count in card.skipped.items():
        typer.echo(f"left out: {count:,} {reason}")
    for note in card.notes:
        typer.echo(f"note: {note}")
    if card.skipped:
        typer.echo(f"each of them: {hull_folder(name) / LEFT_OUT}")
    return card


@app.command("list")
def hull_list() -> object:
    """Reference sets that are built here."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from unigen.energies.hull.reference import built_hulls, hulls_home, read_hull_card

    cards = [read_hull_card(folder) for folder in built_hulls()]
    table = Table(title="Hulls", caption=f"in {hulls_home()}; build one: unigen hull build NAME --from SOURCE")
    for heading in ("name", "formulas", "energies", "scheme", "potential"):
        table.add_column(heading, justify="right" if heading == "formulas" else "left")
    for card in cards:
        potential = card.potential.get("name", "") if card.potential else ""
        table.add_row(*map(Text, (card.name, f"{card.formulas:,}", card.quantity, card.scheme, potential)))
    Console().print(table)
    return cards


@app.command("show")
def hull_show(name: Annotated[str, typer.Argument(help="A built reference set, or its folder.")]) -> object:
    """The card of a reference set: its energies, where they come from, what is not in it."""
    from unigen.config import flat, to_plain
    from unigen.energies.hull.reference import hull_folder, read_hull_card

    folder = hull_folder(name)
    card = read_hull_card(folder)
    typer.echo(f"folder: {folder}")
    for key, value in flat(to_plain(card)).items():
        typer.echo(f"{key}: {'; '.join(map(str, value)) if isinstance(value, list | tuple) else value}")
    return card


@app.command("remove")
def hull_remove(names: Annotated[list[str], typer.Argument(help="Built reference sets.")], yes: Yes = False) -> object:
    """Remove reference sets, with their relaxations and the energies of the elements."""
    from unigen.energies.hull.reference import hull_folder

    return [remove_folder(folder, yes=yes) for folder in [hull_folder(name) for name in names]]


@app.command("elements")
def hull_elements(
    name: Annotated[str, typer.Argument(help="A reference set of formation energies.")],
    sources: Sources,
    potential: PotentialName = "chgnet",
    energy_scheme: Scheme = None,
    energy: Annotated[str, typer.Option(help="Column with formation energies.")] = "formation_energy_per_atom",
    # ten: fewer compounds are not fitted
    limit: Annotated[int, typer.Option(min=10, help="Crystals, drawn at random.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    workers: Workers = None,
    device: Device = "cpu",
    batch: Batch = None,
) -> object:
    """Fit what an atom of each element counts for a potential, so that its energies can be held against the set."""
    from unigen import parallel
    from unigen.energies.hull.build import fit_elements
    from unigen.energies.hull.elements import FEWEST
    from unigen.energies.hull.reference import LEFT_OUT, hull_folder
    from unigen.energies.potential import find_potential

    with alone_in(hull_folder(name)):
        chosen = find_potential(potential, energy_scheme, device, batch)
        with parallel.Workers(workers, progress=True) as pool:
            fit, path = fit_elements(name, sources, chosen, energy=energy, limit=limit, seed=seed, workers=pool)
        typer.echo(
            f"{len(fit.energies)} elements from {fit.structures:,} crystals; formation energies of crystals left out "
            f"are {1000 * fit.mean_error:.0f} meV/atom off on average; written to {path}"
        )
        for reason, count in fit.left_out.items():
            typer.echo(f"left out: {count:,} {reason}")
        if fit.left_out:
            typer.echo(f"each of them: {path.with_suffix(f'.{LEFT_OUT}')}")
        if fit.too_rare:
            rare = ", ".join(f"{symbol} ({count})" for symbol, count in fit.too_rare.items())
            typer.echo(f"no energy, in fewer than {FEWEST} crystals: {rare}")
    return fit
