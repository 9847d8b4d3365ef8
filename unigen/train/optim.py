"""AdamW with weight decay on matrices only, and the learning-rate schedules.

Loshchilov and Hutter 2019 (AdamW), 2017 (cosine); Hu et al. 2024, MiniCPM, section 4 (warm-up, stable, decay).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from unigen.train.settings import OptimConfig


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """Two groups: linear weights are decayed; norms, biases and embeddings are not."""
    decayed = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if id(p) in decayed], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if id(p) not in decayed], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(config.beta1, config.beta2))


def schedule(config: OptimConfig, max_steps: int) -> Callable[[int], float]:
    """The factor on the peak learning rate at each step.

    ``cosine``: warm-up, then half a cosine to zero. ``wsd``: warm-up, constant, linear to zero over the last
    ``decay_fraction``; a finished constant phase can be resumed with more ``max_steps``.
    """
    # f(t) = warmup(t) (1 + cos(pi progress)) / 2, or warmup(t) min((T - t) / decay_steps, 1)
    decay_steps = max(int(config.decay_fraction * max_steps), 1)

    def factor(step: int) -> float:
        warmup = min((step + 1) / max(config.warmup_steps, 1), 1.0)
        if config.schedule == "wsd":
            return warmup * min(max((max_steps - step) / decay_steps, 0.0), 1.0)
        progress = min(max((step - config.warmup_steps) / max(max_steps - config.warmup_steps, 1), 0.0), 1.0)
        return warmup * 0.5 * (1.0 + math.cos(math.pi * progress))

    return factor
