"""Stability and validity of a molecule as EDM computes them from distances alone.

Hoogeboom et al., ICML 2022, arXiv:2203.17003, ``qm9/analyze.py`` and ``qm9/rdkit_functions.py``. These are conventions,
not chemistry: a valid molecule may be the largest of several fragments, and a missing hydrogen is forgiven, because
RDKit adds it. We report them because the field does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.eval.molecules.edm import bond_orders, stable_atoms
from unigen.molecules.molecule import Molecule
from unigen.shapes import Int


@dataclass(frozen=True)
class EdmVerdict:
    """What EDM says about a molecule.

    Attributes:
        stable_atoms: atoms whose bond orders sum to an allowed valence.
        stable: all of them are.
        valid: RDKit sanitises the bonds.
        smiles: of the largest fragment, without stereo, every hydrogen written; empty when not valid.
    """

    stable_atoms: int
    stable: bool
    valid: bool
    smiles: str = ""


def judge_edm(molecule: Molecule, margins: tuple[float, float, float] = (10.0, 5.0, 3.0)) -> EdmVerdict:
    """EDM's verdicts; the bonds the molecule carries are not looked at.

    Args:
        molecule: elements and positions.
        margins: see `unigen.eval.molecules.edm.bond_orders`, picometres.

    Example:
        >>> judge_edm(Molecule.from_smiles("C"))
        EdmVerdict(stable_atoms=5, stable=True, valid=True, smiles='[H]C([H])([H])[H]')
    """
    orders = bond_orders(molecule.numbers, molecule.positions, margins)
    stable = stable_atoms(molecule.numbers, orders)
    smiles = _largest_fragment(molecule.numbers, orders)
    return EdmVerdict(int(stable.sum()), bool(stable.all()), smiles is not None, smiles or "")


def _largest_fragment(numbers: Int[np.ndarray, "atoms"], orders: Int[np.ndarray, "atoms atoms"]) -> str | None:
    """SMILES of the fragment of most atoms (of equal ones the first); None when RDKit accepts it not as a whole."""
    from rdkit import Chem, rdBase

    mol = Chem.RWMol()
    for number in numbers.tolist():
        mol.AddAtom(Chem.Atom(number))
    for first, second in np.argwhere(np.triu(orders)).tolist():
        mol.AddBond(first, second, Chem.BondType.values[int(orders[first, second])])
    with rdBase.BlockLogs():
        if Chem.SanitizeMol(mol, catchErrors=True):
            return None
        return Chem.MolToSmiles(max(Chem.GetMolFrags(mol, asMols=True), key=lambda piece: piece.GetNumAtoms()))
