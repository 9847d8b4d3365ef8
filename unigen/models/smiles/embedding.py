"""From the tokens and atoms of a molecule to the backbone's input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unigen.batch import TokenBatch
from unigen.geometry.local_frame import rows
from unigen.models.smiles.batch import MoleculeBatch
from unigen.models.smiles.placement import HIGHEST, LARGEST
from unigen.models.smiles.stereo_hints import HINTS
from unigen.models.smiles.tokens import IN_EXAMPLE, SHIFTS
from unigen.nn.embeddings import ElementEmbedding
from unigen.shapes import Float, Int
from unigen.tokens.sequence import Channel
from unigen.tokens.vocabulary import VOCABULARY_SIZE, element_of

CHARGES = 2
"""Formal charges up to this size are told apart; the grammar writes none beyond 1."""

_MOST_BONDS = 6
"""Bonds of an atom that are counted: no element that the grammar writes has more."""

_FREQUENCIES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Radians a standard deviation of a property: the slowest does not repeat within +-12 of them, the fastest turns
once in 1.6."""


class MoleculeEmbedding(nn.Module):
    """Properties, symbols of the SMILES, atoms before and after they are placed.

    Args:
        width: of the backbone.
        max_atoms: the largest molecule.
        properties: how many properties there are.
        backwards: an atom knows its bonds to earlier atoms only.
        examples: whether known molecules stand in prompts.
    """

    symbol_element: Tensor
    frequencies: Tensor
    property_mean: Tensor
    property_std: Tensor
    property_range: Tensor

    def __init__(
        self, width: int, max_atoms: int, properties: int, *, backwards: bool = False, examples: bool = False
    ) -> None:
        super().__init__()
        self.backwards = backwards
        self.symbol = nn.Embedding(VOCABULARY_SIZE, width)
        self.element = ElementEmbedding(width, dropout=0.0)
        self.index = nn.Embedding(max_atoms + SHIFTS, width)
        self.charge = nn.Embedding(2 * CHARGES + 1, width)
        self.hydrogens, self.bonds = nn.Embedding(_MOST_BONDS + 1, width), nn.Embedding(_MOST_BONDS + 1, width)
        self.highest_order = nn.Embedding(HIGHEST + 1, width)
        self.smallest_ring = nn.Embedding(LARGEST + 1, width)
        self.parent, self.parent_order = nn.Embedding(max_atoms + SHIFTS, width), nn.Embedding(HIGHEST + 1, width)
        self.hints = nn.Linear(HINTS, width, bias=False)
        self.next_is_atom = nn.Parameter(torch.zeros(width))
        self.vector = nn.Sequential(nn.Linear(3, width), nn.SiLU(), nn.Linear(width, width))
        self.property = nn.Embedding(properties + 1, width)
        self.register_buffer("property_mean", torch.zeros(properties + 1))
        self.register_buffer("property_std", torch.ones(properties + 1))
        self.register_buffer("property_range", torch.zeros(properties + 1, 2))
        self.in_example = nn.Parameter(torch.zeros(width)) if examples else None
        self.value = nn.Sequential(nn.Linear(2 * len(_FREQUENCIES) + 1, width), nn.SiLU(), nn.Linear(width, width))
        elements = [element_of(symbol) or 0 for symbol in range(VOCABULARY_SIZE)]
        self.register_buffer("symbol_element", torch.tensor(elements), persistent=False)
        self.register_buffer("frequencies", torch.tensor(_FREQUENCIES), persistent=False)

    def written(self, tokens: TokenBatch, labels: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens width"]:
        """Properties, symbols, and examples with their atoms; slots of the molecule itself hold nothing yet."""
        total = self.symbol(tokens.symbols) + self.element(self.symbol_element[tokens.symbols])
        total = total + self.index(labels.clamp(min=0)) * (labels >= 0)[..., None]
        is_property = (tokens.channel == Channel.PROPERTY)[..., None]
        which = tokens.descriptor[..., 0] * is_property[..., 0]
        value = ((tokens.vectors[..., 0] - self.property_mean[which]) / self.property_std[which])[..., None]
        phase = value * self.frequencies
        features = torch.cat([value, phase.sin(), phase.cos()], dim=-1)
        total = total + is_property * (self.property(which) + self.value(features))
        if self.in_example is None:
            return total
        in_example = tokens.descriptor[..., IN_EXAMPLE] > 0
        is_atom = in_example & (tokens.channel == Channel.CARTESIAN)
        atom = self.element(tokens.descriptor[..., 0] * is_atom) + self.vector(tokens.vectors[..., :3])
        return total + in_example[..., None] * self.in_example + is_atom[..., None] * atom

    def atoms(self, batch: MoleculeBatch) -> Float[Tensor, "batch atoms width"]:
        """What each atom is: element, charge, hydrogens, bonds, ring, its place in the order."""
        bond_order = batch.bond_order.tril() if self.backwards else batch.bond_order
        bonded = bond_order > 0
        hydrogens = (bonded & (batch.numbers == 1)[:, None]).sum(-1)
        return (
            self.element(batch.numbers)
            + self.charge(batch.charges.clamp(-CHARGES, CHARGES) + CHARGES)
            + self.hydrogens(hydrogens.clamp(max=_MOST_BONDS))
            + self.bonds(bonded.sum(-1).clamp(max=_MOST_BONDS))
            + self.highest_order(bond_order.amax(-1).clamp(max=HIGHEST))
            + self.smallest_ring(batch.ring_size.diagonal(dim1=1, dim2=2).clamp(max=LARGEST))
            + self.index(batch.atom_labels.gather(1, batch.slot).clamp(min=0))
        )

    def upcoming(
        self,
        atoms: Float[Tensor, "batch atoms width"],
        batch: MoleculeBatch,
        parent: Int[Tensor, "batch chosen"],
        chosen: Int[Tensor, "batch chosen"],
        hints: Float[Tensor, "batch chosen 4"],
    ) -> Float[Tensor, "batch chosen width"]:
        """Which atom comes next, where it is bonded, and on which side stereo wants it."""
        to_parent = rows(batch.bond_order, chosen).gather(2, parent[..., None])[..., 0].clamp(max=HIGHEST)
        bonded = self.parent(parent + batch.shift[:, None]) + self.parent_order(to_parent)
        return rows(atoms, chosen) + bonded + self.hints(hints) + self.next_is_atom

    def placed(
        self,
        atoms: Float[Tensor, "batch atoms width"],
        vectors: Float[Tensor, "batch chosen 3"],
        chosen: Int[Tensor, "batch chosen"],
    ) -> Float[Tensor, "batch chosen width"]:
        """A placed atom, and its vector from its parent."""
        return rows(atoms, chosen) + self.vector(vectors)
