"""Message passing over pairs of atoms that have features of their own, by torch-geometric.

    e_ij <- e_ij + silu(norm(A x_i + B x_j + C e_ij))
    x_i  <- x_i  + silu(norm(U x_i + sum_j f(r_ij) sigmoid(e_ij) * V x_j / (sum_j f(r_ij) sigmoid(e_ij) + 1)))

Bresson and Laurent 2018 (residual gated graph convolutions), as Choudhary and DeCost 2021 (ALIGNN) use them, without
their graph of angles; f is zero at the cutoff. Distances alone are enough where pairs are updated, too (Ruff et al.
2023, coGN).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import MessagePassing

from unigen.elements import SYMBOLS
from unigen.nn.encoders.graphs import AtomGraphs, Encoder, sum_by
from unigen.nn.encoders.radial import RadialFunctions, envelope
from unigen.shapes import Float, Int


class GatedConvolution(MessagePassing):
    """See the module's docstring.

    Args:
        width: of atoms and pairs.
    """

    def __init__(self, width: int) -> None:
        super().__init__(aggr="add", flow="target_to_source")  # a pair is (who looks, who is seen)
        self.of_looking, self.of_seen = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.of_pair = nn.Linear(width, width, bias=False)
        self.own, self.message_of = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.pair_norm, self.atom_norm = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(
        self,
        x: Float[Tensor, "atoms width"],
        pairs: Int[Tensor, "2 pairs"],
        e: Float[Tensor, "pairs width"],
        weight: Float[Tensor, "pairs"],
    ) -> tuple[Float[Tensor, "atoms width"], Float[Tensor, "pairs width"]]:
        """Updated atoms and pairs; ``weight`` is f."""
        looking, seen = pairs
        update = self.of_looking(x)[looking] + self.of_seen(x)[seen] + self.of_pair(e)
        e = e + functional.silu(self.pair_norm(update))
        gate = weight[:, None] * e.sigmoid()
        total = self.propagate(pairs, x=self.message_of(x), gate=gate)
        passed = sum_by(gate, looking, len(x))
        return x + functional.silu(self.atom_norm(self.own(x) + total / (passed + 1))), e

    def message(self, x_j: Tensor, gate: Tensor) -> Tensor:
        """What a pair brings to the atom that looks."""
        return gate * x_j


class MessagePassingEncoder(Encoder):
    """See the module's docstring.

    Args:
        width: of atoms and pairs.
        layers: of message passing.
        radial: functions of the distance.
        cutoff: Angstrom.
    """

    def __init__(self, width: int, layers: int, radial: int, cutoff: float) -> None:
        super().__init__()
        self.width, self.cutoff = width, cutoff
        self.elements = nn.Embedding(len(SYMBOLS), width)
        self.radial = RadialFunctions(radial, cutoff)
        self.first = nn.Linear(radial, width)
        self.layers = nn.ModuleList(GatedConvolution(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def of_atoms(self, graphs: AtomGraphs) -> Float[Tensor, "atoms width"]:
        """See Encoder."""
        distance = graphs.separation.norm(dim=-1)
        weight, e = envelope(distance, self.cutoff), functional.silu(self.first(self.radial(distance)))
        x = self.elements(graphs.numbers)
        layer: Any
        for layer in self.layers:
            x, e = layer(x, graphs.pairs, e, weight)
        return self.norm(x)
