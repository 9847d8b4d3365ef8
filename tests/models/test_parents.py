"""A user's own structures are followed first, by every request that they fit; what nothing follows is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crystals.real_crystals import described_otherwise
from tests.models.small_wyckoff import small_wyckoff
from tests.retrieval.known_crystals import prototypes
from tests.retrieval.known_templates import retriever
from unigen.crystals.crystal import Crystal
from unigen.errors import UserError
from unigen.models.nearest.generator import NearestGenerator
from unigen.models.wyckoff.generator import WyckoffGenerator
from unigen.models.wyckoff.settings import WyckoffSettings
from unigen.request import CrystalRequest
from unigen.retrieval.parents import read_parents
from unigen.sample.generate import generate
from unigen.sample.load import load
from unigen.sample.parents import parent_remarks

SALT = Crystal(np.array([19, 35]), np.array([[0.0] * 3, [0.5] * 3]), 3.3 * (np.ones((3, 3)) - np.eye(3)))
CAESIUM_CHLORIDE = Crystal(np.array([55, 17]), np.array([[0.0] * 3, [0.5] * 3]), 4.1 * np.eye(3))
PEROVSKITE = Crystal(
    np.array([56, 22, 8, 8, 8]),
    np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]),
    4.0 * np.eye(3),
)


def make(*parents, exclude_formula: bool = False) -> WyckoffGenerator:
    return WyckoffGenerator(
        small_wyckoff(),
        retriever(),
        "small",
        settings=WyckoffSettings(steps=2),
        score_steps=0,
        exclude_formula=exclude_formula,
        parents=read_parents(parents) if parents else None,
    )


def ids(samples) -> list[str]:
    return [sample.source["id"] for sample in samples]


@pytest.mark.filterwarnings("ignore:parent that does not fit")
@pytest.mark.parametrize("z", [None, 1])
def test_parents_that_fit_come_first_and_then_what_a_run_without_them_begins_with(z):
    request = CrystalRequest(formula="NaCl", z=z)
    drawn = generate(request, n=5, model=make(CAESIUM_CHLORIDE, PEROVSKITE, SALT), seed=4)
    assert sorted(ids(drawn)[:2]) == ["parent-1", "parent-3"]
    assert {sample.template for sample in drawn[:2]} == {"225 Na:a Cl:b", "221 Na:a Cl:b"} or z is None
    assert all(sample.structure.reduced_formula == "NaCl" for sample in drawn)
    distances = [sample.source["distance"] for sample in drawn[:2]]
    assert distances == sorted(distances)
    assert [sample.source["parent"] for sample in drawn[:2]] == ["given in Python"] * 2
    for ours, without in zip(drawn[2:], generate(request, n=3, model=make(), seed=4), strict=True):
        assert (ours.source, ours.template) == (without.source, without.template)
        np.testing.assert_allclose(ours.structure.lattice, without.structure.lattice, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:parent that does not fit")
def test_what_a_parent_cannot_be_is_not_followed():
    model = make(SALT, CAESIUM_CHLORIDE)
    cubic = CrystalRequest(formula="NaCl", space_group=221, z=1)
    assert ids(generate(cubic, n=2, model=model))[0] == "parent-2"
    assert "parent-1" not in ids(generate(cubic, n=4, model=model))
    template = CrystalRequest(template="225 Na:a Cl:b")
    assert ids(generate(template, n=2, model=model))[0] == "parent-1"
    own = CrystalRequest(formula="KBr", z=1)
    assert ids(generate(own, n=1, model=make(SALT))) == ["parent-1"]
    assert "parent-1" not in ids(generate(own, n=3, model=make(SALT, exclude_formula=True)))
    doubled = generate(CrystalRequest(formula="NaCl", z=2), model=make(SALT))[0]
    assert (doubled.source["id"], doubled.source["copies"], len(doubled.structure)) == ("parent-1", 2, 4)
    denovo = generate(CrystalRequest(elements=("K", "Br", "O")), n=2, model=make(PEROVSKITE, SALT))
    assert ids(denovo)[0] == "parent-2"
    assert denovo[0].structure.reduced_formula == "KBr"


@settings(max_examples=8)
@given(st.data())
def test_how_a_parent_is_described_makes_no_difference(data):
    model = make(data.draw(described_otherwise(PEROVSKITE)))
    sample = generate(CrystalRequest(formula="SrTiO3", z=1), model=model)[0]
    assert sample.source["id"] == "parent-1"
    assert sample.template in {"221 Sr:a Ti:b O:c", "221 Ti:a Sr:b O:d"}
    assert sample.structure.space_group(0.1).number == 221


def test_parents_that_nothing_follows_are_named(tmp_path):
    PEROVSKITE.to_cif(tmp_path / "perovskite.cif")
    SALT.to_poscar(tmp_path / "salt.vasp")
    (tmp_path / "broken.cif").write_text("data_broken\n_cell_length_a 3\n")
    model = make(tmp_path)
    request = CrystalRequest(formula="NaCl")
    said = parent_remarks(model, [request])
    assert len(said) == 2
    assert said[0].startswith(f"parent left out: {tmp_path.name}/broken.cif: not a readable CIF")
    assert said[1] == f"parent that does not fit the request: perovskite ({tmp_path.name}/perovskite.cif)"
    with pytest.warns(UserWarning, match="parent ") as warned:
        sample = generate(request, model=model)[0]
    assert [str(each.message) for each in warned] == said
    assert sample.source["parent"] == f"{tmp_path.name}/salt.vasp"
    assert parent_remarks(model, [request, CrystalRequest(formula="CaTiO3")])[1:] == []


def test_parents_are_given_in_many_ways(tmp_path):
    SALT.to_cif(tmp_path / "salt.cif")
    for wanted in (SALT, [SALT], tmp_path / "salt.cif", str(tmp_path / "salt.cif"), [tmp_path], str(tmp_path)):
        parents = read_parents(wanted)
        assert [parents.table.space_group.tolist(), parents.table.counts(0)] == [[225], {19: 1, 35: 1}]
    request = CrystalRequest(formula="NaCl", z=1)
    (sample,) = generate(request, steps=2, score=False, parents=tmp_path / "salt.cif")
    assert sample.source["parent"] == "salt.cif"


def test_parents_that_cannot_be_are_refused(tmp_path):
    (tmp_path / "broken.cif").write_text("data_broken\n_cell_length_a 3\n")
    with pytest.raises(UserError, match="no structure that can be read; got not a readable CIF"):
        read_parents([tmp_path / "broken.cif"])
    with pytest.raises(UserError, match="no such file or folder"):
        read_parents([tmp_path / "nothing.cif"])
    assert not hasattr(NearestGenerator(prototypes()), "fitting_parents")
    with pytest.raises(UserError, match="nearest: this model follows no parents"):
        load("nearest", retrieve_from="any", parents=[SALT])
