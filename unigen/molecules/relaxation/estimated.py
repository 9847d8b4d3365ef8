"""Positions estimated from a SMILES and relaxed: what molecules have for which nobody computed better ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

from unigen.errors import UserError
from unigen.molecules.molecule import Molecule
from unigen.molecules.relaxation.force_field import CONVERGED, NO_PARAMETERS, mmff_relaxed
from unigen.molecules.relaxation.minimum import minimum_energy
from unigen.molecules.relaxation.xtb import GFN2, XTB, relax_molecule, require_xtb

Relaxer = Literal["mmff94s", "gfn2-xtb"]
"""MMFF94s (Halgren 1999): MMFF94 with amines and amides as flat as their mean over thermal motion. Molecules that it
has no parameters for (boron, say) are relaxed by UFF. GFN2-xTB (Bannwarth 2019) goes on from where the force field
ends: half a second for a molecule of 40 atoms, thirty times as long."""


Estimated = Literal["ETKDGv3", "ETKDGv3 + MMFF94s", "ETKDGv3 + UFF", "ETKDGv3 + GFN2-xTB"]
"""How positions were estimated."""

_STEPS = 1000
"""Of RDKit's BFGS; 500 leave one of a hundred drugs short of its minimum."""


def relaxer_named(name: str | None, where: str) -> Relaxer | None:
    """A relaxer by its name, ready to be used; None for None.

    Args:
        name: as users give it.
        where: the option it is given to, for messages.

    Raises:
        UserError: there is none of that name, or what it needs is not installed.
    """
    if name is None:
        return None
    for relaxer in get_args(Relaxer):
        if name == relaxer:
            if name == GFN2:
                require_xtb()
            return relaxer
    raise UserError(f"{where}: no such method", got=name, wanted=" or ".join(get_args(Relaxer)))


def relaxed_estimate(molecule: Molecule, relaxer: Relaxer = "mmff94s", where: str = "") -> tuple[Molecule, Estimated]:
    """The nearest minimum; and of what it is one.

    Args:
        molecule: with bonds, and positions as embedded.
        relaxer: MMFF94s (UFF where that has no parameters), or after it GFN2-xTB, whose energy (eV) becomes the
            property ``energy``.
        where: file and entry, for messages.

    Raises:
        UserError: no force field has parameters, or the minimum is not reached; GFN2-xTB made or broke a bond (a proton
            went over, say) or turned a centre; the molecule has a property ``energy``; tblite is not installed.
    """
    relaxed, ending = mmff_relaxed(molecule, _STEPS, "MMFF94s")
    how: Estimated = "ETKDGv3 + MMFF94s"
    if ending == NO_PARAMETERS:
        (relaxed, unfinished), how = _relaxed_by_uff(molecule, where), "ETKDGv3 + UFF"
    else:
        unfinished = ending != CONVERGED
    if unfinished:
        raise UserError(f"no minimum of its force field in {_STEPS} steps", where=where, got=molecule.formula)
    if relaxer == GFN2:
        return _relaxed_by_xtb(relaxed, where), "ETKDGv3 + GFN2-xTB"
    return relaxed, how


def _relaxed_by_xtb(molecule: Molecule, where: str) -> Molecule:
    if "energy" in molecule.properties:
        step = "give it another name: --rename SOURCE:energy=NAME"
        raise UserError("has an energy already, beside which that of GFN2-xTB would stand", where=where, next_step=step)
    relaxed = relax_molecule(molecule)
    _, reason = minimum_energy(molecule, relaxed, XTB)
    if reason or relaxed.molecule is None or relaxed.energy is None:
        raise UserError(reason, where=where, got=molecule.formula)
    return replace(relaxed.molecule, properties=molecule.properties | {"energy": relaxed.energy[1]})


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
