"""Drawing molecules atoms-first: symbols and positions in turn, each row at its own pace.

Every step reads all that a row holds so far, anew: slower than a cached step, and simple.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from unigen.geometry.local_frame import LocalFrames
from unigen.models.smiles.atoms_first import beginning, group_ends
from unigen.models.smiles.batch import MoleculeBatch, collate_molecules
from unigen.models.smiles.decoding import draw_vectors
from unigen.models.smiles.drawing import molecule_of_plan
from unigen.models.smiles.network import MoleculeModel
from unigen.models.smiles.settings import MoleculeSettings
from unigen.models.smiles.springs import Springs
from unigen.models.smiles.tokens import MoleculeSequence, plan
from unigen.molecules.molecule import Molecule
from unigen.shapes import Bool, Float
from unigen.smiles.grammar import SmilesGrammar, SmilesWalk
from unigen.smiles.reader import read_smiles
from unigen.smiles.text import smiles_text
from unigen.tokens import vocabulary

_BONDS = [vocabulary.mark_symbol(mark) for mark in "-=#"]
_DIGITS = [vocabulary.mark_symbol(str(digit)) for digit in range(1, 10)]
_BRACKET, _BRACKET_END = vocabulary.mark_symbol("["), vocabulary.mark_symbol("]")
_PLACE = vocabulary.SLOT


def _mask(symbols: Sequence[int]) -> Bool[np.ndarray, "vocabulary"]:
    mask = np.zeros(vocabulary.VOCABULARY_SIZE, dtype=bool)
    mask[list(symbols)] = True
    return mask


_RINGS = _mask(_DIGITS)


@dataclass(eq=False)
class Row:
    """A molecule that is being drawn.

    Attributes:
        values: properties asked for, by their number in the model.
        rng: its own random numbers.
        walk: what may be written next; None where the SMILES is given.
        given: what is left of a SMILES that is given, PLACE and END among its symbols.
        written: symbols so far, without PLACE and END.
        placed: positions so far, Angstrom.
        heavy: atoms named so far.
        due: whether an atom's place comes next.
        ended: whether END is written.
        atoms: how many there will be, once that is known.
    """

    values: Mapping[int, float]
    rng: np.random.Generator
    walk: SmilesWalk | None = None
    given: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    placed: list[np.ndarray] = field(default_factory=list)
    heavy: int = 0
    due: bool = False
    ended: bool = False
    atoms: int | None = None

    @classmethod
    def writing(cls, grammar: SmilesGrammar, values: Mapping[int, float], rng: np.random.Generator) -> Row:
        """A molecule that is to be written."""
        return cls(values, rng, grammar.start())

    @classmethod
    def conformer(cls, symbols: Sequence[int], values: Mapping[int, float], rng: np.random.Generator) -> Row:
        """A molecule whose SMILES is given, without stereo."""
        atom, given, last = read_smiles(symbols).atom.tolist(), [], 0
        for end in group_ends(list(symbols), atom):
            given += [*symbols[last:end], _PLACE]
            last = end
        return cls(values, rng, given=[*given, *symbols[last:], vocabulary.END])

    @property
    def done(self) -> bool:
        """Whether every atom is placed."""
        return self.ended and len(self.placed) == self.atoms

    def sequence(self) -> MoleculeSequence:
        """What the model reads."""
        return beginning(self.written, self.placed, self.values, ended=self.ended, due=self.due)

    def legal(self) -> Bool[np.ndarray, "vocabulary"]:
        """Which symbols may come next, PLACE among them."""
        if self.walk is None:
            return _mask(self.given[:1])
        legal, unplaced = self.walk.legal(), len(self.placed) < self.heavy
        if self.walk.bracket or not self.written:
            return legal
        if not unplaced:
            return self._with(legal, ~_RINGS)
        if self.walk.order:  # a bond before PLACE leads to a digit
            return legal & _RINGS
        rings = self._with(legal, _RINGS) & (_RINGS | _mask(_BONDS))
        rings[_PLACE] = bool(self._with(legal, ~_RINGS).any())
        return rings

    def _with(
        self, legal: Bool[np.ndarray, "vocabulary"], allowed: Bool[np.ndarray, "vocabulary"]
    ) -> Bool[np.ndarray, "vocabulary"]:
        """What is legal and allowed, and of the bonds those that lead to it: a placed atom has all its rings."""
        assert self.walk is not None
        kept = legal & (allowed | _mask(_BONDS))
        for bond in _BONDS if not self.walk.order else ():
            kept[bond] &= bool(kept[bond]) and bool((self.walk.write(bond).legal() & allowed).any())
        return kept

    def write(self, symbol: int) -> None:
        """Take a symbol."""
        self.given = self.given[1:]
        if symbol == _PLACE:
            self.due = True
            return
        self.walk = self.walk and self.walk.write(symbol)
        if symbol == vocabulary.END:
            self.ended, self.due = True, True
            self.atoms = len(plan_of(self.written, self.values).numbers)
            return
        self.written.append(symbol)
        inside = self.written.count(_BRACKET) > self.written.count(_BRACKET_END)
        named = vocabulary.element_of(symbol) is not None or symbol == _BRACKET_END
        self.heavy += named and not inside

    def place(self, position: np.ndarray) -> None:
        """Take the position of the atom that was due."""
        self.placed.append(position)
        self.due = self.ended


def plan_of(written: Sequence[int], values: Mapping[int, float]) -> MoleculeSequence:
    """The whole molecule of a SMILES."""
    read = read_smiles(written)
    return plan(np.array(written), read.atom, read.skeleton, values)


@torch.no_grad()
def draw_atoms_first(model: MoleculeModel, rows: list[Row], settings: MoleculeSettings) -> list[Molecule]:
    """Write and place molecules.

    Args:
        model: of the layout atoms-first, in evaluation mode.
        rows: what is to be drawn.
        settings: how; without guidance.
    """
    while open_rows := [row for row in rows if not row.done]:  # the grammar ends every SMILES
        _step(model, open_rows, settings)
    return [_molecule(row) for row in rows]


def _step(model: MoleculeModel, rows: list[Row], settings: MoleculeSettings) -> None:
    """Each row gets its next symbol, or its next atom its place."""
    device = next(model.parameters()).device
    batch: MoleculeBatch = collate_molecules([row.sequence() for row in rows]).to(device)
    chosen = torch.arange(batch.numbers.shape[1], device=device).expand(len(rows), -1)
    frames = model.frames(batch, chosen)
    h, springs = model.states(batch, frames.local(batch.positions), frames)
    due = torch.tensor([row.due for row in rows], device=device)
    h = h[torch.arange(len(rows), device=device), batch.lengths - 1 - due.long()]
    symbols = _symbols(model, [row for row in rows if not row.due], h[~due], settings)
    at = torch.tensor([len(row.placed) for row in rows], device=device).clamp(max=max(batch.numbers.shape[1] - 1, 0))
    here = due[:, None] & (torch.arange(batch.numbers.shape[1], device=device) == at[:, None])
    if here.any():
        positions = _positions(model, [row for row in rows if row.due], h[due], frames, springs, here, settings)
    placed = iter(positions if here.any() else ())
    for row in rows:
        if row.due:
            row.place(next(placed))
        else:
            row.write(next(symbols))


def _symbols(
    model: MoleculeModel, rows: list[Row], h: Float[torch.Tensor, "rows width"], settings: MoleculeSettings
) -> Iterator[int]:
    if not rows:
        return iter(())
    legal = torch.from_numpy(np.stack([row.legal() for row in rows])).to(h.device)
    uniform = torch.tensor([row.rng.random() for row in rows], device=h.device)
    return iter(model.symbol_head.sample(h, legal, uniform, settings.symbol_temperature).tolist())


def _positions(
    model: MoleculeModel,
    rows: list[Row],
    h: Float[torch.Tensor, "rows width"],
    frames: LocalFrames,
    springs: Springs,
    here: Bool[torch.Tensor, "batch atoms"],
    settings: MoleculeSettings,
) -> Float[np.ndarray, "rows 3"]:
    """Where the atoms that are due lie; the first of a molecule is the origin."""
    head, context = model.atom_head, model.atom_head.context(h)
    pulls = springs.of(here.flatten()).pulls
    random = np.stack([row.rng.standard_normal(3).astype(np.float32) for row in rows])
    normal = torch.from_numpy(random).to(h.device)
    drawn = draw_vectors(
        head, lambda x, sigma: head.denoise(x, sigma, context, pulls), normal, frames.free[here], settings
    )
    whole = torch.zeros((*here.shape, 3), device=h.device)
    whole[here] = drawn
    return frames.place(whole)[here].cpu().numpy()


def _molecule(row: Row) -> Molecule:
    return molecule_of_plan(plan_of(row.written, {}), np.array(row.placed), smiles_text(row.written))
