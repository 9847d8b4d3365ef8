"""The card of a published model: what it was trained on, what it can do, what it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unigen import config


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Facts beside the weights, all required.

    Attributes:
        name: of the folder.
        title: one line: what it is.
        headline: one line: its main number.
        licence: of the weights.
        citation: of the data and the method.
        parameters: number of them.
        data: what it was trained on, and what was kept out.
        build: the command that builds that dataset.
        train: the command that trains it.
        steps: optimizer steps.
        seed: of the training.
        commit: of the code that trained it.
        device: what it was trained on.
        hours: wall-clock time.
        results: one line a result, each with the file that holds it.
        evaluate: the commands that repeat the results.
        limits: what to beware of.
    """

    name: str
    title: str
    headline: str
    licence: str
    citation: str
    parameters: int
    data: str
    build: tuple[str, ...]
    train: str
    steps: int
    seed: int
    commit: str
    device: str
    hours: float
    results: tuple[str, ...]
    evaluate: tuple[str, ...]
    limits: tuple[str, ...]


def read_model_card(path: Path) -> ModelCard:
    """Read and check a card; raises UserError naming the key that is missing, unknown or of the wrong type."""
    return config.load(ModelCard, path)
