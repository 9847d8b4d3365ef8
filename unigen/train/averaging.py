"""The exponential moving average of the weights: the weights that are validated, published and kept."""

from __future__ import annotations

from collections.abc import Callable

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class AveragedWeights(WeightAveraging):
    """``average <- d average + (1 - d) weights`` after every step t, with ``d = min(decay, (1 + t) / (10 + t))``.

    The growing decay forgets the random weights of the start at once (Tan and Le 2019, EfficientNet, after Polyak);
    checkpoints hold both. Buffers are copied, not averaged: they are tables and statistics, and an average of integers
    rounds them.

    Args:
        decay: of the average, in the end.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(use_buffers=False, multi_avg_fn=growing_average(decay))


def growing_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor | int], None]:
    """The update of ``torch.optim.swa_utils.AveragedModel``: averages in place, weights, steps so far."""

    @torch.no_grad()
    def update(averages: list[Tensor], weights: list[Tensor], steps: Tensor | int) -> None:
        current = min(decay, (1 + int(steps)) / (10 + int(steps)))
        torch._foreach_lerp_(averages, weights, 1 - current)

    return update
