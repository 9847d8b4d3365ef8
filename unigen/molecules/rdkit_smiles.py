"""SMILES text to an RDKit graph, or one line that says what is wrong with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from unigen.errors import UserError
from unigen.molecules.limits import check_fragments
from unigen.molecules.rdkit_graph import smiles_of_mol, without_hydrogens

if TYPE_CHECKING:
    from rdkit.Chem import Mol

_LOG_PREFIX = re.compile(r"^\[\d\d:\d\d:\d\d\] (SMILES Parse Error: )?")
_SHOWN = 80
"""Characters of a SMILES that a message repeats, so that it stays one line."""


def parse_smiles(text: str, where: str = "", *, largest_fragment: bool = False) -> Mol:
    """The sanitised graph of one molecule, hydrogens implied.

    Raises:
        UserError: naming the SMILES and what RDKit objects to, with the position where it says one; or several
            fragments, unless ``largest_fragment`` takes the one with the most heavy atoms (of equal ones the first).
    """
    from rdkit import Chem, rdBase

    label = smiles_label(text, where)
    if not text.strip() or text.split() != [text.strip()]:
        raise UserError("not a SMILES", where=label, wanted="one word")
    with rdBase.BlockLogs(), rdBase.CaptureErrorLog() as log:
        mol = Chem.MolFromSmiles(text.strip())
    if mol is None or not mol.GetNumAtoms():
        raise UserError("not a SMILES", where=label, got=_reason(log.messages))
    fragments = Chem.GetMolFrags(mol, asMols=True) if "." in text else (mol,)
    if not largest_fragment:
        check_fragments(len(fragments), label)
    return max(fragments, key=lambda fragment: (fragment.GetNumHeavyAtoms(), fragment.GetNumAtoms()))


def smiles_label(text: str, where: str = "") -> str:
    """How messages name a SMILES: the file and entry it stands in, and the text itself."""
    label = f"SMILES {text.strip()[:_SHOWN]!r}"
    return f"{where}: {label}" if where else label


def canonical_smiles(text: str) -> str:
    """The canonical isomeric form, as `Molecule.to_smiles` writes it; raises UserError as `parse_smiles`."""
    return smiles_of_mol(parse_smiles(text))


def flat_smiles(mol: Mol) -> str:
    """Canonical SMILES of the graph alone: stereoisomers and conformers have one."""
    from rdkit import Chem

    flat = Chem.Mol(mol)
    Chem.RemoveStereochemistry(flat)
    return smiles_of_mol(flat)


def without_stereo(smiles: str) -> str:
    """`flat_smiles` of a text that parses."""
    from rdkit import Chem

    return flat_smiles(Chem.MolFromSmiles(smiles))


def _reason(log: str) -> str:
    """The first thing RDKit's log says, with the position where it saw it."""
    lines = [_LOG_PREFIX.sub("", line).strip() for line in log.splitlines()]
    position = next((line.rstrip(":").rsplit(" ", 1)[1] for line in lines if "around position" in line), "")
    first = lines[0].split(" while parsing:")[0].split(" for input:")[0] if lines else "no atoms"
    return f"{first} at character {position}" if position else first


def kekule_smiles(text: str, where: str = "", *, largest_fragment: bool = False) -> str:
    """The same molecule without aromatic symbols, isotopes and atom maps, stereo kept; raises as `parse_smiles`."""
    from rdkit import Chem

    mol = without_hydrogens(parse_smiles(text, where, largest_fragment=largest_fragment))
    for atom in mol.GetAtoms():
        atom.SetIsotope(0)
        atom.SetAtomMapNum(0)
    Chem.Kekulize(mol, clearAromaticFlags=True)
    return Chem.MolToSmiles(mol, kekuleSmiles=True)


def is_molecule(molecule: Mol, smiles: str) -> bool:
    """Whether a molecule with its stereo is the one of a SMILES: its graph, and all stereo that the text says.

    Stereo that the text leaves open may be any.
    """
    from rdkit import Chem

    mol = without_hydrogens(molecule)
    wanted = without_hydrogens(parse_smiles(smiles))
    if Chem.MolToSmiles(mol) == Chem.MolToSmiles(wanted):
        return True
    return flat_smiles(mol) == flat_smiles(wanted) and mol.HasSubstructMatch(wanted, useChirality=True)
