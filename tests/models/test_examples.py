"""Known molecules in the prompt: the nearest to the values asked for, read and never learned, kept with the model."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.models.small_model import ATTENTION, EACH_PATTERN, HYBRID
from tests.models.small_molecules import SIZES, SMILES, molecules
from unigen.batch import Layout
from unigen.errors import UserError
from unigen.geometry.rotation import random_rotation
from unigen.models.checkpoint import load_model, save_model
from unigen.models.generator import Job
from unigen.models.smiles import generator as molecule_generator
from unigen.models.smiles.batch import MoleculeBatch, collate_molecules
from unigen.models.smiles.conformer_decoding import WrittenMolecule, draw_conformers
from unigen.models.smiles.embedding import CHARGES
from unigen.models.smiles.examples import ExampleTable
from unigen.models.smiles.generator import MoleculeGenerator
from unigen.models.smiles.network import MoleculeConfig, MoleculeModel
from unigen.models.smiles.settings import MoleculeSettings
from unigen.models.smiles.smiles_decoding import draw_smiles
from unigen.models.smiles.tokens import IN_EXAMPLE, Example, MoleculeSequence, encode, prompt
from unigen.nn.mixers.pattern import Layer
from unigen.request import MoleculeRequest
from unigen.smiles.grammar import SmilesGrammar
from unigen.smiles.hydrogens import without_hydrogens
from unigen.smiles.text import smiles_symbols, smiles_text
from unigen.tokens import vocabulary
from unigen.tokens.sequence import Channel

SEEDS = st.integers(0, 2**31)
PLACES = st.integers(0, len(SMILES) - 1)
PROPERTIES = {"properties": ("gap", "mu"), "units": ("hartree", "debye")}
UNKNOWN = (3, 1)
"""Molecule and column of a value that nobody knows."""


@cache
def table(hydrogens: str = "written") -> ExampleTable:
    """All small molecules, of values that are nearly in order, one of them unknown."""
    values = np.arange(2.0 * len(SMILES)).reshape(2, -1).T.copy()
    values[UNKNOWN] = np.nan
    return ExampleTable(molecules(), values, hydrogens)


@cache
def model(mixers: tuple[Layer, ...] = ATTENTION, hydrogens: str = "written") -> MoleculeModel:
    """Untrained, its heads not zero, in evaluation mode."""
    torch.manual_seed(0)
    config = MoleculeConfig(mixers=mixers, hydrogens=hydrogens, examples=3, example_pool=10, **PROPERTIES, **SIZES)
    built = MoleculeModel(config)
    for number in (1, 6, 7, 8):
        built.atoms_seen[number, CHARGES] = 100
    built.most_heavy.fill_(5)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    built.examples.keep(table(hydrogens))
    return built.eval()


def examples(values: dict[int, float], count: int = 3, seed: int = 0, without: str = "") -> tuple[Example, ...]:
    return table().examples(values, count, np.random.default_rng(seed), without)


def asked(place: int, seed: int = 0, count: int = 3, value: float = 4.2) -> MoleculeSequence:
    """A molecule of which one property is asked for."""
    rng = np.random.default_rng(seed)
    shown = examples({1: value}, count, seed) if count else ()
    return encode(molecules()[place], rng, {1: value}, hydrogens="written", examples=shown)


def batch(count: int = 3) -> MoleculeBatch:
    """All of them, most atoms first."""
    return collate_molecules(
        sorted((asked(place, count=count) for place in range(len(SMILES))), key=lambda one: -len(one.numbers))
    )


@torch.no_grad()
def outputs(one: MoleculeBatch) -> torch.Tensor:
    chosen = torch.arange(one.numbers.shape[1]).expand(len(one), -1)
    frames = model().frames(one, chosen)
    return model().states(one, frames.local(one.positions), frames)[0]


@given(st.floats(-3, 20), st.floats(-3, 30), st.integers(0, 12), SEEDS)
def test_the_nearest_come_last_and_are_no_more_than_there_are(gap, mu, count, seed):
    found = table().nearest({1: gap, 2: mu}, count, np.random.default_rng(seed))
    known = [row for row in range(len(SMILES)) if row != UNKNOWN[0]]
    away = (table().values - [gap, mu]) / np.nanstd(table().values, axis=0)
    distance = np.square(away).sum(1)
    assert len(set(found)) == len(found) == min(count, len(known))
    assert distance[found].tolist() == sorted(distance[known])[:count]
    told = [example.tokens.vectors[:2, 0].tolist() for example in examples({1: gap, 2: mu}, count, seed)]
    assert told == table().values[found[::-1]].tolist()


def test_of_equal_ones_any_is_taken():
    same = replace(table(), values=np.zeros_like(table().values))
    firsts = {same.nearest({1: 0.0}, 1, np.random.default_rng(seed))[0] for seed in range(60)}
    assert firsts == set(range(len(SMILES)))


@given(PLACES, st.booleans(), SEEDS)
def test_an_example_is_a_molecule_with_its_value_and_its_atoms(place, hydrogens, seed):
    kept = table("written" if hydrogens else "implied")
    (example,) = kept.examples({1: kept.values[place, 0]}, 1, np.random.default_rng(seed))
    tokens = example.tokens
    assert (tokens.descriptor[:, IN_EXAMPLE] == 1).all()
    assert (tokens.channel[0], tokens.descriptor[0, 0], tokens.vectors[0, 0]) == (Channel.PROPERTY, 1, place)
    symbols = tokens.symbols.tolist()
    begin, end = symbols.index(vocabulary.BEGIN), symbols.index(vocabulary.END)
    written = symbols[begin + 1 : end]
    text = smiles_text(without_hydrogens(written) if hydrogens else written)
    assert molecules()[place].to_smiles() == molecules()[place].from_smiles(text, seed=1).to_smiles()
    atoms = tokens.channel == Channel.CARTESIAN
    assert sorted(tokens.descriptor[atoms, 0].tolist()) == sorted(molecules()[place].numbers.tolist())
    lengths = np.linalg.norm(tokens.vectors[atoms, :3], axis=1)
    assert lengths[0] == 0  # the first atom is the origin
    assert (lengths[1:] > 0.8).all()  # of bonds, in Angstrom
    assert (lengths < 1.9).all()


def test_examples_do_not_turn_with_the_known_molecule():
    rotation = random_rotation(np.random.default_rng(1))
    turned = replace(table(), molecules=tuple(replace(one, positions=one.positions @ rotation) for one in molecules()))
    others = turned.examples({1: 2.0}, 3, np.random.default_rng(0))
    for one, other in zip(examples({1: 2.0}), others, strict=True):
        np.testing.assert_allclose(one.tokens.vectors, other.tokens.vectors, atol=1e-4)  # C#N is nearly straight
        assert one.tokens.symbols.tolist() == other.tokens.symbols.tolist()


@given(PLACES, SEEDS)
def test_examples_say_nothing_of_the_molecule_but_what_its_values_say(place, seed):
    """They are a function of the values alone, and never the molecule itself."""
    value = float(table().values[place, 0])
    smiles = molecules()[place].smiles
    known = [row.tokens.vectors[0, 0] for row in examples({1: value}, 8, seed, without=smiles)]
    assert value not in known
    assert len(known) == len(SMILES) - 1
    same = [row.tokens.vectors[0, 0] for row in examples({1: value}, 8, seed)]
    assert [one for one in same if one != value] == known


@given(PLACES, SEEDS, st.integers(1, 4))
def test_the_molecule_is_written_behind_them_as_it_is_without(place, seed, count):
    bare, shown = asked(place, seed, 0), asked(place, seed, count)
    before = len(shown) - len(bare)
    for name in ("symbols", "vectors", "channel", "descriptor"):
        np.testing.assert_array_equal(getattr(shown.tokens, name)[before:], getattr(bare.tokens, name))
    np.testing.assert_array_equal(shown.token_atom[before:], bare.token_atom)
    assert (shown.slot - before).tolist() == bare.slot.tolist()
    assert (bare.tokens.descriptor[:, IN_EXAMPLE] == 0).all()
    assert (shown.tokens.descriptor[:before, IN_EXAMPLE] == 1).all()


@given(PLACES, SEEDS)
def test_a_prompt_is_the_beginning_of_the_sequence(place, seed):
    whole = asked(place, seed)
    symbols = whole.tokens.symbols.tolist()
    begin = len(symbols) - 1 - symbols[::-1].index(vocabulary.BEGIN)
    end = len(symbols) - 1 - symbols[::-1].index(vocabulary.END)
    for stop in range(begin + 1, end + 1, 5):
        written = symbols[begin + 1 : stop]
        tokens, atom = prompt(written, {1: 4.2}, hydrogens="written", examples=examples({1: 4.2}, 3, seed))
        assert tokens.symbols.tolist() == symbols[:stop]
        assert atom.tolist() == whole.token_atom[:stop].tolist()
        np.testing.assert_array_equal(tokens.vectors, whole.tokens.vectors[:stop])
        np.testing.assert_array_equal(tokens.descriptor, whole.tokens.descriptor[:stop])


def test_the_loss_counts_the_molecule_alone(monkeypatch):
    """As many symbols and atoms as without examples, and the same ones."""
    learned: list[list[int]] = []
    loss = model().symbol_head.loss
    monkeypatch.setattr(
        model().symbol_head, "loss", lambda h, target: learned.append(target.tolist()) or loss(h, target)
    )
    for count in (0, 3):
        model().losses(batch(count), torch.Generator().manual_seed(0))
    assert learned[0] == learned[1]
    with torch.no_grad():
        rows = batch()
        scores = [model().symbol_log_likelihoods(one.tokens, one.atom_labels) for one in (rows, batch(0))]
        likelihood = -model().losses(rows, torch.Generator())["symbol"] * len(learned[0])
    begins = scores[0] - scores[1]  # BEGIN behind the property is scored in both
    assert torch.isfinite(begins).all()
    assert scores[0].sum() < likelihood  # one symbol a row more


def test_what_stands_in_an_example_is_seen_by_the_molecule_and_not_the_other_way_round():
    one = batch()
    first = int((one.tokens.descriptor[0, :, IN_EXAMPLE] == 0).nonzero()[0])
    slot = int((one.tokens.channel[0] == Channel.CARTESIAN).nonzero()[2])
    assert slot < first
    vectors = one.tokens.vectors.clone()
    vectors[0, slot, 0] += 1.0
    changed = outputs(replace(one, tokens=replace(one.tokens, vectors=vectors))) - outputs(one)
    assert changed[0, :slot].abs().max() < 1e-5
    assert changed[0, first:].abs().max() > 1e-4
    assert changed[1:].abs().max() < 1e-5
    moved = outputs(replace(one, positions=one.positions + torch.randn(one.positions.shape))) - outputs(one)
    assert moved[0, :first].abs().max() < 1e-5


@EACH_PATTERN
def test_packed_prompts_are_read_as_padded_ones(mixers):
    one, network = batch(), model(mixers)
    with torch.no_grad():
        x = network.embedding.written(one.tokens, one.atom_labels)
        padded = network.backbone(x, one.tokens.layout)[one.tokens.layout.valid]
        packed = network.backbone(x[one.tokens.layout.valid][None], Layout.packed(one.lengths))[0]
    torch.testing.assert_close(packed, padded, atol=1e-4, rtol=1e-4)


@EACH_PATTERN
def test_what_was_written_half_behind_examples_is_gone_on_with(mixers):
    """A beginning is read at once, or was written symbol by symbol; a row is written alone as in its batch."""
    network, values = model(mixers), [{1: 0.3}, {}, {1: 2.0, 2: 9.0}]
    shown = [examples(each) for each in values]
    grammars = [SmilesGrammar(max_heavy=5, hydrogens="written")] * 3
    random = np.random.default_rng(0).random((3, 150))
    whole = draw_smiles(network, grammars, values, random, 1.0, examples=shown)
    halves = [len(row) // 2 for row in whole]
    later = np.stack([np.roll(row, -half) for row, half in zip(random, halves, strict=True)])
    beginnings = [row[:half] for row, half in zip(whole, halves, strict=True)]
    assert draw_smiles(network, grammars, values, later, 1.0, prefixes=beginnings, examples=shown) == whole
    assert draw_smiles(network, grammars[:1], values[2:], random[2:], 1.0, examples=shown[2:]) == whole[2:]
    assert draw_smiles(network, grammars, values, random, 1.0) != whole  # they are read
    unguided = draw_smiles(network, grammars, values, random, 1.0, guidance=0.0, examples=shown)
    assert unguided == draw_smiles(network, grammars, [{}] * 3, random, 1.0)


@pytest.mark.parametrize("mixers", [ATTENTION, HYBRID], ids=["attention", "hybrid"])
def test_atoms_are_placed_as_the_whole_sequence_has_them(mixers):
    """Cached steps behind a prompt are those of training: the states before each slot are the same."""
    network = model(mixers)
    writing = [
        WrittenMolecule(smiles_symbols(text), {1: 4.2}, np.random.default_rng(7), examples=examples({1: 4.2}))
        for text in ("CC(=O)N", "C#C")
    ]
    settings = MoleculeSettings(steps=3, draws_per_atom=1, repairs=0)
    together = draw_conformers(network, writing, settings)
    fresh = [replace(one, rng=np.random.default_rng(7)) for one in writing]
    for one, drawn in zip(fresh, together, strict=True):
        (alone,) = draw_conformers(network, [one], settings)
        np.testing.assert_allclose(alone.molecule.positions, drawn.molecule.positions, atol=5e-3)
    bare = [replace(one, rng=np.random.default_rng(7), examples=()) for one in writing]
    other = draw_conformers(network, bare, settings)[0].molecule
    assert np.abs(other.positions - together[0].molecule.positions).max() > 1e-2


@pytest.mark.parametrize("hydrogens", ["implied", "written"])
def test_a_model_folder_keeps_its_examples(tmp_path, hydrogens):
    save_model(model(hydrogens=hydrogens), tmp_path)
    kept = load_model(tmp_path).examples.table(hydrogens)
    for values in ({1: 3.2}, {2: 11.0}, {1: 0.0, 2: 20.0}):
        ours, theirs = (one.examples(values, 4, np.random.default_rng(0)) for one in (table(hydrogens), kept))
        assert len(ours) == len(theirs) == 4
        for one, other in zip(ours, theirs, strict=True):
            assert one.tokens.symbols.tolist() == other.tokens.symbols.tolist()
            np.testing.assert_array_equal(one.tokens.descriptor, other.tokens.descriptor)
            np.testing.assert_allclose(one.tokens.vectors, other.tokens.vectors, atol=1e-5)


@pytest.mark.parametrize(
    "request_",
    [
        MoleculeRequest(properties={"gap": 3.0}),
        MoleculeRequest(properties={"gap": 3.0, "mu": 10.0}, formula="C2H6O"),
        MoleculeRequest(properties={"mu": 10.0}, scaffold=molecules()[2].to_sdf()),
        MoleculeRequest(),
    ],
    ids=["property", "formula", "scaffold", "nothing"],
)
def test_every_request_is_served(monkeypatch, request_):
    """What an untrained model draws is broken: here is looked at graphs."""
    monkeypatch.setattr(molecule_generator, "fault_of", lambda molecule: "")
    drawn = MoleculeGenerator(model(), "small", settings=MoleculeSettings(steps=3)).draw(
        [Job(request_, 0, index, 3) for index in range(3)]
    )
    for candidate in drawn:
        assert candidate.structure is not None, candidate.reason
        assert candidate.structure.to_smiles()
        assert request_.formula is None or candidate.structure.formula == request_.formula
        assert request_.scaffold is None or (candidate.structure.numbers > 1).sum() > 2


def test_a_model_that_goes_on_keeps_half_of_its_table_and_learns_more_properties():
    trained = model()
    config = trained.told("weight", "u")
    fresh = MoleculeModel(config)
    values = np.column_stack([np.full((len(SMILES), 2), np.nan), np.arange(len(SMILES))])
    fresh.examples.keep(ExampleTable(molecules()[::-1], values, "written"))
    fresh.load_state_dict(fresh.beginning(trained.state_dict()))
    merged = fresh.examples.table("written")
    assert np.isfinite(merged.values).sum(0).tolist() == [4, 3, 4]  # one value of mu was never known
    for column, value in ((1, 3.0), (3, 4.0)):
        (nearest,) = merged.nearest({column: value}, 1, np.random.default_rng(0))
        place = int(merged.values[nearest, column - 1])
        known = molecules() if column == 1 else molecules()[::-1]
        assert merged.molecules[nearest].numbers.tolist() == known[place].numbers.tolist()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"examples": -1}, "examples: out of range"),
        ({"example_pool": 0}, "example_pool: out of range"),
        ({"layout": "atoms-first"}, "examples: not for the layout atoms-first"),
        ({"layout": "atoms-first", "examples": 0}, "hydrogens: not for the layout atoms-first"),
        ({"properties": (), "units": ()}, "the model has none"),
    ],
)
def test_what_does_not_fit_is_said(changes, says):
    with pytest.raises(UserError, match=says):
        replace(model().config, **changes)
