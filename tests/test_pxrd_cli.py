"""``--rank-by pxrd`` as a user meets it."""

from __future__ import annotations

import csv
import json

import pytest

import unigen as ug
from tests.crystals.powder.powder_crystals import RUTILE, SALT
from tests.crystals.powder.powder_files import profile
from tests.small_generators import save_untrained
from unigen.config import read_yaml
from unigen.ranking.pattern import POOR_FIT


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_untrained(tmp_path_factory.mktemp("models") / "untrained")


@pytest.fixture
def ranked(unigen, model, tmp_path):
    """The command with a pattern, whatever its other options."""

    def run(*options):
        usual = ("--model", model, "--no-score", "--no-picture", "--no-cif", "--candidates", 3, "--workers", 1)
        return unigen("generate", "crystal", "--rank-by", "pxrd", *usual, "--out", tmp_path / "run", *options)

    return run


def test_candidates_are_ranked_and_the_page_shows_the_pattern(ranked, tmp_path):
    profile(SALT, ground=20.0, seed=1).to_xy(tmp_path / "salt.xy")
    code, out, err = ranked("--formula", "NaCl", "--pxrd", "salt.xy", "--n", 2)
    assert code == 0, err
    assert "salt.xy: read as a profile, by its steps" in out
    with (tmp_path / "run" / "ranking.csv").open() as file:
        rows = list(csv.DictReader(file))
    similarities = [float(row["similarity"]) for row in rows if row["similarity"]]
    assert similarities == sorted(similarities, reverse=True)
    assert len(rows) == 3
    answers = [json.loads(line) for line in (tmp_path / "run" / "samples.jsonl").read_text().splitlines()]
    assert answers[0]["ranking"]["similarity"] == similarities[0]
    assert "powder pattern, measured and calculated" in (tmp_path / "run" / "report.html").read_text()

    assert ("poor fit" in out) == (similarities[0] < POOR_FIT)

    # another pattern under the same path is another run
    profile(SALT, ground=20.0, seed=2).to_xy(tmp_path / "salt.xy")
    code, _, err = ranked("--formula", "NaCl", "--pxrd", "salt.xy", "--n", 2)
    assert code == 2
    assert "this folder holds other results; got patterns" in err


def test_a_pattern_that_no_candidate_explains_is_told_on_terminal_page_and_in_python(ranked, tmp_path):
    """Rutile's, said to be of salt: answers come, and what they are worth is said beside them."""
    profile(RUTILE).to_xy(tmp_path / "rutile.xy")
    code, out, err = ranked("--formula", "NaCl", "--pxrd", "rutile.xy", "--n", 2)
    assert code == 0, err
    assert "warning: NaCl: similarity 0." in out
    assert "is a poor fit" in out
    assert "is a poor fit" in (tmp_path / "run" / "report.html").read_text()
    candidates = ug.open_run(tmp_path / "run" / "candidates")
    with pytest.warns(UserWarning, match="NaCl: similarity 0.* is a poor fit"):
        ug.rank(candidates, by="pxrd", pxrd="rutile.xy", workers=1)


def test_each_row_of_a_file_of_requests_names_its_pattern(ranked, tmp_path):
    profile(SALT).to_xy(tmp_path / "salt.xy")
    (tmp_path / "two.csv").write_text('formula,elements,pxrd\nNaCl,,salt.xy\n,"Na,Cl",salt.xy\n')
    code, _, err = ranked("--requests", "two.csv", "--no-page")
    assert code == 0, err
    assert [each["pxrd"] for each in read_yaml(tmp_path / "run" / "run.yaml")["requests"]] == ["salt.xy", "salt.xy"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--formula", "NaCl"), "a request without a powder pattern; got NaCl; say --pxrd FILE"),
        (("--formula", "NaCl", "--pxrd", "none.xy"), "none.xy: cannot be read; got No such file"),
        (("--formula", "NaCl", "--pxrd", "words.xy"), "words.xy: no powder pattern; got hello"),
        (("--formula", "NaCl", "--pxrd", "salt.xy", "--wavelength", "7 pm"), "not a wavelength of X-rays; got 7 pm"),
        (("--formula", "NaCl", "--pxrd", "salt.xy", "--rank-by", "likelihood"), "say --rank-by pxrd too"),
        (("--requests", "one.csv"), "gone.xy: cannot be read"),
    ],
)
def test_bad_patterns_are_one_line_before_anything_is_drawn(ranked, tmp_path, options, said):
    (tmp_path / "words.xy").write_text("hello\n")
    profile(SALT, step=0.2).to_xy(tmp_path / "salt.xy")
    (tmp_path / "one.csv").write_text("formula,pxrd\nNaCl,gone.xy\n")
    code, _, err = ranked(*options)
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert not (tmp_path / "run").exists()
