"""``generate`` in Python: what the command line takes, said by keywords, and the same structures."""

from __future__ import annotations

import inspect
import json
import warnings
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import unigen as ug
from unigen.api.generation import generate as api_generate
from unigen.api.samples import Samples
from unigen.cli.generate import generate_crystal, generate_molecule
from unigen.errors import UserError
from unigen.models.generator import Sample
from unigen.request import CrystalRequest, MoleculeRequest

FAST = {"steps": 4, "score": False}

KEYWORD_OF = {"property_": "properties", "distances": "min_distance", "format_": "format"}
"""Keywords that have another name than the variable of the command; the option ``--property`` is many, so a plural."""

NO_KEYWORDS = {"more_parents"}
"""An argument that the shell makes of a list."""


@pytest.mark.parametrize("command", [generate_crystal, generate_molecule])
def test_every_option_of_the_command_is_a_keyword(command):
    """And none has another default: what is not said is the same thing in both."""
    options, keywords = inspect.signature(command).parameters, inspect.signature(api_generate).parameters
    wanted = {KEYWORD_OF.get(name, name) for name in options} - NO_KEYWORDS
    assert wanted <= set(keywords)
    chosen = {"model", "out", "batch_size", "picture", "page"}  # by kind, and by whether there is a folder
    for name, option in options.items():
        keyword = KEYWORD_OF.get(name, name)
        if keyword in wanted - chosen:
            assert keywords[keyword].default == option.default, keyword


def test_every_keyword_is_an_option_or_of_python_alone():
    options = {
        KEYWORD_OF.get(name, name)
        for command in (generate_crystal, generate_molecule)
        for name in inspect.signature(command).parameters
    }
    of_python = {"kind", "ranking", "progress", "settings"}
    assert set(inspect.signature(api_generate).parameters) - options == of_python
    # and every field of a request can be said by a keyword, but for the name that a file gives it
    assert {each.name for each in fields(CrystalRequest)} - set(inspect.signature(api_generate).parameters) == {"id"}


@pytest.mark.parametrize(
    ("call", "request_"),
    [
        (("NaCl",), CrystalRequest(formula="NaCl")),
        (((), {"formula": "NaCl", "space_group": "Fm-3m"}), CrystalRequest(formula="NaCl", space_group=225)),
        (((), {"elements": "Na,Cl", "n_atoms": 2}), CrystalRequest(elements=("Na", "Cl"), n_atoms=2)),
        (((), {"elements": ["Na", "Cl"]}), CrystalRequest(elements=("Na", "Cl"))),
        (((), {"template": "Fm-3m Na:a Cl:b"}), None),
        (({"formula": "NaCl", "z": 1},), CrystalRequest(formula="NaCl", z=1)),
        ((("NaCl",), {"min_distance": "2.0", "density": "1:3"}),
         CrystalRequest(formula="NaCl", min_distance=2.0, density=(1.0, 3.0))),
        ((("NaCl",), {"volume_per_atom": (10.0, None)}), CrystalRequest(formula="NaCl", volume_per_atom=(10.0, None))),
        ((CrystalRequest(formula="NaCl", z=1),), CrystalRequest(formula="NaCl", z=1)),
    ],
)  # fmt: skip
def test_what_is_wanted_may_be_said_in_many_ways(call, request_):
    arguments, keywords = call if len(call) == 2 and isinstance(call[1], dict) else (call, {})
    arguments = arguments if isinstance(arguments, tuple) else (arguments,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # limits that fast steps may not keep
        (sample,) = ug.generate(*arguments, **keywords, **FAST)
    if request_ is not None:
        assert sample.request == request_
    assert sample.structure is not None or sample.reason
    if sample.structure is not None:
        assert set(sample.structure.reduced_formula) <= set("NaCl")


def test_python_and_the_command_line_make_the_same_crystals(unigen, tmp_path):
    command = ("generate", "crystal", "--formula", "TiO2", "--space-group", 136, "--n", 2, "--steps", 4)
    assert unigen(*command, "--no-score", "--no-picture", "--no-page", "--out", "run")[0] == 0
    samples = ug.generate(formula="TiO2", space_group="P4_2/mnm", n=2, **FAST)
    lines = [json.loads(line) for line in (tmp_path / "run/samples.jsonl").read_text().splitlines()]
    for sample, line in zip(samples, lines, strict=True):
        assert np.abs(sample.structure.lattice - np.array(line["lattice"])).max() < 1e-6
        assert sample.source["id"] == line["source"]["id"]
    opened = ug.open_run("run")
    assert opened.folder == Path("run")
    assert [each.request for each in opened] == [each.request for each in samples]
    assert opened[1].template == samples[1].template
    # a run folder made from Python is the same, byte by byte
    ug.generate(formula="TiO2", space_group=136, n=2, **FAST, picture=False, page=False, out="again")
    assert (tmp_path / "again/samples.jsonl").read_bytes() == (tmp_path / "run/samples.jsonl").read_bytes()


def test_a_list_is_a_request_each():
    samples = ug.generate(["MgO", "NaCl"], n=2, z=1, **FAST)
    assert [(each.request_index, each.index) for each in samples] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [each.structure.reduced_formula for each in samples] == ["MgO", "MgO", "NaCl", "NaCl"]


def test_molecules_by_smiles_by_formula_and_of_nothing():
    samples = ug.generate(smiles=["CO", "C"], steps=2)
    assert [each.structure.to_smiles() for each in samples] == ["CO", "C"]
    assert samples.kind == "molecules"
    (isomer,) = ug.generate(formula="CH4O", kind="molecule", properties={"gap": 0.3}, steps=2)
    assert isomer.request == MoleculeRequest(formula="CH4O", properties={"gap": 0.3})
    assert isomer.structure.formula == "CH4O"
    assert isinstance(ug.generate(formula="CH4O", model="unigen-molecule-small", steps=2)[0].request, MoleculeRequest)


def test_a_file_of_requests_is_one_as_on_the_command_line(tmp_path):
    (tmp_path / "some.csv").write_text("id,formula,z\na,MgO,1\nb,NaCl,1\n")
    samples = ug.generate(requests=tmp_path / "some.csv", **FAST)
    assert [each.request.id for each in samples] == ["a", "b"]
    assert [each.request for each in ug.generate(str(tmp_path / "some.csv"), **FAST)] == [
        each.request for each in samples
    ]


def test_ranked_answers_and_the_folder_they_stand_in(tmp_path):
    answers = ug.generate("NaCl", z=1, n=2, candidates=4, rank_by="likelihood", **{**FAST, "score": True})
    assert [each.ranking["rank"] for each in answers] == [1, 2]
    kept = ug.generate("NaCl", z=1, n=2, candidates=4, rank_by="likelihood", steps=4, out=tmp_path / "run", page=False)
    assert [each.ranking["score"] for each in kept] == pytest.approx([each.ranking["score"] for each in answers])
    assert [each.ranking for each in ug.open_run(tmp_path / "run")] == [each.ranking for each in kept]
    frame = kept.to_dataframe()
    assert frame["rank"].tolist() == [1, 2]
    assert frame["structure"].tolist() == kept.structures


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"formula": "NaCl", "relax": 3}, "relax belongs to ranking"),
        ({"formula": "NaCl", "page": True}, r"page: of a run folder; say out=FOLDER"),
        ({"formula": "NaCl", "format": "poscar"}, "format: of a run folder"),
        ({"formula": "NaCl", "stable": 0.1, "hull": "x"}, "stable: of a run folder"),
        ({"formula": "NaCl", "candidats": 3}, "generate: no such keyword; got candidats; did you mean candidates"),
        ({"formula": "NaCl", "N": 3}, "^generate: no such keyword; got N; did you mean n"),
        ({"formula": "NaCl", "colour": 3}, r"^generate: no such keyword; got colour; see help\(unigen.generate"),
        ({"requests": "NaCl", "formula": "MgO"}, "formula: said twice; got NaCl and MgO"),
        ({"requests": CrystalRequest(formula="NaCl"), "z": 1}, "a CrystalRequest says all"),
        ({"requests": []}, "no requests: an empty list"),
        ({"formula": "NaCl", "kind": "polymer"}, "kind: no such structures"),
        ({"smiles": "CCO", "space_group": 225}, "space_group: of crystals"),
        ({"formula": "NaCl", "space_group": "Xm-3"}, "Xm-3"),
        ({"formula": "NaCl", "scan_limit": 3}, "--scan-limit without --scan"),
        ({"formula": "NaCl", "symprec": 0.1, "out": None}, "symprec: of a run folder"),
    ],
)
def test_what_makes_no_sense_is_one_line(keywords, message):
    with pytest.raises(UserError, match=message) as refused:
        ug.generate(**keywords)
    assert "\n" not in str(refused.value)


def test_failures_are_said_and_seen():
    with pytest.warns(UserWarning, match=r"2 of 2 samples failed; the first: .*apart"):
        samples = ug.generate("NaCl", z=1, n=2, min_distance=8.0, **FAST)
    assert len(samples.failed) == 2
    assert not samples.made
    assert "2 failed (the first: " in repr(samples)
    assert "2 failed; the first: " in samples._repr_html_()
    assert samples.to_dataframe()["reason"].str.contains("apart").all()


def test_names_are_shown_for_completion():
    assert dir(ug) == sorted(ug.__all__)
    for name in ug.__all__:
        assert getattr(ug, name) is not None
    assert {"generate", "relax", "hull", "evaluate", "predict", "rank", "identify", "open_run"} <= set(dir(ug))


def test_text_of_an_object_is_one_short_line():
    samples = ug.generate("NaCl", z=1, n=3, **FAST)
    for each in (samples, samples[0], samples[0].structure, *ug.generate(smiles="CCO", steps=4).structures):
        assert "\n" not in repr(each)
        assert len(repr(each)) < 400
    assert repr(samples[0]).startswith("Sample(NaCl Fm-3m, follows NaCl")
    assert isinstance(samples[1:], Samples)
    assert len(samples[1:]) == 2
    assert isinstance(samples[0], Sample)


def test_an_ensemble_is_the_same_in_memory_and_in_a_folder(tmp_path):
    asked = {"smiles": "CC(C)CCO", "n": 6, "relax": "mmff", "window": 3.0, "distinct": 0.5, "steps": 4}
    here = ug.generate(**asked)
    there = ug.generate(**asked, out=tmp_path / "run", picture=False, page=False)
    assert len(here) == len(here.made) + len(here.left_out) + len(here.failed) == 6
    assert [each.facts["rank"] for each in here.made] == list(range(1, len(here.made) + 1))
    assert [each.reason for each in here] == [each.reason for each in there]
    for one, other in zip(here, there, strict=True):
        assert one.facts.keys() == other.facts.keys()
        assert one.facts["candidate"] == other.facts["candidate"]
        told = "relative_energy_kcal_mol"
        assert one.facts[told] == pytest.approx(other.facts[told], abs=1e-4)
    if here.left_out:
        assert f"{len(here.left_out)} left out" in repr(here)
    with pytest.raises(UserError, match="are of conformers; give smiles="):
        ug.generate("NaCl", distinct=0.5)
