"""Whatever number stands in a config: it is refused by its key, or the network, the optimizer and the data take it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace
from typing import get_type_hints

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unigen.config import from_dict, load, read_yaml, to_plain
from unigen.errors import UserError
from unigen.models.checkpoint import load_model, save_model
from unigen.models.families import FAMILIES, build_model, meta_model
from unigen.models.property.network import GraphPropertyNetwork
from unigen.models.training_set import DataConfig
from unigen.models.words.network import AutoregressiveConfig
from unigen.nn.encoders.choice import EquivariantChoice, FrameAveragingChoice, MessagePassingChoice
from unigen.train.settings import OptimConfig, TrainConfig

TINY = {family.name: family.learned.tiny for family in FAMILIES if family.learned is not None}
SETTINGS = [kind() for family in FAMILIES for kind in family.settings.values()]
DATA = DataConfig(train="a", val="b")
OTHERS = [OptimConfig(), DATA, TrainConfig(model=TINY["words"], data=DATA, out="o", max_steps=1)]
BOMB = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
ODD = (0, -1, 1, 2, 3, 7, 0.5, -0.5, 1e30, -1e30, 1e-30, math.nan, math.inf, -math.inf, 10**9, 10**12, -(10**12), 2**63)


def numbers(config) -> list[str]:
    """Names of the fields that are numbers."""
    hints = get_type_hints(type(config))
    fields = [field.name for field in dataclasses.fields(config)]
    return [name for name in fields if hints[name] in (int, float, int | None, float | None)]


def changed(config, name: str, value: float):
    return from_dict(type(config), to_plain(config) | {name: value}, "x.yaml")


@given(st.sampled_from(sorted(name for name in set(TINY) - {"joint"} if numbers(TINY[name]))), st.data())
def test_a_network_of_any_config_that_is_not_refused_can_be_built(family, data):
    config = TINY[family]
    name, value = data.draw(st.sampled_from(numbers(config))), data.draw(st.sampled_from(ODD))
    try:
        config = changed(config, name, value)
    except UserError as error:
        assert str(error).startswith(("x.yaml: " + name, "x.yaml: heads")), error  # noqa: PT017 - accepted is right too
        return
    network = meta_model(config)
    assert all(math.isfinite(value) for value in dataclasses.asdict(config).values() if isinstance(value, float))
    assert sum(parameter.numel() for parameter in network.parameters()) > 0


@pytest.mark.parametrize("config", [*SETTINGS, *OTHERS], ids=lambda config: type(config).__name__)
@pytest.mark.parametrize("value", [math.nan, -1e30, -1, -(10**12)])
def test_no_setting_is_negative_or_no_number(config, value):
    for name in numbers(config):
        if name == "guidance" and value == -1:
            continue  # away from what is asked for
        with pytest.raises(UserError, match=rf"^x\.yaml: {name}: "):
            changed(config, name, value)


@pytest.mark.parametrize("family", sorted(TINY))
def test_a_config_is_in_its_own_ranges(family):
    assert from_dict(type(TINY[family]), to_plain(TINY[family]), "x.yaml") == TINY[family]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 48, "heads": 5}, r"heads: the width cannot be divided among them; got width 48, heads 5"),
        ({"width": 0}, r"width: out of range; got 0; wanted 1 to 65536"),
        ({"mixers": ["attention"] * 2000}, r"mixers: its length is out of range; got 2000; wanted 0 to 1000"),
        ({"dropout": 1.5}, r"dropout: out of range; got 1\.5; wanted 0 to 1"),
        ({"properties": ["gap", "gap"], "units": ["eV", "eV"]}, r"properties: one is given twice; got gap, gap"),
        ({"properties": ["gap"], "units": []}, r"units: not one a property"),
        ({"reranker_width": 18}, r"reranker_width: cannot be divided among its heads; got 18; wanted a multiple of 4"),
    ],
)
def test_what_is_wrong_with_a_size_is_said(change, message):
    with pytest.raises(UserError, match=message):
        from_dict(type(TINY["wyckoff"]), to_plain(TINY["wyckoff"]) | change, "x.yaml")


def test_a_network_that_no_memory_holds_is_refused_before_it_is_built():
    giant = AutoregressiveConfig(width=65_536, heads=64, mixers=("attention",) * 1000)
    with pytest.raises(UserError, match=r"a network of [\d.e+]+ parameters, which need [\d,]+ GiB"):
        build_model(giant)


LEARNED = [family.learned for family in FAMILIES if family.learned is not None]


@pytest.mark.parametrize("learned", LEARNED, ids=[learned.tiny.kind for learned in LEARNED])
def test_looking_at_shapes_first_changes_no_weight(learned):
    torch.manual_seed(3)
    plain = learned.network(learned.tiny).state_dict()
    torch.manual_seed(3)
    built = build_model(learned.tiny).state_dict()
    assert all(torch.equal(plain[name], tensor) for name, tensor in built.items())


@pytest.mark.parametrize("encoder", [MessagePassingChoice(), FrameAveragingChoice(), EquivariantChoice()])
def test_every_encoder_is_saved_and_comes_back(encoder, tmp_path):
    """One that a library builds, with numbers, where only shapes are looked at, among them."""
    config = replace(TINY["property"], encoder=replace(encoder, width=16, layers=2))
    torch.manual_seed(3)
    plain = GraphPropertyNetwork(config).state_dict()
    torch.manual_seed(3)
    model = build_model(config)
    assert all(torch.equal(plain[name], tensor) for name, tensor in model.state_dict().items())
    save_model(model, tmp_path)
    loaded = load_model(tmp_path).state_dict()
    assert all(torch.equal(plain[name], tensor) for name, tensor in loaded.items())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "[" * 100_000, "nested too deeply"),
        ("a: " + "9" * 5_000, "not valid YAML"),
        ("a: 2026-99-99", "not valid YAML"),
        ("a0: &a0 [x, x]\n" + BOMB, "aliases"),
        ("a: &a [*a]", "aliases"),
        ("a: \x00", "not valid YAML"),
        ("a: 0x" + "f" * 5_000, "a number of thousands of digits"),
    ],
)
def test_yaml_that_is_made_to_break_readers_is_one_line(tmp_path, text, message):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UserError, match=message) as error:
        load(AutoregressiveConfig, tmp_path / "x.yaml") if "0x" not in text else load(
            DataConfig, tmp_path / "x.yaml", ["batch_size=0x" + "f" * 5_000, "train=a", "val=b"]
        )
    assert len(str(error.value)) < 1_500


def test_anchors_and_merged_keys_stay_what_they_are(tmp_path):
    (tmp_path / "x.yaml").write_text("base: &base {width: 64, heads: 2}\nmodel:\n  <<: *base\n  width: 32\n")
    assert read_yaml(tmp_path / "x.yaml")["model"] == {"width": 32, "heads": 2}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_a_config_may_have_any_encoding(tmp_path, encoding):
    (tmp_path / "x.yaml").write_bytes("train: Ångström\nval: b\n".encode(encoding))
    assert load(DataConfig, tmp_path / "x.yaml").train == "Ångström"
