"""How far generated conformers are from reference conformers: heavy atoms, best over symmetry-equivalent orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unigen.errors import UserError
from unigen.eval.molecules.etkdg import etkdg_conformers
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_graph import smiles_of_mol
from unigen.molecules.rdkit_smiles import without_stereo
from unigen.molecules.stereoisomers import is_molecule, same_stereoisomer
from unigen.shapes import Float

if TYPE_CHECKING:
    from rdkit.Chem import Mol

FAILED, OTHER_MOLECULE, OTHER_STEREO = "failed", "another molecule", "another stereoisomer"
STEREO_UNKNOWN = "too symmetrical to tell its stereo"
"""Why a sample has no distance; a sample that has one has no reason."""


@dataclass(frozen=True, eq=False)
class ConformerTask:
    """One molecule.

    Attributes:
        smiles: canonical, with stereo.
        references: its reference conformers.
        samples: its generated conformers, None for a failure; None in their place for a baseline.
        n: generated conformers, failures included.
        asked: the SMILES each sample was asked to be where it was paired by it, else nothing; of all, or none at all.
        mmff: whether the baseline is cleaned up.
        seed: of the baseline.
    """

    smiles: str
    references: tuple[Molecule, ...]
    samples: tuple[Molecule | None, ...] | None
    n: int
    asked: tuple[str, ...] = ()
    mmff: bool = False
    seed: int = 0


@dataclass(frozen=True, eq=False)
class ConformerVerdict:
    """What was found for one molecule.

    Attributes:
        rms: root mean square deviations in Angstrom, infinite for samples that are not of the molecule.
        reasons: why a sample has none, one a sample; empty where it has.
        bounded: there may be more symmetry-equivalent orders than were tried.
    """

    rms: Float[np.ndarray, "samples references"]
    reasons: tuple[str, ...]
    bounded: bool = False


def compare_conformers(task: ConformerTask, max_matches: int) -> ConformerVerdict:
    """All deviations between samples and references of one molecule.

    A sample of another graph, or of other stereo, is no conformer of the molecule: it counts as a failure. Where it
    carries no bonds they are perceived with the charge of the references.

    Args:
        task: the molecule.
        max_matches: orders of the atoms tried for one pair, at most.
    """
    from rdkit.Chem import rdMolAlign

    references = [_heavy(reference) for reference in task.references]
    samples = task.samples
    if samples is None:
        # where two molecules stand to each other is nothing that ETKDG knows: of several it has no conformers
        several = "." in task.smiles
        made = [] if several else etkdg_conformers(task.smiles, task.n, task.seed, mmff=task.mmff)
        samples = (*made, *[None] * (task.n - len(made)))
    # infinity lies below no threshold, and is never the nearest while there is another
    rms = np.full((len(samples), len(references)), np.inf)
    reasons = []
    for row, sample in enumerate(samples):
        asked = task.asked[row] if task.asked else ""
        probe, reason = _prepare(sample, task, asked)
        reasons.append(reason)
        if probe is not None:
            # terminal atoms of conjugated groups (carboxylates, nitro groups) count as equal, RDKit's default
            rms[row] = [rdMolAlign.GetBestRMS(probe, reference, maxMatches=max_matches) for reference in references]
    # all conformers are of one graph, so the first tells
    return ConformerVerdict(rms, tuple(reasons), _is_bounded(references[0], max_matches))


def _prepare(sample: Molecule | None, task: ConformerTask, asked: str) -> tuple[Mol | None, str]:
    """The heavy atoms of a sample, or why there are none to compare."""
    if sample is None:
        return None, FAILED
    try:
        if not len(sample.bonds) and len(sample) > 1:
            sample = sample.with_bonds(task.references[0].total_charge)
        mol = sample.to_rdkit()
    except UserError:
        return None, OTHER_MOLECULE
    smiles = smiles_of_mol(mol)
    verdicts: list[bool | None] = []
    # texts differ, too, where a nitrogen has turned over, or RDKit writes one cage in two ways
    if smiles != task.smiles:
        verdicts.append(same_stereoisomer(mol, task.references[0].to_rdkit(), imines=False))
    # what was asked for may say stereo that RDKit's text of the positions overlooks
    if any(sign in asked for sign in "@/\\"):
        verdicts.append(is_molecule(mol, asked, largest_fragment=True))
    if all(verdicts):
        return _heavy(sample), ""
    if without_stereo(smiles) != without_stereo(task.smiles):
        return None, OTHER_MOLECULE
    return None, OTHER_STEREO if False in verdicts else STEREO_UNKNOWN


def _heavy(molecule: Molecule) -> Mol:
    from rdkit import Chem

    # RemoveHs would keep some: isotopes, hydrides, those without a heavy neighbour
    return Chem.RemoveAllHs(molecule.to_rdkit())


def _is_bounded(mol: Mol, max_matches: int) -> bool:
    """Whether the graph, bond orders and charges left out, has more symmetries than are tried: so never too few."""
    from rdkit import Chem

    plain = Chem.RWMol(mol)
    for bond in plain.GetBonds():
        bond.SetBondType(Chem.BondType.SINGLE)
        bond.SetIsAromatic(False)
    for atom in plain.GetAtoms():
        atom.SetFormalCharge(0)
        atom.SetIsAromatic(False)
    # one more than is tried, to see whether there are more
    symmetries = plain.GetSubstructMatches(plain, uniquify=False, useChirality=False, maxMatches=max_matches + 1)
    return len(symmetries) > max_matches
