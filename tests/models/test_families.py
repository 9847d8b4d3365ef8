"""The laws that every family of models obeys, on small sets of real crystals and molecules.

A family that is added to FAMILIES is tested here with no other change.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace

import ase.io
import numpy as np
import pytest
import torch

from tests.retrieval.known_templates import symmetric_crystals
from unigen import testing
from unigen.batch import TokenBatch
from unigen.config import load as load_yaml
from unigen.config import to_plain, write_yaml
from unigen.crystals.crystal import Crystal
from unigen.models.checkpoint import save_model
from unigen.models.families import FAMILIES, Family, build_model, family_of, open_training_set
from unigen.models.generator import Candidate, Job, Range
from unigen.models.training_set import DataConfig, TrainingSet
from unigen.models.words.network import Autoregressive
from unigen.molecules.molecule import Molecule
from unigen.nn.mixers.pattern import ExpertsLayer, Layer, RepeatedLayer
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.sample.load import load
from unigen.train.settings import TrainConfig

SMILES = (
    *("C", "CC", "CO", "CN", "C=O", "C#C", "CCO", "CC=O", "CF", "C=C", "C#N", "COC", "NC=O", "N", "O", "CCC"),
    *("CCN", "C1CC1", "OCCO", "CC#N", "C=CC", "CCF", "NCCN", "c1ccccc1", "OCC#C", "FCF", "NC=N", "C1COC1"),
)
REQUESTS = {
    "crystals": [CrystalRequest(formula="SrTiO3", z=1), CrystalRequest(formula="NaCl"), CrystalRequest()],
    "molecules": [MoleculeRequest(smiles="CCO"), MoleculeRequest(smiles="C"), MoleculeRequest(formula="C2H6O")],
}
DATA = {
    "crystals": DataConfig(
        train="crystals:train", val="crystals:val", molecules="molecules:train", val_molecules="molecules:val"
    ),
    "molecules": DataConfig(train="molecules:train", val="molecules:val"),
}
FEW = {"steps": 3, "redraws": 1}
"""Settings that make a draw cheap, where a family has them: laws hold for any."""

LEARNED = [family for family in FAMILIES if family.learned is not None]
MAKES = [(family, makes) for family in FAMILIES for makes in family.settings]


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """UNIGEN_HOME with crystals, their templates and lessons, and molecules with properties."""
    from unigen.data.build import BuildOptions, build_dataset
    from unigen.retrieval.build_table import build_table
    from unigen.retrieval.verdicts import judge_neighbours

    folder = tmp_path_factory.mktemp("families")
    small = [crystal for crystal in symmetric_crystals() if sum(crystal.counts.values()) <= 6][:60]
    ase.io.write(folder / "crystals.extxyz", [crystal.to_crystal().to_ase() for crystal in small])
    (folder / "molecules.sdf").write_text("".join(map(_sdf, range(len(SMILES)))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIGEN_HOME", str(folder))
        for name, ending in (("crystals", "extxyz"), ("molecules", "sdf")):
            source = str(folder / f"{name}.{ending}")
            build_dataset(name, (source,), BuildOptions(split_val=0.3), workers=1)
        build_table("crystals", workers=1)
        judge_neighbours("crystals", "crystals:train", workers=1)
        yield folder


def _sdf(place: int) -> str:
    molecule = Molecule.from_smiles(SMILES[place], seed=1)
    values = {"gap": 0.1 + 0.02 * place, "mu": 0.3 * place}
    fields = "".join(f">  <{name}>\n{value}\n\n" for name, value in values.items())
    return molecule.to_sdf(name=SMILES[place]).replace("$$$$\n", f"{fields}$$$$\n")


@pytest.fixture(scope="module", params=LEARNED, ids=lambda family: family.name)
def learned(request, home) -> Family:
    return request.param


@pytest.fixture(scope="module")
def training_set(learned) -> TrainingSet:
    return open_training_set(DATA[learned.learned.reads], learned.learned.tiny)


@pytest.fixture(scope="module")
def network(learned, training_set):
    return prepared(learned, training_set)


def prepared(family: Family, training_set: TrainingSet):
    """A fresh network that knows its data, its weights all a little off zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_model(family.learned.tiny)
        training_set.prepare(network)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.02 * torch.randn(parameter.shape))
    return network.eval()


def test_a_training_set_encodes_and_collates(training_set):
    testing.assert_encodes(training_set)


def test_a_row_of_a_batch_is_as_alone(network, training_set):
    testing.assert_rows_of_a_batch_are_as_alone(network, training_set)


def test_losses_are_finite_and_reach_every_parameter(network, training_set):
    (batch, *_) = training_set.val_batches(8, 1, seed=0)
    testing.assert_learns(network, batch)


def test_what_is_validated_has_stable_names(network, training_set):
    testing.assert_validates(network, training_set.val_batches(2, 2, seed=0))


def test_a_checkpoint_comes_back_bit_by_bit(network, tmp_path):
    testing.assert_comes_back_bit_by_bit(network, tmp_path)


def test_large_parts_are_parts_of_the_network(network):
    parts = network.large_parts()
    assert parts
    assert all(any(part is module for module in network.modules()) for part in parts)


def test_a_part_that_is_not_there_cannot_be_trained_alone_or_joined(network):
    from unigen.errors import UserError

    with pytest.raises(UserError, match="no part for nonsense"):
        network.trained_alone("nonsense")
    with pytest.raises(UserError, match="no part for nonsense"):
        network.joined(network, "nonsense")


def test_a_config_is_known_by_its_kind(learned, tmp_path):
    tiny = learned.learned.tiny
    assert family_of(tiny) is learned
    values = {"model": to_plain(tiny), "data": {"train": "a", "val": "b"}, "out": "run", "max_steps": 1}
    write_yaml(tmp_path / "run.yaml", values)
    assert load_yaml(TrainConfig, tmp_path / "run.yaml").model == tiny


PATTERNS: list[tuple[Layer, ...]] = [
    ("ssd", "attention", ExpertsLayer(mixer="lightnet", experts=3, active=1)),
    ("delta_product", "para_rnn", RepeatedLayer(mixer="s5", times=3)),
]
WITH_BACKBONE = [
    family
    for family in LEARNED
    if family.name in {"words", "wyckoff", "smiles", "joint", "octree"} and family.generator is not None
]


def in_pattern(family: Family, mixers: tuple[Layer, ...]) -> Family:
    """The family with another backbone in its tiny config."""
    tiny = family.learned.tiny
    parts = {each.name: getattr(tiny, each.name) for each in fields(tiny)}
    if "mixers" in parts:
        tiny = replace(tiny, mixers=mixers)
    else:
        halves = {name: replace(part, mixers=mixers) for name, part in parts.items() if hasattr(part, "mixers")}
        tiny = replace(tiny, **halves)
    return replace(family, learned=replace(family.learned, tiny=tiny))


@pytest.mark.parametrize("mixers", PATTERNS, ids=["ssd-attention-experts", "delta-rnn-repeated"])
@pytest.mark.parametrize("family", WITH_BACKBONE, ids=lambda family: family.name)
def test_every_pattern_learns_is_saved_and_draws(family, mixers, home, tmp_path):
    family = in_pattern(family, mixers)
    training_set = open_training_set(DATA[family.learned.reads], family.learned.tiny)
    network = prepared(family, training_set)
    (batch, *_) = training_set.val_batches(8, 1, seed=0)
    testing.assert_rows_of_a_batch_are_as_alone(network, training_set)
    testing.assert_learns(network, batch)
    testing.assert_comes_back_bit_by_bit(network, tmp_path)
    (makes, *_) = family.settings
    jobs = [Job(request, place, 0, 5) for place, request in enumerate(REQUESTS[makes])]
    few = {name: value for name, value in FEW.items() if name in {each.name for each in fields(family.settings[makes])}}
    given = {"makes": makes} | ({"retrieve_from": "crystals:train"} if family.retrieves else {})
    testing.assert_draws_the_same_in_any_batch(load(tmp_path / "once", **given, **few), jobs)


@pytest.fixture(scope="module", params=MAKES, ids=lambda pair: f"{pair[0].name}-{pair[1]}")
def drawn(request, home, tmp_path_factory):
    """A family, what it makes, and how to open its model."""
    family, makes = request.param
    given = {"makes": makes} | ({"retrieve_from": "crystals:train"} if family.retrieves else {})
    if family.learned is None:
        return family, makes, family.name, given
    folder = tmp_path_factory.mktemp(f"{family.name}-{makes}") / "model"
    save_model(prepared(family, open_training_set(DATA[family.learned.reads], family.learned.tiny)), folder)
    return family, makes, folder, given


def test_a_draw_is_the_same_in_any_batch(drawn):
    family, makes, model, given = drawn
    jobs = [Job(request, place, index, 5) for place, request in enumerate(REQUESTS[makes]) for index in range(2)]
    few = {name: value for name, value in FEW.items() if name in {each.name for each in fields(family.settings[makes])}}
    generator = load(model, **given, **few)
    assert generator.makes == makes
    testing.assert_draws_the_same_in_any_batch(generator, jobs)


def test_a_generator_has_the_settings_of_its_family(drawn):
    from unigen.errors import UserError

    family, makes, model, given = drawn
    generator = load(model, **given)
    assert generator.settings == family.settings[makes]()
    assert generator.ranges([]) == {}
    with pytest.raises(UserError, match="this model has no setting colour"):
        load(model, **given, colour="red")
    for other in {"crystals", "molecules"} - family.settings.keys():
        with pytest.raises(UserError, match=f"this model makes {makes}, not {other}"):
            load(model, **(given | {"makes": other}))


class Careless:
    """Draws from one stream for all its jobs: what comes out depends on who else is in the batch."""

    name, version, makes, settings = "careless", "1", "crystals", None

    def draw(self, jobs: list[Job]) -> list[Candidate]:
        widths = 4.0 + np.random.default_rng(len(jobs)).random(len(jobs))
        return [Candidate(Crystal(np.array([26]), np.zeros((1, 3)), np.eye(3) * width)) for width in widths]

    def ranges(self, _properties: Collection[str]) -> dict[str, Range]:
        return {}


def test_a_generator_that_looks_at_its_batch_is_found_out():
    jobs = [Job(CrystalRequest(formula="Fe"), 0, index, 5) for index in range(3)]
    with pytest.raises(AssertionError, match="job 0: lattice differ"):
        testing.assert_draws_the_same_in_any_batch(Careless(), jobs)


def test_a_network_that_reads_its_padding_is_found_out(home):
    class ReadsPadding(Autoregressive):
        def forward(self, batch: TokenBatch) -> torch.Tensor:
            return super().forward(batch) + batch.symbols.shape[1]

    words = next(family for family in FAMILIES if family.name == "words").learned
    training_set = open_training_set(DATA["crystals"], words.tiny)
    with pytest.raises(AssertionError, match=r"row \d: symbol: differ by"):
        testing.assert_rows_of_a_batch_are_as_alone(ReadsPadding(words.tiny), training_set)
