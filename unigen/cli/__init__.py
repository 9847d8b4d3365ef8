"""The command line: parse, call, print. Heavy libraries are imported inside the commands, so that help is instant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unigen.cli import data, evaluate, generate, hull, models
from unigen.cli.finetune import finetune
from unigen.cli.identify import identify
from unigen.cli.inspect import inspect
from unigen.cli.predict import predict
from unigen.cli.relax import relax
from unigen.cli.shared_options import share_options
from unigen.command import run_command

app = typer.Typer(
    help="UniGen: crystals and molecules, with models that run on a laptop.",
    epilog="Datasets and hulls lie in $UNIGEN_HOME, else $XDG_CACHE_HOME/unigen, else ~/.cache/unigen.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(generate.app, name="generate")
app.add_typer(evaluate.app, name="evaluate")
app.command("relax")(relax)
app.command("identify")(identify)
app.command("finetune")(finetune)
app.command("inspect")(inspect)
app.command("predict")(predict)
app.add_typer(hull.app, name="hull")
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")


def main() -> None:
    """Entry point."""
    run_command(lambda: app(prog_name="unigen"))


def _say_version(wanted: bool | None) -> None:
    if wanted:
        from unigen.version import __version__

        typer.echo(f"unigen {__version__}")
        raise typer.Exit


@app.callback()
def options_of_all(
    _version: Annotated[
        bool | None, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version.")
    ] = None,
) -> None:
    """UniGen: crystals and molecules, with models that run on a laptop."""


@app.command()
def train(
    config: Annotated[
        Path, typer.Argument(help="A complete YAML, or one of those that come with UniGen: configs/tiny.yaml.")
    ],
    overrides: Annotated[list[str] | None, typer.Argument(help="key.sub=value ...")] = None,
) -> dict[str, str]:
    """Train a model; the same command after any interruption goes on where the last checkpoint was."""
    from unigen.cards import published_config
    from unigen.config import load
    from unigen.train.settings import TrainConfig

    settings = load(TrainConfig, published_config(config), overrides or ())
    from unigen.train.run import train as run  # only now: a wrong setting is said before lightning is loaded

    model = run(settings)
    typer.echo(f"model written to {model}")
    return {"model": str(model)}


share_options(app)
