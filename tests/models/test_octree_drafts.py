"""Octrees of which several tokens are guessed and read at once are those that are drawn one token at a time."""

from collections import Counter
from dataclasses import replace
from itertools import combinations, permutations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from tests.models.small_model import EACH_PATTERN
from tests.models.test_octree_model import CONFIGS, EACH_CONFIG, SIZES, model_of
from unigen.errors import UserError
from unigen.models.octree.batch import OctreeItem, collate_octrees
from unigen.models.octree.decoding import OctreeSettings, decode
from unigen.models.octree.network import OctreeMoleculeConfig
from unigen.models.octree.token_draws import Noise
from unigen.models.octree.tokens import decode as decode_octrees

FEW = settings(max_examples=4)
COMPOSITIONS = st.lists(
    st.dictionaries(st.sampled_from([1, 6, 7, 8]), st.integers(1, 5), min_size=1, max_size=3), min_size=1, max_size=5
)


def drawn_by(model, compositions, seed=0, draft=1, **options):
    rngs = [np.random.default_rng([seed, row]) for row in range(len(compositions))]
    noise = Noise.of(rngs, model.grid, model.config.max_atoms, torch.device("cpu"))
    return decode(model, compositions, noise, OctreeSettings(steps=3, draft=draft, **options))


def assert_same(actual, expected):
    for name in ("level", "code", "child_counts", "node_lengths", "leaf_level", "leaf_code", "element", "leaf_lengths"):
        assert torch.equal(getattr(actual.octrees, name), getattr(expected.octrees, name)), name
    # cells and log(Angstrom): rounding grows along the ODE of a vector; whole bins are the same
    assert (actual.octrees.offset - expected.octrees.offset).abs().max() < 1e-3
    assert (actual.lattice - expected.lattice).abs().max() < 1e-4
    assert (actual.log_likelihood - expected.log_likelihood).abs().max() < 1e-4


@EACH_CONFIG
@FEW
@given(compositions=COMPOSITIONS, draft=st.integers(2, 60), seed=st.integers(0, 1000))
def test_drafts_change_nothing(config, compositions, draft, seed):
    model = model_of(config)
    expected = drawn_by(model, compositions, temperature=1.0, seed=seed)
    actual = drawn_by(model, compositions, temperature=1.0, seed=seed, draft=draft)
    assert_same(actual, expected)
    assert actual.passes <= expected.passes


@EACH_PATTERN
def test_with_any_backbone(mixers):
    config = OctreeMoleculeConfig(**SIZES | {"mixers": mixers})
    model, compositions = model_of(config), [{6: 2, 1: 6}, {8: 1, 1: 2}, {7: 1}, {6: 6, 1: 6, 8: 1}, {7: 1, 1: 3}]
    expected = drawn_by(model, compositions)
    actual = drawn_by(model, compositions, draft=40)
    assert_same(actual, expected)
    # states that cannot go back are stepped one token at a time
    assert actual.passes < expected.passes if model.backbone.rewinds else actual.passes == expected.passes


@pytest.mark.parametrize("name", ["bins", "whole depth", "doubled", "crystals", "apart", "continuous"])
def test_passes_are_fewer_than_tokens(name):
    model, compositions = model_of(CONFIGS[name]), [{6: 6, 1: 12, 8: 1}]
    plain, drafted = (drawn_by(model, compositions, draft=draft) for draft in (1, 8))
    # a pass behind each token but the last, and behind a lattice
    assert plain.passes == int(plain.octrees.lengths) - 1 + model.grid.periodic
    assert drafted.passes < plain.passes


def every_tree(grid, composition):
    """All ways to put the atoms of a composition into different cells: (cell, element) of each."""
    numbers = [number for number, count in composition.items() for _ in range(count)]
    orders = sorted(set(permutations(numbers)))
    return [
        list(zip(cells, order, strict=True))
        for cells in combinations(product(range(grid.cells), repeat=3), len(numbers))
        for order in orders
    ]


@pytest.mark.parametrize("form", ["descriptor", "doubled"])
@pytest.mark.parametrize("stops_at_single", [False, True], ids=["whole depth", "stops at single"])
@pytest.mark.parametrize(("depth", "composition"), [(1, {1: 2, 6: 1}), (2, {1: 1, 6: 1})], ids=["depth 1", "depth 2"])
def test_trees_are_drawn_as_often_as_the_model_has_them(depth, composition, stops_at_single, form):
    """Pearson's chi-square of whole trees against their probabilities, which add up to one."""
    sizes = SIZES | {"max_atoms": 4, "width": 16}
    model = model_of(OctreeMoleculeConfig(depth=depth, bins=1, stops_at_single=stops_at_single, form=form, **sizes))
    trees, draws = every_tree(model.grid, composition), 3000
    torus = replace(model.grid, periodic=True)  # where nothing is anchored: atoms stay in their cells
    items = [
        OctreeItem(np.array([element for _, element in tree]), np.array([cell for cell, _ in tree]) / torus.cells)
        for tree in trees
    ]
    batch = collate_octrees(torus, items)
    with torch.no_grad():
        scores = model.scores(batch, model.hidden(batch)[:, :-1])
    probability = (scores.total - scores.symbol.sum(1)).double().exp().numpy()
    assert abs(probability.sum() - 1) < 1e-4
    drawn = drawn_by(model, [composition] * draws, temperature=1.0, draft=8 * draws)
    numbers, coords = decode_octrees(model.grid, drawn.octrees)
    cells = (coords / model.grid.cell_side).round().long()
    atoms = [(tuple(cell), number) for cell, number in zip(cells.tolist(), numbers.tolist(), strict=True)]
    size = sum(composition.values())
    counted = Counter(frozenset(atoms[start : start + size]) for start in range(0, len(atoms), size))
    counts = np.array([counted[frozenset(tree)] for tree in trees])
    assert counts.sum() == draws
    often = probability * draws >= 5  # below, the counts of a tree are not normal: they are taken together
    assert often.sum() > 10
    observed, expected = ([*of[often], of[~often].sum()] for of in (counts, probability / probability.sum() * draws))
    assert chisquare(observed, expected).pvalue > 1e-3
    # the test tells a wrong distribution: that of another tree for each
    assert chisquare(observed, np.roll(expected, 1)).pvalue < 1e-3


def test_a_draft_of_no_tokens_is_refused():
    with pytest.raises(UserError, match="draft"):
        OctreeSettings(draft=0)
