"""Message passing by tensor products with spherical harmonics, by e3nn: features turn with the structure.

NequIP's kind of network (Batzner et al. 2022) as e3nn ships it (Geiger and Smidt 2022): every message is a tensor
product of an atom's features with the direction to it, weighted by a function of the distance; gates in between.
"""

from __future__ import annotations

from e3nn import o3
from e3nn.nn.models.v2106.gate_points_message_passing import MessagePassing
from torch import Tensor, nn

from unigen.elements import SYMBOLS
from unigen.nn.encoders.graphs import AtomGraphs, Encoder
from unigen.nn.encoders.radial import RadialFunctions, envelope
from unigen.shapes import Float

_NEIGHBOURS = 30.0
"""Of an atom, about, within 5 Angstrom of a crystal: what sums of messages are divided by the root of."""


class EquivariantEncoder(Encoder):
    """See the module's docstring. A structure and its mirror image are the same to it.

    Args:
        width: scalars of an atom in the end.
        layers: of message passing.
        hidden: features in between, in e3nn's words: ``"32x0e + 16x1o + 8x2e"``.
        radial: functions of the distance.
        cutoff: Angstrom.
    """

    def __init__(self, width: int, layers: int, hidden: str, radial: int, cutoff: float) -> None:
        super().__init__()
        self.width, self.cutoff = width, cutoff
        irreps = o3.Irreps(hidden)
        self.harmonics = o3.Irreps.spherical_harmonics(irreps.lmax)
        self.elements = nn.Embedding(len(SYMBOLS), width)
        self.radial = RadialFunctions(radial, cutoff)
        scalars = f"{width}x0e"
        self.network = MessagePassing(
            irreps_node_sequence=[scalars, *[irreps] * (layers - 1), scalars],
            irreps_node_attr="1x0e",
            irreps_edge_attr=self.harmonics,
            fc_neurons=[radial, width],
            num_neighbors=_NEIGHBOURS,
        )
        self.norm = nn.LayerNorm(width)

    def of_atoms(self, graphs: AtomGraphs) -> Float[Tensor, "atoms width"]:
        """See Encoder."""
        separation = graphs.separation
        distance = separation.norm(dim=-1)
        directions = o3.spherical_harmonics(self.harmonics, separation, normalize=True, normalization="component")
        x = self.elements(graphs.numbers)
        looking, seen = graphs.pairs
        # every message is linear in its direction: so it is zero at the cutoff
        weighted = directions * envelope(distance, self.cutoff)[:, None]
        out = self.network(x, x.new_ones(len(x), 1), seen, looking, weighted, self.radial(distance))
        return self.norm(x + out)
