"""What a run does beside its steps: checkpoints that survive any death, and the published form at the end."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint

from unigen.models.checkpoint import save_model
from unigen.train.module import TrainingModule
from unigen.train.settings import TrainConfig

LAST = "last.ckpt"


class SaveOnSigterm(Callback):
    """Checkpoint at the end of the step during which SIGTERM came; Lightning then stops the run."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LAST

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Look for the signal after every step."""
        if trainer.received_sigterm:
            trainer.save_checkpoint(self.path)


class PublishModel(Callback):
    """Write ``model/`` (config and averaged weights) at every checkpoint and at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """During validation the module holds the averaged weights (this callback stands after the averaging)."""
        self._write(trainer, pl_module)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """At the end the averaged weights are the module's."""
        self._write(trainer, pl_module)

    def _write(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, TrainingModule)
        if trainer.is_global_zero and not trainer.sanity_checking:
            save_model(pl_module.model, self.folder, step=trainer.global_step)


def build_callbacks(config: TrainConfig, out: Path) -> list[Callback]:
    """All callbacks of a run, in the order in which they must act."""
    folder = out / "checkpoints"
    return [
        EMAWeightAveraging(decay=config.optim.ema_decay),
        PublishModel(out / "model"),
        ModelCheckpoint(
            folder,
            filename="last",
            save_top_k=1,
            enable_version_counter=False,
            train_time_interval=timedelta(minutes=config.checkpoint_minutes),
        ),
        SaveOnSigterm(folder),
        progress_bar(),
    ]


def progress_bar() -> Callback:
    """Rich's bar where rich is installed, else tqdm's."""
    try:
        import rich  # noqa: F401

        from lightning.pytorch.callbacks import RichProgressBar

        return RichProgressBar()
    except ModuleNotFoundError:
        from lightning.pytorch.callbacks import TQDMProgressBar

        return TQDMProgressBar()
