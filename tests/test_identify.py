"""``unigen identify`` as a user meets it: what is it that I made?"""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import unigen as ug
from tests.crystals.powder.powder_crystals import ANATASE, QUARTZ, RUTILE, SALT, strained
from tests.crystals.powder.powder_files import profile
from tests.retrieval.known_templates import SiteGeometry, write_table
from unigen.crystals.crystal import Crystal
from unigen.crystals.symmetry_finder import find_symmetric
from unigen.errors import UserError


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


def test_a_pattern_of_none_of_the_known_structures_is_told(unigen, known, tmp_path):
    profile(QUARTZ).to_xy(tmp_path / "made.xy")
    code, out, _ = unigen("identify", tmp_path / "made.xy", "--known", known)
    assert code == 0
    assert "warning: similarity 0." in out
    with pytest.warns(UserWarning, match="of the best is a poor fit"):
        ug.identify(tmp_path / "made.xy", known=known, workers=1)


def test_only_the_composition_that_is_asked_for(unigen, known, tmp_path):
    profile(ANATASE).to_xy(tmp_path / "made.xy")
    for options in (("--elements", "Ti,O,Zr"), ("--formula", "Ti2O4")):
        code, out, _ = unigen("identify", tmp_path / "made.xy", "--known", known, *options)
        assert code == 0
        assert "2 known structures compared" in out
        assert "salt" not in out


def test_python_finds_what_the_command_line_finds(unigen, known, tmp_path):
    """The same structures in the same order, with the same numbers, as fitted."""
    profile(strained(ANATASE, 1.01, 0.995), ground=30.0, seed=1).to_xy(tmp_path / "made.xy")
    found = ug.identify(tmp_path / "made.xy", known=known, workers=1)
    code, out, _ = unigen("identify", tmp_path / "made.xy", "--known", known, "--json", "--out", tmp_path / "found")
    assert code == 0
    listed = json.loads(out)["found"]
    for told, sample in zip(listed, found, strict=True):
        assert (told["id"], told["formula"]) == (sample.request.id, sample.structure.reduced_formula)
        for name in ("similarity", "r_wp", "scale"):
            assert told[name] == pytest.approx(sample.facts[name], rel=1e-6)
        written = Crystal.from_cif(next((tmp_path / "found").glob(f"*-{told['id']}.cif")))
        volume = sample.structure.volume / len(sample.structure)  # of an atom: files have the conventional cell
        assert written.volume / len(written) == pytest.approx(volume, rel=1e-4)
    titania = ug.identify(str(tmp_path / "made.xy"), known=known, elements=["Ti", "O"], n=1, workers=1)
    assert [each.request.id for each in titania] == ["anatase"]
    assert {each.request.id for each in ug.identify(tmp_path / "made.xy", known=known, formula="NaCl", workers=1)} == {
        "salt"
    }
    with pytest.raises(UserError, match="elements: unknown element 'Qq'"):
        ug.identify(tmp_path / "made.xy", known=known, elements="Ti,Qq")


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
