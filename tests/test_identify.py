"""``unigen identify`` as a user meets it: what is it that I made?"""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.crystals.powder.powder_crystals import ANATASE, RUTILE, SALT, strained
from tests.crystals.powder.powder_files import profile
from tests.retrieval.known_templates import SiteGeometry, write_table
from unigen.crystals.crystal import Crystal
from unigen.crystals.symmetry_finder import find_symmetric


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """A table of three structures."""
    path = tmp_path_factory.mktemp("known") / "known.parquet"
    crystals = [find_symmetric(crystal) for crystal in (RUTILE, ANATASE, SALT)]
    sites = [SiteGeometry.of(crystal) for crystal in crystals]
    write_table(path, crystals, sites, ["rutile", "anatase", "salt"], ["train"] * 3, np.zeros(3))
    return path


def test_the_structure_is_found_its_cell_fitted_and_written(unigen, known, tmp_path):
    made = strained(ANATASE, 1.01, 0.995)
    profile(made, ground=30.0, seed=1).to_xy(tmp_path / "made.xy")
    code, out, _ = unigen("identify", tmp_path / "made.xy", "--known", known, "--out", tmp_path / "found")
    assert code == 0
    ids = re.findall(r"\b(rutile|anatase|salt)\b", out)
    assert ids[0] == "anatase"
    assert sorted(ids) == ["anatase", "rutile", "salt"]
    assert "3 known structures compared" in out
    written = Crystal.from_cif(next((tmp_path / "found").glob("01-anatase.cif")))
    assert written.volume / len(written) == pytest.approx(made.volume / len(made), rel=1e-3)


def test_only_the_composition_that_is_asked_for(unigen, known, tmp_path):
    profile(ANATASE).to_xy(tmp_path / "made.xy")
    for options in (("--elements", "Ti,O,Zr"), ("--formula", "Ti2O4")):
        code, out, _ = unigen("identify", tmp_path / "made.xy", "--known", known, *options)
        assert code == 0
        assert "2 known structures compared" in out
        assert "salt" not in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["none.xy"], "none.xy: cannot be read; got No such file or directory"),
        (["words.xy"], "words.xy: no powder pattern; got hello"),
        (["q.xy"], "cannot tell the axis"),
        (["made.xy", "--wavelength", "Xx"], "not a wavelength of X-rays; got Xx"),
        (["made.xy", "--elements", "Ti,Qq"], "elements: unknown element 'Qq'"),
        (["made.xy", "--formula", "Qq"], "formula 'Qq': unknown element"),
        (["made.xy", "--formula", "XeO"], "no known structure of this composition; got OXe"),
        (["made.xy", "--known", "no-such-set"], "dataset 'no-such-set' is not built"),
    ],
)
def test_bad_input_is_one_line(refused, known, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    profile(RUTILE, step=0.2).to_xy("made.xy")
    (tmp_path / "words.xy").write_text("hello\n")
    (tmp_path / "q.xy").write_text("".join(f"{n / 100} {n % 7}\n" for n in range(50, 500)))
    rest = [] if "--known" in options else ["--known", known]
    assert said in refused("identify", *options, *rest)
