"""The command line as a user meets it: bad input is one line and exit code 2, runs go on where they stopped."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.collections import dcdft
from safetensors.torch import load_file, save_file

from tests.processes import finished
from tests.small_generators import save_untrained
from unigen import cli
from unigen.config import read_yaml, write_yaml
from unigen.crystals.crystal import Crystal

METALS = ("Fe", "Cu", "Ni", "Al", "Na", "K")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_untrained(tmp_path_factory.mktemp("models") / "untrained")


SLOWLY = """
import time
from unigen.models.words.generator import WordsGenerator
draw = WordsGenerator.draw
WordsGenerator.draw = lambda self, jobs: (time.sleep(0.3), draw(self, jobs))[1]
"""

SMALL_FILES = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY))
"""


def _command(*arguments: object, before: str = "") -> list[str]:
    """The command in a process of its own, after some other lines."""
    return [sys.executable, "-c", f"{before}\nfrom unigen.cli import main\nmain()", *map(str, arguments)]


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


# ---- bad input: the request


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--formula", "SrXx3"], "formula 'SrXx3': unknown element 'Xx'"),
        (["--formula", "SrTi(O3"], "formula 'SrTi(O3': a '(' without its ')'"),
        (["--formula", "srtio3"], "formula 'srtio3': cannot read 'srtio3'"),
        (["--formula", "Sr0.5TiO3"], "formula 'Sr0.5TiO3'"),
        (["--formula", ""], "the formula is empty"),
        (["--formula", "Si", "--n-atoms", "13"], "got 13; wanted at most 12"),
        (
            ["--formula", "Al12O17"],
            "more atoms in one formula unit than the model takes; got 29 in Al12O17; wanted at most 12",
        ),
        (["--formula", "SrTiO3", "--n-atoms", "7"], "n_atoms: 7 is no whole number of formula units of SrTiO3"),
        (["--formula", "SrTiO3", "--elements", "Sr,O"], "elements exclude the formula SrTiO3"),
        (["--elements", "Li,Qq"], "elements: unknown element 'Qq'"),
        (["--elements", ","], "elements: none given"),
        (["--z", "2"], "z: formula units of what?"),
        (["--formula", "Si", "--device", "cuda:9"], "device 'cuda:9' is not there"),
        (["--formula", "Si", "--device", "abacus"], "device 'abacus' is not there"),
        (["--formula", "Si", "--relax", "4"], "--relax belongs to ranking"),
        (["--formula", "Si", "--rank-by", "energy", "--potential", "nope"], "no such potential; got nope"),
        (["--formula", "Si", "--n", "3", "--candidates", "2"], "more answers are wanted than candidates drawn"),
        (["--formula", "Si", "--rank-by", "energy", "--relax", "1", "--pressure", "high"], "pressure: not numbers"),
        (["--formula", "Si", "--retrieve-from", "mp-20"], "this model retrieves nothing"),
        (["--formula", "Si", "--model", "no-such"], "no model 'no-such'; wanted one of"),
        (["--formula", "Si", "--model", "nearest"], "give --retrieve-from"),
        (["--formula", "Si", "--model", "nearest", "--retrieve-from", "mp-20"], "dataset 'mp-20' is not built"),
        (["--requests", "none.csv"], "none.csv: cannot read the requests; got No such file or directory"),
        (["--requests", "none.csv", "--formula", "Si"], "--requests stands alone"),
    ],
)
def test_a_request_that_cannot_be_served(refused, model, options, said):
    chosen = [] if "--model" in options else ["--model", model]
    assert said in refused("generate", "crystal", *chosen, *options, "--out", "run")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "formula\nSi\nSrXx3\n", "a.csv:3: formula 'SrXx3': unknown element 'Xx'"),
        ("b.csv", "formula,n_atoms\nSi,four\n", "b.csv:2: n_atoms: not a whole number; got 'four'"),
        ("c.csv", "formular\nSi\n", "c.csv: unknown column 'formular'; wanted formula"),
        ("d.csv", "formula\n", "d.csv: no requests in the file"),
        ("e.csv", "formula,z\nSi,1,2\n", "e.csv:2: more fields than columns"),
        ("f.jsonl", '{"formula": "Si"}\n{"formula": \n', "f.jsonl:2: not JSON"),
        ("g.jsonl", '{"formula": "Si", "space": 1}\n', "g.jsonl:1: unknown field 'space'"),
        ("h.jsonl", '["Si"]\n', "h.jsonl:1: not a JSON object"),
        ("i.jsonl", '{"formula": "Si", "n_atoms": 2.5}\n', "i.jsonl:1: n_atoms: not a whole number; got 2.5"),
        ("j.jsonl", '{"elements": [3, 8]}\n', "j.jsonl:1: elements: not symbols; got [3, 8]"),
    ],
)
def test_a_bad_row_of_requests_is_named(refused, model, tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    assert said in refused("generate", "crystal", "--model", model, "--requests", name, "--out", "run")
    assert not (tmp_path / "run").exists()


def test_usage_errors_name_the_option(unigen):
    for options, said in ((["--n", "0"], "--n"), (["--stepps", "3"], "--stepps"), (["--solver", "euler"], "--solver")):
        code, _, err = unigen("generate", "crystal", *options)
        assert code == 2
        assert said in err
        assert "Traceback" not in err


# ---- bad input: the model


def _damaged(model: Path, folder: Path, damage: str) -> Path:
    folder.mkdir()
    config, weights = read_yaml(model / "config.yaml"), load_file(model / "weights.safetensors")
    write_yaml(folder / "config.yaml", config | ({"width": 64} if damage == "config" else {}))
    version = "unigen-0" if damage == "version" else "unigen-1"
    if damage == "tensor":
        weights.pop("backbone.norm.weight")
    save_file(weights, folder / "weights.safetensors", metadata={"format": version})
    if damage == "truncated":
        with (folder / "weights.safetensors").open("rb+") as file:
            file.truncate(5000)
    if damage == "no weights":
        (folder / "weights.safetensors").unlink()
    if damage == "no config":
        (folder / "config.yaml").unlink()
    if damage == "empty":
        (folder / "weights.safetensors").write_bytes(b"")
    if damage == "typo":
        write_yaml(folder / "config.yaml", config | {"dpth": 64})
    if damage == "type":
        write_yaml(folder / "config.yaml", config | {"width": "wide"})
    return folder


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("no weights", "weights.safetensors: model file missing"),
        ("no config", "config.yaml: model file missing"),
        ("empty", "weights.safetensors: weights missing or truncated"),
        ("truncated", "weights.safetensors: weights missing or truncated"),
        ("version", "weights.safetensors: weights of another version; got unigen-0; wanted unigen-1"),
        ("config", "weights do not fit config.yaml"),
        ("tensor", "weights do not fit config.yaml: 1 tensors differ, first backbone.norm.weight"),
        ("typo", "config.yaml: dpth: unknown key (got 64)"),
        ("type", "config.yaml: width: wrong type or value (got 'wide'); wanted a whole number"),
    ],
)
def test_a_model_that_cannot_be_read(refused, model, tmp_path, damage, said):
    folder = _damaged(model, tmp_path / "broken", damage)
    assert said in refused("generate", "crystal", "--formula", "Si", "--model", folder, "--out", "run")
    assert not (tmp_path / "run").exists()


# ---- bad input: training configs, datasets, structures


def test_a_typo_in_a_training_config_names_key_and_value(refused, tmp_path):
    config = read_yaml(Path(__file__).parents[1] / "configs" / "tiny.yaml")
    for change, said in (
        ({"max_stepps": 60}, "run.yaml: max_stepps: unknown key (got 60)"),
        ({"max_steps": "many"}, "run.yaml: max_steps: wrong type or value (got 'many'); wanted a whole number"),
        ({"model": config["model"] | {"dpeth": 12}}, "run.yaml: model.dpeth: unknown key (got 12)"),
        ({"precision": "fp8"}, "run.yaml: precision: wrong type or value (got 'fp8'); wanted fp32 or bf16"),
        ({"data": 3}, "run.yaml: data: wrong type or value (got 3); wanted a section"),
    ):
        write_yaml(tmp_path / "run.yaml", config | change)
        assert said in refused("train", "run.yaml")
    assert "model.dpth: unknown key (got 3)" in refused(
        "train", Path(cli.__file__).parents[2] / "configs/tiny.yaml", "model.dpth=3"
    )
    (tmp_path / "torn.yaml").write_text("model: {kind: [")
    assert "torn.yaml: not valid YAML" in refused("train", "torn.yaml")
    assert "none.yaml: cannot be read" in refused("train", "none.yaml")
    write_yaml(tmp_path / "run.yaml", config | {"data": config["data"] | {"train": "not-built"}, "out": "out"})
    assert "dataset 'not-built' is not built" in refused("train", "run.yaml")


def test_a_parquet_file_that_is_none(refused, tmp_path):
    (tmp_path / "torn.parquet").write_bytes(b"PAR1" + bytes(100))
    assert "torn.parquet: not a readable Parquet file" in refused("data", "show", "torn.parquet")
    nearest = ("generate", "crystal", "--formula", "Si", "--model", "nearest", "--retrieve-from")
    assert "torn.parquet: not a readable Parquet file" in refused(*nearest, "torn.parquet")
    assert "none.parquet: no such dataset file" in refused(*nearest, "none.parquet")
    assert "not-built' is not built" in refused("data", "requests", "not-built", "--out", "r.csv")


def test_samples_that_are_not_there(refused, tmp_path):
    assert "none: no such file or directory" in refused("evaluate", "crystals", "none").replace("folder", "directory")
    (tmp_path / "empty").mkdir()
    assert "empty: no structures in this folder" in refused("evaluate", "crystals", "empty")
    (tmp_path / "bad.cif").write_text("data_\n")
    assert "bad.cif: no readable structure" in refused("evaluate", "crystals", "bad.cif")


@pytest.fixture
def folder_with_a_bad_cif(tmp_path) -> Path:
    folder = tmp_path / "cifs"
    folder.mkdir()
    for name in METALS:
        Crystal.from_ase(dcdft[name]).to_cif(folder / f"{name}.cif")
    (folder / "Cr.cif").write_text("data_Cr\n_cell_length_a 2.9\n")
    return folder


def test_an_unreadable_cif_among_others_is_skipped_counted_and_listed(unigen, tmp_path, folder_with_a_bad_cif):
    code, out, err = unigen("data", "build", "mine", "--from", folder_with_a_bad_cif, "--workers", 1)
    assert (code, err) == (0, "")
    assert f"mine: {len(METALS)} train" in out
    assert "not a readable CIF" in out
    rejected = list(csv.DictReader((tmp_path / "home/datasets/mine/rejected.csv").read_text().splitlines()))
    assert [row["id"] for row in rejected] == ["Cr"]
    code, out, err = unigen("evaluate", "crystals", folder_with_a_bad_cif, "--workers", 1)
    assert (code, err) == (0, "")
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["counts"]["generated"], report["counts"]["failed"]) == (len(METALS) + 1, 1)
    assert "Cr.cif" in report["dropped"][0]["where"]
    assert len(list(csv.DictReader((tmp_path / "report.csv").read_text().splitlines()))) == len(METALS) + 1


# ---- runs


def _generate(model: Path, out: object, *options: object) -> tuple[object, ...]:
    return ("generate", "crystal", "--model", model, "--out", out, *options)


@pytest.fixture
def requests_file(tmp_path) -> Path:
    path = tmp_path / "wanted.csv"
    formulas = ("SrTiO3", "Si", "NaCl", "Fe2O3", "Cu", "ZnS", "LiFeO2", "MgO")
    path.write_text("id,formula\n" + "".join(f"mp-{n},{formula}\n" for n, formula in enumerate(formulas)))
    return path


def test_killed_at_any_moment_a_run_goes_on_to_the_same_bytes(unigen, model, tmp_path, requests_file):
    options = ("--requests", requests_file, "--n", 3, "--batch-size", 5, "--symprec", 0.1)
    assert unigen(*_generate(model, "whole", *options))[0] == 0
    wanted = _contents(tmp_path / "whole")
    journal = tmp_path / "killed" / "samples.jsonl"
    run = subprocess.Popen(
        _command(*_generate(model, journal.parent, *options), before=SLOWLY), stdout=subprocess.DEVNULL
    )
    while run.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") >= 10):
        time.sleep(0.02)
    run.kill()
    assert run.wait() == -signal.SIGKILL
    before = journal.read_bytes().splitlines(keepends=True)
    assert 10 <= len(before) < 24
    with journal.open("ab") as file:
        file.write(b'{"id": "mp-3", "req')
    code, out, _ = unigen(*_generate(model, "killed", *options))
    assert code == 0
    assert "24 crystals" in out
    assert set(before) <= set(journal.read_bytes().splitlines(keepends=True))
    assert _contents(journal.parent) == wanted


def test_finished_samples_are_never_drawn_again(unigen, model, tmp_path, monkeypatch, requests_file):
    from unigen.models.words.generator import WordsGenerator

    options = ("--requests", requests_file, "--batch-size", 3)
    assert unigen(*_generate(model, "run", *options))[0] == 0
    before = _contents(tmp_path / "run")
    monkeypatch.setattr(WordsGenerator, "draw", lambda *_: pytest.fail("drawn again"))
    assert unigen(*_generate(model, "run", *options))[0] == 0
    assert _contents(tmp_path / "run") == before


def test_a_full_disk_keeps_what_is_made(refused, unigen, model, tmp_path, requests_file):
    options = ("--requests", requests_file, "--n", 2, "--batch-size", 2)
    assert unigen(*_generate(model, "whole", *options))[0] == 0
    run = subprocess.run(
        _command(*_generate(model, tmp_path / "full", *options), before=SMALL_FILES),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2, run.stderr
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1
    assert "File too large" in run.stderr
    assert "run the same command again" in run.stderr
    kept = (tmp_path / "full" / "samples.jsonl").read_bytes().count(b"\n")
    assert kept >= 2
    assert unigen(*_generate(model, "full", *options))[0] == 0
    assert _contents(tmp_path / "full") == _contents(tmp_path / "whole")


def test_another_run_in_the_folder_is_refused(unigen, refused, model, tmp_path):
    assert unigen(*_generate(model, "run", "--formula", "Si"))[0] == 0
    before = _contents(tmp_path / "run")
    said = refused(*_generate(model, "run", "--formula", "Si", "--seed", 1))
    assert said == (
        "run: this folder holds other results; got seed: 1; wanted seed: 0 (as in the folder); "
        "give another --out, or --overwrite"
    )
    said = refused(*_generate(model, "run", "--formula", "Ge"))
    assert "; got requests[0].formula: Ge; wanted requests[0].formula: Si (as in the folder); give another" in said
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.txt").write_text("mine")
    assert "papers: this folder holds other files" in refused(*_generate(model, "papers", "--formula", "Si"))
    assert _contents(tmp_path / "run") == before
    assert _contents(tmp_path / "papers") == {"thesis.txt": b"mine"}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(unigen, model, tmp_path):
    for out, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert unigen(*_generate(model, out, "--formula", "SrTiO3", "--n", 4, "--seed", seed))[0] == 0
    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")
    assert (tmp_path / "a/samples.extxyz").read_bytes() != (tmp_path / "c/samples.extxyz").read_bytes()


def test_picture_and_page_are_written_unless_they_are_not_wanted(unigen, model, tmp_path):
    assert unigen(*_generate(model, "whole", "--formula", "NaCl"))[0] == 0
    assert unigen(*_generate(model, "bare", "--formula", "NaCl", "--no-picture", "--no-page"))[0] == 0
    whole, bare = (_contents(tmp_path / name) for name in ("whole", "bare"))
    assert whole.keys() - bare.keys() == {"samples.png", "report.html"}
    assert {name: whole[name] for name in bare} == bare


def test_structures_do_not_depend_on_the_batch_size(unigen, model, tmp_path, requests_file):
    samples = {}
    for size in (1, 7, 512):
        assert (
            unigen(*_generate(model, f"by-{size}", "--requests", requests_file, "--batch-size", size, "--n", 2))[0] == 0
        )
        samples[size] = [json.loads(line) for line in (tmp_path / f"by-{size}/samples.jsonl").read_text().splitlines()]
    for size in (7, 512):
        for one, other in zip(samples[1], samples[size], strict=True):
            assert (one["id"], one["index"]) == (other["id"], other["index"])
            assert np.array(one["lattice"]) == pytest.approx(np.array(other["lattice"]), abs=1e-4)
            places = [np.array([site["fractional_coordinates"] for site in row["sites"]]) for row in (one, other)]
            assert np.abs((places[0] - places[1] + 0.5) % 1 - 0.5).max() < 1e-4
            assert one["log_likelihood"] == pytest.approx(other["log_likelihood"], abs=1e-2)


def test_failures_are_recorded_and_the_rest_goes_on(unigen, model, tmp_path):
    (tmp_path / "wanted.jsonl").write_text('{"formula": "Si"}\n{"formula": "Si", "n_atoms": 40}\n{"formula": "NaCl"}\n')
    code, out, err = unigen(*_generate(model, "run", "--requests", "wanted.jsonl", "--n", 2))
    assert (code, err) == (0, "")
    said = " ".join(out.split())
    assert "4 crystals" in said
    assert "2 failed" in said
    assert "more atoms in the cell than the model takes" in said
    rows = [json.loads(line) for line in (tmp_path / "run/samples.jsonl").read_text().splitlines()]
    assert ["reason" in row for row in rows] == [False, False, True, True, False, False]
    assert "wanted at most 12" in rows[2]["reason"]
    code, _, _ = unigen("evaluate", "crystals", "run", "--workers", 1)
    assert code == 0
    counts = json.loads((tmp_path / "report.json").read_text())["counts"]
    assert (counts["generated"], counts["failed"]) == (6, 2)


def test_the_best_of_several_are_the_likeliest(unigen, model, tmp_path):
    asked = ("--formula", "SrTiO3", "--z", 1)
    assert unigen(*_generate(model, "all", *asked, "--n", 6))[0] == 0
    assert unigen(*_generate(model, "best", *asked, "--n", 2, "--candidates", 6))[0] == 0
    lines = {
        out: [json.loads(line) for line in (tmp_path / out / "samples.jsonl").read_text().splitlines()]
        for out in ("all", "best", "best/candidates")
    }
    assert [line["score"] for line in lines["best/candidates"]] == [line["score"] for line in lines["all"]]
    best = [line["score"] for line in lines["best"]]
    assert best[0] == max(line["score"] for line in lines["all"])
    assert best == sorted(best, reverse=True)
    assert [line["ranking"]["rank"] for line in lines["best"]] == [1, 2]


def test_elements_and_de_novo_hold_what_they_promise(unigen, model, tmp_path):
    assert unigen(*_generate(model, "some", "--elements", "Li,Fe,P,O", "--n", 8, "--no-score", "--no-cif"))[0] == 0
    assert unigen(*_generate(model, "any", "--n-atoms", 5, "--n", 8))[0] == 0
    some = [json.loads(line) for line in (tmp_path / "some/samples.jsonl").read_text().splitlines()]
    assert {site["element"] for row in some for site in row.get("sites", ())} <= {"Li", "Fe", "P", "O"}
    assert all(row["score"] is None for row in some)
    assert not (tmp_path / "some" / "cif").exists()
    sizes = {
        len(json.loads(line).get("sites", range(5)))
        for line in (tmp_path / "any/samples.jsonl").read_text().splitlines()
    }
    assert sizes == {5}


def test_thousands_of_requests_in_one_run(unigen, model, tmp_path):
    rows = [{"id": f"mp-{n}", "formula": f"{METALS[n % 6]}{n % 3 + 1}O{n % 4 + 1}", "z": 1} for n in range(2000)]
    (tmp_path / "many.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    started = time.process_time()
    code, out, _ = unigen(*_generate(model, "run", "--requests", "many.jsonl", "--steps", 2, "--no-score", "--no-cif"))
    assert code == 0
    assert " more" in out
    lines = [json.loads(line) for line in (tmp_path / "run/samples.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [row["id"] for row in rows]
    assert time.process_time() - started < 60


def test_nearest_says_what_it_copied(unigen, tmp_path):
    (tmp_path / "cifs").mkdir()
    for name in METALS:
        Crystal.from_ase(dcdft[name]).to_cif(tmp_path / "cifs" / f"{name}.cif")
    assert unigen("data", "build", "metals", "--from", "cifs", "--workers", 1)[0] == 0
    nearest = ("generate", "crystal", "--model", "nearest", "--retrieve-from", "metals", "--out", "run")
    code, out, _ = unigen(*nearest, "--formula", "Rb", "--n", 3)
    assert code == 0
    assert "…" not in out
    assert "follows" in out
    assert "distance" in out
    best = json.loads((tmp_path / "run/samples.jsonl").read_text().splitlines()[0])
    assert best["source"]["formula"] == "K"
    assert best["score"] == pytest.approx(-best["source"]["distance"], abs=1e-4)
    assert best["score"] < 0


def test_nearest_invents_a_formula_where_none_is_given(unigen, tmp_path):
    (tmp_path / "cifs").mkdir()
    salt = bulk("NaCl", "rocksalt", a=5.64)
    for name, atoms in {"salt": salt, "K": dcdft["K"]}.items():
        Crystal.from_ase(atoms).to_cif(tmp_path / "cifs" / f"{name}.cif")
    assert unigen("data", "build", "few", "--from", "cifs", "--workers", 1)[0] == 0
    nearest = ("generate", "crystal", "--model", "nearest", "--retrieve-from", "few")
    assert unigen(*nearest, "--elements", "K,Cl", "--n-atoms", 2, "--n", 3, "--out", "run")[0] == 0
    with (tmp_path / "run/samples.jsonl").open() as lines:
        made = [json.loads(line) for line in lines]
    assert [sorted(site["element"] for site in sample["sites"]) for sample in made] == [["Cl", "K"]] * 3
    code, _, err = unigen(*nearest, "--elements", "He", "--out", "none")
    assert (code, err.count("\n")) == (2, 1)
    assert "exchanging one element" in err


# ---- start-up


@pytest.mark.parametrize("statement", ["import unigen", "import unigen.cli"])
def test_nothing_heavy_is_imported_before_it_is_needed(statement):
    heavy = ("torch", "numpy", "pymatgen", "ase", "pyarrow", "scipy", "lightning", "spglib", "rich.console")
    code = f"{statement}; import sys; print([name for name in {heavy[:-1]} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "others"),
    [
        (("crystal", "--formula", "NaCl"), ("unigen.report", "rdkit")),
        (("molecule", "--smiles", "CCO"), ("unigen.report", "gemmi", "spglib")),
    ],
    ids=["crystal", "molecule"],
)
def test_the_first_structure_waits_for_no_library_that_it_does_not_need(words, others, tmp_path):
    """Those of plots, tables, other files, relaxation and compilers take longer to import than it takes to draw."""
    others = (*others, "scipy", "pandas", "ase.io", "pymatgen", "matplotlib", "torch._dynamo", "lightning", "sympy")
    words = ("generate", *words, "--no-page", "--no-picture", "--out", tmp_path / "run")
    code = f"""
        import sys
        from unigen.cli import main
        sys.argv = {["unigen", *map(str, words)]}
        try:
            main()
        finally:
            print("imported besides:", *{{*{others}}} & {{*sys.modules}})
    """
    done = finished([sys.executable, "-c", textwrap.dedent(code)])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["imported", "besides:"]


@pytest.mark.parametrize(
    "command", [(), ("generate", "crystal"), ("train",), ("evaluate", "crystals"), ("data", "build")]
)
def test_help_says_what_each_command_does(unigen, command):
    code, out, err = unigen(*command, "--help")
    assert (code, err) == (0, "")
    assert "Usage: unigen" in out
