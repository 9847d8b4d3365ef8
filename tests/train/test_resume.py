"""A run that is killed at any moment goes on as if nothing had been."""

from __future__ import annotations

import signal

import pytest
import torch

from tests.train.tiny_run import interference, logged, python, train, write_config
from unigen.models.checkpoint import load_model

STEPS = 16
NAMES = ("loss", "loss_site", "lr", "gradient_norm", "val_nll_site", "val_nll_symbol")
KILLS = (
    "step:6",  # saved at 3
    "writing:1",  # half of the checkpoint of step 6 is on the disk
    "validation:2",  # after step 8; saved at 6
    "written:1",  # the checkpoint of step 9 has not yet taken its name
    "saved:1",  # it just has
    "publishing:1",  # all steps done, no final model
)


@pytest.fixture(scope="module")
def uninterrupted(crystals, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    done = train(write_config(folder, crystals, max_steps=STEPS))
    assert done.returncode == 0, done.stderr
    return folder / "run"


def assert_same_run(run, reference, unlogged=()):
    assert sorted(logged(reference)) == list(range(STEPS))
    for name in NAMES:
        expected = {step: value for step, value in logged(reference, name).items() if step not in unlogged}
        assert logged(run, name) == expected, name
    assert_same_tensors(*(load_model(folder / "model").state_dict() for folder in (run, reference)))
    saved = [torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True) for folder in (run, reference)]
    for part in ("state_dict", "current_model_state"):
        assert_same_tensors(*(checkpoint[part] for checkpoint in saved))


def assert_same_tensors(ours, theirs):
    assert sorted(ours) == sorted(theirs)
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def test_sigkill_at_any_moment_changes_nothing(crystals, uninterrupted, tmp_path):
    config = write_config(tmp_path, crystals, max_steps=STEPS)
    for moment in KILLS:
        killed = train(config, **interference(f"kill:{moment}"))
        assert killed.returncode == -signal.SIGKILL, (moment, killed.stdout, killed.stderr)
    done = train(config)
    assert done.returncode == 0, done.stderr
    assert "finished before: step 16 of 16" in done.stdout
    # killed between saving step 9 and logging it: the step is done and not done again, only its line is missing
    assert_same_run(tmp_path / "run", uninterrupted, unlogged=[8])


def test_sigterm_saves_at_the_end_of_the_step(crystals, uninterrupted, tmp_path):
    config = write_config(tmp_path, crystals, max_steps=STEPS)
    for moment, step in (("step:5", 5), ("validation:1", 8)):
        stopped = train(config, **interference(f"term:{moment}"))
        assert stopped.returncode == 128 + signal.SIGTERM, stopped.stderr
        assert f"stopped by SIGTERM at step {step}: saved, the same command goes on" in stopped.stderr
        assert "Traceback" not in stopped.stderr
        saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
        assert saved["global_step"] == step
    assert train(config).returncode == 0
    assert_same_run(tmp_path / "run", uninterrupted)


LITTLE_ROOM = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
runpy.run_module("unigen.train", run_name="__main__")
"""


def test_a_full_disk_keeps_the_last_good_checkpoint(crystals, tmp_path):
    config = write_config(tmp_path, crystals)
    assert train(config, "max_steps=2").returncode == 0
    files = [file for file in (tmp_path / "run").rglob("*") if file.suffix in {".ckpt", ".safetensors"}]
    saved = {path: path.read_bytes() for path in files}
    assert len(saved) == 2
    full = python("-c", LITTLE_ROOM, str(config), "max_steps=4")
    assert full.returncode == 2
    errors = [line for line in full.stderr.splitlines() if "error" in line]
    assert len(errors) == 1
    assert "last.ckpt: no space left to write it; got File too large" in errors[0]
    assert "Traceback" not in full.stderr
    assert {path: path.read_bytes() for path in saved} == saved
    done = train(config, "max_steps=4")
    assert done.returncode == 0
    assert "step 2 of 4" in done.stdout
