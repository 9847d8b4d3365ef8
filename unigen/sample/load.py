"""From a name to a generator."""

from __future__ import annotations

from pathlib import Path

import torch

from unigen.cards import find_cards, published, sha256_of
from unigen.data.store import open_dataset, resolve_dataset
from unigen.errors import UserError
from unigen.models.checkpoint import WEIGHTS, load_model
from unigen.sample.decoder import DecodeSettings
from unigen.sample.job import Generator
from unigen.sample.network import NetworkGenerator
from unigen.sample.substitution import NearestGenerator

NEAREST = "nearest"


def load(
    model: str | Path = "unigen-crystal-small",
    *,
    device: str = "cpu",
    settings: DecodeSettings | None = None,
    score: bool = True,
    retrieve_from: str | Path | None = None,
    exclude_formula: bool = False,
) -> Generator:
    """A generator by bundled name, by model folder, or ``"nearest"``.

    Args:
        model: name or path.
        device: of torch.
        settings: solver steps and temperature of a network.
        score: compute the exact likelihood of every sample of a network.
        retrieve_from: dataset that ``nearest`` copies from.
        exclude_formula: ``nearest`` uses no structure of the request's own formula.

    Raises:
        UserError: no such model, weights missing, truncated or of another version, a device that is not there.
    """
    if str(model) == NEAREST:
        if retrieve_from is None:
            raise UserError("nearest: copies from which dataset?", next_step="give --retrieve-from, such as oqmd-icsd")
        path, _ = resolve_dataset(retrieve_from)
        return NearestGenerator(open_dataset(retrieve_from), sha256_of(path), exclude_formula=exclude_formula)
    folder = model_folder(model)
    _check_device(device)
    network = load_model(folder, device)
    return NetworkGenerator(network, folder.name, sha256_of(folder / WEIGHTS), settings, score_steps=8 if score else 0)


def model_folder(model: str | Path) -> Path:
    """The folder of a bundled model, or the given one; raises UserError naming the models there are."""
    known = find_cards("models")
    if str(model) in known:
        return known[str(model)].parent
    if Path(model).is_dir():
        return Path(model)
    raise UserError(
        f"no model {str(model)!r}",
        wanted=f"one of {', '.join([*known, NEAREST])}, or a model folder",
        next_step=f"bundled models lie in {published('models').name}/",
    )


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {device!r} is not there", got=str(error).splitlines()[0], wanted="cpu") from error
