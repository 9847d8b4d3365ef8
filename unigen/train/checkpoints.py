"""When a run is saved, how, and what stops it: after any death the file is the whole state of some finished step."""

from __future__ import annotations

import io
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import lightning
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback

from unigen.disk import durable
from unigen.models.interface import Batch
from unigen.train.module import TrainingModule


class Stopped(Exception):  # noqa: N818 - no error: someone asked for it
    """The run was asked to stop and has saved its state.

    Attributes:
        signal: number of the signal that asked.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = number


class DurableFiles(TorchCheckpointIO):
    """Checkpoints that take their name only when they lie on the disk.

    Lightning's own are moved out of the temporary folder, which copies when that is another disk: a kill during the
    copy would leave half a checkpoint in the place of the last good one.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write beside, sync, rename."""
        del storage_options
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        with durable(Path(path)) as partial:
            partial.write_bytes(buffer.getbuffer())


class Checkpoints(Callback):
    """Save every few minutes, at the last step, and on SIGTERM or Ctrl-C, which then stop the run.

    Weights that give no finite loss are not saved: the last checkpoint is always a good one.
    A step that is validated is saved after its validation, so that none is left out when the run goes on.

    Args:
        path: of the checkpoint, always the same.
        minutes: between two checkpoints.
        validate_every: steps between validations.
    """

    def __init__(self, path: Path, minutes: float, validate_every: int) -> None:
        self.path = path
        self.seconds = 60 * minutes
        self.validate_every = validate_every
        self.saved_at = time.monotonic()
        self.batch: Batch | None = None
        self.signal = 0
        self.stopping = False

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Take over the signals from Lightning, which would stop without saving when one comes in a validation."""
        del trainer, pl_module
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._request_stop)
        self.saved_at = time.monotonic()

    def on_train_batch_start(self, *_: Any) -> None:
        """Stop only here: the step that was saved has then been logged too."""
        if self.stopping:
            raise Stopped(self.signal or signal.SIGTERM)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: object,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """The end of a step without validation."""
        del outputs, batch_idx
        self.batch = batch
        if trainer.global_step % self.validate_every:
            self._end_step(trainer, pl_module)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """The end of a step with validation; the module holds its own weights again."""
        self._end_step(trainer, pl_module)

    def _end_step(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        is_due = time.monotonic() - self.saved_at >= self.seconds
        agree = trainer.strategy.reduce_boolean_decision  # each process has its own clock, and its own signals
        self.stopping = agree(bool(self.signal), all=False)
        ends = trainer.should_stop or trainer.global_step >= trainer.max_steps
        if self.stopping or ends or agree(is_due, all=False):
            assert isinstance(pl_module, TrainingModule)
            if not agree(self.batch is not None and pl_module.is_sound(self.batch), all=True):
                raise FloatingPointError(f"step {trainer.global_step}: the loss is not finite")
            trainer.save_checkpoint(self.path)
            self.saved_at = time.monotonic()

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C does not wait for the step
