"""A conformer for a SMILES by RDKit's ETKDGv3: an estimate from distances and torsions seen in crystals."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.errors import UserError
from unigen.molecules import limits as molecule_limits
from unigen.molecules import rdkit_graph as molecule_rdkit
from unigen.molecules.rdkit_smiles import parse_smiles
from unigen.parsing import one_line

if TYPE_CHECKING:
    from rdkit.Chem import Mol

    from unigen.molecules.molecule import Molecule

_TRIES = 20
"""Attempts from distance bounds, and as many again from random coordinates, which cages and large rings need."""


def from_smiles(
    smiles: str,
    seed: int = 0,
    largest_fragment: bool = False,
    *,
    elements: Collection[int] | None = None,
    max_atoms: int | None = None,
    where: str = "",
) -> Molecule:
    """A molecule with one conformer after Wang et al., J. Chem. Inf. Model. 60, 2044 (2020); see `Molecule`."""
    from rdkit import Chem

    mol = Chem.AddHs(parse_smiles(smiles, where, largest_fragment=largest_fragment))
    label = f"SMILES {smiles.strip()[:80]!r}"
    here = f"{where}: {label}" if where else label
    molecule_limits.check_size(mol.GetNumAtoms(), max_atoms, here)
    molecule_limits.check_elements((atom.GetAtomicNum() for atom in mol.GetAtoms()), elements, here)
    embed(mol, seed, here)
    return replace(molecule_rdkit.from_rdkit(mol, here), smiles=smiles.strip())


def embed(mol: Mol, seed: int, where: str = "") -> None:
    """Give an RDKit molecule with explicit hydrogens one conformer; the same for the same seed.

    Raises:
        UserError: none was found, with what failed most often.
    """
    from rdkit import rdBase
    from rdkit.Chem import rdDistGeom

    settings: Any = rdDistGeom.ETKDGv3()
    # RDKit draws the same for 0 and 1; spread, different seeds are different
    settings.randomSeed = int(np.random.default_rng(seed).integers(2, 2**31))
    settings.maxIterations = _TRIES
    settings.trackFailures = True
    for settings.useRandomCoords in (False, True):
        try:
            with rdBase.BlockLogs():
                found = rdDistGeom.EmbedMolecule(mol, settings)
        except (ValueError, RuntimeError) as error:  # elements without parameters, say
            raise UserError("no conformer", where=where, got=one_line(error)) from error
        if found >= 0:
            return
    counts = list(settings.GetFailureCounts())
    often = rdDistGeom.EmbedFailureCauses.values[counts.index(max(counts))].name.lower().replace("_", " ")
    raise UserError(
        "no conformer found",
        where=where,
        got=f"{2 * _TRIES} tries, most failed at: {often}",
        wanted="a molecule that fits into space",
        next_step="check its rings and stereo, or give an SDF",
    )
