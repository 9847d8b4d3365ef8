from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.retrieval.known_crystals import dataset_of, prototype_generator, prototypes, ragged, shared
from unigen.crystals.crystal import Crystal, repeat_cell
from unigen.element_similarity import element_distances
from unigen.elements import SYMBOLS, format_formula
from unigen.errors import UserError
from unigen.models.nearest.substitution import SAME_TEMPLATE, SubstitutionGenerator
from unigen.request import CrystalRequest
from unigen.retrieval.compositions import Compositions
from unigen.retrieval.fingerprint import fingerprint
from unigen.retrieval.neighbours import NeighbourIndex

MULTISETS = sorted(prototype_generator().index.groups)
rows = st.integers(0, len(prototypes()) - 1)


@st.composite
def wanted_cells(draw) -> dict[int, int]:
    """Any elements on a multiset of counts that the prototypes have."""
    counts = draw(st.sampled_from(MULTISETS))
    numbers = draw(st.lists(st.integers(1, 103), min_size=len(counts), max_size=len(counts), unique=True))
    return dict(zip(numbers, counts, strict=True))


def _request(counts: dict[int, int]) -> CrystalRequest:
    return CrystalRequest(formula=format_formula(counts), n_atoms=sum(counts.values()))


@given(wanted_cells(), st.integers(1, 6))
def test_the_composition_is_exact_and_nearest_comes_first(counts, k):
    proposals = prototype_generator().propose(_request(counts), k)
    assert 1 <= len(proposals) <= k
    distances = [proposal.distance for proposal in proposals]
    assert distances == sorted(distances)
    for proposal in proposals:
        assert proposal.crystal.counts == dict(sorted(counts.items()))


@given(wanted_cells())
def test_distance_is_the_least_over_every_assignment_of_every_candidate(counts):
    index = prototype_generator().index
    nearest = next(index.of_cell(counts))
    table = element_distances()
    best = np.inf
    for crystal in prototypes():
        if sorted(crystal.counts.values()) != sorted(counts.values()):
            continue
        for order in permutations(crystal.counts):
            if all(crystal.counts[old] == counts[new] for new, old in zip(counts, order, strict=True)):
                total = sum(counts[new] * table[new, old] for new, old in zip(counts, order, strict=True))
                best = min(best, total / len(crystal))
    assert nearest.distance == pytest.approx(best, abs=1e-9)


@given(rows)
def test_a_known_cell_comes_back_as_it_is_at_distance_zero(row):
    known = prototypes()
    crystal = known[row]
    polymorphs = {known.ids[i] for i, other in enumerate(known) if other.counts == crystal.counts}
    first = prototype_generator().propose(_request(crystal.counts), 1)[0]
    assert first.distance == 0
    assert first.source_id in polymorphs
    assert first.source_formula == crystal.reduced_formula
    source = known[int(first.source_id.removeprefix("crystal-"))]
    np.testing.assert_array_equal(first.crystal.numbers, source.numbers)
    np.testing.assert_array_equal(first.crystal.frac_coords, source.frac_coords)
    np.testing.assert_allclose(first.crystal.lattice, source.lattice, rtol=1e-12)


@given(rows, st.booleans(), st.integers(1, 6))
def test_the_excluded_formula_never_comes_back(row, sized, k):
    crystal = prototypes()[row]
    request = _request(crystal.counts) if sized else CrystalRequest(formula=crystal.reduced_formula)
    try:
        proposals = prototype_generator().propose(request, k, exclude_formula=True)
    except UserError:
        assume(False)  # the only structure of its kind
    for proposal in proposals:
        assert proposal.source_formula != crystal.reduced_formula
        assert proposal.distance > 0
        assert proposal.crystal.reduced_formula == crystal.reduced_formula


@given(wanted_cells(), st.integers(2, 6))
def test_no_template_is_proposed_twice(counts, k):
    proposals = [proposal.crystal for proposal in prototype_generator().propose(_request(counts), k)]
    views = [fingerprint(c.frac_coords, c.lattice, c.numbers, np.array(sorted(counts))) for c in proposals]
    for i, view in enumerate(views):
        assert all(np.abs(view - other).max() >= SAME_TEMPLATE for other in views[:i])


@given(wanted_cells())
def test_the_volume_changes_by_the_ratio_of_predicted_volumes(counts):
    generator = prototype_generator()
    proposal = generator.propose(_request(counts), 1)[0]
    source = prototypes()[int(proposal.source_id.removeprefix("crystal-"))]
    ratio = generator.volume.predict(counts) / generator.volume.predict(source.counts)
    assert proposal.crystal.volume == pytest.approx(source.volume * ratio, rel=1e-9)
    shape = proposal.crystal.lattice / np.cbrt(proposal.crystal.volume)
    np.testing.assert_allclose(shape, source.lattice / np.cbrt(source.volume), atol=1e-9)


@given(wanted_cells(), st.randoms(use_true_random=False))
def test_the_order_of_data_and_formula_does_not_matter(counts, random):
    known = prototypes()
    order = list(range(len(known)))
    random.shuffle(order)
    items = list(counts.items())
    random.shuffle(items)
    formula = "".join(f"{SYMBOLS[number]}{count}" for number, count in items)
    shuffled = NeighbourIndex.fit(Compositions.of_dataset(known.select(np.array(order))))
    here = list(prototype_generator().index.of_cell(counts))
    there = list(shuffled.of_cell(CrystalRequest(formula=formula, n_atoms=sum(counts.values())).counts))
    assert sorted(n.source for n in here) == sorted(order[n.source] for n in there)
    np.testing.assert_allclose([n.distance for n in here], [n.distance for n in there], atol=1e-12)


@given(rows, st.integers(0, 2**32 - 1))
def test_fingerprint_sees_neither_atom_order_nor_origin_nor_size(row, seed):
    crystal = prototypes()[row]
    rng = np.random.default_rng(seed)
    kinds = np.array(list(crystal.counts))
    order = rng.permutation(len(crystal))
    moved = (crystal.frac_coords[order] + rng.random(3)) % 1
    turned = crystal.lattice @ np.linalg.qr(rng.normal(size=(3, 3)))[0] * rng.uniform(0.5, 2)
    before = fingerprint(crystal.frac_coords, crystal.lattice, crystal.numbers, kinds)
    after = fingerprint(moved, turned, crystal.numbers[order], kinds)
    np.testing.assert_allclose(after, before, atol=1e-3)  # coordinates are stored in float32


def test_relatives_of_one_template_are_proposed_once_and_exchanged_roles_twice():
    perovskite = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    known = [Crystal(np.array([a, 22, 8, 8, 8]), perovskite, np.eye(3) * 4) for a in (38, 56, 20)]
    generator = SubstitutionGenerator.fit(dataset_of(known))
    proposals = generator.propose(CrystalRequest(formula="SrTiO3"), 5)
    assert [proposal.source_formula for proposal in proposals] == [known[0].reduced_formula]
    known.append(Crystal(np.array([22, 38, 8, 8, 8]), perovskite, np.eye(3) * 4))
    generator = SubstitutionGenerator.fit(dataset_of(known))
    assert len(generator.propose(CrystalRequest(formula="SrTiO3"), 5)) == 2


def test_of_equally_near_structures_the_most_stable_comes_first():
    known = [Crystal(np.array([6]), np.zeros((1, 3)), np.diag([1.0, 1.0, size])) for size in (4.0, 9.0, 6.0)]
    generator = SubstitutionGenerator.fit(dataset_of(known, e_above_hull=[0.3, np.nan, 0.1]))
    ids = [proposal.source_id for proposal in generator.propose(CrystalRequest(formula="C"), 3)]
    assert ids == ["crystal-2", "crystal-0", "crystal-1"]


def test_an_open_size_is_chosen_by_distance():
    small = Crystal(np.array([11, 17]), np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]), np.eye(3) * 4)
    large = repeat_cell(Crystal(np.array([37, 53]), np.array([[0.0, 0, 0], [0.25, 0.25, 0.25]]), np.eye(3) * 5), 2)
    generator = SubstitutionGenerator.fit(dataset_of([small, large]))
    assert len(generator.propose(CrystalRequest(formula="NaCl"), 1)[0].crystal) == 2
    assert len(generator.propose(CrystalRequest(formula="CsI"), 1)[0].crystal) == 4
    assert {len(p.crystal) for p in generator.propose(CrystalRequest(formula="KBr"), 2)} == {2, 4}
    assert {len(p.crystal) for p in generator.propose(CrystalRequest(formula="KBr", z=2), 2)} == {4}


@pytest.mark.parametrize("z", [2, 3])
def test_a_size_nobody_has_is_filled_with_copies(z):
    salt = Crystal(np.array([11, 17]), np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]), np.diag([4.0, 4.1, 4.2]))
    proposal = SubstitutionGenerator.fit(dataset_of([salt])).propose(CrystalRequest(formula="KBr", z=z), 1)[0]
    assert proposal.crystal.counts == {19: z, 35: z}
    distances = np.linalg.norm(proposal.crystal.frac_coords[:, None] - proposal.crystal.frac_coords, axis=-1)
    assert np.unique(distances.round(9), axis=0).shape[0] == 2 * z


@pytest.mark.parametrize("z", [4, 6, 17])
def test_no_more_copies_than_three_are_called_a_cell(z):
    salt = Crystal(np.array([11, 17]), np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]), np.diag([4.0, 4.1, 4.2]))
    with pytest.raises(UserError, match=f"atom counts {z}, {z}"):
        SubstitutionGenerator.fit(dataset_of([salt])).propose(CrystalRequest(formula="KBr", z=z), 1)


def test_copies_are_the_same_crystal():
    from pymatgen.analysis.structure_matcher import StructureMatcher

    crystal = prototypes()[100]
    assert StructureMatcher().fit(crystal.to_pymatgen(), repeat_cell(crystal, 6).to_pymatgen())


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (CrystalRequest(), "formula"),
        (CrystalRequest(elements=("Na", "Cl")), "formula"),
        (CrystalRequest(formula="Na7Cl13"), "Na7Cl13"),
        (CrystalRequest(formula="Na7Cl13", z=1), "Na7Cl13"),
    ],
)
def test_what_cannot_be_proposed_is_said(request_, says):
    with pytest.raises(UserError, match=says):
        prototype_generator().propose(request_, 1)


def test_real_structures_are_found_from_their_relatives():
    from pymatgen.analysis.structure_matcher import StructureMatcher

    columns = shared("mp_20/mp_20_val_test.npz")
    validation = np.flatnonzero(columns["split"] == "val")
    known = SubstitutionGenerator.fit(ragged(columns, validation))
    rng = np.random.default_rng(0)
    asked = [known.dataset[int(i)] for i in rng.choice(len(validation), 60, replace=False)]
    matcher = StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10)
    hits = 0
    for crystal in asked:
        try:
            first = known.propose(_request(crystal.counts), 1, exclude_formula=True)[0]
        except UserError:
            continue
        assert first.source_formula != crystal.reduced_formula
        hits += matcher.fit(crystal.to_pymatgen(), first.crystal.to_pymatgen())
    assert hits >= 0.4 * len(asked)
