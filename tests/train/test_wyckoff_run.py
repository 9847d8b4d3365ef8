"""From crystals to a trained wyckoff model and its samples: the whole way, as a user types it."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch

from tests.crystals.powder.powder_crystals import SALT
from tests.crystals.powder.powder_files import profile
from tests.models.small_model import small_model
from tests.models.small_wyckoff import RERANKER, SIZES, small_wyckoff
from tests.retrieval.known_templates import save_table, symmetric_crystals, symmetric_prototypes
from tests.train.tiny_run import CONFIG, logged
from unigen import cli
from unigen.config import load, read_yaml, write_yaml
from unigen.crystals.template import parse_template
from unigen.data.crystal_store import open_crystals
from unigen.elements import ATOMIC_NUMBER
from unigen.errors import UserError
from unigen.models.checkpoint import load_model, save_model
from unigen.models.wyckoff.items import WyckoffItems, collate_items
from unigen.models.wyckoff.tokens import decode
from unigen.retrieval.build_table import build_table, open_table
from unigen.retrieval.lessons import read_lessons
from unigen.retrieval.shortlist import Retriever
from unigen.retrieval.verdicts import judge_neighbours
from unigen.sample.load import load as load_generator
from unigen.train.run import train
from unigen.train.settings import TrainConfig

MAX_ATOMS, STEPS = 6, 6
MODEL = {"kind": "wyckoff"} | {k: list(v) if isinstance(v, tuple) else v for k, v in (SIZES | RERANKER).items()}


def run_cli(patch: pytest.MonkeyPatch, *arguments: object) -> int:
    patch.setattr(sys, "argv", ["unigen", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """UNIGEN_HOME with the dataset ``mine``, its templates and its lessons."""
    folder = tmp_path_factory.mktemp("wyckoff-run")
    small = [crystal for crystal in symmetric_crystals() if sum(crystal.counts.values()) <= MAX_ATOMS][:90]
    ase.io.write(folder / "mine.extxyz", [crystal.to_crystal().to_ase() for crystal in small])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIGEN_HOME", str(folder))
        patch.chdir(folder)
        build = ("data", "build", "mine", "--from", "mine.extxyz", "--split-val", 0.2, "--workers", 1)
        assert run_cli(patch, *build) == 0
        assert run_cli(patch, "data", "templates", "mine", "--workers", 1) == 0
        assert run_cli(patch, "data", "neighbours", "mine", "--workers", 1) == 0
        yield folder


def write_config(folder: Path, **changes: object) -> Path:
    data = {"train": "mine:train", "val": "mine:val", "batch_size": 8, "bucket": 2}
    path = folder / "tiny.yaml"
    fixed = {"model": MODEL, "data": data, "max_steps": STEPS, "validate_every": 3, "out": str(folder / "run")}
    write_yaml(path, CONFIG | fixed | changes)
    return path


def run(config: Path, *overrides: str) -> Path:
    return train(load(TrainConfig, config, overrides))


@pytest.fixture(scope="module")
def trained(home, tmp_path_factory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("trained")
    run(write_config(folder, match_structures=4))
    return folder / "run"


def test_lessons_stand_in_the_order_of_the_dataset(home):
    dataset, table = open_crystals("mine"), open_table("mine")
    assert table.ids.tolist() == dataset.ids.tolist()
    assert table.split.tolist() == dataset.split.tolist()
    lessons = read_lessons(home / "datasets/mine/neighbours.parquet", table, Retriever(table.only("train")))
    taught = []
    for index, crystal in enumerate(dataset):
        assert table.counts(index) == crystal.counts
        lesson = lessons[index]
        assert len(lesson.rms) == len(lesson.shortlist.representatives)
        sources = lessons.retriever.table.ids[lesson.shortlist.sources]
        assert set(sources) <= set(dataset.ids[dataset.split == "train"])
        formulas = {dataset[int(np.flatnonzero(dataset.ids == known)[0])].reduced_formula for known in sources}
        assert crystal.reduced_formula not in formulas
        heads = [at for at in lesson.aligned_at.tolist() if at in lesson.shortlist.representatives]
        taught += lesson.rms[lesson.shortlist.kind[heads]].tolist()
    assert len(taught) > 20
    assert np.mean(np.array(taught) < 0.35) > 0.9  # the same template, moved a little: it matches


def test_items_are_the_crystals_whether_they_follow_or_not(home):
    table = open_table("mine")
    items = WyckoffItems("mine:train", Retriever(table.only("train")), load(TrainConfig, write_config(home)).model)
    assert len(items) == len(items.num_atoms) == (table.split == "train").sum()
    rng, followed = np.random.default_rng(0), []
    for place in range(len(items)):
        index = items[place]
        item = items.encode(place, index, rng)
        wanted, got = table[index], decode(item.sequence)
        assert got.counts == wanted.counts
        assert got.space_group == wanted.space_group
        assert got.to_crystal().volume == pytest.approx(wanted.to_crystal().volume, rel=1e-3)
        followed.append(item.followed)
        if item.followed >= 0:
            sites = item.sequence.tokens.vectors - item.sequence.start
            shift = sites[item.sequence.tokens.channel == 2, :3]
            assert np.abs(shift - np.round(shift)).max(initial=0.0) < 0.3
    assert min(followed) < 0 <= max(followed)
    batch = collate_items([items.encode(place, items[place], rng) for place in range(4)])
    assert batch.followed.shape == (4,)


def test_a_dataset_goes_by_its_path_too(home):
    path = home / "datasets/mine/crystals.parquet"
    config = load(TrainConfig, write_config(home)).model
    retriever = Retriever(open_table(f"{path}:train"))
    by_path, by_name = (WyckoffItems(f"{name}:train", retriever, config) for name in (path, "mine"))
    assert by_path.index.tolist() == by_name.index.tolist()


def test_material_that_is_not_there_is_named(home, tmp_path):
    config = load(TrainConfig, write_config(tmp_path))
    retriever = Retriever(open_table("mine:train"))
    with pytest.raises(UserError, match="no crystal fits the model"):
        WyckoffItems("mine:test", retriever, config.model)
    with pytest.raises(UserError, match=r"no crystal fits the model.*<= 1 atoms"):
        run(write_config(tmp_path), "model.max_atoms=1")
    lessons = home / "datasets/mine/neighbours.parquet"
    lessons.rename(lessons.with_suffix(".away"))
    try:
        with pytest.raises(UserError, match="no lessons yet; run: unigen data neighbours mine"):
            run(write_config(tmp_path))
    finally:
        lessons.with_suffix(".away").rename(lessons)


def test_it_trains_and_says_how_it_goes(trained):
    names = ("loss", "loss_symbol", "loss_lattice", "loss_site", "loss_source", "gradient_norm")
    for name in names:
        values = logged(trained, name)
        assert sorted(values) == list(range(STEPS)), name
        assert np.isfinite(list(values.values())).all(), name
    for name in (
        "val_loss_symbol",
        "val_loss_lattice",
        "val_loss_site",
        "val_loss_source",
        "val_nearest",
        "val_source",
    ):
        assert np.isfinite(list(logged(trained, name).values())).all(), name
    for name in ("val_nearest", "val_source", "val_match_rate"):
        assert all(0 <= value <= 1 for value in logged(trained, name).values())


def test_a_folder_of_another_run_is_refused(home, trained):
    for change, key in (({"width": 64}, "width"), ({"reranker_layers": 2}, "reranker_layers")):
        with pytest.raises(UserError, match=rf"holds another run: its model\.{key} is"):
            run(write_config(trained.parent, model=MODEL | change))
    write_config(trained.parent)


def test_resuming_changes_no_loss_under_a_constant_schedule(home, tmp_path):
    """The cosine depends on max_steps; a constant learning rate does not."""
    constant = {"schedule": "wsd", "warmup_steps": 0, "decay_fraction": 0.0}
    whole, part = tmp_path / "whole", tmp_path / "part"
    for folder in (whole, part):
        folder.mkdir()
    run(write_config(whole, optim=constant, match_structures=2))
    config = write_config(part, optim=constant, match_structures=2)
    run(config, "max_steps=3")
    run(config)
    for name in ("loss", "loss_symbol", "loss_lattice", "loss_site", "loss_source", "gradient_norm", "val_loss_site"):
        assert logged(part / "run", name) == logged(whole / "run", name), name
    ours, theirs = (load_model(folder / "run/model").state_dict() for folder in (part, whole))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_the_published_model_is_the_config_it_was_trained_with(trained):
    model = load_model(trained / "model")
    assert model.config == load(TrainConfig, trained / "config.yaml").model
    assert read_yaml(trained / "model/config.yaml")["kind"] == "wyckoff"


def test_the_reranker_can_be_trained_alone_and_joined(home, trained, tmp_path, monkeypatch, capsys):
    run(write_config(tmp_path, only="reranker", seed=1), "max_steps=3", "checkpoint_minutes=0")
    alone = load_model(tmp_path / "run/model")
    losses = logged(tmp_path / "run"), logged(tmp_path / "run", "loss_source")
    assert losses[0] == losses[1]
    run(write_config(tmp_path, only="reranker", seed=1), "max_steps=5")
    later = load_model(tmp_path / "run/model")
    moved = {name for name, tensor in later.state_dict().items() if not torch.equal(tensor, alone.state_dict()[name])}
    assert moved
    assert all(name.startswith("reranker.") for name in moved)
    pack = ("models", "pack", trained / "model", "--out", tmp_path / "both", "--dtype", "fp32")
    assert run_cli(monkeypatch, *pack, "--reranker-from", tmp_path / "run/model", "--templates", "mine") == 0
    both, backbone = load_model(tmp_path / "both").state_dict(), load_model(trained / "model").state_dict()
    for name, tensor in both.items():
        assert torch.equal(tensor, (later.state_dict() if name.startswith("reranker.") else backbone)[name]), name
    assert len(load_generator(tmp_path / "both").retriever.table) == len(open_table("mine"))
    capsys.readouterr()
    assert run_cli(monkeypatch, *pack, "--templates", "mine:train") == 2
    assert "a model takes a whole table; got mine:train" in capsys.readouterr().err
    save_model(small_wyckoff(reranker_width=32), tmp_path / "wide")
    save_model(small_model(), tmp_path / "words")
    for other, said in (("wide", "the rerankers differ in size"), ("words", "only wyckoff models have a reranker")):
        assert run_cli(monkeypatch, *pack, "--reranker-from", tmp_path / other) == 2
        assert said in capsys.readouterr().err


def test_lessons_follow_the_dataset_they_are_made_of(home, monkeypatch, tmp_path):
    """Built again in one process, with fewer crystals: nothing old is remembered."""
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path))
    sizes = []
    for count in (12, 6):
        atoms = [crystal.to_crystal().to_ase() for crystal in symmetric_prototypes()[:count]]
        ase.io.write(tmp_path / "some.extxyz", atoms)
        monkeypatch.chdir(tmp_path)
        for command in (("build", "some", "--from", "some.extxyz"), ("templates", "some"), ("neighbours", "some")):
            assert run_cli(monkeypatch, "data", *command, "--workers", 1) == 0
        sizes.append(len(open_table("some")))
        read_lessons(tmp_path / "datasets/some/neighbours.parquet", open_table("some"), Retriever(open_table("some")))
    assert sizes == [12, 6]
    with pytest.raises(UserError, match="dataset 'other' is not built"):
        build_table("other")
    with pytest.raises(UserError, match="'other' is not built"):
        judge_neighbours("some", "other:train", workers=1)


# ---- samples on the command line


@pytest.fixture
def unigen(home, monkeypatch, capsys, tmp_path):
    """Run a command in this process, in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def said(*arguments: object) -> tuple[int, str, str]:
        code = run_cli(monkeypatch, *arguments)
        streams = capsys.readouterr()
        return code, streams.out, streams.err

    return said


def generate(trained: Path, *options: object) -> tuple[object, ...]:
    common = ("--model", trained / "model", "--retrieve-from", "mine:train", "--steps", 2, "--no-picture")
    return ("generate", "crystal", *common, *options)


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("options", "groups"),
    [
        (("--formula", "NaCl", "--space-group", "Fm-3m"), {225}),
        (("--formula", "NaCl", "--space-group", "221"), {221}),
        (("--formula", "KBr", "--crystal-system", "hexagonal"), set(range(168, 195))),
        (("--template", "221 Sr:a Ti:b O:c"), {221}),
        (("--elements", "Na,Cl", "--space-group", "225", "--no-score"), {225}),
    ],
)
def test_the_symmetry_asked_for_on_the_command_line(unigen, trained, tmp_path, options, groups):
    code, _, err = unigen(*generate(trained, *options, "--n", 3, "--out", "run"))
    assert (code, err) == (0, "")
    for row in rows(tmp_path / "run"):
        template = parse_template(row["template"])
        assert template.space_group in groups
        sites = Counter(ATOMIC_NUMBER[site["element"]] for site in row["sites"])
        times = {sites[number] / count for number, count in template.counts.items()}
        assert sites.keys() == template.counts.keys()
        assert len(times) == 1  # numbers that happen to have more symmetry are stated in their smaller cell
        assert times.pop().is_integer()


def test_the_same_command_gives_the_same_bytes(unigen, trained, tmp_path):
    for out in ("a", "b"):
        assert unigen(*generate(trained, "--formula", "SrTiO3", "--n", 4, "--out", out))[0] == 0
    assert (tmp_path / "a/samples.jsonl").read_bytes() == (tmp_path / "b/samples.jsonl").read_bytes()
    assert (tmp_path / "a/samples.extxyz").read_bytes() == (tmp_path / "b/samples.extxyz").read_bytes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--formula", "NaCl", "--z", 1, "--space-group", "227"), "no allowed space group can hold"),
        (("--formula", "NaCl", "--space-group", "231"), "space_group: there is no such space group; got 231"),
        (("--formula", "NaCl", "--space-group", "Fm3n"), "unknown space group 'Fm3n'"),
        (("--formula", "NaCl", "--crystal-system", "round"), "unknown crystal system 'round'"),
        (("--formula", "NaCl", "--space-group", "225", "--crystal-system", "trigonal"), "contradict each other"),
        (("--template", "221 Sr:a Ti:a"), "template '221 Sr:a Ti:a': Pm-3m (221): 1a is a fixed position"),
        (("--template", "221 Sr:a", "--formula", "NaCl"), "formula and template '221 Sr:a' contradict"),
        (("--template", " "), "template: empty"),
    ],
)
def test_a_symmetry_that_cannot_be_had_is_one_line(unigen, trained, options, said):
    code, _, err = unigen(*generate(trained, *options, "--out", "run"))
    assert code == 2, err
    assert err.startswith("error: ")
    assert err.count("\n") == 1, err
    assert said in err


def test_bad_lines_of_a_request_file_are_named(unigen, trained, tmp_path):
    for name, text, said in (
        ("a.csv", "formula,space_group\nNaCl,225\nNaCl,Fm3n\n", "a.csv:3: unknown space group 'Fm3n'"),
        ("b.csv", "template\n221 Sr:a\n221 Xx:a\n", "b.csv:3: template '221 Xx:a': unknown element 'Xx'"),
        ("c.jsonl", '{"formula": "NaCl", "space_group": 2.5}\n', "c.jsonl:1: unknown space group '2.5'"),
        ("d.jsonl", '{"formula": "NaCl", "crystal_system": "Round"}\n', "d.jsonl:1: crystal_system: unknown"),
    ):
        (tmp_path / name).write_text(text)
        code, _, err = unigen(*generate(trained, "--requests", name, "--out", "run"))
        assert (code, err.count("\n")) == (2, 1), err
        assert said in err


def test_a_file_of_symmetries_is_served_row_by_row(unigen, trained, tmp_path):
    lines = (
        "formula,z,space_group,crystal_system,template\nNaCl,1,225,,\nNaCl,1,227,,\nNaCl,,,cubic,\n,,,,225 Mg:a O:b\n"
    )
    (tmp_path / "wanted.csv").write_text(lines)
    code, out, err = unigen(*generate(trained, "--requests", "wanted.csv", "--out", "run"))
    assert (code, err) == (0, "")
    assert "1 failed" in " ".join(out.split())
    made = rows(tmp_path / "run")
    assert ["reason" in row for row in made] == [False, True, False, False]
    assert "227" in made[1]["reason"]
    assert made[3]["template"] == "225 Mg:a O:b"


# ---- loading


def test_a_model_without_its_table_says_where_to_get_one(home, trained, tmp_path):
    with pytest.raises(UserError) as refusal:
        load_generator(trained / "model")
    assert str(refusal.value).count("\n") == 0
    for part in (str(trained / "model"), "from which dataset?", "--retrieve-from"):
        assert part in str(refusal.value)
    with pytest.raises(UserError, match="dataset 'no-such' is not built"):
        load_generator(trained / "model", retrieve_from="no-such")
    generator = load_generator(trained / "model", retrieve_from="mine:train")
    assert set(generator.retriever.table.split) == {"train"}
    save_model(load_model(trained / "model"), tmp_path / "own")
    save_table(tmp_path / "own/templates.parquet", symmetric_crystals()[:9])
    own = load_generator(tmp_path / "own", score=False, exclude_formula=True)
    assert len(own.retriever.table) == 9
    assert own.version != generator.version
    assert own.sources.exclude_formula
    (tmp_path / "own/templates.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"templates\.parquet: not a table of templates"):
        load_generator(tmp_path / "own")


def test_only_what_hears_properties_is_trained(home, trained, tmp_path):
    told = MODEL | {"properties": ["density"], "units": ["g/cm^3"]}
    changes = {"model": told, "only": "properties", "start_from": str(trained / "model"), "max_steps": 4}
    model = load_model(run(write_config(tmp_path, **changes)))
    before = load_model(trained / "model").state_dict()
    after = model.state_dict()
    assert {name for name in after if name not in before} == {f"adapter.{name}" for name in model.adapter.state_dict()}
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, atol=1e-6, rtol=1e-5)
    assert model.adapter.move[2].weight.any()
    densities = [crystal.density for crystal in open_crystals("mine:train")]
    assert model.adapter.mean[0] == pytest.approx(np.mean(densities), rel=1e-4)
    assert model.adapter.range[0].tolist() == pytest.approx([min(densities), max(densities)], rel=1e-4)
    with pytest.raises(UserError, match=r"has no property 'colour'; wanted some of.*density"):
        run(write_config(tmp_path, **(changes | {"model": told | {"properties": ["colour"]}, "out": "x"})))
    with pytest.raises(UserError, match="no part for properties"):
        run(write_config(tmp_path, **(changes | {"model": MODEL, "out": str(tmp_path / "none")})))


def test_a_model_that_hears_peaks_is_trained_goes_on_and_is_asked(home, tmp_path, monkeypatch, capsys):
    """Of a powder pattern; with it other numbers are drawn than without, and that it was asked is said."""
    monkeypatch.chdir(home)
    whole = load_model(run(write_config(tmp_path, model=MODEL | {"peaks": 8}), f"out={tmp_path / 'whole'}"))
    config = tmp_path / "tiny.yaml"
    run(config, "max_steps=3")
    again = load_model(run(config))
    assert all(torch.equal(again.state_dict()[name], part) for name, part in whole.state_dict().items())
    assert whole.state_dict()["peaks.peak.2.weight"].any()
    profile(SALT).to_xy(tmp_path / "salt.xy")
    usual = (
        "--model",
        tmp_path / "run" / "model",
        "--retrieve-from",
        "mine",
        "--no-score",
        "--no-page",
        "--no-picture",
    )
    capsys.readouterr()
    for name, options in (("asked", ("--pxrd", tmp_path / "salt.xy")), ("plain", ())):
        out = ("--formula", "NaCl", "--n", 3, "--no-cif", "--out", tmp_path / name)
        assert run_cli(monkeypatch, "generate", "crystal", *usual, *out, *options) == 0
        assert ("asked for by its peaks, 8 from" in " ".join(capsys.readouterr().out.split())) == (name == "asked")
    asked, plain = (
        [json.loads(line) for line in (tmp_path / name / "samples.jsonl").read_text().splitlines()]
        for name in ("asked", "plain")
    )
    assert [row.get("asked_peaks") for row in asked + plain] == [8] * 3 + [None] * 3
    assert [row.get("lattice") for row in asked] != [row.get("lattice") for row in plain]
