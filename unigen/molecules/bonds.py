"""Bonds and formal charges from elements, positions and a total charge: RDKit's DetermineBonds with a bound.

What DetermineBonds finds depends on the order of the atoms: of nitrobenzene in some orders a whole molecule, in others
nothing. So it is asked in orders that follow from the molecule alone, however its file lists the atoms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from unigen.errors import UserError
from unigen.molecules.rdkit_graph import add_conformer, fields_of_mol
from unigen.parsing import one_line
from unigen.shapes import Float, Int, Integer

if TYPE_CHECKING:
    from rdkit.Chem import RWMol

MAX_ASSIGNMENTS = 20_000
"""Sets of valences that are tried. Thirty nitrogens in a row have so many that the search would not end in a lifetime;
so many take half a second, and a count, unlike a clock, gives the same answer on every machine."""

_BOUND = "Max Iterations"
"""What RDKit says when its search ended there."""


def perceive_bonds(
    numbers: Integer[np.ndarray, "atoms"], positions: Float[np.ndarray, "atoms 3"], charge: int = 0, where: str = ""
) -> tuple[Int[np.ndarray, "bonds 3"], Int[np.ndarray, "atoms"]]:
    """Bonds and formal charges that the distances say, after Kim and Kim, Bull. Korean Chem. Soc. 36, 1769 (2015).

    Formal charges are placed so that they sum to ``charge``; no radicals are made to fit it. Of what is found in
    several orders of the atoms the assignment with the fewest formal charges is taken, of equal ones the first.

    Raises:
        UserError: no assignment of bonds fits, or none was found in a bounded search.
    """
    if len(numbers) == 1:
        return np.zeros((0, 3), dtype=np.int64), np.array([charge])
    found: list[tuple[Int[np.ndarray, "bonds 3"], Int[np.ndarray, "atoms"]]] = []
    reason = ""
    for order in _orders(numbers, positions):
        try:
            found.append(_perceived(numbers, positions, order, charge, where))
        except (ValueError, RuntimeError) as error:
            reason = reason or one_line(error)
            if _BOUND in str(error):
                break  # another order has as many sets of valences
            continue
        if np.abs(found[-1][1]).sum() == abs(charge):
            break  # nobody finds fewer
    if found:
        return min(found, key=lambda fields: int(np.abs(fields[1]).sum()))
    if _BOUND in reason:
        reason = f"none found among {MAX_ASSIGNMENTS:,} sets of valences"
    raise UserError(
        "no bonds fit the positions",
        where=where,
        got=reason,
        wanted=f"a whole molecule of charge {charge:+d}" if charge else "a whole molecule without charge",
        next_step="state its charge, or leave the bonds unknown with bonds=False",
    )


def _orders(
    numbers: Integer[np.ndarray, "atoms"], positions: Float[np.ndarray, "atoms 3"]
) -> Iterator[Int[np.ndarray, "atoms"]]:
    """Orders that follow from who is near whom: RDKit's canonical one, that by falling and by rising element, back."""
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDetermineBonds

    mol = _bare(numbers, positions)
    with rdBase.BlockLogs():
        rdDetermineBonds.DetermineConnectivity(mol)
        for atom in mol.GetAtoms():
            atom.SetNoImplicit(True)
        mol.UpdatePropertyCache(strict=False)
        canonical = np.argsort(np.array(Chem.CanonicalRankAtoms(mol, breakTies=True, includeChirality=False)))
    yield canonical
    yield canonical[np.argsort(-numbers[canonical], kind="stable")]
    yield canonical[np.argsort(numbers[canonical], kind="stable")]
    yield canonical[::-1]


def _perceived(
    numbers: Integer[np.ndarray, "atoms"],
    positions: Float[np.ndarray, "atoms 3"],
    order: Int[np.ndarray, "atoms"],
    charge: int,
    where: str,
) -> tuple[Int[np.ndarray, "bonds 3"], Int[np.ndarray, "atoms"]]:
    """What RDKit finds when it is shown the atoms in this order, in the order of the arrays."""
    from rdkit import rdBase
    from rdkit.Chem import rdDetermineBonds

    mol = _bare(numbers[order], positions[order])
    with rdBase.BlockLogs():
        rdDetermineBonds.DetermineBonds(mol, charge=charge, maxIterations=MAX_ASSIGNMENTS)
    perceived = fields_of_mol(mol, where)
    ends = np.sort(order[perceived.bonds[:, :2]], axis=1)
    bonds = np.column_stack([ends, perceived.bonds[:, 2]])
    charges = np.zeros(len(numbers), dtype=np.int64)
    charges[order] = perceived.charges
    return bonds[np.lexsort((ends[:, 1], ends[:, 0]))], charges


def _bare(numbers: Integer[np.ndarray, "atoms"], positions: Float[np.ndarray, "atoms 3"]) -> RWMol:
    """Atoms in space without a bond."""
    from rdkit import Chem

    mol = Chem.RWMol()
    for number in numbers.tolist():
        mol.AddAtom(Chem.Atom(number))
    add_conformer(mol, positions)
    return mol
