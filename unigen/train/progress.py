"""The progress bar of a run: steps done of steps wanted, and the few numbers that tell how it goes."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.callbacks import Callback, ProgressBar, RichProgressBar, TQDMProgressBar

_REFRESH = 5


class _Steps(ProgressBar):
    """Counts to ``max_steps``: our epochs have no end."""

    @property
    def total_train_batches(self) -> int:
        """Steps of the run."""
        return self.trainer.max_steps

    def get_metrics(self, *arguments: Any) -> dict[str, Any]:
        """What is logged for the bar, without the number of the log folder."""
        return {name: value for name, value in super().get_metrics(*arguments).items() if name != "v_num"}


class _RichBar(_Steps, RichProgressBar):
    def _get_train_description(self, current_epoch: int) -> str:
        del current_epoch
        return "Training"


class _TqdmBar(_Steps, TQDMProgressBar):
    pass


def progress_bar() -> Callback:
    """Rich's bar where rich is installed, else tqdm's."""
    try:
        return _RichBar(refresh_rate=_REFRESH)
    except ModuleNotFoundError:
        return _TqdmBar(refresh_rate=_REFRESH)
