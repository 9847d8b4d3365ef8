"""A small model with random weights: enough for laws that hold for every weight."""

import torch

from unigen.models.words.network import Autoregressive, AutoregressiveConfig


def small_model(seed: int = 0, max_atoms: int = 12) -> Autoregressive:
    torch.manual_seed(seed)
    config = AutoregressiveConfig(
        max_atoms=max_atoms, mixers=("attention",) * 2, width=32, heads=2, head_width=16, head_blocks=2
    )
    model = Autoregressive(config).eval()
    for head in (model.lattice_head, model.site_head):
        torch.nn.init.normal_(head.stack.to_output.weight, std=0.1)
    model.embedding.lattice_mean.copy_(torch.tensor([1.4, 1.4, 1.4, 1.5, 1.5, 1.5]))
    model.embedding.lattice_std.copy_(torch.tensor([0.2, 0.2, 0.2, 0.1, 0.1, 0.1]))
    return model
