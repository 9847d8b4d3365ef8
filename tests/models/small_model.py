"""A small model with random weights: enough for laws that hold for every weight."""

import pytest
import torch

from unigen.models.words.network import Autoregressive, AutoregressiveConfig
from unigen.nn.mixers.pattern import Layer, RepeatedLayer

ATTENTION: tuple[Layer, ...] = ("attention",) * 2
HYBRID: tuple[Layer, ...] = ("ssd", RepeatedLayer(mixer="delta_product"), "lightnet", "attention", "s5", "para_rnn")
"""One layer of each kind: what is remembered of a sequence grows, or is a matrix, a vector, complex, or several."""
EACH_PATTERN = pytest.mark.parametrize("mixers", [ATTENTION, HYBRID], ids=["attention", "hybrid"])


def small_model(seed: int = 0, max_atoms: int = 12, mixers: tuple[Layer, ...] = ATTENTION) -> Autoregressive:
    torch.manual_seed(seed)
    config = AutoregressiveConfig(max_atoms=max_atoms, mixers=mixers, width=32, heads=2, head_width=16, head_blocks=2)
    model = Autoregressive(config).eval()
    for head in (model.lattice_head, model.site_head):
        torch.nn.init.normal_(head.stack.to_output.weight, std=0.1)
    model.embedding.lattice_mean.copy_(torch.tensor([1.4, 1.4, 1.4, 1.5, 1.5, 1.5]))
    model.embedding.lattice_std.copy_(torch.tensor([0.2, 0.2, 0.2, 0.1, 0.1, 0.1]))
    return model
