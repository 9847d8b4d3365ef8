"""Samples of a request have different space groups before any comes twice, whatever they are drawn with."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.models.small_wyckoff import small_wyckoff
from tests.models.test_parents import CAESIUM_CHLORIDE, SALT
from tests.models.test_wyckoff_generator import make
from tests.retrieval.known_crystals import prototypes
from tests.retrieval.known_templates import retriever
from unigen.crystals.template import parse_template
from unigen.models.generator import Job
from unigen.models.nearest.generator import NearestGenerator
from unigen.models.wyckoff.generator import WyckoffGenerator
from unigen.models.wyckoff.grammar import WyckoffGrammar
from unigen.models.wyckoff.settings import WyckoffSettings
from unigen.request import CrystalRequest
from unigen.retrieval.parents import read_parents
from unigen.sample.generate import generate

SALTS = CrystalRequest(formula="NaCl", z=1, distinct="space_group")


def groups(samples) -> list[int]:
    return [parse_template(sample.template).space_group for sample in samples]


@pytest.mark.parametrize("system", ["cubic", "trigonal"])
def test_every_space_group_that_holds_the_cell_comes_before_any_comes_twice(system):
    asked = replace(SALTS, crystal_system=system)
    legal = WyckoffGrammar({11: 1, 17: 1}, asked.space_groups).legal_space_groups().sum()
    found = groups(generate(asked, n=int(legal) + 3, model=make()))
    assert len({*found[:legal]}) == legal
    assert max(Counter(found[: legal + 3]).values()) == 2


def test_known_structures_come_first_and_in_their_order():
    plain = replace(SALTS, distinct=None)
    usual = [sample for sample in generate(plain, n=10, model=make()) if sample.source["id"] != "none"]
    first = {group: sample.source["id"] for group, sample in reversed([*zip(groups(usual), usual, strict=True)])}
    distinct = generate(SALTS, n=len(first) + 2, model=make())
    wanted = [sample.source["id"] for sample in usual if sample.source["id"] in first.values()]
    assert [sample.source["id"] for sample in distinct][: len(first)] == wanted
    assert all(sample.source["id"] == "none" for sample in distinct[len(first) :])
    assert all(sample.source["log_probability"] <= 0 for sample in distinct)


@pytest.mark.parametrize("request_", [SALTS, CrystalRequest(formula="TiO2", distinct="space_group")])
def test_a_sample_depends_on_none_that_is_drawn_with_it(request_):
    whole = generate(request_, n=12, model=make())
    for index in (11, 3):
        (alone,) = make().draw([Job(request_, 0, index, 0)])
        assert (alone.template, alone.source["id"]) == (whole[index].template, whole[index].source["id"])
    assert len({*groups(whole)}) == 12


def test_space_groups_of_parents_count_too():
    parents = read_parents([SALT, CAESIUM_CHLORIDE])
    model = WyckoffGenerator(
        small_wyckoff(), retriever(), "small", settings=WyckoffSettings(steps=2), score_steps=0, parents=parents
    )
    found = groups(generate(SALTS, n=6, model=model))
    assert {*found[:2]} == {225, 221}
    assert len({*found}) == 6


def test_a_generator_that_knows_no_symmetry_says_so():
    sample = generate(SALTS, model=NearestGenerator(prototypes()))[0]
    assert sample.reason.startswith("nearest cannot be asked for different space groups; got space_group")


def test_of_several_groups_each_has_its_own_samples_in_turn():
    asked = CrystalRequest(formula="CaTiO3", space_group=(221, 62), distinct="space_group")
    drawn = generate(asked, n=5, model=make())
    for place, group in enumerate((62, 221)):
        alone = generate(replace(asked, space_group=group, distinct=None), n=3, model=make())
        of_group = drawn[place::2]
        assert [sample.template for sample in of_group] == [sample.template for sample in alone[: len(of_group)]]
        assert {int(sample.template.split()[0]) for sample in of_group if sample.template} <= {group}
