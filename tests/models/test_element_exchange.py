from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.retrieval.known_crystals import dataset_of, prototype_generator, prototypes
from unigen.crystals.crystal import Crystal
from unigen.element_similarity import element_distances
from unigen.elements import ATOMIC_NUMBER, SYMBOLS
from unigen.errors import UserError
from unigen.models.nearest.substitution import SubstitutionGenerator
from unigen.request import CrystalRequest

seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_one_element_becomes_its_like_and_the_formula_is_new(seed):
    known = prototypes()
    proposal = prototype_generator().draw_new(CrystalRequest(), np.random.default_rng(seed))
    source = known[int(proposal.source_id.removeprefix("crystal-"))]
    assert proposal.crystal.reduced_formula not in {crystal.reduced_formula for crystal in known}
    np.testing.assert_array_equal(proposal.crystal.frac_coords, source.frac_coords)
    (gone,) = set(source.counts) - set(proposal.crystal.counts)
    (come,) = set(proposal.crystal.counts) - set(source.counts)
    np.testing.assert_array_equal(proposal.crystal.numbers == come, source.numbers == gone)
    distance = element_distances()[gone]
    others = {number for crystal in known for number in crystal.counts} - set(source.counts)
    assert distance[come] == min(distance[number] for number in others)
    assert proposal.distance == pytest.approx(distance[come] * source.counts[gone] / len(source))


@given(seeds, st.lists(st.sampled_from(SYMBOLS[1:90]), min_size=3, max_size=12, unique=True))
def test_elements_and_size_are_kept_to(seed, elements):
    request = CrystalRequest(elements=tuple(elements), n_atoms=5)
    try:
        proposal = prototype_generator().draw_new(request, np.random.default_rng(seed))
    except UserError:
        assume(False)
    assert len(proposal.crystal) == 5
    assert set(proposal.crystal.counts) <= {ATOMIC_NUMBER[symbol] for symbol in elements}


def test_the_same_draw_gives_the_same_crystal_and_another_draw_others():
    def drawn(seed: int) -> list[str]:
        rng = np.random.default_rng(seed)
        return [prototype_generator().draw_new(CrystalRequest(), rng).crystal.formula for _ in range(8)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_where_every_exchange_is_known_it_says_so():
    known = [Crystal(np.array([number]), np.zeros((1, 3)), np.eye(3) * 3) for number in (11, 19)]
    generator = SubstitutionGenerator.fit(dataset_of(known))
    with pytest.raises(UserError, match="known formula"):
        generator.draw_new(CrystalRequest(), np.random.default_rng(0))
