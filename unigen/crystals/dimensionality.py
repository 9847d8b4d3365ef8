"""Whether the bonds of a crystal join it in three directions, or make layers, chains or molecules.

Atoms are bonded where they are at most `BONDED` times the sum of their covalent radii apart. The rank of the lattice
vectors along which a bonded network comes back to itself is its dimensionality (Larsen et al., Phys. Rev. Materials 3,
034003 (2019), whose score over all such factors ASE has; one factor takes a tenth of the time).
"""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from math import ceil
from typing import Literal

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.shapes import Int

BONDED = 1.3
"""Of the sum of two covalent radii (Cordero et al., Dalton Trans. 2832 (2008)): across the gaps of layers atoms are at
1.38 of it (ZrMo2O8) or more, within layers of heavy atoms at up to 1.2."""

NETWORKS: dict[int, Literal["molecules", "chains", "layers"]] = {0: "molecules", 1: "chains", 2: "layers"}
"""What a crystal is made of, by dimensionality; 3 is a framework, which most are and nobody names."""


def dimensionality(crystal: Crystal) -> int:
    """The highest among the bonded networks of a crystal: 0 molecules, 1 chains, 2 layers, 3 a framework.

    Needs ase for the covalent radii.

    Example:
        >>> dimensionality(Crystal(np.array([55, 17]), np.array([[0.0] * 3, [0.5] * 3]), np.eye(3) * 4.1))
        3
    """
    neighbours = defaultdict(list)
    for first, second, *image in _bonds(crystal).tolist():
        neighbours[first].append((second, image))
    cells: dict[int, tuple[int, int, int]] = {}
    highest = 0
    for start in range(len(crystal)):
        if start in cells:
            continue
        # each atom of the network gets a cell along a tree of bonds; a bond that leads to another one closes a way back
        cells[start] = (0, 0, 0)
        ways, waiting = {(0, 0, 0)}, [start]
        while waiting:
            first = waiting.pop()
            x, y, z = cells[first]
            for second, (to_x, to_y, to_z) in neighbours[first]:
                cell = (x + to_x, y + to_y, z + to_z)
                own = cells.setdefault(second, cell)
                if own is cell:
                    waiting.append(second)
                elif cell != own:
                    ways.add((cell[0] - own[0], cell[1] - own[1], cell[2] - own[2]))
        highest = max(highest, int(np.linalg.matrix_rank(np.array(sorted(ways)))))
        if highest == 3:
            break
    return highest


def _bonds(crystal: Crystal) -> Int[np.ndarray, "bonds 5"]:
    """First atom, second atom, and the cell of the second."""
    from ase.data import covalent_radii

    radii = covalent_radii[crystal.numbers]
    longest = BONDED * (radii[:, None] + radii)
    heights = 1 / np.linalg.norm(np.linalg.inv(crystal.lattice), axis=0)
    reach = [range(-(far := ceil(longest.max() / height + 0.5)), far + 1) for height in heights]
    images = np.array(list(product(*reach)))
    between = crystal.frac_coords[None] - crystal.frac_coords[:, None]
    wrapped = np.round(between).astype(int)
    vectors = ((between - wrapped)[:, :, None] + images) @ crystal.lattice
    near = np.einsum("abci,abci->abc", vectors, vectors) <= longest[:, :, None] ** 2
    first, second, image = np.nonzero(near)
    return np.column_stack([first, second, images[image] - wrapped[first, second]])
