"""What a family prepares before one of its models is trained further on structures of the user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unigen.models.training_set import DataConfig

MOST_REPLAYED, FEWEST_REPLAYED, HELD_BACK = 600, 100, 100
"""Structures that are replayed: as many as the user has, but no fewer and no more than these; and those beside them
that are only measured. A crystal's lesson costs some 50 ms, so that 700 take half a minute on two cores."""


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """A model, structures to train it on, and the folder for what that needs.

    Attributes:
        model: folder of the model.
        network: of the model, opened, as it is.
        store: the Parquet file of the user's structures, of splits "train" and "val".
        trained: how many of them are of split "train".
        folder: where files may be written; what is there from an earlier start is not made again.
        seed: of what is drawn.
        replayed: whether the model is shown structures it was trained on again; else they are only measured.
        workers: processes.
        progress: show progress bars.
    """

    model: Path
    network: Any
    store: Path
    trained: int
    folder: Path
    seed: int
    replayed: bool
    workers: int | None = None
    progress: bool = False

    @property
    def replay_counts(self) -> tuple[int, int]:
        """How many structures are replayed, and how many are kept for measuring alone."""
        shown = min(max(self.trained, FEWEST_REPLAYED), MOST_REPLAYED) if self.replayed else 0
        return shown, HELD_BACK


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a model is trained on further.

    Attributes:
        data: the user's structures, and what is replayed.
        remembered: dataset of structures of its own kind that are only measured; of split "val".
        table: known structures, the user's among them, that go with the model; None for a family without.
        known: how many of them were known before.
    """

    data: DataConfig
    remembered: str
    table: Path | None = None
    known: int = 0
