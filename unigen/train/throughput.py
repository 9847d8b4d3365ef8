"""How fast a run is: real tokens a second, over all devices, validation not counted."""

from __future__ import annotations

import time
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from unigen.models.interface import Batch


class Throughput(Callback):
    """Log ``tokens_per_second`` with every log line.

    Args:
        log_every: steps between log lines.
    """

    def __init__(self, log_every: int) -> None:
        self.log_every = log_every
        self.tokens = torch.zeros((), dtype=torch.int64)
        self.since = time.monotonic()

    def on_train_start(self, *_: Any) -> None:
        """Start the clock."""
        self._restart()

    def on_validation_end(self, *_: Any) -> None:
        """Leave the validation out."""
        self._restart()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: object,
        batch: Batch,
        *_: Any,
    ) -> None:
        """Count; padding is no token."""
        del outputs
        self.tokens = self.tokens + batch.lengths.sum()  # stays on the device until it is logged
        if trainer.global_step % self.log_every == 0:
            tokens = float(self.tokens) * trainer.world_size
            pl_module.log("tokens_per_second", tokens / (time.monotonic() - self.since))
            self._restart()

    def _restart(self) -> None:
        self.tokens = torch.zeros_like(self.tokens)
        self.since = time.monotonic()
