"""What every command does alike: version, quiet, JSON, overwriting, completion, lists, removal, capitals, progress."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from ase.collections import dcdft

from tests.processes import finished
from tests.small_generators import save_untrained
from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import open_crystals
from unigen.data.dataset_file import unigen_home
from unigen.errors import UserError
from unigen.parallel import ProgressBar
from unigen.version import __version__

METALS = ("Fe", "Cu", "Ni", "Al", "Na", "K")
PLAIN = ("--no-picture", "--no-page")
COMMAND = [sys.executable, "-c", "from unigen.cli import main; main()"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_untrained(tmp_path_factory.mktemp("models") / "untrained")


@pytest.fixture
def metals(tmp_path) -> Path:
    """CIFs of metals."""
    folder = tmp_path / "metals"
    folder.mkdir()
    for name in METALS:
        Crystal.from_ase(dcdft[name]).to_cif(folder / f"{name}.cif")
    return folder


def _generate(model: Path, out: str, *options: object) -> tuple[object, ...]:
    return ("generate", "crystal", "--model", model, "--formula", "NaCl", "--out", out, *PLAIN, *options)


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_version(unigen):
    assert unigen("--version") == (0, f"unigen {__version__}\n", "")


def test_quiet_commands_print_nothing_and_make_the_same(unigen, model, tmp_path):
    assert unigen(*_generate(model, "loud"))[1] != ""
    assert unigen(*_generate(model, "quiet", "--quiet")) == (0, "", "")
    assert _contents(tmp_path / "quiet") == _contents(tmp_path / "loud")
    code, out, err = unigen(*_generate(model, "none", "--quiet", "--n-atoms", 7))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")  # an error is said all the same
    assert unigen("data", "list")[1] != ""  # and the next command is not quiet


def test_json_is_all_that_is_printed(unigen, model, metals, tmp_path):
    def printed(*arguments: object):
        code, out, err = unigen(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    lines = (tmp_path / "run/samples.jsonl").read_text
    assert printed(*_generate(model, "run", "--n", 2))["samples"] == [json.loads(line) for line in lines().splitlines()]
    built = printed("data", "build", "metals", "--from", "metals", "--workers", 1)
    assert built["splits"] == {"train": len(METALS)}
    assert {each["name"]: each["rows"] for each in printed("data", "list")}["metals"] == len(METALS)
    assert printed("data", "show", "metals")["elements"] == dict.fromkeys(METALS, 1)
    assert printed("data", "requests", "metals", "--out", "wanted.csv") == {
        "requests": len(METALS),
        "left_out": 0,
        "path": "wanted.csv",
    }
    assert "unigen-crystal-small" in [each["name"] for each in printed("models", "list")]
    assert printed("models", "show", model)["config"]["kind"] == "autoregressive"
    assert printed("evaluate", "crystals", "run", "--workers", 1) == json.loads((tmp_path / "report.json").read_text())
    assert printed("hull", "list") == []
    assert printed("models", "pack", model, "--out", "packed") == {"path": "packed"}


def test_overwriting_removes_another_run_and_nothing_else(unigen, refused, model, tmp_path):
    assert unigen(*_generate(model, "run", "--n", 2))[0] == 0
    assert unigen(*_generate(model, "fresh", "--seed", 1))[0] == 0
    before = _contents(tmp_path / "run")
    assert "--overwrite" in refused(*_generate(model, "run", "--seed", 1))
    assert unigen(*_generate(model, "run", "--n", 2, "--overwrite"))[0] == 0  # the same run: nothing is done again
    assert _contents(tmp_path / "run") == before
    refused(*_generate(model, "run", "--seed", 1, "--n-atoms", 7, "--overwrite"))
    assert _contents(tmp_path / "run") == before  # a command that is refused removes nothing
    assert unigen(*_generate(model, "run", "--seed", 1, "--overwrite"))[0] == 0
    assert _contents(tmp_path / "run") == _contents(tmp_path / "fresh")
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers/thesis.txt").write_text("mine")
    assert "holds other files" in refused(*_generate(model, "papers", "--overwrite"))
    assert _contents(tmp_path / "papers") == {"thesis.txt": b"mine"}


def test_completion_is_offered_and_completes(unigen):
    assert "--install-completion" in unigen("--help")[1]
    words = {"_UNIGEN_COMPLETE": "complete_bash", "COMP_WORDS": "unigen gen", "COMP_CWORD": "1"}
    done = finished(COMMAND, environment=os.environ | words)
    assert done.stdout.split() == ["generate"], done.stderr


def test_what_is_built_is_listed_shown_and_removed(unigen, refused, metals, model, tmp_path):
    assert unigen("data", "build", "metals", "--from", "metals", "--workers", 1)[0] == 0
    (tmp_path / "energies.csv").write_text("formula,energy\nFe,0.0\nCu,0.0\nFeCu,0.1\n")
    hull = ("hull", "build", "mine", "--from", "energies.csv", "--energy-scheme", "MP2020")
    said = refused(*hull)
    assert "which column holds the energies?" in said
    assert "wanted one of energy;" in said
    assert unigen(*hull, "--energy", "energy")[0] == 0
    code, out, _ = unigen("hull", "list")
    assert code == 0
    assert "mine" in out
    assert "MP2020" in unigen("hull", "show", "mine")[1]
    for shelf in ("data", "hull"):
        name = "metals" if shelf == "data" else "mine"
        assert "say --yes" in refused(shelf, "remove", name)
        code, out, _ = unigen(shelf, "remove", name, "--yes")
        assert code == 0
        assert "removed: " in " ".join(out.split())
        assert "is not built" in refused(shelf, "remove", name, "--yes")
    code, out, _ = unigen("models", "show", model)
    assert code == 0
    assert "config.width" in out
    assert "bundled models are not removed" in refused("models", "remove", "unigen-crystal-small", "--yes")
    assert "not a model folder" in refused("models", "remove", "metals", "--yes")
    assert unigen("models", "pack", model, "--out", "mine")[0] == 0
    assert unigen("models", "remove", "mine", "--yes")[0] == 0
    assert not (tmp_path / "mine").exists()


def test_the_cache_folder_is_named_and_chosen_by_its_variables(unigen, monkeypatch, tmp_path):
    assert "$UNIGEN_HOME" in unigen("--help")[1]
    assert str(tmp_path / "home") in "".join(unigen("data", "list")[1].split())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert unigen_home() == tmp_path / "home"
    monkeypatch.delenv("UNIGEN_HOME")
    assert unigen_home() == tmp_path / "cache" / "unigen"
    for nothing in ("", "cache"):  # a path that is not absolute is to be ignored, says the standard
        monkeypatch.setenv("XDG_CACHE_HOME", nothing)
        assert unigen_home() == Path("~/.cache/unigen").expanduser()


# ---- properties beside structures


@pytest.mark.parametrize("place", ["metals/table.csv", "table.csv"])
@pytest.mark.parametrize("heading", ["id,hardness,colour", "Material_ID;hardness;colour", "filename\thardness\tcolour"])
def test_properties_come_from_a_table_beside_the_structures(unigen, metals, tmp_path, place, heading):
    mark = heading.strip("abcdefghijklmnopqrstuvwxyzMID_")[0]
    ending = ".cif" if "file" in heading else ""
    rows = [heading, *(f"{name}{ending},{0.5 * place},red".replace(",", mark) for place, name in enumerate(METALS[1:]))]
    (tmp_path / place).write_text("\n".join([*rows, "Xe,1,red".replace(",", mark)]) + "\n")
    options = () if "/" in place else ("--properties", place)
    code, out, err = unigen("data", "build", "mine", "--from", "metals", "--workers", 1, *options)
    assert (code, err) == (0, "")
    found = "5 structures with a row, 1 structures without a row, 1 rows without a structure"
    assert f"properties of table.csv: {found}" in " ".join(out.split())
    mine = open_crystals("mine")
    assert list(mine.properties) == ["hardness"]
    values = dict(zip(mine.ids.tolist(), mine.properties["hardness"].tolist(), strict=True))
    assert [values[name] for name in METALS[1:]] == [0.5 * place for place in range(5)]
    assert str(values[METALS[0]]) == "nan"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "no column names the structures; got columns a, b; wanted one of id, material_id"),
        ("id,b\nFe,1\nFe.cif,2\n", "a second row of the same structure; got Fe"),
        ("id,b\nFe,red\n", "no column of numbers; got columns id, b"),
        ("id,b\nXe,1\n", "no row is of any of the structures; got rows of Xe and others"),
    ],
)
def test_a_table_that_says_nothing_is_refused(refused, metals, tmp_path, text, said):
    (tmp_path / "table.csv").write_text(text)
    assert said in refused("data", "build", "mine", "--from", "metals", "--properties", "table.csv", "--workers", 1)


# ---- capitals, progress, seeds


@pytest.mark.parametrize(
    "options",
    [
        ("--elements", "NA,cl"),
        ("--elements", "na-CL", "--solver", "HEUN"),
        ("--elements", "Na,Cl", "--candidates", 2, "--rank-by", "Likelihood"),
    ],
)
def test_symbols_and_choices_are_read_in_any_case(unigen, model, tmp_path, options):
    code, _, err = unigen(*_generate(model, "run", "--steps", 2, *options))
    assert (code, err) == (0, "")
    run = [json.loads(line) for line in (tmp_path / "run/samples.jsonl").read_text().splitlines()]
    assert run[0]["request"]["elements"] == ["Na", "Cl"]


def test_symbols_that_may_be_two_are_refused(refused, model):
    said = refused("generate", "crystal", "--model", model, "--elements", "CO,Ti", "--out", "run")
    assert said == "elements: CO may be Co, or C and O; write Co, or C,O"
    assert "unknown element 'QQ'" in refused("generate", "crystal", "--model", model, "--elements", "QQ", "--out", "r")


def test_progress_is_told_in_lines_where_there_is_no_terminal(model, tmp_path):
    command = [*COMMAND, *map(str, _generate(model, str(tmp_path / "run"), "--n", 4, "--batch-size", 2, "--steps", 2))]
    done = finished(command, environment=os.environ | {"UNIGEN_PROGRESS": "0"})
    assert (done.returncode, done.stderr) == (0, "generating: 2 of 4\ngenerating: 4 of 4\n")


def test_progress_has_an_interval_or_is_off(monkeypatch, capsys):
    for wanted, said in (("off", ""), ("1e9", ""), ("0", "counting: 3 of 5, all well\n")):
        monkeypatch.setenv("UNIGEN_PROGRESS", wanted)
        with ProgressBar("counting", 5, done=1) as bar:
            bar.advance(2, "all well")
        assert capsys.readouterr() == ("", said)
    monkeypatch.setenv("UNIGEN_PROGRESS", "soon")
    with pytest.raises(UserError, match="UNIGEN_PROGRESS: neither seconds nor off; got soon"), ProgressBar("a", 1):
        pass


def test_what_another_seed_would_give_again_is_said(unigen, metals, tmp_path):
    assert unigen("data", "build", "metals", "--from", "metals", "--workers", 1)[0] == 0
    nearest = ("generate", "crystal", "--model", "nearest", "--retrieve-from", "metals", "--formula", "Rb", "--n", 2)
    for seed in (0, 1):
        code, out, _ = unigen(*nearest, "--seed", seed, "--out", f"seed-{seed}")
        assert code == 0
        assert "2 of 2 follow a known structure in a fixed order: another --seed gives them again" in " ".join(
            out.split()
        )
    same = [(tmp_path / f"seed-{seed}/samples.extxyz").read_bytes() for seed in (0, 1)]
    assert same[0] == same[1]
