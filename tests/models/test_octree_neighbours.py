"""Octree models that are shown known structures: in which frame, never their own formula, and what it changes."""

from __future__ import annotations

from dataclasses import replace

import ase.io
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.models.small_model import ATTENTION, EACH_PATTERN
from tests.models.test_octree_model import CONFIGS, batch_of_drawn, items_of, model_of
from tests.retrieval.known_templates import symmetric_crystals, table
from unigen.crystals.crystal import Crystal
from unigen.elements import reduce_counts
from unigen.errors import UserError
from unigen.geometry.morton import OPERATIONS
from unigen.models.checkpoint import load_model, save_model
from unigen.models.families import build_model, open_training_set
from unigen.models.generator import Job
from unigen.models.octree.batch import Stage, collate_neighbours, collate_octrees
from unigen.models.octree.decoding import Noise, OctreeSettings, decode
from unigen.models.octree.generator import OctreeCrystalGenerator
from unigen.models.octree.neighbours import Frame, KnownNeighbours, Neighbour, in_basis, reduced_basis
from unigen.models.octree.network import OctreeCrystalConfig
from unigen.models.training_set import DataConfig
from unigen.request import CrystalRequest
from unigen.retrieval.shortlist import Retriever
from unigen.sample.load import load

SHOWN = {name: replace(CONFIGS[name], neighbours=2) for name in ("crystals", "crystals, doubled")}
SHOWN["whole depth, by order"] = replace(
    SHOWN["crystals"], stops_at_single=False, depth=4, rotary="order", position="bins"
)
EACH_SHOWN = pytest.mark.parametrize("config", SHOWN.values(), ids=SHOWN)
DATA = DataConfig(train="crystals:train", val="crystals:val")
FRAMES = st.builds(
    Frame,
    st.integers(0, OPERATIONS - 1),
    # multiples of 2^-10, to which whole numbers can be added without rounding
    st.lists(st.integers(0, 1023), min_size=3, max_size=3).map(lambda places: np.array(places) / 1024),
)


@pytest.fixture(scope="module")
def retriever() -> Retriever:
    return Retriever(table())


def known_of(retriever: Retriever, config: OctreeCrystalConfig) -> KnownNeighbours:
    return KnownNeighbours(retriever, config, exclude_formula=True)


def cells() -> list[dict[int, int]]:
    """Of which the table has relatives."""
    every = [dict(crystal.counts) for crystal in symmetric_crystals()[::9]]
    return [cell for cell in every if sum(cell.values()) <= 12 and len(cell) > 1][:8]


def rows_of(retriever, config, seed=0):
    """What rows are shown: two neighbours, none, one, ..."""
    known, rng = known_of(retriever, config), np.random.default_rng(seed)
    lists = [known.shown(cell, 0)[: 2 - row % 3] for row, cell in enumerate(cells())]
    assert {len(each) for each in lists} >= {0, 1, 2}
    return [Frame.drawn(rng).shown(each) for each in lists]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """UNIGEN_HOME with crystals, their templates and lessons."""
    from unigen.data.build import BuildOptions, build_dataset
    from unigen.retrieval.build_table import build_table
    from unigen.retrieval.verdicts import judge_neighbours

    folder = tmp_path_factory.mktemp("neighbours")
    small = [crystal for crystal in symmetric_crystals() if sum(crystal.counts.values()) <= 6][:60]
    ase.io.write(folder / "crystals.extxyz", [crystal.to_crystal().to_ase() for crystal in small])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIGEN_HOME", str(folder))
        build_dataset("crystals", (str(folder / "crystals.extxyz"),), BuildOptions(split_val=0.3), workers=1)
        build_table("crystals", workers=1)
        judge_neighbours("crystals", "crystals:train", workers=1)
        yield folder


@EACH_SHOWN
def test_all_other_weights_begin_as_without_neighbours(config):
    networks = []
    for each in (config, replace(config, neighbours=0)):
        torch.manual_seed(3)
        networks.append(build_model(each).state_dict())
    shown, alone = networks
    assert all(name.startswith("neighbours.") for name in shown if name not in alone)
    assert all(torch.equal(shown[name], alone[name]) for name in alone)


@EACH_SHOWN
def test_a_row_without_neighbours_is_the_model_that_is_shown_none(config, retriever):
    model = model_of(config)
    alone = build_model(replace(config, neighbours=0)).eval()
    alone.load_state_dict({n: part for n, part in model.state_dict().items() if not n.startswith("neighbours.")})
    items = items_of(config)
    without, batch = collate_octrees(config.grid, items), collate_octrees(config.grid, items, most_neighbours=2)
    assert batch.neighbours is not None
    assert not bool(batch.neighbours.lengths.any())
    expected, found = alone.hidden(without), model.hidden(batch)
    for row, length in enumerate(without.lengths.tolist()):
        assert torch.allclose(found[row, :length], expected[row, :length], atol=1e-5)
    with pytest.raises(UserError, match=r"shown no neighbours; wanted .*model\.neighbours=1"):
        alone.hidden(batch)
    # and what is drawn without any is the same to the last bit, here since nothing known has these counts
    jobs = [Job(CrystalRequest(formula=text, z=1), row, 0, 1) for row, text in enumerate(("C7O11", "N9O5"))]
    settings = OctreeSettings(steps=3)
    pair = [
        OctreeCrystalGenerator(each, "mine", "", settings, 2, retriever, exclude_formula=True).draw(jobs)
        for each in (model, alone)
    ]
    for one, other in zip(*pair, strict=True):
        assert one.source == {"shown": "none"}
        assert other.source == {}
        assert one.log_likelihood == other.log_likelihood
        assert one.structure is not None
        assert other.structure is not None
        assert np.array_equal(one.structure.frac_coords, other.structure.frac_coords)


@EACH_SHOWN
def test_a_row_does_not_depend_on_what_others_are_shown(config, retriever):
    model = model_of(config)
    shown = [each for each, _ in rows_of(retriever, config)]
    items = [replace(item, neighbours=each) for item, each in zip(items_of(config), shown, strict=False)]
    assert len(items) > 2
    together = collate_octrees(config.grid, items, most_neighbours=2)
    for row, item in enumerate(items):
        picked = model.losses(together.select(torch.tensor([row])), torch.Generator().manual_seed(row))
        alone = model.losses(
            collate_octrees(config.grid, [item], most_neighbours=2), torch.Generator().manual_seed(row)
        )
        for name, loss in alone.items():
            assert torch.allclose(picked[name], loss, atol=1e-4, rtol=1e-4), name
        # a composition is drawn before its neighbours are looked up
        assert (alone["symbol"] == 0) == bool(item.neighbours)


@EACH_SHOWN
def test_the_composition_counts_as_it_is_drawn_before_any_neighbour_is_known(config, retriever):
    model = model_of(config)
    items = [
        replace(item, neighbours=each[0])
        for item, each in zip(items_of(config), rows_of(retriever, config), strict=False)
    ]
    batch = collate_octrees(config.grid, items, most_neighbours=2)
    alone = replace(batch, neighbours=None)
    with torch.no_grad():
        before, before_alone = model.hidden(batch)[:, :-1], model.hidden(alone)[:, :-1]
        scores, scores_alone = model.scores(batch, before), model.scores(alone, before_alone)
        found = model.log_likelihoods(batch, before)
    expected = scores.total - scores.symbol.sum(1) + scores_alone.symbol.sum(1)
    assert torch.allclose(found, expected, atol=1e-4)
    is_shown = torch.tensor([bool(item.neighbours) for item in items])
    assert bool(is_shown.any())
    assert not bool(scores.symbol[is_shown].any())
    assert torch.allclose(found[~is_shown], scores_alone.total[~is_shown], atol=1e-3)


@given(frame=FRAMES, moved=st.lists(st.integers(-3, 3), min_size=3, max_size=3), pick=st.integers(0, 7))
def test_whole_lattice_vectors_change_nothing_that_is_shown(retriever, frame, moved, pick):
    config = SHOWN["crystals"]
    neighbours = known_of(retriever, config).shown(cells()[pick], 0)
    seen, operation = frame.shown(neighbours)
    seen = tuple(replace(each, coords=np.round(each.coords * 2**20) / 2**20) for each in seen)
    far = tuple(replace(each, coords=each.coords + np.array(moved)) for each in seen)
    one, other = (collate_neighbours(config.grid, [(each, operation)]) for each in (seen, far))
    for name in ("level", "code", "child_counts", "element", "offset"):
        assert torch.equal(getattr(one.octrees, name), getattr(other.octrees, name)), name


@given(frame=FRAMES, pick=st.integers(0, 7))
def test_a_crystal_that_is_its_own_neighbour_is_shown_as_it_is_written_from_everywhere(retriever, frame, pick):
    """So a crystal and its neighbour stay site beside site, whatever the origin and the axes."""
    config = SHOWN["crystals"]
    (neighbour, *_) = known_of(retriever, config).shown(cells()[pick], 0)
    item = frame.item(neighbour.crystal, [neighbour])
    batch = collate_octrees(config.grid, [item], most_neighbours=2)
    assert batch.neighbours is not None
    shown, written = batch.neighbours.octrees, batch.stage[0] >= Stage.NODE
    for name in ("stage", "level", "code", "count", "child_counts", "element", "offset"):
        assert torch.equal(getattr(shown, name)[0, 1:], getattr(batch, name)[0, written]), name
    assert torch.equal(shown.tokens.vectors[0, 0], batch.tokens.vectors[0][batch.stage[0] == Stage.LATTICE][0])
    leaves = shown.stage[0] == Stage.LEAF
    was = dict(zip(neighbour.crystal.numbers.tolist(), neighbour.was.tolist(), strict=True))
    assert batch.neighbours.was[0, leaves].tolist() == [was[each] for each in shown.element[0, leaves].tolist()]
    assert not bool(batch.neighbours.was[0, ~leaves].any())


def test_a_reduced_cell_is_the_same_crystal():
    from pymatgen.analysis.structure_matcher import StructureMatcher

    matcher = StructureMatcher(primitive_cell=False, attempt_supercell=False)
    for symmetric in symmetric_crystals()[::23]:
        crystal = symmetric.to_crystal()
        basis = reduced_basis(crystal.lattice)
        assert np.isclose(np.linalg.det(basis), 1.0)
        reduced = in_basis(crystal, basis)
        assert matcher.get_rms_dist(crystal.to_pymatgen(), reduced.to_pymatgen())[0] < 1e-6
        assert np.allclose(reduced_basis(reduced.lattice), np.eye(3))


def test_crystals_in_training_stand_as_their_neighbours_stand_and_are_themselves(home):
    """What is shown is of another formula; where the templates agree, so do the sites, atom for atom."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    config = OctreeCrystalConfig(max_atoms=12, neighbours=1, neighbour_dropout=0.0, width=32, heads=2)
    data = open_training_set(DATA, config)
    matcher = StructureMatcher()
    apart: list[float] = []
    for split, encode in ((data.train, data.encode), (data.val, data.encode_val)):
        for row in range(len(split)):
            crystal = split[row]
            item = encode(row, crystal, np.random.default_rng(row))
            if not item.neighbours:
                continue
            (shown,) = item.neighbours
            # the matcher takes a mirror image for the same
            assert matcher.fit(_seen_from(item).to_pymatgen(), crystal.to_pymatgen())
            counts, was = (
                dict(zip(*(part.tolist() for part in np.unique(x, return_counts=True)), strict=True))
                for x in (item.numbers, shown.was)
            )
            assert reduce_counts(counts) != reduce_counts(was)
            assert sorted(counts.values()) == sorted(was.values())
            taught = encode.keywords["taught"]
            own = taught.rows[row]
            (lesson, (seen, (beside,))) = taught.lessons[own], taught._scene(own, np.random.default_rng(row))
            if beside.source in lesson.shortlist.sources[lesson.aligned_at]:
                assert np.array_equal(seen.numbers, beside.crystal.numbers)
                between = seen.frac_coords - beside.crystal.frac_coords
                apart.append(float(np.abs(between - np.round(between)).max()))
    assert len(apart) > 3
    assert np.max(apart) < 0.1


def _matrix(six):
    from unigen.geometry.lattice import lattice_matrix

    return lattice_matrix(np.concatenate([np.exp(six[:3]), six[3:]]))


def _seen_from(item) -> Crystal:
    """The crystal of an item with its own axes again."""
    from unigen.geometry.morton import operations

    axes = operations(torch.device("cpu"))[item.operation].numpy().astype(float)
    return Crystal(item.numbers, item.coords % 1, np.linalg.inv(axes) @ _matrix(item.lattice))


def test_lessons_come_from_training_structures_alone(home):
    config = OctreeCrystalConfig(max_atoms=12, neighbours=2, neighbour_dropout=0.3, width=32, heads=2)
    data = open_training_set(DATA, config)
    taught = data.encode_val.keywords["taught"]
    assert set(taught.retriever.table.split.tolist()) == {"train"}
    rows = [row % len(data.train) for row in range(100)]
    items = [data.encode(row, data.train[row], np.random.default_rng(seed)) for seed, row in enumerate(rows)]
    shown = [len(item.neighbours) for item in items]
    assert set(shown) == {0, 1, 2}
    assert 10 < shown.count(0) < 60


def test_its_parts_learn(retriever):
    config = SHOWN["crystals"]
    model = model_of(config).train()
    items = [
        replace(item, neighbours=each)
        for item, (each, _) in zip(items_of(config), rows_of(retriever, config), strict=False)
    ]
    batch = collate_octrees(config.grid, items, most_neighbours=2)
    torch.stack(list(model.losses(batch, torch.Generator().manual_seed(0)).values())).sum().backward()
    assert model.neighbours is not None
    for name, parameter in model.neighbours.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()), name


@EACH_PATTERN
@EACH_SHOWN
def test_cached_decoding_is_the_full_forward_behind_neighbours(config, mixers, retriever):
    model = model_of(replace(config, mixers=mixers, position="bins"))
    compositions = cells()[:6]
    shown = rows_of(retriever, config)[:6]
    neighbours = collate_neighbours(config.grid, shown)

    def drawn_rows(rows, draft):
        noise = Noise.of(
            [np.random.default_rng([0, row]) for row in rows], model.grid, config.max_atoms, torch.device("cpu")
        )
        some = collate_neighbours(config.grid, [shown[row] for row in rows])
        return decode(
            model, [compositions[row] for row in rows], noise, OctreeSettings(steps=3, draft=draft), neighbours=some
        )

    drawn = drawn_rows(range(6), 1)
    batch = replace(batch_of_drawn(model, compositions, drawn), neighbours=neighbours)
    with torch.no_grad():
        scores = model.scores(batch, model.hidden(batch)[:, :-1])
    expected = (scores.total - scores.symbol.sum(1)).double()
    assert (drawn.log_likelihood - expected).abs().max() < 1e-3
    # rows of a batch are drawn as they are alone, and guesses change nothing
    for rows, draft in (([0], 1), ([1], 16), ([4], 1), (range(6), 60)):
        again = drawn_rows(rows, draft)
        for place, row in enumerate(rows):
            assert torch.equal(again.octrees[place].child_counts, drawn.octrees[row].child_counts)
            assert torch.equal(again.octrees[place].element, drawn.octrees[row].element)
            assert torch.allclose(again.lattice[place], drawn.lattice[row], atol=1e-3)


def test_samples_of_a_cell_are_shown_one_kind_after_the_other(retriever):
    config = replace(SHOWN["crystals"], neighbours=1)
    known = known_of(retriever, config)
    cell = {58: 1, 28: 1, 6: 2}
    everything = KnownNeighbours(retriever, replace(config, neighbours=8), exclude_formula=True).shown(cell, 0)
    lists = [known.shown(cell, sample) for sample in range(2 * len(everything) + 2)]
    kinds = len({each[0].source for each in lists if each})
    assert kinds >= len(everything) > 1
    assert [len(each) for each in lists[: kinds + 1]] == [1] * kinds + [0]
    assert lists[kinds + 1][0].source == lists[0][0].source
    # the nearest first, none of the formula itself unless it may be
    distances = [each[0].distance for each in lists[:kinds]]
    assert distances == sorted(distances)
    own, _ = reduce_counts(cell)
    assert all(reduce_counts(table().counts(each.source))[0] != own for found in lists for each in found)


def test_crystals_are_drawn_as_asked_for_and_say_what_was_shown(retriever):
    model = model_of(replace(SHOWN["crystals"], neighbours=1))
    generator = OctreeCrystalGenerator(
        model, "mine", settings=OctreeSettings(steps=3), score_steps=2, retriever=retriever, exclude_formula=True
    )
    jobs = [Job(CrystalRequest(formula="CeNiC2", z=1), 0, index, 1) for index in range(3)]
    jobs.append(Job(CrystalRequest(formula="MoCo2", z=1), 1, 0, 1))
    candidates = generator.draw(jobs)
    assert [each.structure.counts for each in candidates] == [{6: 2, 28: 1, 58: 1}] * 3 + [{27: 2, 42: 1}]
    sources = [each.source for each in candidates]
    assert len({source["shown"] for source in sources[:3]}) == 3
    assert all(source.keys() == {"shown", "shown_formula", "shown_distance"} for source in sources)
    assert "CeNiC2" not in {source["shown_formula"] for source in sources}
    assert all(np.isfinite(each.log_likelihood) for each in candidates)
    # of what was shown depends what is drawn
    alone = OctreeCrystalGenerator(model, "mine", settings=OctreeSettings(steps=3), score_steps=2).draw(jobs[:1])
    assert alone[0].source == {}
    assert not np.array_equal(alone[0].structure.lattice, candidates[0].structure.lattice)


def test_a_checkpoint_comes_back_and_asks_for_its_dataset(home, tmp_path):
    shown = OctreeCrystalConfig(neighbours=1, max_atoms=12, width=32, heads=2, head_width=16, mixers=ATTENTION)
    for name, config in {"shown": shown, "alone": replace(shown, neighbours=0)}.items():
        torch.manual_seed(0)
        save_model(build_model(config), tmp_path / name)
    assert load_model(tmp_path / "shown").config == shown
    with pytest.raises(UserError, match=r"retrieves known structures: from which dataset.*--retrieve-from"):
        load(tmp_path / "shown")
    generator = load(tmp_path / "shown", retrieve_from="crystals:train")
    assert generator.known is not None
    assert "+" in generator.version
    assert "+" not in load(tmp_path / "alone").version
    for told, said in {
        "--retrieve-from crystals": {"retrieve_from": "crystals"},
        "--exclude-formula": {"exclude_formula": True},
    }.items():
        with pytest.raises(UserError, match=f"this model retrieves nothing; got {told}"):
            load(tmp_path / "alone", **said)
    lessons = home / "datasets" / "crystals" / "neighbours.parquet"
    lessons.rename(tmp_path / "lessons")
    try:
        with pytest.raises(UserError, match=r"no lessons yet.*unigen data neighbours"):
            open_training_set(DATA, shown)
    finally:
        (tmp_path / "lessons").rename(lessons)


def test_hidden_leaves_are_told_without_neighbours():
    with pytest.raises(UserError, match=r"masked: .*got neighbours 1.*wanted neighbours 0"):
        OctreeCrystalConfig(masked=0.5, neighbours=1)


def test_what_is_not_shown_is_not_told(retriever):
    """A neighbour knows what was exchanged, and how near it is."""
    (first, *_) = known_of(retriever, SHOWN["crystals"]).shown({58: 1, 28: 1, 6: 2}, 0)
    assert isinstance(first, Neighbour)
    assert first.facts[0] == first.distance
    assert first.facts[2] == 0.0
    source = table()[first.source].to_crystal()
    assert np.isclose(np.log(first.crystal.volume / source.volume), first.facts[1])
