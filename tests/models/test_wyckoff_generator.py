"""The wyckoff generator keeps every request, follows one known structure after the other, and says when it cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.small_model import small_model
from tests.models.small_wyckoff import small_wyckoff
from tests.models.test_property_adapter import told_model
from tests.retrieval.known_crystals import prototypes
from tests.retrieval.known_templates import retriever, table
from unigen.crystals.limits import breach
from unigen.crystals.template import Template, apply_template, parse_template
from unigen.elements import ATOMIC_NUMBER, format_formula, parse_formula, reduce_counts
from unigen.models.cell_choice import CellChooser, CellRow, unit_probabilities
from unigen.models.generator import Candidate, Job, Sample
from unigen.models.nearest.generator import NearestGenerator
from unigen.models.words.generator import WordsGenerator
from unigen.models.wyckoff.batch import collate_shortlists, collate_wyckoff
from unigen.models.wyckoff.cached_decoder import CachedDecoder
from unigen.models.wyckoff.generator import WyckoffGenerator
from unigen.models.wyckoff.grammar import WyckoffGrammar
from unigen.models.wyckoff.network import PROPERTIES
from unigen.models.wyckoff.settings import WyckoffSettings
from unigen.models.wyckoff.source_choice import SourceChooser
from unigen.models.wyckoff.templates import draw_templates, search_templates
from unigen.models.wyckoff.tokens import plain_start, plan_sequence
from unigen.request import CrystalRequest
from unigen.retrieval.shortlist import Retriever
from unigen.runs.generation import remarks
from unigen.sample.generate import generate
from unigen.symmetry.space_groups import space_group
from unigen.tokens import vocabulary

NOBODY_HAS = {8: 11, 22: 7, 38: 5}
REQUESTS = [
    CrystalRequest(formula="SrTiO3", z=1),
    CrystalRequest(formula="NaCl"),
    CrystalRequest(elements=("Li", "Fe", "P", "O")),
    CrystalRequest(n_atoms=7),
    CrystalRequest(),
    CrystalRequest(formula="MgAl2O4", space_group=227),
    CrystalRequest(formula="SrTiO3", crystal_system="cubic"),
    CrystalRequest(space_group=194),
    CrystalRequest(elements=("Na", "Cl"), crystal_system="tetragonal"),
    CrystalRequest(template="221 Sr:a Ti:b O:c"),
    CrystalRequest(template="62 Sr:c Ti:a O:cd"),
    CrystalRequest(formula=format_formula(NOBODY_HAS), z=1),
]


def make(score_steps: int = 0, seed: int = 0, known: Retriever | None = None, **changes) -> WyckoffGenerator:
    exclude = changes.pop("exclude_formula", False)
    decoding = WyckoffSettings(steps=3, **changes)
    model = small_wyckoff(seed)
    return WyckoffGenerator(model, known or retriever(), "small", "1", decoding, score_steps, exclude_formula=exclude)


@pytest.fixture(scope="module")
def generator() -> WyckoffGenerator:
    return make(score_steps=2)


@pytest.fixture(scope="module")
def samples(generator) -> list[Sample]:
    return generate(REQUESTS, n=3, model=generator)


def test_every_request_is_kept(samples):
    assert [(s.request_index, s.index) for s in samples] == [(r, k) for r in range(len(REQUESTS)) for k in range(3)]
    for sample in samples:
        assert sample.structure is not None, sample.reason
        counts, request = sample.structure.counts, sample.request
        if request.formula:
            assert reduce_counts(counts)[0] == dict(sorted(reduce_counts(parse_formula(request.formula))[0].items()))
        if request.counts:
            assert counts == dict(sorted(request.counts.items()))
        if request.elements:
            assert set(counts) <= {ATOMIC_NUMBER[symbol] for symbol in request.elements}
        if request.n_atoms:
            assert sum(counts.values()) == request.n_atoms
        assert sum(counts.values()) <= 24
        assert np.isfinite(sample.log_likelihood)
        assert np.isfinite(sample.score)


def test_the_template_that_is_stated_is_the_crystals(samples):
    for sample in samples:
        template, request = parse_template(sample.template), sample.request
        assert str(template) == sample.template
        assert dict(sorted(template.counts.items())) == sample.structure.counts
        assert template.space_group in request.space_groups
        if request.template:
            assert template == parse_template(request.template)
        points = space_group(template.space_group).primitive_multiplicity[list(template.letters)]
        numbers = np.repeat(template.numbers, points)
        assert sample.structure.numbers.tolist() == numbers.tolist()


def test_the_symmetry_that_is_asked_for_is_there(samples):
    """By spglib: the group found is the one written, or one above it."""
    import spglib

    for sample in samples:
        crystal, number = sample.structure, parse_template(sample.template).space_group
        if number > 1:
            cell = crystal.lattice, crystal.frac_coords, crystal.numbers
            found = spglib.get_symmetry_dataset(cell, symprec=1e-3)
            if found is not None:  # atoms of an untrained model may coincide
                assert len(found.rotations) % (len(space_group(number).operations) / centrings(number)) == 0


def centrings(number: int) -> int:
    return round(1 / np.linalg.det(space_group(number).to_primitive))


def as_numbers(sample: Sample) -> tuple:
    crystal = sample.structure
    numbers = (*crystal.numbers.tolist(), *crystal.lattice.ravel(), *crystal.frac_coords.ravel())
    return sample.template, sample.log_likelihood, numbers


def test_the_same_seed_gives_the_same_structures_and_another_seed_others(generator, samples):
    again = generate(REQUESTS, n=3, model=make(score_steps=2))
    other = generate(REQUESTS, n=3, model=generator, seed=1)
    assert [as_numbers(s) for s in again] == [as_numbers(s) for s in samples]
    assert [as_numbers(s) for s in other] != [as_numbers(s) for s in samples]


@pytest.mark.parametrize("batch_size", [3, 7])
def test_batches_change_nothing(generator, samples, batch_size):
    wanted = [sample for sample in samples if sample.index < 2]
    assert_alike(wanted, generate(REQUESTS, n=2, model=generator, batch_size=batch_size))


def assert_alike(wanted: list[Sample], got: list[Sample]) -> None:
    """The same but for rounding, which depends on what is computed together."""
    for one, two in zip(wanted, got, strict=True):
        assert (one.template, one.source) == (two.template, two.source) or one.source["id"] == two.source["id"]
        gap = one.structure.frac_coords - two.structure.frac_coords
        assert np.abs(gap - np.round(gap)).max() < 1e-3
        np.testing.assert_allclose(one.structure.lattice, two.structure.lattice, rtol=1e-3, atol=1e-3)


# ---- whom samples follow


def several_kinds() -> tuple[CrystalRequest, list[int]]:
    """A request for a cell whose shortlist has most kinds, and its kinds by the model's probability."""
    lists = [(retriever().shortlist(table().counts(row)), table().counts(row)) for row in range(0, len(table()), 5)]
    shortlist, counts = max(lists, key=lambda pair: len(pair[0].representatives))
    assert len(shortlist.representatives) > 3
    request = CrystalRequest(formula=format_formula(counts), n_atoms=sum(counts.values()))
    with torch.no_grad():
        logits = small_wyckoff().reranker(collate_shortlists([shortlist]))[0, : len(shortlist.representatives) + 1]
    ids = [None, *table().ids[shortlist.sources[shortlist.representatives]]]
    return request, [ids[place] or "none" for place in logits.argsort(descending=True).tolist()]


def test_sample_after_sample_follows_the_next_likeliest_kind_and_then_nobody():
    request, order = several_kinds()
    drawn = generate(request, n=len(order) + 3, model=make())
    ids = [sample.source["id"] for sample in drawn]
    assert sorted(ids[:-3]) == sorted(order)
    assert ids[-3:] == ["none"] * 3
    assert [known for known in ids if known != "none"] == [known for known in order if known != "none"]
    follows = [sample.source["probability"] for sample in drawn if sample.source["id"] != "none"]
    assert follows == sorted(follows, reverse=True)
    assert sum(follows) <= 1.0
    by_id = {str(known): index for index, known in enumerate(table().ids)}
    for sample in drawn:
        if sample.source["id"] != "none":
            source = table()[by_id[sample.source["id"]]]
            template = parse_template(sample.template)
            assert (template.space_group, sorted(template.letters)) == (source.space_group, sorted(source.letters))


@pytest.mark.parametrize("weight", [0.0, 0.05, 1.0, 50.0, float("inf")])
def test_scores_order_samples_as_they_are_drawn(weight):
    request, order = several_kinds()
    drawn = generate(request, n=len(order) + 5, model=make(anew=weight))
    scores = [sample.score for sample in drawn]
    known = [sample.source["log_probability"] for sample in drawn]
    assert np.isfinite(scores).all()
    assert scores == sorted(scores, reverse=True)
    assert known == sorted(known, reverse=True)
    assert [round(score / 1000, 4) for score in scores] == known
    for sample in drawn:
        if sample.source["id"] in order and sample.source["id"] != "none":
            assert np.exp(sample.source["log_probability"]) == pytest.approx(sample.source["probability"], abs=1e-4)
    anew = next(sample.source for sample in drawn if sample.source["id"] == "none")
    counted = np.log(anew["probability"]) + np.log(np.clip(weight, 1e-12, 1e12))
    assert anew["log_probability"] == pytest.approx(counted, abs=0.02)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
def test_drawn_kinds_come_without_replacement(temperature):
    request, order = several_kinds()
    drawn = generate(request, n=len(order), model=make(source_temperature=temperature), seed=3)
    assert sorted(sample.source["id"] for sample in drawn) == sorted(order)


def test_only_kinds_that_fit_are_followed():
    request, order = several_kinds()
    by_id = {str(known): index for index, known in enumerate(table().ids)}
    groups = {known: int(table().space_group[by_id[known]]) for known in order if known != "none"}
    one = next(iter(groups.values()))
    fitting = [known for known in order if groups.get(known) == one]
    asked = CrystalRequest(formula=request.formula, n_atoms=request.n_atoms, space_group=one)
    drawn = generate(asked, n=len(fitting) + 2, model=make())
    made = [sample for sample in drawn if sample.structure is not None]
    followed = [sample.source["id"] for sample in made]
    assert [known for known in followed if known != "none"] == fitting
    assert {parse_template(sample.template).space_group for sample in drawn} == {one}
    assert {sample.structure.space_group(0.01).number for sample in made} == {one}
    assert all("has the symmetry of" in sample.reason for sample in drawn if sample.structure is None)


@settings(max_examples=10)
@given(
    st.integers(0, len(table()) - 1), st.sets(st.sampled_from(sorted(set(table().space_group.tolist()))), max_size=3)
)
def test_several_space_groups_may_be_asked_for(row, others):
    """The size is chosen, and relatives are looked for, among the known structures of these groups."""
    groups = tuple(sorted({int(table().space_group[row]), *others}))
    counts = table().counts(row)
    request = CrystalRequest(formula=format_formula(reduce_counts(counts)[0]), space_group=groups)
    assert request.space_groups == set(groups)
    (first,) = generate(request, model=make())
    by_id = {str(known): int(group) for known, group in zip(table().ids, table().space_group, strict=True)}
    # a structure of the formula itself is known, so one of these groups is followed
    assert by_id[first.source["id"]] in groups
    assert first.structure.space_group(0.01).number in groups


def test_a_template_that_is_known_is_followed_and_another_one_is_not():
    request, _ = several_kinds()
    first = generate(request, n=2, model=make())
    followed = next(sample for sample in first if sample.source["id"] != "none")
    drawn = generate(CrystalRequest(template=followed.template), n=3, model=make())
    assert followed.source["id"] in [sample.source["id"] for sample in drawn]
    assert {sample.template for sample in drawn} == {followed.template}


def test_the_excluded_formula_is_never_followed():
    for row in range(0, len(table()), 31):
        counts = table().counts(row)
        request = CrystalRequest(formula=format_formula(counts), n_atoms=sum(counts.values()))
        own = format_formula(reduce_counts(counts)[0])
        followed = generate(request, n=4, model=make(exclude_formula=True))
        assert own not in [sample.source.get("formula") for sample in followed]
        if row == 0:
            assert own in [sample.source.get("formula") for sample in generate(request, n=12, model=make())]


@settings(max_examples=6)
@given(st.dictionaries(st.integers(1, 94), st.sampled_from([5, 7, 11]), min_size=2, max_size=2))
def test_what_nobody_knows_is_written_anew(counts):
    if sum(counts.values()) <= 24 and len(set(counts.values())) == len(counts):
        request = CrystalRequest(formula=format_formula(counts), n_atoms=sum(counts.values()))
        sample = generate(request, model=make())[0]
        assert sample.structure.counts == dict(sorted(counts.items()))
        anew = round(float(np.log(WyckoffSettings().anew)), 4)
        assert sample.source == {"id": "none", "probability": 1.0, "log_probability": anew}


def test_a_cell_that_only_a_multiple_of_known_ones_fills_is_followed_as_a_supercell():
    rows = [row for row in range(len(table())) if 2 * sum(table().counts(row).values()) <= 24]
    doubled = {row: {number: 2 * count for number, count in table().counts(row).items()} for row in rows}
    row = next(row for row in rows if not len(retriever().shortlist(doubled[row])))
    counts = doubled[row]
    request = CrystalRequest(formula=format_formula(counts), n_atoms=sum(counts.values()))
    sample = generate(request, model=make(score_steps=2))[0]
    assert sample.source["copies"] == 2
    assert sample.source["distance"] == 0
    assert sample.structure.counts == dict(sorted(counts.items()))
    assert {n: 2 * c for n, c in parse_template(sample.template).counts.items()} == counts
    assert len(sample.structure.reduced()) == sum(counts.values()) // 2
    assert np.isfinite(sample.log_likelihood)


@pytest.mark.parametrize("times", [5, 7])
def test_a_cell_of_many_copies_is_no_cell_that_was_asked_for(times):
    # of one or two atoms, so that the model can hold so many of them
    row = next(row for row in range(len(table())) if times * sum(table().counts(row).values()) <= 24)
    counts = {number: times * count for number, count in table().counts(row).items()}
    sample = generate(CrystalRequest(formula=format_formula(counts), n_atoms=sum(counts.values())), model=make())[0]
    assert sample.source["id"] == "none"
    assert sample.structure is None or sample.structure.counts == dict(sorted(counts.items()))


def test_a_generator_that_forgets_draws_the_same(generator, samples, monkeypatch):
    for module in ("cell_choice", "wyckoff.generator", "wyckoff.source_choice"):
        monkeypatch.setattr(f"unigen.models.{module}._REMEMBERED", 1)
    forgetful = make(score_steps=2)
    assert_alike(samples, generate(REQUESTS, n=3, model=forgetful))
    assert len(forgetful.sources._ranked) == 1


def test_what_follows_is_drawn_with_as_much_spread_as_departure_says():
    request, _ = several_kinds()
    drawn = {
        spread: [generate(request, model=make(departure=spread), seed=s)[0] for s in (0, 1)] for spread in (0.0, 1.0)
    }
    (a, b), (c, d) = ([as_numbers(sample)[2] for sample in drawn[spread]] for spread in (0.0, 1.0))
    assert a == pytest.approx(b, abs=1e-5)
    assert c != pytest.approx(d, abs=1e-3)
    assert len({sample.template for sample in drawn[0.0] + drawn[1.0]}) == 1


def test_without_any_neighbour_everything_is_written_anew():
    known = Retriever(table().select(np.array([0])))
    for sample in generate(REQUESTS, n=2, model=make(known=known)):
        assert sample.structure is not None, sample.reason
        assert sample.source["id"] in ("none", "known-0")


def test_the_draw_of_one_job_knows_nothing_of_the_other_jobs():
    """Templates that are asked for beside those that are written."""
    generator = make(score_steps=2)
    asked, free = CrystalRequest(template="62 Sr:c Ti:a O:cd"), CrystalRequest(formula=format_formula(NOBODY_HAS), z=1)
    jobs = [Job(request, place, 40, 0) for place, request in enumerate((asked, free, asked))]
    together = generator.draw(jobs)
    for job, draft in zip(jobs, together, strict=True):
        alone = generator.draw([job])[0]
        assert alone.template == draft.template
        assert alone.log_likelihood == pytest.approx(draft.log_likelihood, rel=1e-3, abs=1e-2)
        assert alone.score == pytest.approx(draft.score, rel=1e-3, abs=1e-2)


def test_what_is_scored_is_what_is_drawn(monkeypatch):
    from unigen.models.wyckoff import generator as module

    drawn, scored = set(), []
    draw, score = module.draw_parameters, module.slot_log_likelihoods

    def drawing(*parts):
        vectors, known = draw(*parts)
        drawn.update(row.numpy().tobytes() for row in vectors)
        return vectors, known

    def scoring(model, batch, steps, known):
        scored.append(batch.tokens.vectors.clone())
        scores = score(model, batch, steps, known)
        # what was known when they were drawn is what the finished crystals say when they are read again
        torch.testing.assert_close(score(model, batch, steps), scores, atol=2e-3, rtol=1e-3)
        return scores

    monkeypatch.setattr(module, "draw_parameters", drawing)
    monkeypatch.setattr(module, "slot_log_likelihoods", scoring)
    generate(REQUESTS[:2], n=3, model=make(score_steps=2))
    assert scored
    for vectors in scored:
        assert vectors.any()
        assert {row.numpy().tobytes() for row in vectors} <= drawn


def test_the_weight_of_anew_moves_nothing_but_the_turn_of_nobody():
    request, order = several_kinds()
    turns = {}
    for weight in (1e-9, 1.0, 1e9):
        ids = [sample.source["id"] for sample in generate(request, n=len(order), model=make(anew=weight))]
        assert [known for known in ids if known != "none"] == [known for known in order if known != "none"]
        turns[weight] = ids.index("none")
    assert turns == {1e-9: len(order) - 1, 1.0: order.index("none"), 1e9: 0}


def test_atoms_that_come_too_close_are_drawn_again_and_never_closer():
    jobs = [Job(request, place, index, 0) for place, request in enumerate(REQUESTS) for index in range(3)]
    once, often = (make(redraws=redraws, min_distance=1.5).draw(jobs) for redraws in (0, 4))
    distances = [[draft.structure.smallest_distance() for draft in drafts] for drafts in (once, often)]
    before, after = np.array(distances)
    assert (after >= before - 1e-4).all()
    assert (after > before + 1e-3).any()
    np.testing.assert_allclose(after[before >= 1.5], before[before >= 1.5], atol=1e-4)
    unchecked = make(min_distance=0.0).draw(jobs)
    assert [draft.structure.smallest_distance() for draft in unchecked] == pytest.approx(before.tolist(), abs=1e-4)


def test_trials_that_are_drawn_at_once_come_to_what_they_come_to_one_by_one(monkeypatch):
    from unigen.models.wyckoff import generator as module

    drawn = {}
    for together in (1, 8, 1000):
        monkeypatch.setattr(module, "_REDRAWN_TOGETHER", together)
        drawn[together] = generate(REQUESTS, n=2, model=make(redraws=4, min_distance=1.5, score_steps=2))
        assert_alike(drawn[1], drawn[together])
    once = generate(REQUESTS, n=2, model=make(redraws=0, min_distance=1.5, score_steps=2))
    assert any(
        np.abs(one.structure.lattice - two.structure.lattice).max() > 1e-3
        for one, two in zip(once, drawn[1], strict=True)
    )


# ---- templates written anew


def legal_log_probability(model, cell: dict[int, int], groups: frozenset[int], template: Template) -> float:
    """By one forward pass over the whole plan, as in training, each choice among the legal ones."""
    numbers, letters = np.array(template.numbers), np.array(template.letters)
    sequence = plan_sequence(plain_start(template.space_group, numbers, letters, 100.0))
    empty = collate_shortlists([retriever().shortlist(NOBODY_HAS)])
    with torch.no_grad():
        states = model.states(collate_wyckoff([sequence], [-1], empty))[0]
        logits = model.symbol_head(states).double()
    at = sequence.tokens.symbols.tolist().index(vocabulary.NEW)
    grammar, total = WyckoffGrammar(cell, groups), 0.0
    legal = [vocabulary.group_symbol(int(number)) for number in np.flatnonzero(grammar.legal_space_groups())]
    for step in range(len(letters) + 1):
        scores = dict(zip(legal, logits[at + step, legal].log_softmax(-1).tolist(), strict=True))
        total += scores[int(sequence.tokens.symbols[at + step + 1])]
        following = grammar.legal_letters(template.space_group, template.letters[:step])
        legal = [vocabulary.letter_symbol(int(letter)) for letter in np.flatnonzero(following)]
    return total


@settings(max_examples=10)
@given(
    st.dictionaries(st.integers(1, 94), st.integers(1, 6), min_size=1, max_size=3),
    st.frozensets(st.integers(1, 230), max_size=5),
    st.integers(0, 2**31),
)
def test_templates_are_written_with_the_probability_that_training_gives_them(cell, groups, seed):
    model, groups = small_wyckoff(), groups | {1}
    uniforms = np.random.default_rng(seed).random((2, 20))
    templates, scores = draw_templates(CachedDecoder(model), [cell] * 2, [groups] * 2, uniforms, 1.0)
    for template, score in zip(templates, scores, strict=True):
        assert template.counts == cell
        assert template.space_group in groups
        assert score == pytest.approx(legal_log_probability(model, cell, groups, template), abs=1e-3)


@settings(max_examples=10)
@given(
    st.dictionaries(st.integers(1, 94), st.integers(1, 4), min_size=1, max_size=2),
    st.frozensets(st.integers(1, 230), max_size=3),
    st.integers(1, 6),
)
def test_the_search_finds_distinct_templates_likeliest_first(cell, groups, width):
    model, groups = small_wyckoff(), groups | {1}
    found = search_templates(CachedDecoder(model), cell, groups, width).found
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    assert 1 <= len({template for template, _ in found}) == len(found) <= width
    assert np.exp(scores).sum() <= 1 + 1e-6
    for template, score in found:
        assert template.counts == cell
        assert score == pytest.approx(legal_log_probability(model, cell, groups, template), abs=1e-3)


def test_a_search_wider_than_all_templates_finds_all_of_them():
    model, cell, groups = small_wyckoff(), {11: 1, 17: 1}, frozenset({2, 221})
    found = search_templates(CachedDecoder(model), cell, groups, 1000).found
    assert np.exp([score for _, score in found]).sum() == pytest.approx(1)
    uniforms = np.random.default_rng(0).random((200, 3))
    drawn, _ = draw_templates(CachedDecoder(model), [cell] * 200, [groups] * 200, uniforms, 1.0)
    assert set(drawn) <= {template for template, _ in found}


def test_new_structures_come_likeliest_template_first():
    request = CrystalRequest(formula=format_formula(NOBODY_HAS), z=1)
    drawn = generate(request, n=3, model=make())
    found = search_templates(CachedDecoder(small_wyckoff()), NOBODY_HAS, request.space_groups, 8).found
    assert [sample.template for sample in drawn] == [str(template) for template, _ in found[:3]]


def test_templates_are_drawn_as_often_as_their_probability_says():
    model, cell, groups = small_wyckoff(), {11: 1, 17: 1}, frozenset({2, 221})
    uniforms = np.random.default_rng(0).random((400, 3))
    templates, scores = draw_templates(CachedDecoder(model), [cell] * 400, [groups] * 400, uniforms, 1.0)
    seen = {
        template: (score, templates.count(template) / 400) for template, score in zip(templates, scores, strict=True)
    }
    assert sum(np.exp(score) for score, _ in seen.values()) == pytest.approx(1.0, abs=0.1)
    for score, share in seen.values():
        assert share == pytest.approx(np.exp(score), abs=0.08)


# ---- what cannot be done


def the_reason(generator, request: CrystalRequest) -> str:
    (draft,) = generator.draw([Job(request, 0, 0, 0)])
    assert isinstance(draft, Candidate)
    assert draft.structure is None
    return draft.reason


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (CrystalRequest(formula="NaCl", z=1, space_group=227), ["NaCl", "227", "z = 2"]),
        (CrystalRequest(formula="C149H150", space_group=230), ["C149H150", "300 atoms", "230"]),
        (CrystalRequest(formula="SrTiO3", n_atoms=5, space_group=2, crystal_system="triclinic"), None),
        (CrystalRequest(formula="SrTiO3", z=61), ["more atoms in the cell", "at most 300"]),
        (CrystalRequest(formula="Al151O150"), ["more atoms in one formula unit", "301"]),
        (CrystalRequest(n_atoms=3, space_group=230), ["no composition that fits", "other space groups"]),
        (CrystalRequest(template="225 Na:a"), None),
        (CrystalRequest(template="225 Na:aa"), ["225 Na:aa", "fixed position"]),
        (CrystalRequest(template="221 Sr:a", formula="SrTiO3"), ["contradict"]),
        (CrystalRequest(template="1 O:" + "a" * 70), ["70 orbits", "at most 64"]),
    ],
)
def test_what_cannot_be_had_is_said(generator, request_, said):
    if said is None:
        assert generator.draw([Job(request_, 0, 0, 0)])[0].structure is not None
        return
    reason = the_reason(generator, request_)
    for part in said:
        assert part in reason, reason


def test_a_request_that_fails_fails_alone(generator):
    requests = [REQUESTS[0], CrystalRequest(formula="NaCl", z=1, space_group=227), REQUESTS[9]]
    one, failed, other = generate(requests, model=generator)
    assert (one.structure is None, failed.structure is None, other.structure is None) == (False, True, False)
    assert failed.template == ""


@pytest.mark.parametrize(
    "asked", [{"space_group": 221}, {"crystal_system": "cubic"}, {"template": "221 Sr:a Ti:b O:c"}]
)
def test_generators_that_know_no_symmetry_refuse_it(asked):
    words = WordsGenerator(small_model(), "words", score_steps=0)
    nearest = NearestGenerator(prototypes())
    request = apply_template(CrystalRequest(**asked, **({} if "template" in asked else {"formula": "SrTiO3"})))
    for generator in (words, nearest):
        assert f"{generator.name} cannot be asked for a symmetry; got {next(iter(asked.values()))}" in the_reason(
            generator, request
        )


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_cell_nobody_can_see_is_said_and_not_raised(generator, monkeypatch):
    """Numbers that make no crystal: a reason, not a traceback."""
    from unigen.models.wyckoff import generator as module

    drawn = module.draw_parameters
    for value in (float("nan"), float("inf"), 1e4, -1e4):

        def broken(*arguments, value=value):
            vectors, known = drawn(*arguments)
            lattices = arguments[1].plans.tokens.channel[..., None] == 1
            return torch.where(lattices, torch.full_like(vectors, value), vectors), known

        monkeypatch.setattr(module, "draw_parameters", broken)
        draft = make().draw([Job(REQUESTS[0], 0, 0, 0)])[0]
        assert draft.structure is None
        assert draft.reason


# ---- the number of formula units


def test_cells_that_do_not_fit_have_no_probability_however_low_the_temperature():
    model, reduced = small_wyckoff(), {8: 3, 22: 1, 38: 1}
    for temperature in (1.0, 1e-4):
        cells, probability = unit_probabilities(model, reduced, temperature, lambda cell: cell[8] > 6)
        assert [cell[8] for cell in cells] == [9, 12]
        assert probability.sum() == pytest.approx(1.0)
    everything, whole = unit_probabilities(model, reduced, 1.0, lambda _: True)
    assert [cell[8] for cell in everything] == [3, 6, 9, 12]
    some = unit_probabilities(model, reduced, 1.0, lambda cell: cell[8] > 6)[1]
    np.testing.assert_allclose(some, whole[2:] / whole[2:].sum(), rtol=1e-5)


def test_later_samples_draw_numbers_of_formula_units_more_evenly_than_the_first():
    """The first four by their probabilities, those behind them by the eighth roots: frequencies over many seeds."""
    model, reduced = small_wyckoff(), {8: 3, 22: 1, 38: 1}
    likely = np.array([0.0, 3.0, 1.0, 5.0])  # nats: one cell is likely, and one nearly never comes
    chooser = CellChooser(model, 1.0, size_evidence=lambda _request, _cells: likely)
    probability = unit_probabilities(model, reduced, 1.0, lambda _: True)[1] * np.exp(likely)
    probability /= probability.sum()
    later = probability**0.125 / (probability**0.125).sum()
    request, draws = CrystalRequest(formula="SrTiO3"), 4000
    for index, expected in ((0, probability), (3, probability), (4, later), (19, later)):
        jobs = [Job(request, 0, index, seed) for seed in range(draws)]
        cells = chooser.choose([CellRow.of(place, job) for place, job in enumerate(jobs)])
        units = np.array([cell[22] for cell in cells])
        found = np.bincount(units, minlength=5)[1:] / draws
        # five standard deviations of a share, seeds fixed
        np.testing.assert_allclose(found, expected, atol=5 * np.sqrt(0.25 / draws))
    # and one request sees every size soon: within twice the samples that the rarest takes on average
    jobs = [Job(request, 0, index, 0) for index in range(4, 4 + int(2 / later.min()))]
    assert {cell[22] for cell in chooser.choose([CellRow.of(place, job) for place, job in enumerate(jobs)])} == {
        1,
        2,
        3,
        4,
    }


def test_choices_are_remembered_by_cell_and_not_by_how_it_is_written():
    chooser = SourceChooser(small_wyckoff(), retriever(), WyckoffSettings(), exclude_formula=False)
    one, two = chooser.ranked([{8: 3, 22: 1, 38: 1}, {38: 1, 22: 1, 8: 3}])
    assert one is two
    assert chooser.ranked([{22: 1, 8: 3, 38: 1}])[0] is one
    assert np.exp(one.log_probability).sum() == pytest.approx(1.0)


def test_properties_are_told_and_unknown_ones_fail():
    told = small_wyckoff(0).joined(told_model(1), PROPERTIES)
    plain, asked = make(), WyckoffGenerator(told, retriever(), "told", "1", WyckoffSettings(steps=3), 0)
    jobs = [Job(CrystalRequest(), 0, index, 0) for index in range(6)]
    wanted = [Job(CrystalRequest(properties={"density": 6.0}), 0, index, 0) for index in range(6)]
    silent = [draft.structure for draft in plain.draw(jobs)]
    unasked = [draft.structure for draft in asked.draw(jobs)]
    for one, other in zip(silent, unasked, strict=True):
        np.testing.assert_array_equal(one.frac_coords, other.frac_coords)
    heard = [draft.structure for draft in asked.draw(wanted)]
    assert [one.formula for one in heard] != [one.formula for one in silent]
    without = WyckoffGenerator(told, retriever(), "told", "1", WyckoffSettings(steps=3, guidance=0.0), 0).draw(wanted)
    assert [draft.structure.formula for draft in without] == [one.formula for one in silent]
    assert "knows no properties" in plain.draw(wanted[:1])[0].reason
    assert remarks(asked, wanted[0].request) == ["density 6 g/cm^3 (1 to 20 g/cm^3)"]
    nearest = NearestGenerator(prototypes())
    assert "cannot be asked for properties" in nearest.draw(wanted[:1])[0].reason


# ---- limits of a request


def test_what_breaks_a_limit_is_drawn_again_and_then_fails_with_its_reason():
    request, _ = several_kinds()
    free = generate(request, n=6, model=make())
    volumes = sorted(sample.structure.volume / len(sample.structure) for sample in free)
    for limits in ({"volume_per_atom": (volumes[2], None)}, {"min_distance": 1.8}, {"density": (None, 1.0)}):
        asked = replace(request, **limits)
        drawn = generate(asked, n=6, model=make())
        for sample, before in zip(drawn, free, strict=True):
            if breach(asked, before.structure).size == 0:  # what kept the limit anyway is what it was
                assert (sample.source["id"], sample.template) == (before.source["id"], before.template)
                np.testing.assert_allclose(sample.structure.lattice, before.structure.lattice, rtol=1e-4)
            elif sample.structure is not None:
                assert breach(asked, sample.structure).size == 0
            else:
                assert next(iter(limits)) in sample.reason
                assert "wanted" in sample.reason
                assert "of 5 draws" in sample.reason
        assert any(sample.structure is None for sample in drawn) or "density" not in limits


def test_every_generator_keeps_limits():
    known = NearestGenerator(prototypes())
    request = CrystalRequest(formula="KBr")
    volume = generate(request, model=known)[0].structure.volume / 2
    kept, broken = (
        generate(replace(request, volume_per_atom=limits), model=known)[0]
        for limits in ((volume * 0.99, volume * 1.01), (volume * 1.01, None))
    )
    assert kept.structure is not None
    assert broken.structure is None
    assert broken.reason.startswith("volume_per_atom ")
