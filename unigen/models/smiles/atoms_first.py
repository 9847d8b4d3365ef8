"""The other way to write a molecule: each atom is placed as soon as the SMILES has named it and its bonds backwards.

    ``property ... BEGIN C PLACE slot = O PLACE slot ... END slot ...``

PLACE (the symbol SLOT) says that an atom's ring digits are complete, so that its bonds to the atoms before it are
known and nothing of what follows; its slot comes next. Hydrogens come behind END, by parent. Graph distances
and rings of two atoms are what the SMILES said when the later one was placed. Stereo is not written: it is what the
positions are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from unigen.models.smiles.tokens import UNREACHED, MoleculeSequence, graph_distances, plan, prompt
from unigen.shapes import Int
from unigen.smiles.reader import read_smiles
from unigen.smiles.scaffold import behind_rings
from unigen.smiles.stereo import Graph
from unigen.tokens import vocabulary
from unigen.tokens.sequence import Channel, Sequence

_ATOM_FIELDS = ("slot", "numbers", "charges", "chirality", "positions")
_PAIR_FIELDS = ("bond_order", "graph_distance", "ring_size", "cis_trans")
_PLACE = -1  # a position that has no source in the graph-first sequence
_BONDS = ("-", "=", "#")
_BRACKET, _BRACKET_END = vocabulary.mark_symbol("["), vocabulary.mark_symbol("]")
_OPEN, _CLOSE = vocabulary.mark_symbol("("), vocabulary.mark_symbol(")")


def atoms_first(sequence: MoleculeSequence) -> MoleculeSequence:
    """A molecule that was written graph-first, without stereo, in this way."""
    tokens, first_slot = sequence.tokens, int(sequence.slot[0])
    begin = int(np.flatnonzero(tokens.symbols == vocabulary.BEGIN)[0])
    smiles = slice(begin + 1, first_slot - 1)
    points = placement_points(tokens.symbols[smiles].tolist(), sequence.token_atom[smiles].tolist())
    sources, token_atom, start = list(range(begin + 1)), sequence.token_atom[: begin + 1].tolist(), begin + 1
    for atom, point in enumerate(points):
        end = begin + 1 + point
        sources += [*range(start, end), _PLACE, int(sequence.slot[atom])]
        token_atom += [*sequence.token_atom[start:end].tolist(), atom, atom]
        start = end
    rest = [*range(start, first_slot), *sequence.slot[len(points) :].tolist()]
    sources, token_atom = sources + rest, token_atom + sequence.token_atom[rest].tolist()
    new_position = {source: position for position, source in enumerate(sources)}
    is_place = np.array(sources) == _PLACE
    parts = [part[sources] for part in (tokens.symbols, tokens.vectors, tokens.channel, tokens.descriptor)]
    for part, value in zip(parts, (vocabulary.SLOT, 0.0, Channel.SYMBOL, 0), strict=True):
        part[is_place] = value
    graph_distance, ring_size = pairs_when_placed(sequence.bond_order, len(points))
    return replace(
        sequence,
        tokens=Sequence(*parts),
        token_atom=np.array(token_atom),
        slot=np.array([new_position[source] for source in sequence.slot.tolist()]),
        graph_distance=graph_distance,
        ring_size=ring_size,
    )


def placement_points(written: list[int], token_atom: list[int]) -> list[int]:
    """Where the slot of each heavy atom belongs: behind its symbols and its ring digits."""
    last_symbol = {atom: position for position, atom in enumerate(token_atom) if atom >= 0}
    return [behind_rings(written, last_symbol[atom] + 1) for atom in sorted(last_symbol)]


def pairs_when_placed(
    bond_order: Int[np.ndarray, "atoms atoms"], heavy: int
) -> tuple[Int[np.ndarray, "atoms atoms"], Int[np.ndarray, "atoms atoms"]]:
    """Graph distance, and smallest ring, of each pair as known when the later of the two is placed.

    Args:
        bond_order: of the whole molecule.
        heavy: atoms before the hydrogens; when the first hydrogen is placed everything is known.
    """
    graph_distance, ring_size = np.full(bond_order.shape, UNREACHED), np.zeros_like(bond_order)
    for atom in range(heavy):
        bonded = bond_order[: atom + 1, : atom + 1] > 0
        row = graph_distances(bonded)[atom]
        graph_distance[atom, : atom + 1] = graph_distance[: atom + 1, atom] = row
        bonds = [[int(left), int(right), 1] for left, right in np.argwhere(np.triu(bonded))]
        # rings do not depend on elements, charges or hydrogens: carbon will do
        graph = Graph.of([6] * (atom + 1), [0] * (atom + 1), [0] * (atom + 1), bonds)
        rings = [ring for neighbour in graph.neighbours[atom] for ring in graph.rings(atom, neighbour)]
        for ring in sorted(rings, key=len, reverse=True):  # smaller rings overwrite larger ones
            ring_size[atom, ring] = ring_size[ring, atom] = len(ring)
    whole = graph_distances(bond_order > 0)
    graph_distance[heavy:], graph_distance[:, heavy:] = whole[heavy:], whole[:, heavy:]
    return graph_distance, ring_size


def partial_sequence(
    written: list[int], positions: list[np.ndarray], values: Mapping[int, float], *, ended: bool, placing: bool
) -> MoleculeSequence:
    """A molecule as far as it is written.

    Args:
        written: symbols of the SMILES so far, without PLACE; cut off anywhere.
        positions: of its atoms so far, Angstrom.
        values: properties asked for, by their number in the model.
        ended: whether END is written: hydrogens follow.
        placing: whether PLACE is written and the next atom's slot comes; always so behind END.
    """
    complete = _complete_length(written)
    written, tail = written[:complete], written[complete:]
    if not written:
        return _with_tail(_without_atoms(values), tail, 0)
    token_atom = np.full(len(written), -1)
    kept = np.flatnonzero(_without_open_rings(written))
    read = read_smiles(closed(written))
    token_atom[kept] = read.atom[: len(kept)]
    whole = atoms_first(plan(np.array(written), token_atom, read.skeleton, values))
    heavy, placed = len(read.skeleton), len(positions)
    if placing or ended:
        length = int(whole.slot[placed]) + 1
    elif placed < heavy:  # up to the PLACE of the next atom
        length = int(whole.slot[placed]) - 1
    else:
        length = int(np.flatnonzero(whole.tokens.symbols == vocabulary.END)[0])
    sequence = cut_off(whole, length, placed + (placing or ended))
    sequence.positions[:placed] = np.reshape(positions, (placed, 3))
    return _with_tail(sequence, tail, heavy)


def _complete_length(written: list[int]) -> int:
    """Symbols up to the last whole atom or ring digit: without an open bracket, a bond, a parenthesis."""
    length = len(written)
    if written.count(_BRACKET) > written.count(_BRACKET_END):
        length = len(written) - 1 - written[::-1].index(_BRACKET)
    while length and vocabulary.mark_of(written[length - 1]) in (*_BONDS, "("):
        length -= 1
    return length


def _with_tail(sequence: MoleculeSequence, tail: list[int], heavy: int) -> MoleculeSequence:
    """With symbols behind it that begin the next atom."""
    if not tail:
        return sequence
    tail_tokens, tail_atom = prompt(tail, {})  # its first position is BEGIN
    parts = [
        np.concatenate([getattr(sequence.tokens, name), getattr(tail_tokens, name)[1:]])
        for name in ("symbols", "vectors", "channel", "descriptor")
    ]
    token_atom = np.concatenate([sequence.token_atom, np.where(tail_atom[1:] >= 0, heavy, -1)])
    return replace(sequence, tokens=Sequence(*parts), token_atom=token_atom)


def _without_atoms(values: Mapping[int, float]) -> MoleculeSequence:
    """Properties and BEGIN: no atom yet."""
    tokens, token_atom = prompt([], values)
    atoms = {name: np.zeros(0, dtype=np.int64) for name in _ATOM_FIELDS if name != "positions"}
    pairs = {name: np.zeros((0, 0), dtype=np.int64) for name in _PAIR_FIELDS}
    return MoleculeSequence(
        tokens=tokens, token_atom=token_atom, positions=np.zeros((0, 3), np.float32), **atoms, **pairs
    )


def cut_off(sequence: MoleculeSequence, length: int, atoms: int) -> MoleculeSequence:
    """The first positions and atoms."""
    tokens = sequence.tokens
    parts = (tokens.symbols, tokens.vectors, tokens.channel, tokens.descriptor)
    rows = {name: getattr(sequence, name)[:atoms].copy() for name in _ATOM_FIELDS}
    pairs = {name: getattr(sequence, name)[:atoms, :atoms] for name in _PAIR_FIELDS}
    kept = Sequence(*(part[:length] for part in parts))
    return MoleculeSequence(tokens=kept, token_atom=sequence.token_atom[:length], **rows, **pairs)


def closed(written: list[int]) -> list[int]:
    """A SMILES that is cut off, made whole: rings that are open are left out, parentheses closed."""
    kept = [symbol for symbol, keep in zip(written, _without_open_rings(written), strict=True) if keep]
    return kept + [_CLOSE] * (kept.count(_OPEN) - kept.count(_CLOSE))


def _without_open_rings(written: list[int]) -> list[bool]:
    """True for all symbols but the digits of open rings and the bonds before them."""
    keep, in_bracket = [True] * len(written), False
    open_at: dict[str, int] = {}
    for position, symbol in enumerate(written):
        mark = str(vocabulary.mark_of(symbol))
        in_bracket = mark == "[" or (in_bracket and mark != "]")
        if mark.isdigit() and not in_bracket and open_at.pop(mark, None) is None:
            open_at[mark] = position
    for position in open_at.values():
        keep[position] = False
        keep[position - 1] &= vocabulary.mark_of(written[position - 1]) not in _BONDS
    return keep
