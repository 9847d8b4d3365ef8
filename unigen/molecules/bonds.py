"""Bonds and formal charges from elements, positions and a total charge: RDKit's DetermineBonds with a bound."""

from __future__ import annotations

import numpy as np

from unigen.errors import UserError
from unigen.molecules.rdkit_graph import add_conformer, fields_of_mol
from unigen.parsing import one_line
from unigen.shapes import Float, Int, Integer

MAX_ASSIGNMENTS = 20_000
"""Sets of valences that are tried. Thirty nitrogens in a row have so many that the search would not end in a lifetime;
so many take half a second, and a count, unlike a clock, gives the same answer on every machine."""


def perceive_bonds(
    numbers: Integer[np.ndarray, "atoms"], positions: Float[np.ndarray, "atoms 3"], charge: int = 0, where: str = ""
) -> tuple[Int[np.ndarray, "bonds 3"], Int[np.ndarray, "atoms"]]:
    """Bonds and formal charges that the distances say, after Kim and Kim, Bull. Korean Chem. Soc. 36, 1769 (2015).

    Formal charges are placed so that they sum to ``charge``; no radicals are made to fit it.

    Raises:
        UserError: no assignment of bonds fits, or none was found in a bounded search.
    """
    if len(numbers) == 1:
        return np.zeros((0, 3), dtype=np.int64), np.array([charge])
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDetermineBonds

    mol = Chem.RWMol()
    for number in numbers.tolist():
        mol.AddAtom(Chem.Atom(number))
    add_conformer(mol, positions)
    try:
        with rdBase.BlockLogs():
            rdDetermineBonds.DetermineBonds(mol, charge=charge, maxIterations=MAX_ASSIGNMENTS)
    except (ValueError, RuntimeError) as error:
        reason = one_line(error)
        if "Max Iterations" in reason:
            reason = f"none found among {MAX_ASSIGNMENTS:,} sets of valences"
        raise UserError(
            "no bonds fit the positions",
            where=where,
            got=reason,
            wanted=f"a whole molecule of charge {charge:+d}" if charge else "a whole molecule without charge",
            next_step="state its charge, or leave the bonds unknown with bonds=False",
        ) from error
    perceived = fields_of_mol(mol, where)
    return perceived.bonds, perceived.charges
