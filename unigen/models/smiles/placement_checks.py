"""What an atom that has been placed must not do: come too close to another, stretch a bond or an angle.

An autoregressive model cannot take back what it has drawn, so that one atom in a wrong place spoils the rest of a large
molecule. Here every atom is held against those that stand, at once: against the distances that the graph allows
(``molecules/distance_bounds.py``, the same limits as those of the final look).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unigen.errors import UserError
from unigen.models.smiles.tokens import MoleculeSequence
from unigen.molecules.distance_bounds import distance_bounds
from unigen.molecules.rdkit_graph import mol_of_graph
from unigen.shapes import Bool, Float, Int

WRONG_SIDE = 1.0
"""Badness of an atom on the wrong side of a centre or a double bond: as bad as a contact at half the allowed distance,
since nothing later mends it."""


@dataclass(frozen=True, eq=False)
class PlacementChecks:
    """Allowed distances of a batch of molecules, their atoms in the order of placement.

    Attributes:
        lower: Angstrom.
        upper: Angstrom, infinite where nothing is said.
    """

    lower: Float[Tensor, "batch atoms atoms"]
    upper: Float[Tensor, "batch atoms atoms"]

    @classmethod
    def of(cls, plans: Sequence[MoleculeSequence], atoms: int, device: torch.device) -> PlacementChecks:
        """Of these molecules, padded to so many atoms; one that RDKit does not accept is not held against anything."""
        lower = np.zeros((len(plans), atoms, atoms), dtype=np.float32)
        upper = np.full_like(lower, np.inf)
        for row, plan in enumerate(plans):
            try:
                bounds = distance_bounds(mol_of_graph(plan.numbers, plan.charges, plan.bonds))
            except UserError:
                continue
            own = len(plan.numbers)
            lower[row, :own, :own], upper[row, :own, :own] = bounds.lower, bounds.upper
        return cls(torch.from_numpy(lower).to(device), torch.from_numpy(upper).to(device))

    def badness(
        self,
        atom: int,
        rows: Int[Tensor, "slots"],
        placed: Float[Tensor, "slots 3"],
        positions: Float[Tensor, "batch atoms 3"],
        fixed: Bool[Tensor, "batch atoms"] | None = None,
    ) -> Float[Tensor, "slots"]:
        """How far distances from an atom to those that stand pass their limits, summed; 0 where none does.

        Args:
            atom: which is placed, the same in all rows.
            rows: the molecule of each slot.
            placed: where, Angstrom.
            positions: of the atoms that stand: those before it, and those that are fixed.
            fixed: atoms that stand from the start.
        """
        until = atom if fixed is None else positions.shape[1]
        distance = (positions[rows, :until] - placed[:, None]).norm(dim=-1).clamp(min=1e-3)
        close = self.lower[rows, atom, :until] / distance - 1
        far = distance / self.upper[rows, atom, :until] - 1
        beyond = torch.maximum(close, far).clamp(min=0)
        if fixed is not None:
            stands = fixed[rows] | (torch.arange(until, device=placed.device) < atom)
            beyond = beyond * stands
        return beyond.sum(-1)

    def first_fault(
        self, positions: Float[Tensor, "batch atoms 3"]
    ) -> tuple[Int[Tensor, "batch"], Int[Tensor, "batch"]]:
        """The first atom of each molecule that has a wrong distance to one before it, and the last of these.

        The number of atoms, and 0, where no distance is wrong.
        """
        atoms = positions.shape[1]
        distance = torch.cdist(positions, positions).clamp(min=1e-3)
        wrong = ((distance < self.lower) | (distance > self.upper)).tril(-1)
        is_wrong = wrong.any(-1)
        first = torch.where(is_wrong.any(1), is_wrong.long().argmax(1), atoms)
        others = wrong[torch.arange(len(first), device=first.device), first.clamp(max=atoms - 1)]
        index = torch.arange(atoms, device=first.device)
        return first, (others * index).amax(1)

    def select(self, rows: Int[Tensor, "chosen"]) -> PlacementChecks:
        """Those of some molecules."""
        return PlacementChecks(self.lower[rows], self.upper[rows])
