"""Every published card is complete; a wrong one is refused by key; a wrong file by checksum."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from unigen import cards, config
from unigen.errors import UserError

GOOD = """
name: x
title: t
about: a
homepage: h
licence: MIT
citation: c
files: [{url: "https://example.org/x.csv"}]
"""


def test_every_published_dataset_has_a_valid_card():
    found = cards.find_cards("data")
    assert set(found) >= {"oqmd-icsd", "mp-20", "mpts-52", "perov-5", "carbon-24", "qm9", "moses"}
    for name, path in found.items():
        card = cards.read_dataset_card(path)
        assert card.name == name
        assert all(entry.keys() == {"unit", "about"} for entry in card.properties.values())
        assert not card.counts or sum(card.splits.values()) == card.counts.get("kept", card.counts["rows"])
        assert all(file.url or file.member for file in card.files)


def test_an_installed_package_finds_its_own_copies(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "unigen"
    (package / "published" / "data" / "x").mkdir(parents=True)
    (package / "published" / "data" / "x" / "card.yaml").write_text(GOOD)
    monkeypatch.setattr(cards, "__file__", str(package / "cards.py"))
    assert list(cards.find_cards("data")) == ["x"]
    assert cards.find_cards("models") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("licence: MIT\n", ""), "licence: missing"),
        (GOOD + "licenze: MIT\n", r"licenze: unknown key \(got 'MIT'\)"),
        (GOOD.replace("title: t", "title: 3"), r"title: wrong type or value \(got 3\); wanted text"),
        (GOOD.replace("url", "uri"), r"files\[0\]\.uri: unknown key"),
        (GOOD.replace('[{url: "https://example.org/x.csv"}]', "[]"), "files: empty"),
        (GOOD + "counts: 3\n", "counts: wrong type"),
        ("- a\n- b\n", "not a YAML mapping; got list"),
        ("a: [\n", "not valid YAML"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_card_is_refused_by_file_and_key(tmp_path, text, said):
    path = tmp_path / "card.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=said) as refused:
        cards.read_dataset_card(path)
    assert str(path) in str(refused.value)


def test_yaml_round_trip(tmp_path):
    content = {"b": [1, 2.5], "a": {"x": None, "y": "ü"}}
    config.write_yaml(tmp_path / "deep" / "a.yaml", content)
    assert config.read_yaml(tmp_path / "deep" / "a.yaml") == content
    assert list(config.read_yaml(tmp_path / "deep" / "a.yaml")) == ["b", "a"]


def test_checksum(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 1000)
    wanted = hashlib.sha256(b"abc" * 1000).hexdigest()
    assert cards.check_sha256(path, wanted) == wanted
    assert cards.check_sha256(path, None) == wanted
    with pytest.raises(UserError, match=f"checksum differs; got {wanted}; wanted 00"):
        cards.check_sha256(path, "00")


def test_only_https_is_fetched(tmp_path):
    with pytest.raises(UserError, match="not an https address"):
        cards.download("file:///etc/hostname", tmp_path / "x")


def test_an_address_that_does_not_answer_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot be fetched.*--from PATH"):
        cards.download("https://localhost:1/x.csv", tmp_path / "x.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_config_is_the_users_file_or_the_one_that_comes_along(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours = cards.published("configs") / "tiny.yaml"
    for name in ("tiny", "tiny.yaml", "configs/tiny.yaml"):
        assert cards.published_config(Path(name)) == ours
    assert cards.published_config(Path("no-such.yaml")) == Path("no-such.yaml")
    (tmp_path / "tiny.yaml").write_text("kind: mine\n")
    assert cards.published_config(Path("tiny.yaml")) == Path("tiny.yaml")
