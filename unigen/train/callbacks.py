"""What a run does beside its steps, in the order in which it must be done."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ProgressBar, RichProgressBar, TQDMProgressBar

from unigen import parallel
from unigen.models.checkpoint import copy_model, save_model
from unigen.models.interface import Batch
from unigen.models.training_set import TrainingSet
from unigen.train.averaging import AveragedWeights
from unigen.train.checkpoints import Checkpoints
from unigen.train.continuation import last_checkpoint
from unigen.train.match import MatchRate, choose_references
from unigen.train.module import VAL_LOSS, TrainingModule
from unigen.train.settings import TrainConfig

LATEST = "latest"
"""Beside ``model``, the best, the weights of the last validation of a run that may end early."""

_REFRESH_STEPS = 5  # a terminal need not be written to at every step


class PublishModel(Callback):
    """Write ``model/`` (config and averaged weights) at every validation, to be tried while the run goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """During validation the module holds the averaged weights (this callback stands after the averaging)."""
        assert isinstance(pl_module, TrainingModule)
        if trainer.is_global_zero:
            save_model(pl_module.model, self.folder)


class BestModel(Callback):
    """Keep the weights of the smallest validated loss; end the run when it has not shrunk for some validations.

    Args:
        latest: model folder of the weights that are validated (`PublishModel`).
        best: folder of those that are kept.
        patience: validations.
    """

    def __init__(self, latest: Path, best: Path, patience: int) -> None:
        self.latest, self.best, self.patience = latest, best, patience
        self.smallest, self.step, self.waited = float("inf"), 0, 0

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"smallest": self.smallest, "step": self.step, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.smallest, self.step, self.waited = (state_dict[name] for name in ("smallest", "step", "waited"))

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Compare; before the checkpoint is written, which so knows of it."""
        del pl_module
        loss = float(trainer.callback_metrics[VAL_LOSS])
        self.waited += 1
        if loss < self.smallest:
            self.smallest, self.step, self.waited = loss, trainer.global_step, 0
            if trainer.is_global_zero:
                copy_model(self.latest, self.best)
        trainer.should_stop = self.waited >= self.patience


class Throughput(Callback):
    """Log ``tokens_per_second`` with every log line: real tokens, over all devices, validation not counted.

    Args:
        log_every: steps between log lines.
    """

    tokens: torch.Tensor
    since: float

    def __init__(self, log_every: int) -> None:
        self.log_every = log_every
        self._restart()

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
        self.tokens = torch.zeros((), dtype=torch.int64)
        self.since = time.monotonic()


class _StepBar(ProgressBar):
    """Counts to ``max_steps``: our epochs have no end."""

    @property
    def total_train_batches(self) -> int:
        """Steps of the run."""
        return self.trainer.max_steps

    def get_metrics(self, *arguments: Any) -> dict[str, Any]:
        """What is logged for the bar, without the number of the log folder."""
        return {name: value for name, value in super().get_metrics(*arguments).items() if name != "v_num"}


class _RichBar(_StepBar, RichProgressBar):
    def _get_train_description(self, current_epoch: int) -> str:
        del current_epoch
        return "Training"


class _TqdmBar(_StepBar, TQDMProgressBar):
    pass


class _StepLines(Callback):
    """A line now and then where there is no terminal."""

    def __init__(self, log_every: int) -> None:
        self.log_every = log_every
        self.bar = parallel.ProgressBar("training", None)
        self.note = ""

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Begin to count, where the run goes on."""
        del pl_module
        self.bar = parallel.ProgressBar("training", trainer.max_steps, done=trainer.global_step)
        self.bar.__enter__()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Count; the loss is fetched from the device as often as it is logged."""
        del pl_module
        if trainer.global_step % self.log_every == 0:
            self.note = f"loss {float(outputs['loss']):.3f}"
        self.bar.advance(note=self.note)

    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """However the run ends."""
        del trainer, pl_module, stage
        self.bar.__exit__()


def has_terminal() -> bool:
    """Whether standard output is one, which a bar can be drawn on."""
    return sys.stdout.isatty()


def progress_bar(log_every: int) -> Callback:
    """Rich's bar where rich is installed, else tqdm's; where standard output is no terminal, lines.

    Args:
        log_every: steps between two looks at the loss.
    """
    if not has_terminal():
        return _StepLines(log_every)
    try:
        return _RichBar(refresh_rate=_REFRESH_STEPS)
    except ModuleNotFoundError:
        return _TqdmBar(refresh_rate=_REFRESH_STEPS)


def build_callbacks(config: TrainConfig, out: Path, training_set: TrainingSet) -> list[Callback]:
    """All callbacks of a run, in order.

    The averaging first: at validation those behind it see the averaged weights. The checkpoint last, after all that
    changes state.
    """
    references = choose_references(training_set.references, config.match_structures, config.seed)
    best = [BestModel(out / LATEST, out / "model", config.patience)] if config.patience else []
    return [
        AveragedWeights(config.optim.ema_decay),
        PublishModel(out / LATEST if config.patience else out / "model"),
        MatchRate(references, config.seed, training_set.generator),
        Throughput(config.log_every),
        progress_bar(config.log_every),
        *best,
        Checkpoints(last_checkpoint(out), config.checkpoint_minutes, config.validation_interval),
    ]
