"""The other way to write a molecule: each atom is placed as soon as the SMILES has named it and its bonds backwards.

    ``property ... BEGIN C PLACE slot = O PLACE slot ... END slot ...``

PLACE (the symbol SLOT) says that an atom's ring digits are complete, so that its bonds to the atoms before it are
known and nothing of what follows; its slot comes next. Hydrogens come behind END, by parent. What is said of two atoms
(bonds apart, rings) is what the SMILES said when the later one was placed. Stereo is not written: it is what the
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

_OF_ATOMS = ("slot", "numbers", "charges", "handed", "positions")
_OF_PAIRS = ("order", "near", "ring", "sides")
_PLACE = -1
_BONDS = ("-", "=", "#")
_BRACKET, _BRACKET_END = vocabulary.mark_symbol("["), vocabulary.mark_symbol("]")
_OPEN, _CLOSE = vocabulary.mark_symbol("("), vocabulary.mark_symbol(")")


def atoms_first(sequence: MoleculeSequence) -> MoleculeSequence:
    """A molecule that was written graph-first, without stereo, in this way."""
    first = int(sequence.slot[0])
    symbols = sequence.tokens.symbols
    begin = int(np.flatnonzero(symbols == vocabulary.BEGIN)[0])
    written = symbols[begin + 1 : first - 1].tolist()
    ends = group_ends(written, sequence.atom[begin + 1 : first - 1].tolist())
    order, belongs, last = list(range(begin + 1)), sequence.atom[: begin + 1].tolist(), 0
    for atom, end in enumerate(ends):
        group = range(begin + 1 + last, begin + 1 + end)
        order += [*group, _PLACE, int(sequence.slot[atom])]
        belongs += [*sequence.atom[group.start : group.stop].tolist(), atom, atom]
        last = end
    rest = [*range(begin + 1 + last, first), *sequence.slot[len(ends) :].tolist()]
    order, belongs = order + rest, belongs + sequence.atom[rest].tolist()
    position = {old: new for new, old in enumerate(order)}
    tokens, announced = sequence.tokens, np.array(order) == _PLACE
    parts = [part[order] for part in (tokens.symbols, tokens.vectors, tokens.channel, tokens.descriptor)]
    for part, value in zip(parts, (vocabulary.SLOT, 0.0, Channel.SYMBOL, 0), strict=True):
        part[announced] = value
    near, ring = seen_so_far(sequence.order, len(ends))
    return replace(
        sequence,
        tokens=Sequence(*parts),
        atom=np.array(belongs),
        slot=np.array([position[old] for old in sequence.slot.tolist()]),
        near=near,
        ring=ring,
    )


def group_ends(written: list[int], atom: list[int]) -> list[int]:
    """Where the slot of each heavy atom belongs: behind its symbols and its ring digits."""
    last = {number: position for position, number in enumerate(atom) if number >= 0}
    return [behind_rings(written, last[number] + 1) for number in sorted(last)]


def seen_so_far(
    order: Int[np.ndarray, "atoms atoms"], heavy: int
) -> tuple[Int[np.ndarray, "atoms atoms"], Int[np.ndarray, "atoms atoms"]]:
    """Bonds apart, and smallest rings, of each pair as told when the later of the two is placed.

    Args:
        order: of the bonds.
        heavy: atoms before the hydrogens; of these everything is known.
    """
    near, ring = np.full(order.shape, UNREACHED), np.zeros_like(order)
    for atom in range(heavy):
        known = order[: atom + 1, : atom + 1] > 0
        near[atom, : atom + 1] = near[: atom + 1, atom] = graph_distances(known)[atom]
        bonds = [[int(one), int(two), 1] for one, two in np.argwhere(np.triu(known))]
        graph = Graph.of([6] * (atom + 1), [0] * (atom + 1), [0] * (atom + 1), bonds)
        rings = [found for other in graph.neighbours[atom] for found in graph.rings(atom, other)]
        for found in sorted(rings, key=len, reverse=True):
            ring[atom, found] = ring[found, atom] = len(found)
    whole = graph_distances(order > 0)
    near[heavy:], near[:, heavy:] = whole[heavy:], whole[:, heavy:]
    return near, ring


def beginning(
    written: list[int], placed: list[np.ndarray], values: Mapping[int, float], *, ended: bool, due: bool
) -> MoleculeSequence:
    """A molecule as far as it is written.

    Args:
        written: symbols of the SMILES so far, without PLACE; cut off anywhere.
        placed: positions of its atoms so far, Angstrom.
        values: properties asked for, by their number in the model.
        ended: whether END is written: hydrogens follow.
        due: whether PLACE is written and the next atom's slot comes; always so behind END.
    """
    written, tail = written[: (cut := _complete(written))], written[cut:]
    if not written:
        return _with_tail(_nothing(values), tail, 0)
    atom = np.full(len(written), -1)
    kept = np.flatnonzero(_kept(written))
    read = read_smiles(closed(written))
    atom[kept] = read.atom[: len(kept)]
    whole = atoms_first(plan(np.array(written), atom, read.skeleton, values))
    heavy, at = len(read.skeleton), len(placed)
    if due or ended:
        length = int(whole.slot[at]) + 1
    elif at < heavy:
        length = int(whole.slot[at]) - 1
    else:
        length = int(np.flatnonzero(whole.tokens.symbols == vocabulary.END)[0])
    known = cut_off(whole, length, at + (due or ended))
    known.positions[:at] = np.reshape(placed, (at, 3))
    return _with_tail(known, tail, heavy)


def _complete(written: list[int]) -> int:
    """How much is written up to the last whole atom or ring digit: without an open bracket, a bond, a parenthesis."""
    at = len(written)
    if written.count(_BRACKET) > written.count(_BRACKET_END):
        at = len(written) - 1 - written[::-1].index(_BRACKET)
    while at and vocabulary.mark_of(written[at - 1]) in (*_BONDS, "("):
        at -= 1
    return at


def _with_tail(sequence: MoleculeSequence, tail: list[int], heavy: int) -> MoleculeSequence:
    """With symbols behind it that begin the next atom."""
    if not tail:
        return sequence
    more, atom = prompt(tail, {})  # its first position is BEGIN
    first, second = sequence.tokens, more
    parts = [
        np.concatenate([getattr(first, name), getattr(second, name)[1:]])
        for name in ("symbols", "vectors", "channel", "descriptor")
    ]
    named = np.where(atom[1:] >= 0, heavy, -1)
    return replace(sequence, tokens=Sequence(*parts), atom=np.concatenate([sequence.atom, named]))


def _nothing(values: Mapping[int, float]) -> MoleculeSequence:
    """Properties and BEGIN: no atom yet."""
    tokens, atom = prompt([], values)
    none, pairs = np.zeros(0, dtype=np.int64), np.zeros((0, 0), dtype=np.int64)
    rows = {"slot": none, "numbers": none, "charges": none, "handed": none}
    tables = {"order": pairs, "near": pairs, "ring": pairs, "sides": pairs}
    return MoleculeSequence(tokens=tokens, atom=atom, positions=np.zeros((0, 3), np.float32), **rows, **tables)


def cut_off(sequence: MoleculeSequence, length: int, atoms: int) -> MoleculeSequence:
    """The first positions and atoms."""
    tokens = sequence.tokens
    parts = (tokens.symbols, tokens.vectors, tokens.channel, tokens.descriptor)
    rows = {name: getattr(sequence, name)[:atoms].copy() for name in _OF_ATOMS}
    pairs = {name: getattr(sequence, name)[:atoms, :atoms] for name in _OF_PAIRS}
    kept = Sequence(*(part[:length] for part in parts))
    return MoleculeSequence(tokens=kept, atom=sequence.atom[:length], **rows, **pairs)


def closed(written: list[int]) -> list[int]:
    """A SMILES that is cut off, made whole: rings that are open are left out, parentheses closed."""
    kept = [symbol for symbol, keep in zip(written, _kept(written), strict=True) if keep]
    return kept + [_CLOSE] * (kept.count(_OPEN) - kept.count(_CLOSE))


def _kept(written: list[int]) -> list[bool]:
    """All symbols but the digits of open rings and the bonds before them."""
    keep, inside = [True] * len(written), False
    open_at: dict[str, int] = {}
    for at, symbol in enumerate(written):
        mark = str(vocabulary.mark_of(symbol))
        inside = mark == "[" or (inside and mark != "]")
        if mark.isdigit() and not inside:
            open_at = {d: p for d, p in open_at.items() if d != mark} if mark in open_at else open_at | {mark: at}
    for at in open_at.values():
        keep[at] = False
        keep[at - 1] &= vocabulary.mark_of(written[at - 1]) not in _BONDS
    return keep
