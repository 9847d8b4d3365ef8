"""``unigen models``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from unigen.cli.removal import Yes, remove_folder
from unigen.disk import alone_in

app = typer.Typer(help="Bundled models.", no_args_is_help=True)


@app.command("list")
def models_list() -> object:
    """Bundled models."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from unigen.cards import find_cards
    from unigen.models.card import read_model_card
    from unigen.models.checkpoint import WEIGHTS

    table = Table()
    for heading in ("model", "weights", "what", "results"):
        table.add_column(heading)
    found = []
    for name, path in find_cards("models").items():
        card, weights = read_model_card(path), path.parent / WEIGHTS
        size = weights.stat().st_size / 1e6 if weights.exists() else 0.0
        table.add_row(*map(Text, (name, f"{size:.1f} MB", card.title, card.headline)))
        found.append({"name": name, "megabytes": size, "title": card.title, "headline": card.headline})
    table.add_row("nearest", "-", "nearest-neighbour substitution, nothing learned; needs --retrieve-from", "")
    Console().print(table)
    return found


@app.command("show")
def models_show(model: Annotated[str, typer.Argument(help="Bundled name or model folder.")]) -> object:
    """A model's card, its sizes, and what may be asked of it."""
    from rich.console import Console

    from unigen.config import flat, to_plain
    from unigen.models.card import read_model_card
    from unigen.models.checkpoint import load_model, model_folder

    folder = model_folder(model)
    network = load_model(folder)
    card_path = folder / "card.yaml"
    card = to_plain(read_model_card(card_path)) if card_path.exists() else {}
    config = to_plain(network.config)
    console = Console()
    for name, value in {"folder": str(folder), **card, **flat({"config": config})}.items():
        values = value if isinstance(value, list | tuple) else [value]
        said = "; ".join(str(each) for each in values) if name.startswith("config.") else values
        for place, each in enumerate([said] if isinstance(said, str) else said):
            console.out(f"{name if not place else ' ' * len(name)}  {each}", highlight=False)
    return {"folder": folder, "card": card, "config": config}


@app.command("remove")
def models_remove(
    folder: Annotated[Path, typer.Argument(help="A model folder of yours; bundled models stay.")],
    yes: Yes = False,
) -> object:
    """Remove a model folder, such as runs/mine/model."""
    from unigen.cards import find_cards
    from unigen.errors import UserError
    from unigen.models.checkpoint import CONFIG, WEIGHTS

    if str(folder) in find_cards("models"):
        raise UserError("bundled models are not removed", got=str(folder))
    if not ((folder / WEIGHTS).exists() and (folder / CONFIG).exists()):
        raise UserError("not a model folder", where=str(folder), wanted=f"a folder with {CONFIG} and {WEIGHTS}")
    if any(folder.resolve() == path.parent.resolve() for path in find_cards("models").values()):
        raise UserError("bundled models are not removed", got=str(folder))
    return [remove_folder(folder, yes=yes)]


@app.command("pack")
def models_pack(
    model: Annotated[str, typer.Argument(help="A model folder, such as runs/mine/model.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    dtype: Annotated[Literal["fp32", "bf16"], typer.Option(help="bf16 halves the weights.")] = "bf16",
    templates: Annotated[str | None, typer.Option(help="Dataset whose templates go with it, to retrieve from.")] = None,
    reranker_from: Annotated[str | None, typer.Option(help="Model folder whose reranker it gets.")] = None,
    properties_from: Annotated[str | None, typer.Option(help="Model folder whose properties it gets to know.")] = None,
) -> object:
    """Copy a model with smaller weights, to pass it on."""
    from unigen.models.checkpoint import load_model, model_folder, save_model
    from unigen.retrieval.build_table import copy_table
    from unigen.retrieval.table import MAX_ATOMS, MAX_ORBITS

    packed = load_model(model_folder(model))
    if reranker_from is not None:
        packed = packed.joined(load_model(model_folder(reranker_from)), "reranker")
    if properties_from is not None:
        packed = packed.joined(load_model(model_folder(properties_from)), "properties")
    with alone_in(out):
        save_model(packed, out, dtype)
        if templates is not None and (left_out := copy_table(templates, out)):
            limit = f"more than {MAX_ATOMS} atoms or {MAX_ORBITS} orbits"
            typer.echo(f"left out of the table, too large to be followed ({limit}): {left_out:,}")
        typer.echo(f"written: {out}")
    return {"path": out}
