"""A molecule as SMILES see it: heavy atoms, bonds, how many hydrogens each atom has, and stereo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from unigen.molecules.handedness import odd, side_signs, volume_signs
from unigen.shapes import Float, Int, Integer
from unigen.smiles.stereo import Graph, can_be_centre, can_have_sides, stereo_elements


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A molecular graph with its hydrogens implied.

    Attributes:
        numbers: atomic numbers, shape (atoms,); a hydrogen is an atom only where SMILES cannot imply it (H2, H+).
        charges: formal charges, shape (atoms,).
        hydrogens: hydrogens attached to each atom, shape (atoms,).
        bonds: rows (i, j, order) with i < j, ascending, shape (bonds, 3); order 1 to 3.
        chirality: sign of the volume of each atom's neighbours, shape (atoms,); see `unigen.molecules.handedness`. Zero
            where the atom is no centre of stereo, or nobody knows.
        double_bond: +1 cis, -1 trans, 0 neither or unknown, of each bond, shape (bonds,).
    """

    numbers: Int[np.ndarray, "atoms"]
    charges: Int[np.ndarray, "atoms"]
    hydrogens: Int[np.ndarray, "atoms"]
    bonds: Int[np.ndarray, "bonds 3"]
    chirality: Int[np.ndarray, "atoms"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    double_bond: Int[np.ndarray, "bonds"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __post_init__(self) -> None:
        if not len(self.chirality):
            object.__setattr__(self, "chirality", np.zeros(len(self.numbers), dtype=np.int64))
        if not len(self.double_bond):
            object.__setattr__(self, "double_bond", np.zeros(len(self.bonds), dtype=np.int64))
        assert len(self.chirality) == len(self.hydrogens) == len(self.charges) == len(self.numbers), "one an atom"
        assert len(self.double_bond) == len(self.bonds), "one a bond"

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def graph(self) -> Graph:
        """The same as lists."""
        return Graph.of(self.numbers.tolist(), self.charges.tolist(), self.hydrogens.tolist(), self.bonds.tolist())

    @property
    def counts(self) -> dict[int, int]:
        """Number of atoms by atomic number, the implied hydrogens among them, ascending."""
        counts = np.bincount(self.numbers, minlength=2)
        counts[1] += self.hydrogens.sum()
        return {number: int(counts[number]) for number in np.flatnonzero(counts).tolist()}

    def without_stereo(self) -> Skeleton:
        """The graph alone."""
        return replace(self, chirality=np.zeros_like(self.chirality), double_bond=np.zeros_like(self.double_bond))

    def with_stereo(self, positions: Float[np.ndarray, "atoms 3"]) -> Skeleton:
        """With the stereo that positions (Angstrom) of these atoms say, at the places that can have any."""
        graph = self.graph
        handed, sides = chirality_of(positions, graph), double_bonds_of(positions, graph)
        centres, bonds = stereo_elements(graph, handed.tolist(), sides.tolist())
        return replace(self, chirality=np.where(centres, handed, 0), double_bond=np.where(bonds, sides, 0))

    def selected(self, atoms: Sequence[int] | Integer[np.ndarray, "atoms"]) -> Skeleton:
        """The same molecule with its atoms in this order, a permutation; signs of stereo follow the new order."""
        order = np.asarray(atoms, dtype=np.int64)
        new_index = np.empty_like(order)
        new_index[order] = np.arange(len(order))
        ends = np.sort(new_index[self.bonds[:, :2]], axis=1)
        rows = np.lexsort((ends[:, 1], ends[:, 0]))
        indices, near = new_index.tolist(), self.graph.neighbours
        odd_order = [odd([indices[other] for other in near[atom]]) for atom in order.tolist()]
        swapped = []
        for one, two, _ in self.bonds[rows].tolist():
            changed = [_lowest(near[i], j, indices) != _lowest(near[i], j) for i, j in ((one, two), (two, one))]
            swapped.append(changed[0] != changed[1])  # two changes of the lowest neighbour are none
        return Skeleton(
            numbers=self.numbers[order],
            charges=self.charges[order],
            hydrogens=self.hydrogens[order],
            bonds=np.column_stack([ends, self.bonds[:, 2]])[rows],
            chirality=np.where(odd_order, -1, 1) * self.chirality[order],
            double_bond=np.where(swapped, -1, 1).astype(np.int64) * self.double_bond[rows],
        )


def _lowest(near: Sequence[int], bonded: int, indices: Sequence[int] | None = None) -> int:
    """Of the neighbours but one, that with the lowest index, old or new; -1 for none."""
    others = [other for other in near if other != bonded]
    return min(others, key=indices.__getitem__ if indices else None, default=-1)


def chirality_of(positions: Float[np.ndarray, "atoms 3"], graph: Graph) -> Int[np.ndarray, "atoms"]:
    """Sign of the volume of the neighbours of every atom whose neighbours stand around it, else zero.

    This asks nobody whether the neighbours differ: `unigen.smiles.stereo.stereo_elements` does.
    """
    centres = [atom for atom in range(len(graph.numbers)) if can_be_centre(graph, atom)]
    signs = np.zeros(len(graph.numbers), dtype=np.int64)
    signs[centres] = volume_signs(positions, centres, [graph.neighbours[atom] for atom in centres])
    return signs


def double_bonds_of(positions: Float[np.ndarray, "atoms 3"], graph: Graph) -> Int[np.ndarray, "bonds"]:
    """Side of the lowest neighbours of every double bond that has any, +1 cis, -1 trans, else zero."""
    rows = [row for row in range(len(graph.bonds)) if can_have_sides(graph, row)]
    ends = [graph.bonds[row][:2] for row in rows]
    chains = [(_lowest(graph.neighbours[i], j), i, j, _lowest(graph.neighbours[j], i)) for i, j in ends]
    signs = np.zeros(len(graph.bonds), dtype=np.int64)
    signs[rows] = side_signs(positions, chains)
    return signs


class Stripped(NamedTuple):
    """A molecule without the hydrogens that its skeleton implies, and where these are.

    Attributes:
        skeleton: n atoms.
        atoms: index in the molecule of each atom of the skeleton, ascending, shape (n,).
        hydrogens: indices in the molecule of the hydrogens of each atom of the skeleton, ascending.
    """

    skeleton: Skeleton
    atoms: Int[np.ndarray, "atoms"]
    hydrogens: tuple[tuple[int, ...], ...]


def skeleton_of(
    numbers: Integer[np.ndarray, "all"],
    charges: Integer[np.ndarray, "all"],
    bonds: Integer[np.ndarray, "bonds 3"],
    positions: Float[np.ndarray, "all 3"] | None = None,
) -> Stripped:
    """The skeleton of a molecule whose hydrogens are all atoms; stereo from positions (Angstrom), none without.

    A hydrogen is implied when it is neutral and has one bond, a single one, to an atom that is none.
    """
    elements, rows, charge = numbers.tolist(), bonds.tolist(), charges.tolist()
    parents: list[list[int]] = [[] for _ in elements]
    for one, two, _ in rows:
        parents[one].append(two)
        parents[two].append(one)
    implied = [
        element == 1 and not charge[atom] and len(parents[atom]) == 1 and elements[parents[atom][0]] != 1
        for atom, element in enumerate(elements)
    ]
    atoms = [atom for atom, is_implied in enumerate(implied) if not is_implied]
    index_of = {atom: index for index, atom in enumerate(atoms)}
    attached = tuple(tuple(sorted(other for other in parents[atom] if implied[other])) for atom in atoms)
    kept = sorted(
        (index_of[one], index_of[two], order) for one, two, order in rows if not (implied[one] or implied[two])
    )
    skeleton = Skeleton(
        numbers=np.array([elements[atom] for atom in atoms]),
        charges=np.array([charge[atom] for atom in atoms]),
        hydrogens=np.array([len(hydrogens) for hydrogens in attached]),
        bonds=np.array(kept, dtype=np.int64).reshape(-1, 3),
    )
    if positions is not None:
        skeleton = skeleton.with_stereo(positions[atoms])
    return Stripped(skeleton, np.array(atoms), attached)
