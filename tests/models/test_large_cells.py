"""Cells larger than any a model was trained on: they follow known structures, and nothing else changes for them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.small_wyckoff import batch_of, small_wyckoff, some_items
from tests.retrieval.known_templates import symmetric_crystals
from unigen.cards import find_cards
from unigen.crystals.symmetric import SymmetricCrystal
from unigen.crystals.template import Template
from unigen.elements import format_formula, reduce_counts
from unigen.errors import UserError
from unigen.models.generator import Job
from unigen.models.wyckoff.batch import collate_shortlists, collate_wyckoff
from unigen.models.wyckoff.cached_decoder import CachedDecoder
from unigen.models.wyckoff.generator import WyckoffGenerator
from unigen.models.wyckoff.grammar import WyckoffGrammar
from unigen.models.wyckoff.settings import WyckoffSettings
from unigen.models.wyckoff.templates import draw_templates
from unigen.models.wyckoff.tokens import Start, decode, encode, plain_start
from unigen.request import CrystalRequest
from unigen.retrieval.build_table import TABLE
from unigen.retrieval.shortlist import Retriever
from unigen.retrieval.table import (
    MAX_ATOMS,
    MAX_ORBITS,
    SiteGeometry,
    TemplateTable,
    is_followable,
    read_table,
    rewrite_table,
    write_table,
)
from unigen.sample.generate import generate
from unigen.symmetry.space_groups import LETTERS, space_group

TRAINED = 52


@cache
def bundled() -> TemplateTable:
    return read_table(find_cards("models")["unigen-crystal-small"].parent / TABLE)


@cache
def large() -> TemplateTable:
    return bundled().select(bundled().num_atoms > TRAINED)


@cache
def mixed() -> tuple[TemplateTable, TemplateTable]:
    """Some small crystals of the bundled table; the same with large ones between them."""
    sizes = bundled().num_atoms
    small = np.flatnonzero(sizes <= TRAINED)[::60]
    both = np.union1d(small, np.flatnonzero(sizes > TRAINED)[::2])
    return bundled().select(small), bundled().select(both)


def generator(table: TemplateTable, **changes: object) -> WyckoffGenerator:
    return WyckoffGenerator(small_wyckoff(**changes), Retriever(table), "small", "1", WyckoffSettings(steps=3), 0)


# ---- the bundled table


def test_the_bundled_table_holds_large_crystals_and_none_beyond_the_limits():
    assert len(large()) > 250
    assert large().num_atoms.max() > 250
    assert np.diff(bundled().offsets).max() <= MAX_ORBITS
    assert bundled().followable.all()
    assert large().followable[0] == is_followable(large()[0])


# ---- tokens

rows = st.integers(0, len(large()) - 1)


@given(rows, st.booleans())
def test_a_large_crystal_comes_back_from_its_tokens(row, copied):
    crystal = large()[row]
    start = plain_start(crystal.space_group, crystal.numbers, crystal.letters, float(large().volume[row]))
    start = Start(crystal, crystal.numbers) if copied else start
    back, order = decode(encode(crystal, start)), start.order
    assert back.space_group == crystal.space_group
    assert back.counts == crystal.counts
    np.testing.assert_array_equal(back.numbers, crystal.numbers[order])
    np.testing.assert_array_equal(back.letters, crystal.letters[order])
    np.testing.assert_allclose(back.lattice, crystal.lattice, rtol=1e-5)
    apart = back.free - crystal.free[order]
    assert np.abs(apart - np.round(apart)).max() < 1e-6


@settings(max_examples=10)
@given(rows)
def test_a_model_reads_what_is_larger_than_all_it_saw(row):
    crystal = large()[row]
    known = Retriever(large().select(np.array([row])))
    shortlist = known.shortlist(crystal.counts)
    batch = collate_wyckoff([encode(crystal, Start(crystal, crystal.numbers))], [0], collate_shortlists([shortlist]))
    model = small_wyckoff(max_atoms=TRAINED)
    with torch.no_grad():
        assert torch.isfinite(model.states(batch)).all()
        assert torch.isfinite(model.reranker(batch.neighbours)).all()


def test_for_cells_it_was_trained_on_nothing_is_read_otherwise():
    """The same weights in a model that would have seen larger cells: equal to the last bit."""
    batch = batch_of(some_items())
    exact, larger = small_wyckoff(max_atoms=12), small_wyckoff(max_atoms=MAX_ATOMS)
    assert max(sum(crystal.counts.values()) for crystal in symmetric_crystals()) <= 12
    with torch.no_grad():
        assert torch.equal(exact.states(batch), larger.states(batch))
        assert torch.equal(exact.reranker(batch.neighbours), larger.reranker(batch.neighbours))


def test_counts_beyond_the_largest_are_read_as_the_largest():
    embedding = small_wyckoff(max_atoms=20).embedding
    none = torch.zeros(1, 1, dtype=torch.long)
    read = [
        embedding.upcoming(embedding.of_elements(), none, torch.tensor([[[8, left, total]]]), none)
        for left, total in ((20, 20), (90, 180), (19, 20))
    ]
    assert torch.equal(read[0], read[1])
    assert not torch.equal(read[0], read[2])


# ---- small cells beside large ones


def test_large_crystals_move_nothing_of_the_small_ones():
    """Volumes, neighbours and samples of small cells are those of the table without large ones, to the last bit."""
    small, both = mixed()
    alone, beside = generator(small, max_atoms=24), generator(both, max_atoms=24)
    np.testing.assert_array_equal(alone.retriever.volume.per_atom, beside.retriever.volume.per_atom)
    picked = np.flatnonzero(small.num_atoms <= 24)[::25]
    cells = [small.counts(int(index)) for index in picked]
    requests = [CrystalRequest(formula=format_formula(cell), n_atoms=sum(cell.values())) for cell in cells]
    jobs = [Job(request, index, 0, 0) for index, request in enumerate([*requests, CrystalRequest()])]
    assert len(jobs) > 10
    for one, other in zip(alone.draw(jobs), beside.draw(jobs), strict=True):
        assert (one.template, one.source, one.score) == (other.template, other.source, other.score)
        assert (one.structure is None) == (other.structure is None)
        if one.structure is not None and other.structure is not None:
            np.testing.assert_array_equal(one.structure.lattice, other.structure.lattice)
            np.testing.assert_array_equal(one.structure.frac_coords, other.structure.frac_coords)


def test_volumes_come_from_all_cells_where_most_are_large():
    only_large = Retriever(large()).volume
    beside_one = Retriever(bundled().select(np.append(0, np.flatnonzero(bundled().num_atoms > TRAINED)))).volume
    np.testing.assert_allclose(only_large.per_atom[1:], beside_one.per_atom[1:], rtol=0.3)
    assert not np.array_equal(only_large.per_atom[1:], Retriever(mixed()[1]).volume.per_atom[1:])


# ---- what is drawn


@settings(max_examples=12)
@given(rows)
def test_a_large_cell_follows_what_is_known(row):
    counts = large().counts(row)
    request = CrystalRequest(formula=format_formula(counts), n_atoms=sum(counts.values()))
    candidate = known_large().draw([Job(request, 0, 0, 0)])[0]
    if candidate.structure is None:  # numbers of a model that learned nothing
        assert "Angstrom apart" in candidate.reason
    else:
        assert candidate.structure.counts == counts
        assert candidate.source["id"] != "none"


@cache
def known_large() -> WyckoffGenerator:
    return generator(large(), max_atoms=24)


@pytest.mark.parametrize(("formula", "atoms", "group"), [("Li7La3Zr2O12", 96, 142), ("Li12Si7", 152, 62)])
def test_the_bundled_model_draws_large_crystals_from_their_formula(formula, atoms, group):
    sample = generate(CrystalRequest(formula=formula), seed=0)[0]
    structure = sample.structure
    assert structure is not None
    assert len(structure) == atoms
    assert format_formula(reduce_counts(structure.counts)[0]) == formula
    assert (sample.source["formula"], sample.source["distance"]) == (formula, 0.0)
    assert structure.space_group(0.01).number == group


ND2FE14B = SymmetricCrystal(
    136,
    np.array([8.80, 8.80, 12.20, *[np.pi / 2] * 3]),
    np.array([39] * 2 + [5] + [27] * 6),
    np.array([LETTERS.index(letter) for letter in "fggkkjjec"]),
    np.array(
        [
            [0.268, 0, 0],
            [0.140, 0, 0],
            [0.371, 0, 0],
            [0.223, 0.567, 0.127],
            [0.037, 0.360, 0.176],
            [0.098, 0.204, 0],
            [0.317, 0.246, 0],
            [0.386, 0, 0],
            [0, 0, 0],
        ]
    ),
)
"""Herbst, Croat, Pinkerton and Yelon, Phys. Rev. B 29, 4176 (1984), as Y2Co14B."""


def test_a_magnet_follows_a_parent_of_ones_own(tmp_path):
    write_table(tmp_path / TABLE, [ND2FE14B], [SiteGeometry.of(ND2FE14B)], ["parent"], ["train"], np.zeros(1))
    known = read_table(tmp_path / TABLE)
    assert ND2FE14B.to_crystal().smallest_distance() > 2.0
    samples = [Job(CrystalRequest(formula="Nd2Fe14B"), 0, index, 0) for index in range(2)]
    followed = generator(known, max_atoms=12).draw(samples)[0]
    assert followed.structure is not None
    assert followed.structure.counts == {5: 4, 26: 56, 60: 8}
    assert followed.structure.space_group(0.01).number == 136
    assert followed.source["id"] == "parent"


def test_a_template_makes_a_cell_of_any_size():
    request = CrystalRequest(template="136 Nd:fg Fe:kkjjec B:g")
    sample = generate(request, seed=0)[0]
    assert sample.structure is not None
    assert sample.structure.counts == {5: 4, 26: 56, 60: 8}
    assert sample.structure.space_group(0.01).number == 136


# ---- templates written anew


@given(st.integers(1, 230), st.integers(65, MAX_ATOMS), st.integers(0, 2**31))
def test_no_template_has_more_orbits_than_its_space_group_allows(number, atoms, seed):
    """By letters chosen at random, and by the smallest positions first."""
    random, grammar = np.random.default_rng(seed), WyckoffGrammar({8: atoms}, frozenset({number}), MAX_ORBITS)
    if not grammar.legal_space_groups()[number]:
        return
    sizes = space_group(number).primitive_multiplicity
    for greedy in (True, False):
        letters: list[int] = []
        while (legal := np.flatnonzero(grammar.legal_letters(number, letters))).size:
            letters.append(int(legal[sizes[legal].argmin()] if greedy else random.choice(legal)))
        assert len(letters) <= MAX_ORBITS
        assert Template(number, (8,) * len(letters), tuple(letters)).counts == {8: atoms}


def test_large_templates_are_written_to_their_end():
    cell = {39: 12, 13: 20, 8: 48}
    uniforms = np.random.default_rng(0).random((3, MAX_ORBITS + 1))
    drawn, scores = draw_templates(
        CachedDecoder(small_wyckoff()), [cell] * 3, [frozenset(range(1, 231))] * 3, uniforms, 1.0
    )
    assert all(template.counts == cell for template in drawn)
    assert np.isfinite(scores).all()


# ---- what is refused


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (CrystalRequest(formula="Nd2Fe14B", z=20), "got 340; wanted at most 300"),
        (CrystalRequest(formula="C151H150"), "got 301 in C151H150; wanted at most 300"),
        (CrystalRequest(n_atoms=80), "got 80; wanted at most 24; give a formula"),
        (CrystalRequest(formula="NaCl", n_atoms=200), "got 100 atoms of one element; wanted at most 64"),
        (CrystalRequest(formula="C99H101"), "got 101 atoms of one element; wanted at most 64; give a --template"),
        (CrystalRequest(formula="NaCl", n_atoms=100, space_group=1), "of at most 64 orbits"),
    ],
)
def test_what_is_too_large_is_refused_in_one_line(request_, said):
    small, _ = mixed()
    candidate = generator(small.select(small.num_atoms <= 24), max_atoms=24).draw([Job(request_, 0, 0, 0)])[0]
    assert candidate.structure is None
    assert said in candidate.reason
    assert "\n" not in candidate.reason


def test_a_command_is_told_the_limit(refused):
    assert "got 340; wanted at most 300" in refused(
        "generate", "crystal", "--formula", "Nd2Fe14B", "--z", 20, "--out", "run"
    )


# ---- tables


def test_what_is_too_large_to_follow_is_left_out_of_a_models_table(tmp_path):
    many = SymmetricCrystal(
        1,
        np.array([20.0, 20.0, 20.0, *[np.pi / 2] * 3]),
        np.full(MAX_ORBITS + 1, 14),
        np.zeros(MAX_ORBITS + 1, dtype=np.int64),
        np.random.default_rng(0).random((MAX_ORBITS + 1, 3)),
    )
    assert not is_followable(many)
    crystals = [many, large()[0]]
    sites = [SiteGeometry.of(crystal) for crystal in crystals]
    write_table(tmp_path / "all.parquet", crystals, sites, ["many", "few"], ["train"] * 2, np.zeros(2))
    both = read_table(tmp_path / "all.parquet")
    assert both.followable.tolist() == [False, True]
    rewrite_table(tmp_path / "kept.parquet", both.select(both.followable))
    kept, alone = read_table(tmp_path / "kept.parquet"), both.select(np.array([1]))
    for name in ("ids", "space_group", "lattice", "numbers", "letters", "free", "fingerprints", "contacts"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(alone, name))


def test_a_cell_that_fits_nowhere_is_said_to():
    with pytest.raises(UserError, match=f"none of up to {MAX_ATOMS} atoms fits"):
        WyckoffGrammar({8: 65}, frozenset(), MAX_ORBITS).check()
