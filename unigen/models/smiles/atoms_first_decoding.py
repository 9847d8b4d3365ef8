"""Drawing molecules atoms-first: symbols and positions in turn, each row at its own pace.

Every step reads all that a row holds so far, anew: slower than a cached step, and simple.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from unigen.models.smiles.atoms_first import partial_sequence, placement_points
from unigen.models.smiles.batch import MoleculeBatch, collate_molecules
from unigen.models.smiles.conformer_decoding import molecule_of_plan
from unigen.models.smiles.network import MoleculeModel
from unigen.models.smiles.position_decoding import draw_vectors, solver_levels
from unigen.models.smiles.settings import MoleculeSettings
from unigen.models.smiles.tokens import MoleculeSequence, plan
from unigen.molecules.molecule import Molecule
from unigen.shapes import Bool
from unigen.smiles.grammar import SmilesGrammar, SmilesWalk
from unigen.smiles.reader import read_smiles
from unigen.smiles.text import smiles_text
from unigen.tokens import vocabulary

_BRACKET, _BRACKET_END = vocabulary.mark_symbol("["), vocabulary.mark_symbol("]")
_PLACE = vocabulary.SLOT


def _mask(symbols: Sequence[int]) -> Bool[np.ndarray, "vocabulary"]:
    mask = np.zeros(vocabulary.VOCABULARY_SIZE, dtype=bool)
    mask[list(symbols)] = True
    return mask


_BONDS = [vocabulary.mark_symbol(mark) for mark in "-=#"]
_BOND_MASK = _mask(_BONDS)
_DIGIT_MASK = _mask([vocabulary.mark_symbol(str(digit)) for digit in range(1, 10)])


@dataclass(eq=False)
class PartialMolecule:
    """A molecule that is being drawn: a SMILES and positions as far as they go.

    Attributes:
        values: properties asked for, by their number in the model.
        rng: its own random numbers.
        walk: what may be written next; None where the SMILES is given.
        remaining: what is left of a SMILES that is given, PLACE and END among its symbols.
        written: symbols so far, without PLACE and END.
        positions: of the atoms so far, Angstrom.
        heavy: atoms named so far.
        placing: whether an atom's position comes next.
        ended: whether END is written.
        num_atoms: how many there will be, once that is known.
    """

    values: Mapping[int, float]
    rng: np.random.Generator
    walk: SmilesWalk | None = None
    remaining: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)
    heavy: int = 0
    placing: bool = False
    ended: bool = False
    num_atoms: int | None = None

    @classmethod
    def de_novo(cls, grammar: SmilesGrammar, values: Mapping[int, float], rng: np.random.Generator) -> PartialMolecule:
        """A molecule that is to be written."""
        return cls(values, rng, grammar.start())

    @classmethod
    def conformer(
        cls, symbols: Sequence[int], values: Mapping[int, float], rng: np.random.Generator
    ) -> PartialMolecule:
        """A molecule whose SMILES is given, without stereo."""
        remaining, start = [], 0
        for end in placement_points(list(symbols), read_smiles(symbols).atom.tolist()):
            remaining += [*symbols[start:end], _PLACE]
            start = end
        return cls(values, rng, remaining=[*remaining, *symbols[start:], vocabulary.END])

    @property
    def complete(self) -> bool:
        """Whether every atom is placed."""
        return self.ended and len(self.positions) == self.num_atoms

    def sequence(self) -> MoleculeSequence:
        """What the model reads."""
        return partial_sequence(self.written, self.positions, self.values, ended=self.ended, placing=self.placing)

    def legal(self) -> Bool[np.ndarray, "vocabulary"]:
        """Which symbols may come next, PLACE among them."""
        if self.walk is None:
            return _mask(self.remaining[:1])
        legal = self.walk.legal()
        if self.walk.bracket or not self.written:
            return legal
        if len(self.positions) == self.heavy:  # a placed atom has all its rings
            return self._leading_to(legal, ~_DIGIT_MASK)
        if self.walk.order:  # a bond before PLACE leads to a digit
            return legal & _DIGIT_MASK
        rings = self._leading_to(legal, _DIGIT_MASK) & (_DIGIT_MASK | _BOND_MASK)
        rings[_PLACE] = bool(self._leading_to(legal, ~_DIGIT_MASK).any())
        return rings

    def _leading_to(
        self, legal: Bool[np.ndarray, "vocabulary"], allowed: Bool[np.ndarray, "vocabulary"]
    ) -> Bool[np.ndarray, "vocabulary"]:
        """What is legal and allowed, and of the bonds those behind which something allowed may be written."""
        assert self.walk is not None
        kept = legal & (allowed | _BOND_MASK)
        for bond in _BONDS if not self.walk.order else ():
            kept[bond] &= bool(kept[bond]) and bool((self.walk.write(bond).legal() & allowed).any())
        return kept

    def write(self, symbol: int) -> None:
        """Take a symbol."""
        self.remaining = self.remaining[1:]
        if symbol == _PLACE:
            self.placing = True
            return
        self.walk = self.walk and self.walk.write(symbol)
        if symbol == vocabulary.END:
            self.ended, self.placing = True, True
            self.num_atoms = len(self.plan().numbers)
            return
        self.written.append(symbol)
        in_bracket = self.written.count(_BRACKET) > self.written.count(_BRACKET_END)
        names_atom = vocabulary.element_of(symbol) is not None or symbol == _BRACKET_END
        self.heavy += names_atom and not in_bracket

    def place(self, position: np.ndarray) -> None:
        """Take the position of the next atom; behind END one atom follows another."""
        self.positions.append(position)
        self.placing = self.ended

    def plan(self) -> MoleculeSequence:
        """The whole molecule of a SMILES that has ended, graph-first."""
        read = read_smiles(self.written)
        return plan(np.array(self.written), read.atom, read.skeleton, self.values)


@torch.no_grad()
def draw_atoms_first(
    model: MoleculeModel, molecules: list[PartialMolecule], settings: MoleculeSettings
) -> list[Molecule]:
    """Write and place molecules.

    Args:
        model: of the layout atoms-first, in evaluation mode.
        molecules: what is to be drawn.
        settings: how; without guidance.
    """
    while rows := [row for row in molecules if not row.complete]:  # the grammar ends every SMILES
        _step(model, rows, settings)
    return [molecule_of_plan(row.plan(), np.array(row.positions), smiles_text(row.written)) for row in molecules]


def _step(model: MoleculeModel, rows: list[PartialMolecule], settings: MoleculeSettings) -> None:
    """Each row gets its next symbol, or its next atom its position; the first atom of a molecule is the origin."""
    device = next(model.parameters()).device
    batch: MoleculeBatch = collate_molecules([row.sequence() for row in rows]).to(device)
    index = torch.arange(batch.numbers.shape[1], device=device)
    frames = model.frames(batch, index.expand(len(rows), -1))
    states, springs = model.states(batch, frames.local(batch.positions), frames)
    is_placing = torch.tensor([row.placing for row in rows], device=device)
    # A slot is drawn from the state before it, the next symbol from the last one.
    h = states[torch.arange(len(rows), device=device), batch.lengths - 1 - is_placing.long()]
    writing, placing = [row for row in rows if not row.placing], [row for row in rows if row.placing]
    if writing:
        legal = torch.from_numpy(np.stack([row.legal() for row in writing])).to(device)
        uniform = torch.tensor([row.rng.random() for row in writing], device=device)
        symbols = model.symbol_head.sample(h[~is_placing], legal, uniform, settings.symbol_temperature)
    if placing:
        next_atom = torch.tensor([len(row.positions) for row in rows], device=device).clamp(max=len(index) - 1)
        chosen = is_placing[:, None] & (index == next_atom[:, None])
        random = np.stack([row.rng.standard_normal(3).astype(np.float32) for row in placing])
        context, pulls = model.atom_head.context(h[is_placing]), springs.of(chosen.flatten()).pulls
        denoise = partial(model.atom_head.denoise, context=context, extra_features=pulls)
        normal = torch.from_numpy(random).to(device)
        vectors = torch.zeros((*chosen.shape, 3), device=device)
        levels = solver_levels(model.atom_head, settings)
        vectors[chosen] = draw_vectors(model.atom_head, denoise, normal, frames.free[chosen], settings, levels)
        positions = frames.place(vectors)[chosen].cpu().numpy()
    for number, row in enumerate(placing):
        row.place(positions[number])
    for number, row in enumerate(writing):
        row.write(int(symbols[number]))
