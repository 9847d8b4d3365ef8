"""A molecule as a sequence: every token knows its atom, distances are kept, the SMILES says the same molecule."""

from __future__ import annotations

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem
from scipy.sparse.csgraph import shortest_path

from tests.models.small_molecules import molecules
from tests.smiles.real_skeletons import nci_smiles
from unigen.models.smiles.tokens import UNREACHED, encode, graph_distances, prompt
from unigen.molecules.rdkit_smiles import kekule_smiles
from unigen.smiles.reader import read_smiles
from unigen.smiles.text import smiles_symbols, smiles_text
from unigen.tokens import vocabulary
from unigen.tokens.sequence import Channel

SEEDS = st.integers(0, 2**31)
PLACES = st.integers(0, len(molecules()) - 1)


@given(PLACES, SEEDS)
def test_the_sequence_is_the_molecule_in_another_order(place, seed):
    molecule = molecules()[place]
    sequence = encode(molecule, np.random.default_rng(seed))
    assert sorted(sequence.numbers.tolist()) == sorted(molecule.numbers.tolist())
    gaps = np.sort(np.linalg.norm(sequence.positions[:, None] - sequence.positions, axis=2), axis=None)
    wanted = np.sort(np.linalg.norm(molecule.positions[:, None] - molecule.positions, axis=2), axis=None)
    np.testing.assert_allclose(gaps, wanted, atol=1e-4)
    assert sequence.bond_order.sum() == 2 * molecule.bonds[:, 2].sum()
    assert sequence.charges.sum() == molecule.total_charge
    heavy = sequence.numbers > 1
    assert heavy[: heavy.sum()].all()  # then the hydrogens, by parent
    parents = [int(np.flatnonzero(row)[0]) for row in sequence.bond_order[heavy.sum() :]]
    assert parents == sorted(parents)


@given(PLACES, SEEDS)
def test_the_smiles_says_the_molecule_and_its_stereo(place, seed):
    molecule = molecules()[place]
    sequence = encode(molecule, np.random.default_rng(seed))
    symbols = sequence.tokens.symbols.tolist()
    text = smiles_text(symbols[symbols.index(vocabulary.BEGIN) + 1 : symbols.index(vocabulary.END)])
    assert Chem.CanonSmiles(text) == molecule.to_smiles()


@given(PLACES, SEEDS)
def test_tokens_and_slots_know_their_atoms(place, seed):
    sequence = encode(molecules()[place], np.random.default_rng(seed), {2: 1.5})
    tokens = sequence.tokens
    for position, atom in enumerate(sequence.token_atom.tolist()):
        number = vocabulary.element_of(int(tokens.symbols[position]))
        if number is not None and number > 1:
            assert sequence.numbers[atom] == number
    assert sequence.token_atom[sequence.slot].tolist() == list(range(len(sequence.numbers)))
    assert (tokens.channel[sequence.slot] == Channel.CARTESIAN).all()
    assert tokens.channel[0] == Channel.PROPERTY
    assert (tokens.descriptor[0, 0], tokens.vectors[0, 0]) == (2, 1.5)
    first = [atom for atom in sequence.token_atom[: sequence.slot[0]].tolist() if atom >= 0]
    assert first == sorted(first)  # atoms are numbered as they are written


@given(PLACES, SEEDS)
def test_every_heavy_atom_but_the_first_is_bonded_to_one_before(place, seed):
    sequence = encode(molecules()[place], np.random.default_rng(seed))
    for atom in range(1, len(sequence.numbers)):
        assert sequence.bond_order[atom, :atom].any()


@given(st.integers(1, 15), SEEDS)
def test_graph_distances_are_scipys(atoms, seed):
    bonded = np.random.default_rng(seed).random((atoms, atoms)) < 0.15
    bonded |= bonded.T
    wanted = shortest_path(bonded.astype(float), unweighted=True)
    np.testing.assert_array_equal(graph_distances(bonded), np.where(np.isfinite(wanted), wanted, UNREACHED))


@given(PLACES, SEEDS)
def test_a_prompt_is_the_beginning_of_the_sequence(place, seed):
    sequence = encode(molecules()[place], np.random.default_rng(seed), {1: 0.25})
    symbols = sequence.tokens.symbols.tolist()
    begin, end = symbols.index(vocabulary.BEGIN), symbols.index(vocabulary.END)
    for stop in range(begin + 1, end + 1):
        tokens, atom = prompt(symbols[begin + 1 : stop], {1: 0.25})
        assert tokens.symbols.tolist() == symbols[:stop]
        assert atom.tolist() == sequence.token_atom[:stop].tolist()
        np.testing.assert_array_equal(tokens.channel, sequence.tokens.channel[:stop])
        np.testing.assert_array_equal(tokens.descriptor, sequence.tokens.descriptor[:stop])
        np.testing.assert_array_equal(tokens.vectors, sequence.tokens.vectors[:stop])


@given(st.sampled_from([text for text in nci_smiles()[:600] if "." not in text]))
def test_rings_are_all_that_are_smallest_for_some_bond(text):
    """Held against every cycle of the graph that networkx finds."""
    graph = read_smiles(smiles_symbols(kekule_smiles(text))).skeleton.graph
    cycles = list(nx.simple_cycles(nx.Graph([bond[:2] for bond in graph.bonds]), length_bound=10))
    for one, two, _ in graph.bonds:
        found = sorted(sorted(ring) for ring in graph.rings(one, two))
        through = [c for c in cycles if one in c and two in c and abs(c.index(one) - c.index(two)) in (1, len(c) - 1)]
        smallest = min(map(len, through), default=0)
        if smallest:
            assert found == sorted(sorted(cycle) for cycle in through if len(cycle) == smallest)
        else:
            assert not found or len(found[0]) > 10


@given(PLACES, SEEDS)
def test_shuffled_atoms_are_the_same_molecule(place, seed):
    molecule = molecules()[place]
    plain, mixed = (encode(molecule, np.random.default_rng(seed), shuffle=shuffle) for shuffle in (False, True))
    assert mixed.tokens.symbols.tolist() == plain.tokens.symbols.tolist()
    order = np.array([np.flatnonzero((plain.positions == where).all(1))[0] for where in mixed.positions])
    assert sorted(order) == list(range(len(molecule)))
    np.testing.assert_array_equal(mixed.numbers, plain.numbers[order])
    for name in ("bond_order", "graph_distance", "ring_size"):
        np.testing.assert_array_equal(getattr(mixed, name), getattr(plain, name)[np.ix_(order, order)])
    written = plain.token_atom[: plain.slot[0]]
    assert [order[atom] if atom >= 0 else -1 for atom in mixed.token_atom[: mixed.slot[0]]] == written.tolist()
    heavy = int((molecule.numbers > 1).sum())
    assert (mixed.numbers[:heavy] > 1).all()
