"""Models that are asked for a powder pattern: with its peaks in the prompt they decode as they read, and they learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.crystals.powder.powder_crystals import CRYSTALS, RUTILE, SALT
from tests.models.test_octree_model import CONFIGS, EACH_PATTERN, batch_of_drawn, items_of, model_of
from tests.retrieval.known_templates import symmetric_crystals
from unigen.batch import TokenBatch
from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.peaks import PeakList, crystal_peaks
from unigen.errors import UserError
from unigen.geometry.lattice import lattice_parameters
from unigen.models.cell_choice import unit_probabilities
from unigen.models.families import build_model
from unigen.models.generator import Job
from unigen.models.octree.batch import OctreeItem, collate_octrees
from unigen.models.octree.decoding import Noise, OctreeSettings, decode
from unigen.models.octree.generator import OctreeCrystalGenerator
from unigen.models.peaks import asked_peaks, collate_peaks, shown_peaks
from unigen.request import CrystalRequest

OCTREES = {name: replace(CONFIGS[name], peaks=8) for name in ("crystals", "crystals, doubled")}
EACH_OCTREE = pytest.mark.parametrize("config", OCTREES.values(), ids=OCTREES)
LISTS: list[PeakList | None] = [crystal_peaks(SALT, 8), None, crystal_peaks(RUTILE, 3), crystal_peaks(RUTILE, 8)]


def test_lists_are_padded_with_nothing_and_cut_to_the_strongest():
    batch = collate_peaks(LISTS, 4)
    assert batch.lengths.tolist() == [5, 0, 4, 5]
    assert batch.place.shape == (4, 4)
    assert bool((batch.place[[0, 3]].diff() > 0).all())
    assert batch.intensity.max(1).values.tolist() == [1, 0, 1, 1]
    assert not bool(batch.place[1].any())
    assert asked_peaks([None, None], 4) is None
    assert asked_peaks(LISTS, 0) is None
    assert len(collate_peaks([None], 4).place[0]) == 1


def test_a_share_of_crystals_hides_its_peaks_and_unknown_elements_have_none():
    rng = np.random.default_rng(0)
    hidden = sum(shown_peaks(SALT, 8, 0.25, rng) is None for _ in range(400))
    assert 70 < hidden < 150
    assert all(shown_peaks(SALT, 8, 1.0, rng) is None for _ in range(5))
    fermium = Crystal(np.array([100]), np.zeros((1, 3)), 4 * np.eye(3))
    assert shown_peaks(fermium, 8, 0.0, rng) is None


@EACH_OCTREE
def test_all_other_weights_begin_as_without_peaks(config):
    networks = []
    for each in (config, replace(config, peaks=0)):
        torch.manual_seed(3)
        networks.append(build_model(each).state_dict())
    hearing, deaf = networks
    assert {name for name in hearing if name not in deaf} == {
        f"peaks.{part}.{layer}.{kind}" for part in ("peak", "looked") for layer in (0, 2) for kind in ("weight", "bias")
    }
    assert all(torch.equal(hearing[name], deaf[name]) for name in deaf)


@EACH_OCTREE
def test_hidden_peaks_are_the_model_that_hears_none(config):
    model = model_of(config)
    deaf = build_model(replace(config, peaks=0)).eval()
    deaf.load_state_dict({name: part for name, part in model.state_dict().items() if not name.startswith("peaks.")})
    items = items_of(config)
    without = collate_octrees(config.grid, items)
    batch = collate_octrees(config.grid, items, 8)
    expected, found = deaf.hidden(without), model.hidden(batch)
    for row, length in enumerate(without.lengths.tolist()):
        assert torch.allclose(found[row, :length], expected[row, :length], atol=1e-5)
    with pytest.raises(UserError, match="hears no peaks"):
        deaf.hidden(batch)
    # and what is drawn without a pattern is the same to the last bit
    jobs = [Job(CrystalRequest(formula=text, n_atoms=3), row, 0, 1) for row, text in enumerate(("CO2", "N2O"))]
    settings = OctreeSettings(steps=3)
    pair = [OctreeCrystalGenerator(each, "mine", "", settings, 2).draw(jobs) for each in (model, deaf)]
    for one, other in zip(*pair, strict=True):
        assert one.log_likelihood == other.log_likelihood
        assert (one.structure is None) == (other.structure is None)
        if one.structure is not None:
            assert np.array_equal(one.structure.frac_coords, other.structure.frac_coords)
            assert np.array_equal(one.structure.lattice, other.structure.lattice)


@EACH_PATTERN
@EACH_OCTREE
def test_cached_decoding_is_the_full_forward_behind_peaks(config, mixers):
    model = model_of(replace(config, mixers=mixers, position="bins"))
    compositions = [{6: 2, 1: 6}, {8: 1, 1: 2}, {7: 1}, {6: 6, 1: 6, 8: 1}]
    rngs = [np.random.default_rng([0, row]) for row in range(4)]
    noise = Noise.of(rngs, model.grid, model.config.max_atoms, torch.device("cpu"))
    peaks = asked_peaks(LISTS, 8)
    drawn = decode(model, compositions, noise, OctreeSettings(steps=3), peaks=peaks)
    batch = batch_of_drawn(model, compositions, drawn)
    assert peaks is not None
    batch = replace(batch, tokens=replace(batch.tokens, peaks=peaks))
    with torch.no_grad():
        scores = model.scores(batch, model.hidden(batch)[:, :-1])
    expected = (scores.total - scores.symbol.sum(1)).double()
    assert (drawn.log_likelihood - expected).abs().max() < 1e-3
    # rows of a batch are drawn as they are alone
    for row in range(4):
        alone = decode(
            model,
            [compositions[row]],
            Noise.of([np.random.default_rng([0, row])], model.grid, model.config.max_atoms, torch.device("cpu")),
            OctreeSettings(steps=3),
            peaks=asked_peaks([LISTS[row]], 8),
        )
        assert torch.equal(alone.octrees.child_counts, drawn.octrees[row].child_counts)
        assert torch.allclose(alone.lattice[0], drawn.lattice[row], atol=1e-3)


@EACH_OCTREE
def test_losses_of_a_row_do_not_depend_on_the_peaks_of_others(config):
    model = model_of(config)
    items = [replace(item, peaks=peaks) for item, peaks in zip(items_of(config), LISTS, strict=False)]
    together = collate_octrees(config.grid, items, 8)
    for row, item in enumerate(items):
        picked = model.losses(together.select(torch.tensor([row])), torch.Generator().manual_seed(row))
        alone = model.losses(collate_octrees(config.grid, [item], 8), torch.Generator().manual_seed(row))
        for name, loss in alone.items():
            assert torch.allclose(picked[name], loss, atol=1e-4, rtol=1e-4), name


def trained(model, batch, steps=40, lr=5e-3):
    """A few steps on one batch, the same every time."""
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        torch.stack(list(model.losses(batch, generator).values())).sum().backward()
        optimizer.step()
    return model.eval()


def small_crystals(count):
    """Of one composition each a few, so that the composition tells little."""
    found = [each.to_crystal() for each in symmetric_crystals()]
    return [crystal for crystal in found if len(crystal) <= 4][:count]


def test_a_crystal_is_likelier_given_its_own_peaks_than_those_of_another():
    crystals = small_crystals(6)
    # one composition for all of them: what tells them apart is their peaks
    config = replace(OCTREES["crystals"], depth=4, cell=0.96, mixers=("attention",) * 2)
    six = [lattice_parameters(c.lattice) for c in crystals]
    for each in six:
        each[:3] = np.log(each[:3])
    numbers = [np.full(len(c), 14) for c in crystals]
    lists = [crystal_peaks(crystal, 8) for crystal in crystals]
    parts = list(zip(numbers, crystals, six, lists, strict=True))
    own = [OctreeItem(n, c.frac_coords, lattice, peaks=peaks) for n, c, lattice, peaks in parts]
    others = [replace(item, peaks=peaks) for item, peaks in zip(own, [*lists[1:], lists[0]], strict=True)]
    torch.manual_seed(0)
    model = build_model(config)
    model.embedding.lattice_mean.copy_(torch.from_numpy(np.mean(six, 0)))
    model.embedding.lattice_std.copy_(torch.from_numpy(np.std(six, 0) + 1e-3))
    model = trained(model, collate_octrees(config.grid, own, 8))
    with torch.no_grad():
        right, wrong = (
            model.losses(collate_octrees(config.grid, items, 8), torch.Generator().manual_seed(1), repeats=64)
            for items in (own, others)
        )
    assert sum(right.values()) < sum(wrong.values()) - 0.1, (right, wrong)
    assert right["lattice"] < wrong["lattice"]


def test_the_size_of_the_cell_is_chosen_by_the_peaks():
    """The probability of a number of formula units is that given the peaks, and remembered for these peaks alone."""
    model = model_of(OCTREES["crystals"])
    model.seen[[11, 17]] = True
    generator = OctreeCrystalGenerator(model, "mine", settings=OctreeSettings(steps=3), score_steps=0)
    request = CrystalRequest(formula="NaCl")
    jobs = [Job(request, 0, index, 1, peaks) for peaks in (None, LISTS[0], LISTS[3]) for index in range(6)]
    cells = [None if c.structure is None else len(c.structure) for c in generator.draw(jobs)]
    again = [None if c.structure is None else len(c.structure) for c in generator.draw(jobs[6:12])]
    assert again == cells[6:12]
    reduced = {11: 1, 17: 1}
    first, second, none = (
        unit_probabilities(model, reduced, 1.0, lambda _: True, peaks)[1] for peaks in (LISTS[0], LISTS[3], None)
    )
    assert not np.allclose(first, second)
    assert not np.allclose(first, none)


def test_token_batches_move_and_select_with_and_without_peaks():
    tokens = TokenBatch(
        torch.zeros(4, 2, dtype=torch.int64),
        torch.zeros(4, 2, 6),
        torch.zeros(4, 2, dtype=torch.int64),
        torch.zeros(4, 2, 3, dtype=torch.int64),
        torch.full((4,), 2),
    )
    assert tokens.to("cpu").select(torch.tensor([1])).peaks is None
    picked = replace(tokens, peaks=collate_peaks(LISTS, 8)).to("cpu").select(torch.tensor([2, 0])).peaks
    assert picked is not None
    assert picked.lengths.tolist() == [4, 9]


def test_crystals_of_these_tests_are_there():
    assert len(CRYSTALS) == 5
    assert len(small_crystals(6)) == 6
