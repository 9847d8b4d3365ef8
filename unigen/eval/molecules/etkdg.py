"""RDKit's ETKDG: the conformers that every table of conformers is printed beside.

Wang et al., J. Chem. Inf. Model. 60, 2044 (2020); clean-up by MMFF94, Halgren, J. Comput. Chem. 17, 490 (1996).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from unigen.errors import UserError
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import parse_smiles

MMFF_STEPS = 200
"""RDKit's own default."""


def etkdg_conformers(smiles: str, n: int, seed: int = 0, *, mmff: bool = False) -> list[Molecule]:
    """Conformers from a graph alone, as `unigen evaluate conformers` makes its baseline.

    RDKit tries ten times an atom for each, from distance bounds, and then as often from random coordinates.

    Args:
        smiles: the molecule; stereo it leaves open is drawn.
        n: conformers wanted; where RDKit finds fewer, fewer are returned.
        seed: the same seed gives the same conformers.
        mmff: relax each with MMFF94; molecules without its parameters stay as embedded.

    Raises:
        UserError: the SMILES does not parse.

    Example:
        >>> [each.formula for each in etkdg_conformers("CCO", 2)]
        ['C2H6O', 'C2H6O']
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

    mol = Chem.AddHs(parse_smiles(smiles))
    settings: Any = rdDistGeom.ETKDGv3()
    settings.clearConfs = False  # the second round adds to the first
    rng = np.random.default_rng(seed)
    with rdBase.BlockLogs():
        # the loop sets RDKit's own option
        for settings.useRandomCoords in (False, True):
            settings.randomSeed = int(rng.integers(2, 2**31))  # an int of C; RDKit takes a negative one for no seed
            try:
                rdDistGeom.EmbedMultipleConfs(mol, n - mol.GetNumConformers(), settings)
            except (ValueError, RuntimeError):  # elements without parameters: there are no conformers, then
                return []
            if mol.GetNumConformers() >= n:
                break
        if mmff and mol.GetNumConformers() and rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
            rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(mol, maxIters=MMFF_STEPS)
    if not mol.GetNumConformers():
        return []
    try:
        first = Molecule.from_rdkit(mol)
    except UserError:  # atoms on top of each other, say
        return []
    return [replace(first, positions=conformer.GetPositions()) for conformer in mol.GetConformers()]
