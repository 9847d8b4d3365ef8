"""Positions estimated from a SMILES, relaxed by a force field: what larger molecules than any method computed have."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

from unigen.errors import UserError
from unigen.molecules.force_field import CONVERGED, NO_PARAMETERS, mmff_relaxed
from unigen.molecules.molecule import Molecule

ForceField = Literal["mmff94s"]
"""MMFF94s (Halgren 1999): MMFF94 with amines and amides as flat as their mean over thermal motion. Molecules that it
has no parameters for (boron, say) are relaxed by UFF."""

FORCE_FIELDS: tuple[ForceField, ...] = get_args(ForceField)

Estimated = Literal["ETKDGv3", "ETKDGv3 + MMFF94s", "ETKDGv3 + UFF"]
"""How positions were estimated."""

_STEPS = 1000
"""Of RDKit's BFGS; 500 leave one of a hundred drugs short of its minimum."""


def relaxed_estimate(molecule: Molecule, where: str = "") -> tuple[Molecule, Estimated]:
    """The nearest minimum of MMFF94s, or of UFF where that has no parameters; and which it is.

    Args:
        molecule: with bonds, and positions as embedded.
        where: file and entry, for messages.

    Raises:
        UserError: neither has parameters, or the minimum is not reached.
    """
    relaxed, ending = mmff_relaxed(molecule, _STEPS, "MMFF94s")
    how: Estimated = "ETKDGv3 + MMFF94s"
    if ending == NO_PARAMETERS:
        (relaxed, unfinished), how = _relaxed_by_uff(molecule, where), "ETKDGv3 + UFF"
    else:
        unfinished = ending != CONVERGED
    if unfinished:
        raise UserError(f"no minimum of its force field in {_STEPS} steps", where=where, got=molecule.formula)
    return relaxed, how


def _relaxed_by_uff(molecule: Molecule, where: str) -> tuple[Molecule, bool]:
    """The nearest minimum of UFF, and whether it is not reached; raises UserError where it has no parameters."""
    from rdkit import rdBase
    from rdkit.Chem import rdForceFieldHelpers

    mol = molecule.to_rdkit()
    with rdBase.BlockLogs():
        if not rdForceFieldHelpers.UFFHasAllMoleculeParams(mol):
            raise UserError("neither MMFF94s nor UFF has parameters for it", where=where, got=molecule.formula)
        unfinished = rdForceFieldHelpers.UFFOptimizeMolecule(mol, maxIters=_STEPS)
    return replace(molecule, positions=mol.GetConformer().GetPositions()), bool(unfinished)
