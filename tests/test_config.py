"""YAML to frozen dataclasses: what is wrong is named by its key, and every shipped config is complete."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unigen.config import from_dict, load, load_union, read_yaml, to_plain, write_yaml
from unigen.errors import UserError
from unigen.models.joint.network import JointConfig
from unigen.models.octree.network import OctreeCrystalConfig, OctreeMoleculeConfig
from unigen.models.octree.property import OctreePropertyConfig
from unigen.models.predictor.network import PredictorConfig
from unigen.models.smiles.network import MoleculeConfig
from unigen.models.training_set import DataConfig
from unigen.models.words.network import AutoregressiveConfig
from unigen.models.wyckoff.network import WyckoffConfig
from unigen.train.settings import OptimConfig, TrainConfig

CONFIGS = sorted((Path(__file__).resolve().parents[1] / "configs").glob("*.yaml"))
HEADER = ("what", "command", "hardware", "expected", "source")


@dataclass(frozen=True, kw_only=True)
class Part:
    size: int = 3
    names: tuple[str, ...] = ("a",)


@dataclass(frozen=True, kw_only=True)
class Whole:
    rate: float
    kind: Literal["one", "two"] = "one"
    flag: bool = False
    note: str | None = None
    part: Part = Part()


@pytest.fixture
def file(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "some.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate: 1\nraet: 2", r"some\.yaml: raet: unknown key \(got 2\).*rate"),
        ("rate: 1\npart: {extra: 4}", r"part\.extra: unknown key \(got 4\).*size"),
        ("kind: one", r"rate: missing"),
        ("rate: fast", r"rate: wrong type or value \(got 'fast'\).*a number"),
        ("rate: true", r"rate: .*got True.*a number"),
        ("rate: 1\nflag: 1", r"flag: .*got 1.*true or false"),
        ("rate: 1\nkind: three", r"kind: .*got 'three'.*one or two"),
        ("rate: 1\npart: {size: 1.5}", r"part\.size: .*got 1\.5.*a whole number"),
        ("rate: 1\npart: {size: true}", r"part\.size: .*got True.*a whole number"),
        ("rate: 1\npart: {names: a}", r"part\.names: .*got 'a'.*a list"),
        ("rate: 1\npart: {names: [a, 2]}", r"part\.names\[1\]: .*got 2.*text"),
        ("rate: 1\npart: 7", r"part: .*got 7.*a section"),
        ("rate: 1\nnote: 7", r"note: .*got 7.*text"),
        ("rate: [1", r"some\.yaml: not valid YAML"),
        ("- rate", r"some\.yaml: not a YAML mapping; got list"),
        ("", r"not a YAML mapping"),
        ("!!python/object/apply:os.system [ls]", r"not valid YAML"),
    ],
)
def test_every_mistake_is_one_line_with_key_and_value(file, text, message):
    with pytest.raises(UserError, match=message) as error:
        load(Whole, file(text))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml: cannot be read; got No such file"):
        load(Whole, tmp_path / "none.yaml")


def test_overrides_reach_nested_keys_and_are_checked_like_the_file(file):
    path = file("rate: 1")
    filled = load(Whole, path, ["part.size=5", "rate=3e-4", "note=null", "part.names=[x, y]", "flag=true"])
    assert filled == Whole(rate=3e-4, part=Part(size=5, names=("x", "y")), flag=True)
    for override, message in {
        "part.size": r"not an override; got part\.size; wanted key\.sub=value",
        "part.extra=1": r"part\.extra: unknown key",
        "part.size=big": r"part\.size: .*got 'big'",
        "rate.x=1": r"rate is no section",
        "rate=[": r"override rate: not valid YAML",
    }.items():
        with pytest.raises(UserError, match=message):
            load(Whole, path, [override])


@pytest.mark.parametrize("text", ["3e-4", "3.0e-4", "0.0003", "'3e-4'"])
def test_scientific_numbers_are_numbers(file, text):
    value = load(Whole, file(f"rate: {text}")).rate
    assert isinstance(value, float)
    assert math.isclose(value, 3e-4)


@given(
    rate=st.floats(allow_nan=False, allow_infinity=False),
    note=st.none() | st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"])),
    names=st.lists(st.text("abc:#'1", max_size=5)),
    size=st.integers(),
)
def test_what_is_written_is_read_back(tmp_path_factory, rate, note, names, size):
    path = tmp_path_factory.mktemp("written") / "some.yaml"
    whole = Whole(rate=rate, note=note, part=Part(size=size, names=tuple(names)))
    write_yaml(path, whole)
    assert load(Whole, path) == whole
    assert read_yaml(path) == to_plain(whole)
    assert from_dict(Whole, to_plain(whole), where="here") == whole


USUAL = {"data.retrieve_from", "only", "start_from"}
"""Absence says: neighbours come from data.train, all of the model is trained, from nothing."""

FOR_WYCKOFF = USUAL | {"optim.source_weight", "data.exchange"}
"""What only a wyckoff model reads."""

FOR_MOLECULES = {"data.values_of_half"}
"""What only models of molecules read."""

OF_WRITING = {"data.rotate", "data.shuffle_atoms"}
"""How a model of molecules is shown them; absence says as usual."""

FOR_JOINT = {"data.molecules", "data.val_molecules"}
"""What only a joint model reads."""

OF_PROPERTIES = {"model.properties", "model.units"}
"""Of a crystal model that hears properties."""

OF_SYMBOLS = {"optim.symbol_weight"}
"""What a model without symbols does not read."""


def _fields(kind, model, prefix=""):
    parts = {"model": model, "data": DataConfig, "optim": OptimConfig}
    for field in dataclasses.fields(kind):
        if kind is TrainConfig and field.name in parts:
            yield from _fields(parts[field.name], model, f"{field.name}.")
        else:
            yield prefix + field.name


def _keys(values, prefix=""):
    for key, value in values.items():
        is_section = isinstance(value, dict) and prefix + key not in ("model.properties", "model.units")
        yield from _keys(value, f"{key}.") if is_section else [prefix + key]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_configs_are_complete_and_say_what_they_are(path):
    config = load(TrainConfig, path)
    unsaid = set(_fields(TrainConfig, type(config.model))) ^ set(_keys(read_yaml(path)))
    assert isinstance(config.model, JointConfig) != (unsaid >= FOR_JOINT)
    unsaid -= FOR_JOINT
    match config.model:
        case JointConfig():
            parts = {"crystal": config.model.crystal, "molecule": config.model.molecule}
            said = {f"{name}.{field.name}" for name, part in parts.items() for field in dataclasses.fields(part)}
            assert unsaid - said == {"model.crystal", "model.molecule"} | FOR_WYCKOFF | OF_WRITING
        case WyckoffConfig():
            assert FOR_MOLECULES | OF_WRITING <= unsaid <= USUAL | OF_PROPERTIES | FOR_MOLECULES | OF_WRITING
        case MoleculeConfig():
            assert FOR_WYCKOFF - {"start_from"} <= unsaid <= FOR_WYCKOFF | OF_WRITING
        case PredictorConfig():
            not_read = (FOR_WYCKOFF - USUAL) | OF_WRITING | OF_SYMBOLS
            assert not_read <= unsaid <= not_read | USUAL
        case OctreePropertyConfig():
            said = {f"octree.{field.name}" for field in dataclasses.fields(config.model.octree)}
            assert unsaid - said == {"model.octree"} | FOR_WYCKOFF | FOR_MOLECULES | OF_SYMBOLS | {"data.shuffle_atoms"}
            assert said <= unsaid
        case OctreeMoleculeConfig() | OctreeCrystalConfig():
            assert FOR_WYCKOFF | FOR_MOLECULES <= unsaid <= FOR_WYCKOFF | FOR_MOLECULES | OF_WRITING
        case AutoregressiveConfig():
            assert unsaid == FOR_WYCKOFF | FOR_MOLECULES | OF_WRITING
    lines = path.read_text().splitlines()
    assert [line[2:].partition(":")[0] for line in lines[:5]] == list(HEADER)
    assert all(line.startswith("# ") and line.partition(":")[2].strip() for line in lines[:5])
    assert config.out == f"runs/{path.stem}"
    for name in (config.data.train, config.data.val):
        assert "/" not in name, "a dataset by name: a path is of one machine"


TRAINING = {"data": {"train": "a", "val": "b"}, "out": "runs/x", "max_steps": 1}
MODELS = {"autoregressive": AutoregressiveConfig, "wyckoff": WyckoffConfig}


@pytest.mark.parametrize("kind", MODELS)
def test_kind_says_which_model_a_section_describes(tmp_path, kind):
    write_yaml(tmp_path / "run.yaml", TRAINING | {"model": {"kind": kind, "width": 24}})
    model = load(TrainConfig, tmp_path / "run.yaml", ["model.heads=4"]).model
    assert model == MODELS[kind](kind=kind, width=24, heads=4)
    write_yaml(tmp_path / "model.yaml", model)
    assert load_union(AutoregressiveConfig | WyckoffConfig, tmp_path / "model.yaml") == model


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({}, r"model\.kind: unknown kind \(got None\); wanted autoregressive or joint or .*wyckoff"),
        (
            {"kind": "wykoff"},
            r"model\.kind: unknown kind \(got 'wykoff'\); wanted autoregressive or joint or .*wyckoff",
        ),
        ({"kind": ["wyckoff"]}, r"model\.kind: unknown kind \(got \['wyckoff'\]\)"),
        (3, r"model\.kind: unknown kind \(got None\)"),
        ({"kind": "wyckoff", "tokenizer": "words"}, r"model\.tokenizer: unknown key \(got 'words'\)"),
        ({"kind": "autoregressive", "max_orbits": 3}, r"model\.max_orbits: unknown key \(got 3\)"),
        ({"kind": "wyckoff", "max_orbits": "many"}, r"model\.max_orbits: wrong type or value \(got 'many'\)"),
    ],
)
def test_a_section_of_no_known_kind_is_refused(tmp_path, model, said):
    write_yaml(tmp_path / "run.yaml", TRAINING | {"model": model})
    with pytest.raises(UserError, match=said):
        load(TrainConfig, tmp_path / "run.yaml")


def test_a_file_of_no_known_kind_is_refused(tmp_path):
    write_yaml(tmp_path / "config.yaml", {"width": 3})
    with pytest.raises(UserError, match=r"config\.yaml: kind: unknown kind \(got None\)"):
        load_union(AutoregressiveConfig | WyckoffConfig, tmp_path / "config.yaml")
