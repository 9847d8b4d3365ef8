"""Two processes on one machine, each with its own batches and the same model."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from tests.train.tiny_run import interference, logged, python, train, write_config


def _watched(folder: Path) -> list[list[list[str]]]:
    return [[line.split() for line in (folder / f"rank-{rank}.txt").read_text().splitlines()] for rank in (0, 1)]


def test_two_processes_see_different_batches_and_keep_one_model(crystals, tmp_path):
    config = write_config(tmp_path, crystals, devices=2, max_steps=6, validate_every=3)
    first = train(config, "max_steps=3", **interference(f"watch:{tmp_path}"))
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("model written to") == 1  # one process speaks for both
    command = Path(sys.executable).with_name("unigen")
    second = python(str(command), "train", str(config), **interference(f"watch:{tmp_path}"))
    assert second.returncode == 0, second.stderr
    assert "step 3 of 6" in second.stdout
    losses = logged(tmp_path / "run")
    assert sorted(losses) == list(range(6))
    assert np.isfinite(list(losses.values())).all()
    ranks = _watched(tmp_path)
    assert [step for step, _, _ in ranks[0]] == [step for step, _, _ in ranks[1]] == list("012345")
    for (_, batch, weights), (_, other_batch, other_weights) in zip(*ranks, strict=True):
        assert batch != other_batch
        assert weights == other_weights
    assert len({weights for _, _, weights in ranks[0]}) == 6  # it learns
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 6


def test_what_is_not_finite_stops_both_processes_with_one_line(crystals, tmp_path):
    done = train(write_config(tmp_path, crystals, devices=2), **interference("nan:loss:2"))
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("error: ") == 1
    assert "not finite" in done.stderr
    assert "Traceback" not in done.stderr


def test_sigterm_to_one_process_saves_and_stops_both(crystals, tmp_path):
    config = write_config(tmp_path, crystals, devices=2)
    done = train(config, **interference("term:step:3"))
    assert done.returncode == 143, done.stderr
    assert done.stderr.count("stopped by SIGTERM at step 3") == 1
    assert "Traceback" not in done.stderr
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 3
