"""Where atoms stand in the graph of bonds, by functions of its Laplacian: stable positional encodings.

    L = 1 - D^(-1/2) (A + 1) D^(-1/2),  A_ij = sum of f(r) over the pairs of i and j,  D_ii = 1 + sum_j A_ij
    K_l = V phi_l(Lambda) V^T for the eigenvalues Lambda and eigenvectors V of L, with learned functions phi_l
    p_i = W sum_j silu(U K_ij) + W' silu(U' K_ii) of an atom;  U'' K_ij of a pair

f is the envelope of half the encoder's cutoff: about 1 for a bond, and 0 from the second neighbours on. Signs of
eigenvectors, and how those of one eigenvalue are turned, are arbitrary; K knows neither, and as phi is smooth, a little
change of the structure changes it a little, where eigenvalues cross, too. All of the spectrum is read, not its first
eigenvectors: a cut within an eigenspace would be arbitrary again. Parts that no bond joins do not see each other.

No positions are differentiated through: the spectrum is a constant to what is learned, as axes are.

Atoms of a crystal's cell form a multigraph, whose parallel edges are summed. It has more eigenvalues in a larger cell,
and what is not linear in K is another there: so predictors read the spectrum of molecules alone.

Huang et al. 2024, "On the stability of expressive positional encodings for graphs", arXiv:2310.02579, equation 3 (K, as
input of a permutation-equivariant rho). The weight of 1 of an atom with itself is Kipf and Welling's (2017): so a bond
that just begins changes nothing at once.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from unigen.nn.encoders.graphs import AtomGraphs
from unigen.nn.encoders.radial import envelope
from unigen.shapes import Float

_WAVES, _HIDDEN = 8, 32
"""Of a function of an eigenvalue: cosines it is given, the finest with two periods on the spectrum, and its layer."""


class Spectrum(NamedTuple):
    """Of each structure; those with fewer atoms than the largest are padded: their vectors are zero there.

    Attributes:
        values: ascending, from 0 to 2.
        vectors: columns.
    """

    values: Float[Tensor, "structures atoms"]
    vectors: Float[Tensor, "structures atoms atoms"]


class Positions(NamedTuple):
    """What atoms and pairs are told."""

    atoms: Float[Tensor, "atoms width"]
    pairs: Float[Tensor, "pairs width"]


class SpectralPositions(nn.Module):
    """See the module's docstring.

    Args:
        functions: of an eigenvalue, phi.
        width: of atoms and pairs.
        cutoff: Angstrom, where bonds end.
    """

    def __init__(self, functions: int, width: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.phi = nn.Sequential(nn.Linear(_WAVES, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, functions))
        # no biases: atoms that no bond joins, K = 0, add nothing to each other
        self.of_row, self.of_itself = (nn.Linear(functions, width, bias=False) for _ in range(2))
        self.of_pair = nn.Linear(functions, width, bias=False)
        self.out = nn.Linear(2 * width, width, bias=False)

    def forward(self, graphs: AtomGraphs, distance: Float[Tensor, "pairs"]) -> Positions:
        """Of all atoms and pairs.

        Args:
            graphs: structures.
            distance: of the pairs, Angstrom.
        """
        kernel = self.kernel(spectrum(graphs, envelope(distance, self.cutoff)))
        place = _places(graphs)
        row = functional.silu(self.of_row(kernel)).sum(2)[graphs.structure, place]
        itself = functional.silu(self.of_itself(kernel[graphs.structure, place, place]))
        looking, seen = graphs.pairs
        pairs = self.of_pair(kernel[graphs.structure[looking], place[looking], place[seen]])
        return Positions(self.out(torch.cat([row, itself], -1)), pairs)

    def kernel(self, of: Spectrum) -> Float[Tensor, "structures atoms atoms functions"]:
        """K: of the spectrum, whichever eigenvectors stand for it."""
        waves = torch.arange(1, _WAVES + 1, device=of.values.device) * (math.pi / 2)
        phi = self.phi((of.values[..., None] * waves).cos())
        return torch.einsum("bik,bkl,bjk->bijl", of.vectors, phi, of.vectors)


@torch.no_grad()
def spectrum(graphs: AtomGraphs, weight: Float[Tensor, "pairs"]) -> Spectrum:
    """Eigenvalues and eigenvectors of the Laplacian of each structure, all at once.

    Args:
        graphs: structures.
        weight: of each pair, between 0 and 1.
    """
    looking, seen = graphs.pairs
    place, most = _places(graphs), int(graphs.lengths.max())
    adjacency = weight.new_zeros(len(graphs), most, most)
    adjacency = adjacency.index_put((graphs.structure[looking], place[looking], place[seen]), weight, accumulate=True)
    adjacency = adjacency + torch.eye(most, dtype=weight.dtype, device=weight.device)
    scale = adjacency.sum(-1).rsqrt()
    values, vectors = torch.linalg.eigh(-scale[:, :, None] * adjacency * scale[:, None, :])
    exists = torch.arange(most, device=weight.device) < graphs.lengths[:, None]
    return Spectrum(1 + values, vectors * exists[:, :, None])


def _places(graphs: AtomGraphs) -> Tensor:
    """Of each atom in its structure."""
    first = graphs.lengths.cumsum(0) - graphs.lengths
    return torch.arange(len(graphs.numbers), device=graphs.numbers.device) - first[graphs.structure]
