"""The octree model: cached decoding is the full forward, no target's content is seen, all that is drawn is legal."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.models.octree_structures import batch_of
from tests.models.small_model import ATTENTION, EACH_PATTERN
from tests.models.small_molecules import molecules
from tests.retrieval.known_templates import symmetric_crystals
from unigen.errors import UserError
from unigen.models.generator import Job
from unigen.models.octree.batch import OctreeItem, Stage, collate_octrees
from unigen.models.octree.decoding import OctreeSettings, decode
from unigen.models.octree.generator import OctreeMoleculeGenerator
from unigen.models.octree.items import open_octree_molecules
from unigen.models.octree.network import OctreeCrystalConfig, OctreeModel, OctreeMoleculeConfig
from unigen.models.octree.token_draws import Noise
from unigen.models.octree.tokens import decode as decode_octrees
from unigen.models.octree.tokens import encode
from unigen.models.training_set import DataConfig
from unigen.request import MoleculeRequest

SIZES = {"max_atoms": 24, "mixers": ATTENTION, "width": 32, "heads": 2, "head_width": 16, "dropout": 0.0}
CONFIGS = {
    "bins": OctreeMoleculeConfig(**SIZES),
    "whole depth": OctreeMoleculeConfig(stops_at_single=False, **SIZES),
    "doubled": OctreeMoleculeConfig(form="doubled", **SIZES),
    "apart": OctreeMoleculeConfig(separation=2, **SIZES),
    "continuous": OctreeMoleculeConfig(position="continuous", **SIZES),
    "crystals": OctreeCrystalConfig(**SIZES),
    "crystals, doubled": OctreeCrystalConfig(form="doubled", position="continuous", **SIZES),
}
EACH_CONFIG = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


def model_of(config):
    torch.manual_seed(0)
    model = OctreeModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    model.seen[[1, 6, 7, 8]] = True
    return model


def items_of(config):
    rng = np.random.default_rng(0)
    if not config.is_periodic:
        return [OctreeItem(molecule.numbers, molecule.positions) for molecule in molecules() if len(molecule) <= 24]
    crystals = [each.to_crystal() for each in symmetric_crystals()[::30]]
    return [
        OctreeItem(c.numbers, c.frac_coords, rng.normal(1.0, 0.1, 6), int(rng.integers(48)))
        for c in crystals
        if len(c) <= 24
    ]


def drawn_by(model, compositions, seed=0, **settings):
    rngs = [np.random.default_rng([seed, row]) for row in range(len(compositions))]
    noise = Noise.of(rngs, model.grid, model.config.max_atoms, torch.device("cpu"))
    return decode(model, compositions, noise, OctreeSettings(steps=3, **settings))


@EACH_CONFIG
def test_all_that_is_drawn_decodes_to_the_composition_and_encodes_as_it_was_drawn(config):
    model = model_of(config)
    compositions = [{1: 1}, {6: 1, 1: 4}, {8: 24}, {6: 3, 7: 2, 1: 9}, {1: 2, 8: 1}] * 4
    drawn = drawn_by(model, compositions)
    numbers, coords = decode_octrees(model.grid, drawn.octrees)
    lengths = drawn.octrees.leaf_lengths
    for composition, part in zip(compositions, numbers.split(lengths.tolist()), strict=True):
        assert dict(zip(*(each.tolist() for each in part.unique(return_counts=True)), strict=True)) == composition
    # on the torus nothing is anchored: the cube stays where it is
    torus = replace(model.grid, periodic=True, separation=1)
    again = encode(torus, numbers, coords * (torus.side / model.grid.side), lengths)
    for name in ("level", "code", "child_counts", "leaf_level", "leaf_code", "element"):
        assert torch.equal(getattr(again, name), getattr(drawn.octrees, name)), name
    assert bool(torch.isfinite(drawn.lattice).all())


def batch_of_drawn(model, compositions, drawn):
    """What was drawn as it would be trained on."""
    numbers, coords = decode_octrees(model.grid, drawn.octrees)
    lengths = drawn.octrees.leaf_lengths.tolist()
    items = []
    for part, places, six in zip(numbers.split(lengths), coords.split(lengths), drawn.lattice, strict=True):
        items.append(OctreeItem(part.numpy(), places.numpy(), six.double().numpy() if model.grid.periodic else None))
    grid = model.grid if model.grid.periodic else replace(model.grid, periodic=True)
    scale = grid.side / model.grid.side
    return collate_octrees(grid, [replace(item, coords=item.coords * scale) for item in items])


@EACH_PATTERN
@pytest.mark.parametrize("name", ["bins", "whole depth", "doubled", "crystals"])
def test_cached_decoding_is_the_full_forward(name, mixers):
    model = model_of(replace(CONFIGS[name], mixers=mixers))
    compositions = [{6: 2, 1: 6}, {8: 1, 1: 2}, {7: 1}, {6: 6, 1: 6, 8: 1}]
    drawn = drawn_by(model, compositions)
    batch = batch_of_drawn(model, compositions, drawn)
    with torch.no_grad():
        scores = model.scores(batch, model.hidden(batch)[:, :-1])
    expected = (scores.total - scores.symbol.sum(1)).double()
    assert (drawn.log_likelihood - expected).abs().max() < 1e-3
    assert drawn.log_likelihood.max() < -5  # there was something to choose


@EACH_CONFIG
def test_a_target_is_told_its_place_and_nothing_else(config):
    """What stands at a position has no part in its own prediction, nor in any earlier one; what is known of it does."""
    model, batch = model_of(config), collate_octrees(config.grid, items_of(config))
    before = model.hidden(batch).detach()
    row, stage = 0, batch.stage[0].tolist()
    for kind in (Stage.NODE, Stage.LEAF):
        token = len(stage) - 1 - stage[::-1].index(kind)
        changed = replace(
            batch, **{name: getattr(batch, name).clone() for name in ("child_counts", "element", "offset")}
        )
        changed.child_counts[row, token] = changed.child_counts[row, token].roll(1)
        changed.element[row, token] = 9 if kind == Stage.LEAF else 0
        changed.offset[row, token] += 0.25
        after = model.hidden(changed).detach()
        assert torch.equal(after[row, :token], before[row, :token])
        if token + 1 < batch.lengths[row]:
            assert not torch.equal(after[row, token], before[row, token])
        moved = replace(batch, code=batch.code.clone())
        moved.code[row, token] ^= 1
        assert not torch.equal(model.hidden(moved)[row, token - 1], before[row, token - 1])


@EACH_CONFIG
def test_a_hidden_leaf_is_told_from_all_others_and_not_from_itself(config):
    """Its element and place have no part in anything; those of every other leaf have one everywhere."""
    model, batch = model_of(config), collate_octrees(config.grid, items_of(config))
    is_leaf = (batch.stage == Stage.LEAF)[0].nonzero()[:, 0]
    row, (seen, hidden) = 0, is_leaf[-2:].tolist()
    masked = torch.zeros_like(batch.stage, dtype=torch.bool)
    masked[row, hidden] = True
    before = model.hidden(batch, masked).detach()
    length = int(batch.lengths[row])
    for leaf in (hidden, seen):
        changed = replace(batch, element=batch.element.clone(), offset=batch.offset.clone())
        changed.element[row, leaf] = 9
        changed.offset[row, leaf] += 0.25
        after = model.hidden(changed, masked).detach()
        same = (after[row, :length] - before[row, :length]).abs().amax(-1) == 0
        assert bool(same.all() if leaf == hidden else not same.any())
        assert torch.equal(after[1:], before[1:])
    alone = model.hidden(batch.select(torch.tensor([row])), masked[[row]]).detach()[0]
    assert (alone[:length] - before[row, :length]).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["bins", "doubled", "continuous", "crystals"])
def test_what_is_hidden_is_learned_and_nothing_is_drawn(name):
    config = replace(CONFIGS[name], masked=0.5)
    model, batch = model_of(config), collate_octrees(config.grid, items_of(config))
    losses = model.losses(batch, torch.Generator().manual_seed(0))
    assert {*losses} == {"element", "place"}
    assert all(bool(torch.isfinite(loss)) for loss in losses.values())
    torch.stack([*losses.values()]).sum().backward()
    assert all(parameter.grad is not None for parameter in model.backbone.parameters())
    names = {*model.validated(batch, torch.Generator().manual_seed(0))}
    assert names == {"val_nll", "val_loss_element", "val_loss_place"}
    nothing = replace(config, masked=1e-9)
    losses = model_of(nothing).losses(batch, torch.Generator().manual_seed(0))
    assert all(loss.item() == 0 for loss in losses.values())
    with pytest.raises(UserError, match="this model draws nothing: it was trained to tell hidden leaves"):
        OctreeMoleculeGenerator(model, "masked")
    with pytest.raises(UserError, match="not all can see what stands behind a token; got ssd; wanted attention"):
        replace(config, mixers=("attention", "ssd"))
    with pytest.raises(UserError, match="leaves are told from each other alone; got peaks 6; wanted peaks 0"):
        OctreeCrystalConfig(peaks=6, masked=0.1, **SIZES)


@EACH_CONFIG
def test_scores_are_of_distributions_over_what_is_legal(config):
    model, batch = model_of(config), collate_octrees(config.grid, items_of(config))
    scores = model.scores(batch, model.hidden(batch)[:, :-1])
    for part in (scores.mask, scores.children, scores.element, scores.place, scores.symbol):
        assert bool(torch.isfinite(part).all())
        assert bool((part <= 1e-5).all())
    last = batch.lengths - 2  # of the last leaf only one element is left
    assert scores.element[torch.arange(len(batch)), last].abs().max() < 1e-5


def test_a_draw_does_not_depend_on_its_batch():
    model = model_of(CONFIGS["bins"])
    compositions = [{6: 2, 1: 6}, {8: 1, 1: 2}, {7: 1, 1: 3}]
    together = drawn_by(model, compositions)
    for row, composition in enumerate(compositions):
        rng = [np.random.default_rng([0, row])]
        noise = Noise.of(rng, model.grid, model.config.max_atoms, torch.device("cpu"))
        alone = decode(model, [composition], noise, OctreeSettings(steps=3))
        for name in ("code", "child_counts", "element", "offset"):
            assert torch.equal(getattr(alone.octrees, name), getattr(together.octrees[row], name))


def test_a_model_of_more_atoms_than_the_octree_holds_is_refused():
    with pytest.raises(UserError, match="max_atoms: more than the octree can hold; got 24; wanted at most 8"):
        OctreeMoleculeConfig(depth=1, **SIZES)


def test_the_structures_of_these_tests_are_there():
    assert len(items_of(CONFIGS["bins"])) > 4
    assert len(items_of(CONFIGS["crystals"])) > 4
    numbers, coords, lengths = batch_of([(item.numbers, item.coords) for item in items_of(CONFIGS["bins"])])
    assert len(numbers) == len(coords) == int(lengths.sum())


@pytest.fixture
def molecules_on_disk(tmp_path, monkeypatch):
    """A dataset of small molecules."""
    from unigen.data.build import BuildOptions, build_dataset

    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path))
    (tmp_path / "some.sdf").write_text("".join(molecule.to_sdf() for molecule in molecules()))
    build_dataset("some", (str(tmp_path / "some.sdf"),), BuildOptions(split_val=0.3), workers=1)


def test_molecules_that_the_box_cannot_hold_are_counted(molecules_on_disk):
    data = DataConfig(train="some", val="some")
    whole = open_octree_molecules(data, OctreeMoleculeConfig(**SIZES))
    with pytest.warns(UserWarning, match=r"some.*: 1 of 8 left out, which the octree cannot hold"):
        small = open_octree_molecules(data, OctreeMoleculeConfig(depth=5, cell=0.2, **SIZES))
    assert len(small.train) == len(whole.train) - 1
    with pytest.raises(UserError, match="no structure fits the model"):
        open_octree_molecules(data, OctreeMoleculeConfig(depth=2, **SIZES))


def test_a_request_that_cannot_be_served_fails_with_its_reason():
    generator = OctreeMoleculeGenerator(model_of(CONFIGS["bins"]), "mine", settings=OctreeSettings(steps=3))
    requests = [
        MoleculeRequest(smiles="CCO"),
        MoleculeRequest(formula="C2H5Cl"),
        MoleculeRequest(formula="C20H42"),
        MoleculeRequest(formula="CH4", properties={"gap": 0.2}),
    ]
    reasons = [candidate.reason for candidate in generator.draw([Job(each, 0, 0, 1) for each in requests])]
    assert "cannot be asked for a SMILES" in reasons[0]
    assert "Cl" in reasons[1]
    assert "62" in reasons[2]
    assert "cannot be asked for properties" in reasons[3]


@pytest.mark.parametrize("name", ["bins", "crystals"])
def test_structures_learned_by_heart_are_drawn_as_they_were(name):
    config = replace(CONFIGS[name], width=64)
    items = items_of(config)[:3]
    batch = collate_octrees(config.grid, items)
    torch.manual_seed(0)
    model, generator = OctreeModel(config), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    for _ in range(60):
        losses = model.losses(batch, generator, repeats=1)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
    drawn = drawn_by(model.eval(), [item.counts for item in items], temperature=0.1)
    expected = encode(
        config.grid,
        *batch_of([(item.numbers, item.coords) for item in items]),
        torch.tensor([item.operation for item in items]),
    )
    for field in ("code", "child_counts", "element", "offset"):
        assert torch.equal(getattr(drawn.octrees, field), getattr(expected, field)), field
