"""How atoms add up, learned: a commutative operator that folds the atoms of a structure pair by pair into one.

    a * b = (g(a, b) + g(b, a)) / 2,  g(a, b) the update of a gated unit that reads a and remembers b

so that ``a * b = b * a`` exactly, and no atom is the identity exactly: what has no partner goes on as it is. The fold
is a balanced binary tree, log2 of the atoms deep. That it does not matter how the tree is laid through the atoms,
``(a * b) * c = a * (b * c)``, can only be learned: in training the atoms stand in an order that is drawn anew each
time. Otherwise they are sorted by a fixed projection of their features, which no rotation of the structure and no order
of its file changes; atoms that tie are equal ones, and may change places. A structure's value is thus the same however
it is written, but it jumps, by as much as is not learned, where two atoms change places in that order.

A crystal has as many atoms as its cell: what is folded would not be the same in a larger one, so this is of molecules.

Ong and Velickovic 2022, "Learnable commutative monoids for graph neural networks", arXiv:2212.08541, sections 3 and 4;
the exact identity in place of a learned one is ours, so that no structure depends on the batch that it stands in.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unigen.shapes import Float, Int


class MonoidFold(nn.Module):
    """See the module's docstring.

    Args:
        width: of what is folded.
    """

    direction: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.unit = nn.GRUCell(width, width)
        # fixed, of no pattern: a learned one could send different atoms to one number
        self.register_buffer("direction", torch.arange(1.0, width + 1).square().sin(), persistent=False)

    def operator(
        self, a: Float[Tensor, "pairs width"], b: Float[Tensor, "pairs width"]
    ) -> Float[Tensor, "pairs width"]:
        """``a * b``."""
        return (self.unit(a, b) + self.unit(b, a)) / 2

    def forward(
        self, x: Float[Tensor, "atoms width"], structure: Int[Tensor, "atoms"], count: int
    ) -> Float[Tensor, "structures width"]:
        """The product of the atoms of each structure; zeros where there is none.

        Args:
            x: of each atom.
            structure: which one it belongs to, ascending.
            count: structures.
        """
        with torch.no_grad():
            key = torch.rand(len(x), device=x.device) if self.training else x @ self.direction
            by_key = key.argsort(stable=True)
            order = by_key[structure[by_key].argsort(stable=True)]
        x = x[order]
        while bool((structure[1:] == structure[:-1]).any()):
            lengths = torch.bincount(structure, minlength=count)
            start = lengths.cumsum(0) - lengths
            is_right = (torch.arange(len(x), device=x.device) - start[structure]) % 2 == 1
            right = is_right.nonzero()[:, 0]
            folded = x.index_copy(0, right - 1, self.operator(x[right - 1], x[right]))
            x, structure = folded[~is_right], structure[~is_right]
        return x.new_zeros(count, x.shape[1]).index_copy(0, structure, x)
