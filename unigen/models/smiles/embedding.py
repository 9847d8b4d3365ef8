"""From the tokens and atoms of a molecule to the backbone's input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unigen.batch import TokenBatch
from unigen.geometry.local_frame import rows
from unigen.models.smiles.batch import MoleculeBatch
from unigen.models.smiles.placement import HIGHEST, LARGEST
from unigen.models.smiles.stereo_hints import HINTS
from unigen.models.smiles.tokens import SHIFTS
from unigen.nn.embeddings import ElementEmbedding
from unigen.shapes import Float, Int
from unigen.tokens.sequence import Channel
from unigen.tokens.vocabulary import VOCABULARY_SIZE, element_of

CHARGES = 2
"""Formal charges up to this size are told apart."""

_MOST_BONDS = 6
_FREQUENCIES = (0.25, 0.5, 1.0, 2.0, 4.0)


class MoleculeEmbedding(nn.Module):
    """Properties, symbols of the SMILES, atoms before and after they are placed.

    Args:
        width: of the backbone.
        max_atoms: the largest molecule.
        properties: how many properties there are.
        backwards: an atom knows its bonds to earlier atoms only.
    """

    symbol_element: Tensor
    frequencies: Tensor
    property_mean: Tensor
    property_std: Tensor
    property_range: Tensor

    def __init__(self, width: int, max_atoms: int, properties: int, *, backwards: bool = False) -> None:
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
        self.value = nn.Sequential(nn.Linear(2 * len(_FREQUENCIES) + 1, width), nn.SiLU(), nn.Linear(width, width))
        elements = [element_of(symbol) or 0 for symbol in range(VOCABULARY_SIZE)]
        self.register_buffer("symbol_element", torch.tensor(elements), persistent=False)
        self.register_buffer("frequencies", torch.tensor(_FREQUENCIES), persistent=False)

    def written(self, tokens: TokenBatch, names: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens width"]:
        """Properties and symbols; slots hold nothing yet."""
        total = self.symbol(tokens.symbols) + self.element(self.symbol_element[tokens.symbols])
        total = total + self.index(names.clamp(min=0)) * (names >= 0)[..., None]
        is_property = (tokens.channel == Channel.PROPERTY)[..., None]
        which = tokens.descriptor[..., 0] * is_property[..., 0]
        value = ((tokens.vectors[..., 0] - self.property_mean[which]) / self.property_std[which])[..., None]
        phase = value * self.frequencies
        features = torch.cat([value, phase.sin(), phase.cos()], dim=-1)
        return total + is_property * (self.property(which) + self.value(features))

    def atoms(self, batch: MoleculeBatch) -> Float[Tensor, "batch atoms width"]:
        """What each atom is: element, charge, hydrogens, bonds, ring, its place in the order."""
        order = batch.order.tril() if self.backwards else batch.order
        bonded = order > 0
        hydrogens = (bonded & (batch.numbers == 1)[:, None]).sum(-1)
        return (
            self.element(batch.numbers)
            + self.charge(batch.charges.clamp(-CHARGES, CHARGES) + CHARGES)
            + self.hydrogens(hydrogens.clamp(max=_MOST_BONDS))
            + self.bonds(bonded.sum(-1).clamp(max=_MOST_BONDS))
            + self.highest_order(order.amax(-1).clamp(max=HIGHEST))
            + self.smallest_ring(batch.ring.diagonal(dim1=1, dim2=2).clamp(max=LARGEST))
            + self.index(batch.names.gather(1, batch.slot).clamp(min=0))
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
        to_parent = rows(batch.order, chosen).gather(2, parent[..., None])[..., 0].clamp(max=HIGHEST)
        bonded = self.parent(parent + batch.shift[:, None]) + self.parent_order(to_parent)
        return rows(atoms, chosen) + bonded + self.hints(hints) + self.next_is_atom

    def placed(
        self,
        atoms: Float[Tensor, "batch atoms width"],
        vectors: Float[Tensor, "batch chosen 3"],
        chosen: Int[Tensor, "batch chosen"],
    ) -> Float[Tensor, "batch chosen width"]:
        """An atom that stands, and where from its parent."""
        return rows(atoms, chosen) + self.vector(vectors)
