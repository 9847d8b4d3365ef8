"""The exponential moving average of the weights: the weights that are validated, published and kept."""

from __future__ import annotations

from lightning.pytorch.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn


class AveragedWeights(WeightAveraging):
    """``average <- decay * average + (1 - decay) * weights`` after every step; checkpoints hold both.

    Buffers are copied, not averaged: they are tables and statistics, and an average of integers rounds them.

    Args:
        decay: of the average.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(use_buffers=False, multi_avg_fn=get_ema_multi_avg_fn(decay))
