"""SMILES text to an RDKit graph, or one line that says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from unigen.errors import UserError
from unigen.molecules.limits import check_fragments
from unigen.molecules.rdkit_graph import smiles_of_mol, without_hydrogens

if TYPE_CHECKING:
    from rdkit.Chem import Atom, Mol

_ONE_WORD = re.compile(r"\S+(?: \|[^|]*\|)?")
"""A SMILES, and perhaps the extension of ChemAxon."""

_LONGEST = 5_000
"""Letters: a protein of 250 amino acids. RDKit takes a second for so many; its time and memory grow with their square
(10,000 rings in a row take minutes, 100,000 nested branches gigabytes)."""

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
    if not _ONE_WORD.fullmatch(text.strip()):
        raise UserError("not a SMILES", where=label, wanted="one word")
    if len(text) > _LONGEST:
        raise UserError("a SMILES too long to be read", where=label, got=f"{len(text):,} letters", wanted=_LONGEST)
    with rdBase.BlockLogs(), rdBase.CaptureErrorLog() as log:
        mol = Chem.MolFromSmiles(text.strip())
    if mol is None or not mol.GetNumAtoms():
        raise UserError("not a SMILES", where=label, got=_reason(log.messages))
    if not largest_fragment:
        check_fragments(len(Chem.GetMolFrags(mol)), label)
    return _largest(mol)


def _largest(mol: Mol) -> Mol:
    """The piece with the most heavy atoms, of equal ones the first."""
    from rdkit import Chem

    pieces = Chem.GetMolFrags(mol)
    return (
        mol if len(pieces) == 1 else max(Chem.GetMolFrags(mol, asMols=True), key=lambda piece: piece.GetNumHeavyAtoms())
    )


def marked_mol(text: str, where: str = "", *, largest_fragment: bool = False) -> Mol:
    """The same graph with every ``@`` and ``/`` as the text has it: nobody has judged which of them mean anything.

    Hydrogens that the text writes are atoms. Raises as `parse_smiles`.
    """
    from rdkit import Chem, rdBase

    parse_smiles(text, where, largest_fragment=largest_fragment)
    settings: Any = Chem.SmilesParserParams()
    settings.sanitize, settings.removeHs = False, False
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(text.strip(), settings)
        # one step of it removes marks, such as those of nitrogen beside a ring of Troeger's base
        Chem.SanitizeMol(mol, Chem.SanitizeFlags.SANITIZE_ALL ^ Chem.SanitizeFlags.SANITIZE_CLEANUPCHIRALITY)
        mol = _largest(mol)
        Chem.SetBondStereoFromDirections(mol)
    return mol


def without_labels(mol: Mol) -> Mol:
    """A copy without isotopes and atom maps, which the models do not know."""
    from rdkit import Chem

    plain = Chem.Mol(mol)
    for atom in plain.GetAtoms():
        atom.SetIsotope(0)
        atom.SetAtomMapNum(0)
    return plain


def turns_over(atom: Atom) -> bool:
    """Whether an atom is a nitrogen with three neighbours and a lone pair, which has no lasting hand.

    That of a three-membered ring turns over too, if slowly; at the bridgehead of a cage it cannot.
    """
    if atom.GetAtomicNum() != 7 or atom.GetTotalDegree() != 3 or atom.GetFormalCharge():
        return False
    rings = [ring for ring in atom.GetOwningMol().GetRingInfo().AtomRings() if atom.GetIdx() in ring]
    bridgehead = all(bond.IsInRing() for bond in atom.GetBonds()) and len(rings) > 1
    return not bridgehead


def smiles_label(text: str, where: str = "") -> str:
    """How messages name a SMILES: the file and entry it stands in, and the text itself."""
    label = f"SMILES {text.strip()[:_SHOWN]!r}"
    return f"{where}: {label}" if where else label


def canonical_smiles(text: str) -> str:
    """The canonical isomeric form, as `Molecule.to_smiles` writes it; raises UserError as `parse_smiles`."""
    return smiles_of_mol(parse_smiles(text))


def isomer_smiles(mol: Mol) -> str:
    """Canonical isomeric SMILES of what a molecule can be held against, be it of positions or of a text.

    Without isotopes, atom maps, and the hands of nitrogens that turn over. RDKit's old perception overlooks some
    stereo: texts that are equal may be of different isomers, which `unigen.molecules.stereoisomers` tells apart.
    """
    from rdkit import Chem

    plain = without_labels(mol)
    turning = [atom for atom in plain.GetAtoms() if atom.GetChiralTag() and turns_over(atom)]
    if not turning:
        return smiles_of_mol(plain)
    for atom in turning:
        atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    # read again: other centres may have been some only by these
    return Chem.CanonSmiles(smiles_of_mol(plain))


def flat_smiles(mol: Mol) -> str:
    """Canonical SMILES of the graph alone: stereoisomers, isotopologues and conformers have one."""
    from rdkit import Chem

    flat = without_labels(mol)
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
    """The same molecule without aromatic symbols, isotopes and atom maps, stereo kept; raises as `parse_smiles`.

    Of what RDKit's two perceptions of stereo write, that which says more.
    """

    def write() -> str:
        mol = without_labels(without_hydrogens(parse_smiles(text, where, largest_fragment=largest_fragment)))
        Chem.Kekulize(mol, clearAromaticFlags=True)
        return Chem.MolToSmiles(mol, kekuleSmiles=True)

    from rdkit import Chem

    return said_by_either_perception(write) if any(sign in text for sign in "@/\\") else write()


def said_by_either_perception(write: Callable[[], str]) -> str:
    """The SMILES of one molecule as RDKit's old perception of stereo and its new one write it: that which says more.

    Each drops centres and double bonds that the other keeps. Of equal ones it is the old one's.

    Args:
        write: perceives, and writes a SMILES.
    """
    old = write()
    with _new_stereo_perception():
        new = write()
    return max(old, new, key=_count_marks)  # of equal ones the first


def _count_marks(smiles: str) -> int:
    """Centres and double bonds whose stereo a text says."""
    mol = marked_mol(smiles)
    return sum(bool(atom.GetChiralTag()) for atom in mol.GetAtoms()) + sum(
        str(bond.GetStereo()) != "STEREONONE" for bond in mol.GetBonds()
    )


@contextmanager
def _new_stereo_perception() -> Iterator[None]:
    """RDKit's new perception of stereo, which is a state of the process: as it was again afterwards."""
    from rdkit import Chem

    legacy = Chem.GetUseLegacyStereoPerception()
    Chem.SetUseLegacyStereoPerception(False)
    try:
        yield
    finally:
        Chem.SetUseLegacyStereoPerception(legacy)
