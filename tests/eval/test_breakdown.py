"""Match rates by class: every reference in one class, classes that add up to the whole, distances to what is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rich.console import Console

from tests.eval.known_samples import caesium_chloride, crystal, prototypes, rock_salt, shaken
from unigen.data.build import build_dataset
from unigen.errors import UserError
from unigen.eval.crystals.breakdown import ATOMS, DISTANCE, FAMILIARITY, FREE, Breakdown
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.eval.crystals.samples import CrystalEntry
from unigen.retrieval.build_table import build_table

REFERENCES = [CrystalEntry(f"ref-{n}", each) for n, each in enumerate(prototypes()[:12])]


def _samples(k: int) -> list[CrystalEntry]:
    rng = np.random.default_rng(1)
    samples = [(each, index) for each in REFERENCES for index in range(k)]
    return [CrystalEntry(each.id, shaken(each.crystal, rng, 0.6), index=index) for each, index in samples]


@pytest.fixture
def salts(tmp_path, monkeypatch) -> str:
    """A dataset of NaCl, KBr and CsI in two structures, with templates."""
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path / "home"))
    folder = tmp_path / "salts"
    folder.mkdir()
    for name, made in (("NaCl", rock_salt()), ("KBr", rock_salt(6.6, "K Br")), ("CsI", caesium_chloride(4.5, "Cs I"))):
        made.to_cif(folder / f"{name}.cif")
    build_dataset("salts", (str(folder),), workers=1)
    build_table("salts", workers=1)
    return "salts"


@pytest.mark.parametrize(
    ("bins", "values", "labels"),
    [
        (ATOMS, (1, 4, 5, 20, 21), ("1-4", "1-4", "5-8", "17-20", "21+")),
        (FREE, (1, 2, 7, 20, 500), ("1", "2-3", "7-10", "11-20", "21+")),
        (DISTANCE, (np.nan, 0, 0.1, 1.5, 2.5), ("none", "<0.1", "0.1-0.3", "1-2", ">2")),
    ],
)
def test_the_class_of_a_number(bins, values, labels):
    assert tuple(bins.labels[number] for number in bins.of(np.array(values, dtype=float))) == labels


def test_the_classes_add_up_to_the_whole():
    report = evaluate_crystals(_samples(2), REFERENCES, breakdown=True)
    assert 0 < report["match_rate.k1"] < 1
    for name in ("by_atoms", "by_free_parameters"):
        rows = report.sections[name].rows.values()
        assert sum(row["n"] for row in rows) == len(REFERENCES)
        for k in ("k1", "k2"):
            matched = sum(row[f"match_rate.{k}"].value * row["n"] for row in rows if row["n"])
            assert matched / len(REFERENCES) == pytest.approx(report[f"match_rate.{k}"])
            moved = [(row[f"rmse.{k}"].value, row[f"rmse.{k}"].n) for row in rows if row[f"rmse.{k}"].n]
            mean = sum(value * n for value, n in moved) / sum(n for _, n in moved)
            assert mean == pytest.approx(report[f"rmse.{k}"])
    assert "by_neighbour_distance" not in report.sections


def test_size_and_freedom_are_those_of_the_primitive_cell():
    cubic = CrystalEntry("cubic", crystal("Na Na Na Na Cl Cl Cl Cl", _ROCK_SALT_CUBE, 5.64))
    zincite = CrystalEntry("ZnO", crystal("Zn Zn O O", _WURTZITE, [[3.25, 0, 0], [-1.625, 2.8146, 0], [0, 0, 5.2]]))
    report = evaluate_crystals([cubic, zincite], [cubic, zincite], breakdown=True)
    assert report.sections["by_atoms"].rows["1-4"]["n"] == 2
    by_freedom = report.sections["by_free_parameters"].rows
    assert by_freedom["1"]["n"] == 1  # rock salt has its lattice constant
    assert by_freedom["4-6"]["n"] == 1  # a, c and the heights of both elements


_ROCK_SALT_CUBE = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
_ROCK_SALT_CUBE += [[0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
_WURTZITE = [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5], [1 / 3, 2 / 3, 0.38], [2 / 3, 1 / 3, 0.88]]


def test_the_nearest_is_of_another_formula_and_as_large(salts):
    known, lonely = rock_salt(), crystal("Ti O O", [[0, 0, 0], [0.3, 0.3, 0], [0.7, 0.7, 0]], 4.0)
    references = [CrystalEntry("salt", known), CrystalEntry("oxide", lonely)]
    report = evaluate_crystals(references, references, neighbours_of=salts)
    rows = report.sections["by_neighbour_distance"].rows
    index = Breakdown.open(salts).index
    nearest = min(hit.distance for hit in index.of_cell({11: 1, 17: 1}) if hit.distance > 0)
    assert nearest > 0  # the formula itself is in the dataset, at 0
    holds = {label for label, row in rows.items() if row["n"]}
    assert holds == {"none", DISTANCE.labels[DISTANCE.of(np.array([nearest]))[0]]}
    assert rows["none"]["match_rate.k1"].value == 1
    assert "by_atoms" in report.sections  # implied
    assert (report.settings["breakdown"], report.settings["neighbours_of"]) == (True, "salts")


def test_de_novo_samples_by_what_is_known(salts):
    lonely = crystal("Ti O O", [[0, 0, 0], [0.3, 0.3, 0], [0.7, 0.7, 0]], 4.0)
    lost = CrystalEntry("lost", None, reason="no cell")
    samples = [CrystalEntry(f"s{n}", each) for n, each in enumerate((rock_salt(), rock_salt(5.0, "Rb Cl"), lonely))]
    report = evaluate_crystals([*samples, lost], [rock_salt()], "denovo", neighbours_of=salts)
    rows = report.sections["by_neighbour_distance"].rows
    index = Breakdown.open(salts).index
    near = FAMILIARITY.labels[FAMILIARITY.of(np.array([next(index.of_cell({17: 1, 37: 1})).distance]))[0]]
    assert {label: row["n"] for label, row in rows.items() if row["n"]} == {"known": 1, near: 1, "none": 1}
    assert near not in {"known", "none"}
    assert (rows["known"]["novel"].value, rows[near]["novel"].value) == (0, 1)
    whole = sum(row["novel"].value * row["n"] for row in rows.values() if row["n"])
    assert whole / report.counts["generated"] == pytest.approx(report["novel"])
    assert report.settings["neighbours_of"] == salts
    assert "by_atoms" not in report.sections


def test_sections_are_written_and_printed(tmp_path):
    report = evaluate_crystals(_samples(1), REFERENCES, breakdown=True)
    content = json.loads(report.write(tmp_path / "report.json")[0].read_text())
    row = content["sections"]["by_atoms"]["rows"]["1-4"]
    assert row["match_rate.k1"]["low"] <= row["match_rate.k1"]["value"] <= row["match_rate.k1"]["high"]
    assert content["sections"]["by_atoms"]["rows"]["21+"]["match_rate.k1"]["value"] is None
    with (console := Console(width=80)).capture() as captured:
        console.print(*report.tables())
    said = captured.get()
    assert "By free parameters of the reference" in said
    assert "21+" in said


def test_plain_evaluation_has_none():
    report = evaluate_crystals(_samples(1), REFERENCES)
    assert report.sections == {}
    assert report.settings["breakdown"] is False


def test_what_cannot_be_broken_down():
    with pytest.raises(UserError, match="under protocol csp"):
        evaluate_crystals([rock_salt()], breakdown=True)
    with pytest.raises(UserError, match="is not built"):
        evaluate_crystals([rock_salt()], neighbours_of="no-such-dataset")
    with pytest.raises(UserError, match="is not built"):
        evaluate_crystals(REFERENCES, REFERENCES, neighbours_of="no-such-dataset")
