"""Generators that cost nothing: an untrained network as a model folder, and one that counts what it draws."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch

from unigen.crystals.crystal import Crystal
from unigen.models.checkpoint import save_model
from unigen.models.generator import Draft, Job, Range, VectorSettings
from unigen.models.words.network import Autoregressive, AutoregressiveConfig


def save_untrained(folder: Path, width: int = 32, max_atoms: int = 12) -> Path:
    """A model folder with random weights whose cells are about 6 Angstrom wide."""
    config = AutoregressiveConfig(
        mixers=("attention", "attention"), max_atoms=max_atoms, width=width, heads=2, head_width=32, head_blocks=1
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Autoregressive(config)
        for head in (model.lattice_head, model.site_head):
            torch.nn.init.normal_(head.stack.to_output.weight, std=0.1)
    model.embedding.lattice_mean.copy_(torch.tensor([math.log(6.0)] * 3 + [math.pi / 2] * 3))
    model.embedding.lattice_std.fill_(0.05)
    save_model(model, folder)
    return folder


class Counting:
    """Draws a cubic crystal whose width is the job's own random number, and remembers every job."""

    name, version, makes = "counting", "1", "crystals"

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.settings = VectorSettings()

    def ranges(self, _properties: Collection[str]) -> dict[str, Range]:
        return {}

    def draw(self, jobs: list[Job]) -> list[Draft]:
        self.jobs += jobs
        return [self._draft(job) for job in jobs]

    def _draft(self, job: Job) -> Draft:
        if job.request.formula == "Xe":
            return Draft(None, reason="noble")
        width = 4.0 + job.rng().random()
        crystal = Crystal(np.array([*(job.request.counts or {26: 1})]), np.zeros((1, 3)), np.eye(3) * width)
        return Draft(crystal, log_likelihood=-width, score=-width)
