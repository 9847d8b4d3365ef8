"""What every command takes besides its own options: ``--quiet``, ``--json``, ``--overwrite``; choices in any case."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo

from unigen.command import hushed
from unigen.disk import overwriting

PANEL = "Of every command"

Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.", rich_help_panel=PANEL)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON alone.", rich_help_panel=PANEL)]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="If its folder holds another run, remove that one.", rich_help_panel=PANEL),
]

_SHARED: dict[str, Any] = {"quiet": Quiet, "json_": Json}


def share_options(app: typer.Typer) -> None:
    """Give every command of an app, and of the apps within it, the shared options; ``--overwrite`` if it has an out."""
    for command in app.registered_commands:
        if command.callback is not None:
            command.callback = _with_shared(command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            share_options(group.typer_instance)


def _with_shared(command: Callable[..., object]) -> Callable[..., None]:
    """The command with more parameters, which reads as one that declares them itself."""
    hints = get_type_hints(command, include_extras=True)
    # the folder of a training run stands in its config, or among the overrides
    added = _SHARED | ({"overwrite": Overwrite} if {"out", "overrides"} & hints.keys() else {})
    for hint in hints.values():
        _any_case(hint)

    @wraps(command)
    def run(**given: Any) -> None:
        quiet, as_json, replace = (bool(given.pop(name, False)) for name in ("quiet", "json_", "overwrite"))
        with hushed(quiet or as_json), overwriting(replace):
            result = command(**given)
        if as_json:
            typer.echo(json.dumps(plain(result), indent=1))

    parameters = [
        parameter.replace(annotation=hints[name]) for name, parameter in signature(command).parameters.items()
    ]
    more = [Parameter(name, Parameter.KEYWORD_ONLY, default=False, annotation=hint) for name, hint in added.items()]
    run.__signature__ = signature(command).replace(  # type: ignore[attr-defined]
        parameters=[*parameters, *more], return_annotation=None
    )
    run.__annotations__ = {name: hint for name, hint in hints.items() if name != "return"} | added
    return run


def _any_case(hint: object) -> None:
    """Let the values of an option that takes one of a few words be written in any case."""
    kind, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if any(get_origin(part) is Literal for part in (kind, *get_args(kind))):
        for extra in extras:
            if isinstance(extra, OptionInfo):
                extra.case_sensitive = False


def plain(value: object) -> Any:
    """What JSON can say of a result: dataclasses as objects, paths as text, no number that is none.

    Example:
        >>> plain({"path": Path("a"), "error": float("nan")})
        {'path': 'a', 'error': None}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return plain(value.tolist()) if hasattr(value, "tolist") else str(value)
