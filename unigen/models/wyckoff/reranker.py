"""Which known structure a composition takes: a set encoder over a shortlist of neighbours, with a pointer.

Two readings of the shortlist are added. A **learned kernel** over all neighbours (Vinyals et al. 2016, matching
networks): neighbour i votes for its kind with weight

    ``w_i = exp(-beta (sum_e (n_e / n) c(e, r_e) + d_i / 2))``

where c >= 0 is a learned cost of giving element e the role of r_e and d_i the chemical distance. And a **transformer**
over the kinds, each described by its nearest neighbour: who replaces whom, and what the sites look like. One more
choice is "none of them": the structure is then written anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from unigen.models.wyckoff.batch import NeighbourBatch
from unigen.nn.embeddings import ElementTable
from unigen.retrieval.fingerprint import CONTACTS
from unigen.retrieval.shortlist import KINDS
from unigen.retrieval.table import FEATURES, UNIT
from unigen.shapes import Bool, Float, Int

RERANKER_HEADS = 4
"""Heads of attention of its transformer."""

_PAIR_FACTS = 6  # chemical distance, three differences of descriptors, share, count
_KIND_FACTS = 9  # see ``_kind_facts``
_NEVER = -1e9
"""Logit of what is not there. Not minus infinity: of an empty shortlist that would be NaN."""

_UNKNOWN_STABILITY = 0.05
"""eV per atom above the hull: between a stable crystal and the 0.5 at which energies are cut off."""

# Scales below (counts / 8, atoms / 20, neighbours / 16, Angstrom (d - 3) / 2, votes / 4) bring numbers to order one.
# Trained weights depend on them.


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Each wanted element beside the one whose role it takes, for every neighbour."""

    wanted: Int[Tensor, "batch elements"]
    roles: Int[Tensor, "batch neighbours elements"]
    facts: Float[Tensor, "batch neighbours elements 6"]
    fingerprints: Float[Tensor, "batch neighbours elements features"]
    share: Float[Tensor, "batch elements"]

    def of(self, neighbour: Int[Tensor, "batch chosen"]) -> _Pairs:
        """Those of some neighbours."""
        row = torch.arange(len(neighbour), device=neighbour.device)[:, None]
        return _Pairs(
            self.wanted,
            self.roles[row, neighbour],
            self.facts[row, neighbour],
            self.fingerprints[row, neighbour],
            self.share,
        )


_Tables = tuple[Float[Tensor, "table width"], Float[Tensor, "table width"]]
"""Of the first and of the second element of a pair, by atomic number."""


class ElementTables(NamedTuple):
    """What the reranker makes of elements before it sees any shortlist: two thirds of the time of a single one."""

    elements: Float[Tensor, "table width"]
    cost: _Tables
    describe: _Tables
    contacts: _Tables


class PairEncoder(nn.Module):
    """A vector of a wanted element, the element it replaces, and what is known of the two.

    Args:
        width: hidden.
        fingerprints: whether it sees the fingerprints of the sites.
        dropout: on the hidden layer.
        out: width of the result.
    """

    def __init__(self, width: int, out: int, dropout: float, *, fingerprints: bool) -> None:
        super().__init__()
        self.wanted = nn.Linear(width, width)
        self.role = nn.Linear(width, width, bias=False)
        self.facts = nn.Linear(_PAIR_FACTS, width, bias=False)
        self.looks = nn.Linear(FEATURES, width, bias=False) if fingerprints else None
        self.hidden = nn.Sequential(nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, width), nn.SiLU())
        self.out = nn.Linear(width, out)

    def tables(self, elements: Float[Tensor, "table width"]) -> _Tables:
        """Of wanted elements, and of those whose roles they take."""
        return self.wanted(elements), self.role(elements)

    def forward(self, tables: _Tables, pairs: _Pairs) -> Float[Tensor, "batch neighbours n out"]:
        """One vector a pair."""
        wanted, role = tables
        x = functional.embedding(pairs.wanted, wanted)[:, None]
        x = x + functional.embedding(pairs.roles, role) + self.facts(pairs.facts)
        if self.looks is not None:
            x = x + self.looks(pairs.fingerprints)
        return self.out(self.hidden(x))


class ContactEncoder(nn.Module):
    """What it means that these two elements are so far from each other, summed over all pairs of a structure.

    A learned pair potential of sorts: distances are seen both in mean atomic spacings and in Angstrom, as they would be
    at the volume that the wanted elements are expected to take.

    Args:
        width: hidden, and of the result.
        dropout: on the hidden layer.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.centre, self.other = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.distances = nn.Linear(2 * len(CONTACTS), width, bias=False)
        self.hidden = nn.Sequential(nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, width), nn.SiLU())
        self.out = nn.Linear(width, width)

    def tables(self, elements: Float[Tensor, "table width"]) -> _Tables:
        """Of the elements in the centre, and of those around it."""
        return self.centre(elements), self.other(elements)

    def forward(
        self, tables: _Tables, neighbours: NeighbourBatch, chosen: Int[Tensor, "batch chosen"]
    ) -> Float[Tensor, "batch chosen width"]:
        """One vector a chosen neighbour, with the wanted elements in their roles."""
        row = torch.arange(len(chosen), device=chosen.device)[:, None]
        spacings = neighbours.contacts[row, chosen].float() * UNIT
        seen = torch.cat([spacings, (spacings * neighbours.spacing[:, None, None, None, None] - 3.0) / 2.0], dim=-1)
        centre = functional.embedding(neighbours.elements, tables[0])[:, None, :, None]
        other = functional.embedding(neighbours.elements, tables[1])[:, None, None]
        is_element = (neighbours.elements > 0).float()
        counts = neighbours.counts.float()
        weight = (counts / counts.sum(1, keepdim=True))[:, :, None] * is_element[:, None]
        hidden = self.hidden(centre + other + self.distances(seen)) * weight[:, None, :, :, None]
        return self.out(hidden.sum((2, 3)))


class NeighbourEncoder(nn.Module):
    """What following a neighbour means, as a vector: who replaces whom, and where.

    Args:
        width: of the vector.
        dropout: on the hidden layer.
        element_dropout: how often an element's own vector is hidden, in training.
        max_atoms: of the largest cell in training.
    """

    def __init__(self, width: int, dropout: float, element_dropout: float, max_atoms: int) -> None:
        super().__init__()
        self.max_atoms = max_atoms
        self.elements = ElementTable(width, element_dropout)
        self.describe = PairEncoder(width, width, dropout, fingerprints=True)

    def forward(self, neighbours: NeighbourBatch, followed: Int[Tensor, "batch"]) -> Float[Tensor, "batch width"]:
        """Of one neighbour a shortlist; zero for followed = -1."""
        with torch.autocast(neighbours.distance.device.type, enabled=False):
            pairs = _pairs(neighbours, self.elements.known, self.max_atoms).of(followed.clamp(min=0)[:, None])
            described = _sum_elements(self.describe(self.describe.tables(self.elements()), pairs), neighbours)[:, 0]
            return described * (followed >= 0)[:, None]


class Reranker(nn.Module):
    """Logits of the kinds on a shortlist, "none of them" first.

    Args:
        width: of the encoder.
        layers: of the transformer.
        dropout: everywhere.
        element_dropout: how often an element's own vector is hidden, in training.
        max_atoms: of the largest cell in training.
    """

    def __init__(self, width: int, layers: int, dropout: float, element_dropout: float, max_atoms: int) -> None:
        super().__init__()
        self.max_atoms = max_atoms
        self.elements = ElementTable(width, element_dropout)
        self.cost = PairEncoder(width, 1, dropout, fingerprints=False)
        self.describe = PairEncoder(width, width, dropout, fingerprints=True)
        self.contacts = ContactEncoder(width, dropout)
        self.beta = nn.Parameter(torch.tensor(4.0))  # a first guess, learned like the others below
        self.vote_facts = nn.Linear(2, 1)
        self.kind_facts = nn.Sequential(nn.Linear(_KIND_FACTS, width), nn.SiLU(), nn.Linear(width, width))
        self.query = nn.Sequential(nn.Linear(width + 2, width), nn.SiLU(), nn.Linear(width, width))
        self.none = nn.Parameter(torch.zeros(width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, RERANKER_HEADS, 2 * width, dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.to_logit = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, 1)
        )
        self.vote_weight = nn.Parameter(torch.tensor(1.0))
        self.none_bias = nn.Parameter(torch.tensor(-2.0))

    def forward(
        self, neighbours: NeighbourBatch, tables: ElementTables | None = None
    ) -> Float[Tensor, "batch choices"]:
        """Unnormalised log probabilities, in fp32: "none of them", then each kind; very low for kinds not there.

        Args:
            neighbours: the shortlists.
            tables: of these weights, out of training, where many batches are read; None: made for this one.
        """
        with torch.autocast(neighbours.distance.device.type, enabled=False):
            return self._logits(neighbours, tables or self.element_tables())

    def element_tables(self) -> ElementTables:
        """What does not depend on shortlists, in fp32."""
        with torch.autocast(self.none.device.type, enabled=False):
            elements = self.elements()
            return ElementTables(
                elements,
                self.cost.tables(elements),
                self.describe.tables(elements),
                self.contacts.tables(elements),
            )

    def loss(self, neighbours: NeighbourBatch, patience: float = 0.15) -> Float[Tensor, "batch"]:
        """``-ln sum_k p_k q_k`` with ``q_k = exp(-rms_k / patience)``, 0 for kinds that do not match.

        "None of them" is right (q = 1) where no kind matches. With small rms this is the negative log probability of
        choosing a kind that matches; the exponent prefers the closer of two that do.
        """
        logits = self(neighbours)
        is_kind = logits[:, 1:] > _NEVER / 2
        right = torch.nan_to_num(torch.exp(-neighbours.rms / patience), nan=0.0) * is_kind
        none = (right.amax(1) <= 0).float()
        quality = torch.cat([none[:, None], right], dim=1)
        # 1e-6: a gradient even where everything right has been hidden from the shortlist
        return -(functional.log_softmax(logits, dim=1) + (quality + 1e-6).log()).logsumexp(1)

    def _logits(self, neighbours: NeighbourBatch, tables: ElementTables) -> Tensor:
        elements, facts = tables.elements, _facts(neighbours)
        pairs = _pairs(neighbours, self.elements.known, self.max_atoms)
        member = neighbours.kind[..., None] == torch.arange(KINDS, device=neighbours.kind.device)
        votes = self._votes(tables.cost, pairs, facts, neighbours, member)
        nearest = member.to(torch.int8).argmax(1)  # of each kind: neighbours come nearest first
        is_kind = member.any(1)
        described = _sum_elements(self.describe(tables.describe, pairs.of(nearest)), neighbours)
        described = described + self.contacts(tables.contacts, neighbours, nearest)
        kinds = described + self.kind_facts(_kind_facts(neighbours, facts, member, nearest, votes, self.max_atoms))
        counts = _amounts(neighbours, self.max_atoms)
        amounts = torch.stack([counts / counts.sum(1, keepdim=True), counts / 8], dim=-1)
        encoded = self.query(torch.cat([functional.embedding(neighbours.elements, elements), amounts], dim=-1))
        query = (encoded * (neighbours.elements > 0)[..., None]).sum(1)
        x = torch.cat([(self.none + query)[:, None], kinds + 0.5 * query[:, None]], dim=1)
        hidden = torch.cat([torch.zeros_like(is_kind[:, :1]), ~is_kind], dim=1)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=hidden)
        own = torch.cat([self.none_bias.expand(len(x), 1), self.vote_weight * votes], dim=1)
        return (self.to_logit(x)[..., 0] + own).masked_fill(hidden, _NEVER)

    def _votes(
        self, tables: _Tables, pairs: _Pairs, facts: Tensor, neighbours: NeighbourBatch, member: Tensor
    ) -> Float[Tensor, "batch kinds"]:
        """Ln of the share of all votes that each kind gets."""
        is_element = (neighbours.elements > 0)[:, None]
        cost = (functional.softplus(self.cost(tables, pairs)[..., 0]) * pairs.share[:, None] * is_element).sum(2)
        votes = -self.beta * (cost + 0.5 * neighbours.distance) + self.vote_facts(facts)[..., 0]
        votes = votes.masked_fill(~neighbours.valid, _NEVER)
        return votes[..., None].masked_fill(~member, _NEVER).logsumexp(1) - votes.logsumexp(1, keepdim=True)


def _sum_elements(
    described: Float[Tensor, "batch neighbours elements width"], neighbours: NeighbourBatch
) -> Float[Tensor, "batch neighbours width"]:
    return (described * (neighbours.elements > 0)[:, None, :, None]).sum(2)


def _amounts(neighbours: NeighbourBatch, max_atoms: int) -> Float[Tensor, "batch elements"]:
    """Atoms of each element; of cells larger than any in training, in a cell of ``max_atoms`` of the same composition.

    The networks below are linear in counts at first: of numbers that they never saw they would make anything.
    """
    counts = neighbours.counts.float()
    return counts * (max_atoms / counts.sum(1, keepdim=True)).clamp(max=1.0)


def _pairs(neighbours: NeighbourBatch, descriptors: Float[Tensor, "table descriptors"], max_atoms: int) -> _Pairs:
    counts = _amounts(neighbours, max_atoms)
    share = counts / counts.sum(1, keepdim=True)
    difference = descriptors[neighbours.elements][:, None] - descriptors[neighbours.roles]
    difference = difference * (neighbours.roles > 0)[..., None]
    amounts = torch.stack([share, counts / 8], dim=-1)[:, None].expand(*neighbours.roles.shape, 2)
    facts = torch.cat([difference.abs().sum(-1, keepdim=True), difference, amounts], dim=-1)
    return _Pairs(neighbours.elements, neighbours.roles, facts, neighbours.fingerprints.float() * UNIT, share)


def _facts(neighbours: NeighbourBatch) -> Float[Tensor, "batch neighbours 2"]:
    excess, stability = neighbours.facts.unbind(-1)
    energy = torch.nan_to_num(stability, nan=_UNKNOWN_STABILITY).clamp(0.0, 0.5)
    return torch.stack([excess.clamp(-1.0, 1.0), energy], dim=-1)  # clamped: a wrong row of a dataset stays one of many


def _kind_facts(
    neighbours: NeighbourBatch,
    facts: Float[Tensor, "batch neighbours 2"],
    member: Bool[Tensor, "batch neighbours kinds"],
    nearest: Int[Tensor, "batch kinds"],
    votes: Float[Tensor, "batch kinds"],
    max_atoms: int,
) -> Float[Tensor, "batch kinds 9"]:
    """Numbers about each kind: how near, how many, how good, and how large the wanted cell is."""
    distance = neighbours.distance.gather(1, nearest)
    smallest = neighbours.distance.masked_fill(~neighbours.valid, -_NEVER).amin(1, keepdim=True).clamp(max=9.0)
    row = torch.arange(len(nearest), device=nearest.device)[:, None]
    order = member.any(1).float().cumsum(1) / KINDS
    atoms = neighbours.counts.sum(1, keepdim=True).clamp(max=max_atoms).expand_as(nearest) / 20.0
    columns = [distance, distance - smallest, order, member.float().sum(1) / 16, votes.clamp(min=-8) / 4, votes.exp()]
    return torch.cat([torch.stack([*columns, atoms], dim=-1), facts[row, nearest]], dim=-1)
