"""What a run refuses, survives and writes."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest
import torch

from tests.train.tiny_run import CONFIG, logged, write_config
from tests.train.tiny_run import train as train_apart
from unigen import cli
from unigen.config import load, read_yaml, write_yaml
from unigen.crystals import matching
from unigen.data.crystal_store import open_crystals
from unigen.disk import LOCK, overwriting
from unigen.errors import UserError
from unigen.models.checkpoint import load_model
from unigen.models.generator import Candidate, VectorSettings
from unigen.nn.mixers.pattern import RepeatedLayer
from unigen.train import match
from unigen.train.continuation import check_same_run
from unigen.train.module import TrainingModule
from unigen.train.run import train
from unigen.train.settings import TrainConfig


def run(config, *overrides):
    return train(load(TrainConfig, config, overrides))


def checkpoint(folder):
    return torch.load(folder / "run" / "checkpoints" / "last.ckpt", weights_only=True)


def test_what_is_not_finite_stops_with_one_line_and_keeps_the_last_good_checkpoint(
    crystals, tmp_path, monkeypatch, capsys
):
    config = write_config(tmp_path, crystals)
    run(config, "max_steps=4")
    whole = TrainingModule.training_step
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", ["unigen", "train", str(config), "optim.lr=10", "checkpoint_minutes=0"])
        patch.setattr(TrainingModule, "training_step", lambda *asked: whole(*asked) * float("inf"))
        with pytest.raises(SystemExit) as stop:
            cli.main()
    assert stop.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert line.startswith("error: ")
    assert "not finite" in line
    assert "optim.lr" in line
    saved = checkpoint(tmp_path)
    assert saved["global_step"] == 4
    assert all(torch.isfinite(tensor).all() for tensor in saved["current_model_state"].values())
    load_model(run(config))  # and with the old learning rate the run goes on
    losses = logged(tmp_path / "run")
    assert losses[11] < 10


def test_poisoned_weights_are_never_saved(crystals, tmp_path, monkeypatch):
    whole = TrainingModule.training_step

    def poisoned(module, batch, batch_idx):
        return whole(module, batch, batch_idx) * (float("nan") if module.global_step == 5 else 1.0)

    monkeypatch.setattr(TrainingModule, "training_step", poisoned)
    with pytest.raises(UserError, match=r"step 5: the loss or its gradient is not finite.*same command"):
        run(write_config(tmp_path, crystals))
    assert checkpoint(tmp_path)["global_step"] == 5


def test_a_stopped_run_of_many_mixers_goes_on_with_the_same_losses(crystals, tmp_path, monkeypatch):
    """Repeated layers draw how often, dropout draws what it drops: both go on where they were."""
    pattern = ["ssd", {"kind": "repeated", "mixer": "lightnet", "times": 3}, "delta_product", "para_rnn", "s5"]
    config = write_config(tmp_path, crystals, model=CONFIG["model"] | {"mixers": pattern}, max_steps=8)
    whole = load_model(run(config, f"out={tmp_path / 'whole'}"))
    step = TrainingModule.training_step
    with monkeypatch.context() as patch:
        patch.setattr(
            TrainingModule,
            "training_step",
            lambda module, *asked: step(module, *asked) * (float("nan") if module.global_step == 5 else 1.0),
        )
        with pytest.raises(UserError, match="step 5"):
            run(config)
    cut = load_model(run(config))
    losses = [logged(tmp_path / name) for name in ("run", "whole")]
    assert sorted(losses[1]) == list(range(8))
    assert {at: loss for at, loss in losses[0].items() if np.isfinite(loss)} == losses[1]
    assert cut.config.mixers[1] == RepeatedLayer(mixer="lightnet", times=3)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(cut.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    ("override", "key"), [("model.width=32", "model.width"), ("seed=3", "seed"), ("data.batch_size=4", "batch_size")]
)
def test_a_folder_of_another_run_is_refused(finished, override, key):
    with pytest.raises(UserError, match=f"holds another run.*{key}.*out="):
        run(finished, override)


def test_a_folder_of_another_run_is_emptied_where_that_is_said(tmp_path, finished):
    out = tmp_path / "run"
    shutil.copytree(finished.parent / "run", out)
    (out / "model" / "notes.txt").write_text("of the other run")
    with overwriting(True):
        check_same_run(load(TrainConfig, finished, [f"out={out}"]), out)
        assert (out / "model" / "notes.txt").exists()  # the same run goes on
        check_same_run(load(TrainConfig, finished, [f"out={out}", "seed=3"]), out)
    assert [each.name for each in out.iterdir() if each.name != LOCK] == []


def test_settings_newer_than_the_run_are_as_by_default(finished, capsys):
    written = finished.parent / "run" / "config.yaml"
    values = read_yaml(written)
    assert values["data"].pop("exchange") == 0.0
    write_yaml(written, values)
    run(finished)
    assert "finished before" in capsys.readouterr().out


def test_a_finished_run_says_so_and_does_nothing(finished, capsys):
    before = checkpoint(finished.parent)
    weights = load_model(finished.parent / "run" / "model").state_dict()
    folder = run(finished, "log_every=2", "threads=0")
    assert "finished before: step 4 of 4" in capsys.readouterr().out
    assert checkpoint(finished.parent)["global_step"] == before["global_step"]
    assert all(torch.equal(tensor, weights[name]) for name, tensor in load_model(folder).state_dict().items())
    assert len(list((finished.parent / "run").glob("logs/version_*"))) == 1


def test_a_damaged_checkpoint_is_named(finished, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    whole = (finished.parent / "run" / "checkpoints" / "last.ckpt").read_bytes()
    for part in (whole[: len(whole) // 2], b"no zip file"):
        (tmp_path / "checkpoints" / "last.ckpt").write_bytes(part)
        with pytest.raises(UserError, match=r"last.ckpt: not a readable checkpoint.*start the run again"):
            run(finished, f"out={tmp_path}")


def test_a_run_that_goes_on_takes_the_new_learning_rate(crystals, tmp_path):
    config = write_config(tmp_path, crystals, optim={"schedule": "wsd", "warmup_steps": 0, "decay_fraction": 0.25})
    run(config, "max_steps=4")
    run(config, "max_steps=8", "optim.lr=1e-4")
    assert [logged(tmp_path / "run", "lr")[step] for step in range(8)] == pytest.approx(
        [1e-3] * 4 + [1e-4] * 3 + [0.5e-4], rel=1e-5
    )


def test_bf16_trains(crystals, tmp_path):
    run(write_config(tmp_path, crystals, precision="bf16"), "max_steps=4")
    exact = write_config(tmp_path, crystals, out=str(tmp_path / "exact"))
    run(exact, "max_steps=4")
    ours, theirs = (list(logged(tmp_path / name).values()) for name in ("run", "exact"))
    assert ours == pytest.approx(theirs, rel=0.02)
    assert ours != theirs


@pytest.fixture(scope="module")
def finished(crystals, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    config = write_config(folder, crystals, max_steps=4, match_structures=5)
    run(config)
    return config


def test_every_run_logs_what_tells_how_it_goes(finished):
    run_folder = finished.parent / "run"
    for name in ("loss", "loss_symbol", "loss_lattice", "loss_site", "lr", "gradient_norm", "tokens_per_second"):
        values = logged_once(run_folder, name)
        assert len(values) == 4, name
        assert np.isfinite(values).all(), name
    for name in ("val_nll_symbol", "val_nll_lattice", "val_nll_site", "val_loss_lattice", "val_loss_site"):
        assert np.isfinite(logged_once(run_folder, name)).all(), name
    (rate,) = logged_once(run_folder, "val_match_rate")
    assert 0.0 <= rate <= 1.0


def logged_once(folder, name):
    return list(logged(folder, name).values())


def test_the_match_rate_of_a_perfect_generator_is_the_share_it_draws(crystals):
    references = match.choose_references(open_crystals(f"{crystals}:val"), 6, seed=0)

    class Perfect:
        name, version, makes, settings = "perfect", "1", "crystals", VectorSettings()

        def ranges(self, _properties):
            return {}

        def draw(self, jobs):
            atoms = [sum(job.request.counts.values()) for job in jobs]
            assert atoms == [len(crystal.numbers) for crystal in references]
            return [Candidate(crystal) if at else Candidate(None) for at, crystal in enumerate(references)]

    assert match.match_rate(Perfect(), references, 0, matching) == pytest.approx(5 / 6)


def test_without_pymatgen_there_is_no_match_rate_but_a_word(crystals, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "pymatgen.core", None)
    monkeypatch.delitem(sys.modules, "unigen.crystals.matching")
    monkeypatch.delattr(sys.modules["unigen.crystals"], "matching")
    references = match.choose_references(open_crystals(str(crystals)), 1, seed=0)
    callback = match.MatchRate(references, 0, lambda _: pytest.fail("no generator is needed"))
    assert callback.matching is None
    assert "val_match_rate" in caplog.text


def no_compiler() -> str:
    """Why torch.compile cannot work here; empty where it can."""
    from torch._inductor import cpp_builder, exc

    try:
        cpp_builder.get_cpp_compiler()
    except exc.InvalidCxxCompiler:
        return "torch.compile needs a C++ compiler, and this machine has none"
    return ""


@pytest.mark.slow
@pytest.mark.skipif(bool(no_compiler()), reason=no_compiler())
def test_compiled_trains_as_eager(crystals, tmp_path):
    model = CONFIG["model"] | {"mixers": ["attention", "ssd"]}
    config = write_config(tmp_path, crystals, model=model, max_steps=4)
    same = ["model.dropout=0.0", f"out={tmp_path / 'compiled'}"]  # compiled dropout draws other numbers
    # in its own process: here the type checker stands in every function, where the compiler cannot go
    done = train_apart(config, "compile=true", *same)
    assert done.returncode == 0, done.stderr
    run(config, *same[:1])
    compiled, eager = (logged_once(tmp_path / name, "loss") for name in ("compiled", "run"))
    assert compiled == pytest.approx(eager, rel=1e-4)


def test_a_run_that_learns_no_more_ends_early_with_its_best_weights(crystals, tmp_path, capsys):
    """So small a rate changes nothing: the first validation stays the best, and two more are waited for."""
    config = write_config(tmp_path, crystals, max_steps=40)
    model = load_model(run(config, "optim.lr=1e-12", "patience=2"))
    losses = logged(tmp_path / "run", "val_loss")
    assert sorted(losses) == [3, 7, 11]
    assert min(losses.values()) == losses[3]
    assert checkpoint(tmp_path)["global_step"] == 12
    capsys.readouterr()
    again = load_model(run(config, "optim.lr=1e-12", "patience=2"))
    assert "finished before: step 12 of 40" in capsys.readouterr().out
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_the_best_weights_are_kept_and_not_the_last(crystals, tmp_path):
    config = write_config(tmp_path, crystals, max_steps=12)
    kept = load_model(run(config, "optim.lr=1e-3", "patience=9")).state_dict()
    latest = load_model(tmp_path / "run/latest").state_dict()
    losses = logged(tmp_path / "run", "val_loss")
    same = all(torch.equal(kept[name], tensor) for name, tensor in latest.items())
    assert same == (min(losses, key=losses.get) == max(losses))
