"""Bonds and formal charges from elements, positions and a total charge: RDKit's DetermineBonds with a bound."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from unigen.errors import UserError
from unigen.molecules import rdkit_graph as molecule_rdkit
from unigen.parsing import one_line

if TYPE_CHECKING:
    from unigen.molecules.molecule import Molecule

MAX_ASSIGNMENTS = 20_000
"""Sets of valences that are tried. Thirty nitrogens in a row have so many that the search would not end in a lifetime;
so many take half a second, and a count, unlike a clock, gives the same answer on every machine."""


def with_bonds(molecule: Molecule, charge: int = 0, where: str = "") -> Molecule:
    """The molecule with the bonds that the distances say, after Kim and Kim, Bull. Korean Chem. Soc. 36, 1769 (2015).

    Formal charges are placed so that they sum to ``charge``; no radicals are made to fit it.

    Raises:
        UserError: no assignment of bonds fits, or none was found in a bounded search.
    """
    if len(molecule) == 1:
        return replace(molecule, charges=np.array([charge]))
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDetermineBonds

    mol = Chem.RWMol()
    for number in molecule.numbers.tolist():
        mol.AddAtom(Chem.Atom(number))
    molecule_rdkit.place(mol, molecule.positions)
    try:
        with rdBase.BlockLogs():
            rdDetermineBonds.DetermineBonds(mol, charge=charge, maxIterations=MAX_ASSIGNMENTS)
    except (ValueError, RuntimeError) as error:
        raise _refusal(error, charge, where) from error
    found = molecule_rdkit.from_rdkit(mol, where)
    return replace(molecule, bonds=found.bonds, charges=found.charges)


def _refusal(error: Exception, charge: int, where: str) -> UserError:
    said = one_line(error)
    if "Max Iterations" in said:
        said = f"none found among {MAX_ASSIGNMENTS:,} sets of valences"
    return UserError(
        "no bonds fit the positions",
        where=where,
        got=said,
        wanted=f"a whole molecule of charge {charge:+d}" if charge else "a whole molecule without charge",
        next_step="state its charge, or leave the bonds unknown with bonds=False",
    )
