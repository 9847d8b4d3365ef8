"""A conformer for a SMILES by RDKit's ETKDGv3: an estimate from distances and torsions seen in crystals."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.errors import UserError
from unigen.molecules.limits import check_elements, check_size
from unigen.molecules.rdkit_smiles import marked_mol, parse_smiles, smiles_label, without_labels
from unigen.molecules.stereoisomers import is_molecule, keeps_its_labels, text_marks
from unigen.parsing import one_line

if TYPE_CHECKING:
    from rdkit.Chem import Mol

_ATTEMPTS = 20
"""Tries from distance bounds, as many again from random coordinates, which cages and large rings need, and as many that
RDKit does not judge. The same for all sizes, so that what cannot be embedded is soon refused."""

_MOST_ATOMS = 300
"""Hydrogens included; ETKDG takes 7 s for as many and 48 s for 600, and a drug has a hundred."""


def embedded_mol(
    smiles: str,
    seed: int = 0,
    largest_fragment: bool = False,
    *,
    elements: Collection[int] | None = None,
    max_atoms: int | None = None,
    where: str = "",
) -> Mol:
    """A SMILES with its hydrogens and one conformer after Wang et al., J. Chem. Inf. Model. 60, 2044 (2020).

    Raises:
        UserError: as `embed`; and no conformer of all the stereo that the text says.
    """
    from rdkit import Chem

    mol = Chem.AddHs(parse_smiles(smiles, where, largest_fragment=largest_fragment))
    label = smiles_label(smiles, where)
    check_size(mol.GetNumAtoms(), min(max_atoms or _MOST_ATOMS, _MOST_ATOMS), label)
    check_elements((atom.GetAtomicNum() for atom in mol.GetAtoms()), elements, label)
    embed(mol, seed, label)
    if any(sign in smiles for sign in "@/\\") and not is_molecule(mol, smiles, largest_fragment=largest_fragment):
        # RDKit has overlooked a mark when it read the text: again with all of them
        mol = Chem.AddHs(without_labels(marked_mol(smiles, where, largest_fragment=largest_fragment)))
        embed(mol, seed, label)
        if not is_molecule(mol, smiles, largest_fragment=largest_fragment):
            raise UserError("no conformer of the stereo that it says", where=label, next_step="give an SDF")
    return mol


def embed(mol: Mol, seed: int, where: str = "") -> None:
    """Give an RDKit molecule with explicit hydrogens one conformer; the same for the same seed.

    RDKit refuses a centre that lies outside of its neighbours' tetrahedron, as those of cyclobutanes that share an edge
    with a three-membered ring do: 7 % of QM9. Of these the positions themselves say whether their stereo is right.

    Raises:
        UserError: none was found, with what failed most often.
    """
    from rdkit import rdBase
    from rdkit.Chem import rdDistGeom

    settings: Any = rdDistGeom.ETKDGv3()
    # RDKit draws the same for 0 and 1; spread, different seeds are different
    settings.randomSeed = int(np.random.default_rng(seed).integers(2, 2**31))
    settings.maxIterations = _ATTEMPTS
    settings.trackFailures = True
    for settings.useRandomCoords in (False, True):
        try:
            with rdBase.BlockLogs():
                conformer = rdDistGeom.EmbedMolecule(mol, settings)
        except (ValueError, RuntimeError) as error:  # elements without parameters, say
            raise UserError("no conformer", where=where, got=one_line(error)) from error
        if conformer >= 0:
            return
    counts, tries = list(settings.GetFailureCounts()), 2 * _ATTEMPTS
    if text_marks(mol):
        if _embed_unjudged(mol, settings):
            return
        tries += _ATTEMPTS
    commonest = rdDistGeom.EmbedFailureCauses.values[counts.index(max(counts))].name.lower().replace("_", " ")
    raise UserError(
        "no conformer found",
        where=where,
        got=f"{tries} tries, most failed at: {commonest}",
        wanted="a molecule that fits into space",
        next_step="check its rings and stereo, or give an SDF",
    )


def _embed_unjudged(mol: Mol, settings: Any) -> bool:
    """Whether one of some conformers that RDKit does not compare with the labels of the molecule agrees with them."""
    from rdkit import rdBase
    from rdkit.Chem import rdDistGeom

    first = settings.randomSeed
    settings.enforceChirality, settings.useRandomCoords, settings.maxIterations = False, False, 1
    for attempt in range(_ATTEMPTS):
        settings.randomSeed = (first + attempt) % 2**31
        with rdBase.BlockLogs():
            conformer = rdDistGeom.EmbedMolecule(mol, settings)
        if conformer >= 0 and keeps_its_labels(mol):
            return True
    mol.RemoveAllConformers()
    return False
