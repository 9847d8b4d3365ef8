"""Is a molecule in space the one that is asked for, stereo included? Decided by the positions, not by a perception.

RDKit perceives stereo in two ways, its old and its new one. Each overlooks centres and double bonds that the other
finds (some fourteen of a thousand molecules of QM9 read differently), and what is overlooked is dropped from both sides
of a comparison. So nobody is asked here what *is* a centre. A **mark** is an ``@`` of a SMILES, or its ``/`` at the
ends of a double bond, and says how neighbours stand in space. A molecule is the one that is asked for when the one
graph can be mapped onto the other, atom by atom, so that every mark is true of the positions; a mark that means nothing
(an ``@`` in the middle of propane) is true under some mapping.

What positions do not carry, or do not keep, is not compared, and `not_compared` says so: isotopes and atom maps (the
models know elements), nitrogen that turns over (at the bridgeheads of cages it does not), the axes of allenes and
biphenyls, what is not tetrahedral, and what a text itself leaves open between two hands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unigen.molecules.handedness import side_signs, volume_signs
from unigen.molecules.rdkit_graph import smiles_of_mol
from unigen.molecules.rdkit_smiles import (
    flat_smiles,
    marked_mol,
    said_by_either_perception,
    turns_over,
    without_labels,
)
from unigen.shapes import Float

if TYPE_CHECKING:
    from rdkit.Chem import Atom, Bond, Mol

MOST_MAPPINGS = 10_000
"""Mappings of one graph onto the other that are tried: enough for a dozen phenyl rings that turn. Equal groups of one
atom, such as the methyls of a tert-butyl, are not counted, as they are never told apart."""

SMALLEST_RING = 8
"""A double bond in a smaller ring is cis, and what a text says of it says nothing. RDKit draws the same line."""

_HANDS = {"CHI_TETRAHEDRAL_CW": 1, "CHI_TETRAHEDRAL_CCW": -1}
_SIDES = {"STEREOCIS": 1, "STEREOZ": 1, "STEREOTRANS": -1, "STEREOE": -1}
_BRACKETS = re.compile(r"\[[^\]]*\]")
_WEDGED_BONDS = re.compile(r"\bw[UD]?:")
"""Of the extension of ChemAxon: bonds of an axis, which is all that RDKit writes so."""


@dataclass(frozen=True)
class StereoMark:
    """How neighbours stand.

    Attributes:
        atoms: three or four neighbours of a centre, in the order in which `volume_signs` takes them; or a chain of four
            atoms with the double bond in its middle, as `side_signs` takes it.
        sign: of the volume, or of the side.
        centre: None for a double bond.
    """

    atoms: tuple[int, ...]
    sign: int
    centre: int | None = None


@dataclass(frozen=True, eq=False)
class MatchingGraph:
    """The graph that is mapped onto another.

    Attributes:
        mol: heavy atoms and the hydrogens of C=N-H; of equal leaves of one atom the first. What is left out is counted
            in the atoms' labels.
        index: of each atom in the whole molecule.
        twins: atoms of the whole molecule beside which an equal leaf stands: two hydrogens, two methyls.
    """

    mol: Mol
    index: tuple[int, ...]
    twins: frozenset[int]


def is_molecule(molecule: Mol, smiles: str, *, largest_fragment: bool = False) -> bool | None:
    """Whether a molecule in space is the one of a SMILES: its graph, and all stereo that the text says.

    Stereo that the text leaves open may be any; `not_compared` tells what is not looked at.

    Args:
        molecule: with all its hydrogens and one conformer.
        smiles: the text.
        largest_fragment: of a text of several molecules the largest is meant.

    Returns:
        None where `MOST_MAPPINGS` mappings of the one graph onto the other were tried and none agrees: nobody can tell.

    Raises:
        UserError: the text is none of one molecule.
    """
    from rdkit import Chem

    wanted = Chem.AddHs(without_labels(marked_mol(smiles, largest_fragment=largest_fragment)))
    return _agrees(molecule, wanted, text_marks(wanted))


def same_stereoisomer(one: Mol, other: Mol, *, imines: bool = True) -> bool | None:
    """Whether two molecules in space, each with all its hydrogens, are conformers of one; see `position_marks`.

    None as of `is_molecule`.
    """
    return _agrees(one, other, position_marks(other, imines=imines))


def not_compared(smiles: str, *, largest_fragment: bool = False) -> tuple[str, ...]:
    """What a SMILES says that `is_molecule` does not look at, in words.

    Raises:
        UserError: the text is none of one molecule.

    Example:
        >>> not_compared("[13CH3]C(=O)O"), not_compared("CC=[C@]=CC"), not_compared("C[C@H](N)C(=O)O")
        (('isotopes',), ('the hand of an axis',), ())
    """
    mol = marked_mol(smiles, largest_fragment=largest_fragment)
    text, _, extension = smiles.strip().partition(" ")
    tags = {atom.GetIdx(): str(atom.GetChiralTag()) for atom in mol.GetAtoms() if atom.GetChiralTag()}
    lost = sum("@" in bracket for bracket in _BRACKETS.findall(text)) - len(tags)
    said = {
        "the hand of a nitrogen, which turns over": any(turns_over(mol.GetAtomWithIdx(index)) for index in tags),
        # an @ at an atom of two neighbours is that of an allene
        "the hand of an axis": "CHI_ALLENE" in tags.values()
        or any(mol.GetAtomWithIdx(index).GetTotalDegree() == 2 for index in tags)
        or bool(_WEDGED_BONDS.search(extension))
        or ("." not in text and lost > 0),
        "stereo that is not tetrahedral": any(tag not in (*_HANDS, "CHI_ALLENE") for tag in tags.values()),
    }
    return labels_of(mol) + tuple(words for words, holds in said.items() if holds)


def labels_of(mol: Mol) -> tuple[str, ...]:
    """What an RDKit molecule says that no positions hold, in words: isotopes, atom maps, enhanced stereo."""
    said = {
        "isotopes": any(atom.GetIsotope() for atom in mol.GetAtoms()),
        "atom maps": any(atom.GetAtomMapNum() for atom in mol.GetAtoms()),
        "hands that the text leaves open (& or o)": bool(_open_centres(mol)),
    }
    return tuple(words for words, holds in said.items() if holds)


def smiles_as_asked(molecule: Mol, smiles: str, *, largest_fragment: bool = False) -> str:
    r"""Canonical SMILES of a molecule that `is_molecule` holds for the one of ``smiles``, with all stereo asked for.

    It is the text of the positions, which says stereo that was left open, too; where RDKit overlooks there what was
    asked for, it is the text that was asked for, without what is not compared.

    Args:
        molecule: with all its hydrogens and one conformer.
        smiles: what was asked for.
        largest_fragment: of a text of several molecules the largest is meant.

    Example:
        Of ``CC/C=C1\C[C@H](O)C1`` RDKit's old perception reads ``CCC=C1CC(O)C1`` off every conformer.
    """
    own = smiles_of_mol(molecule)
    if not any(sign in smiles for sign in "@/\\"):
        return own
    asked = _compared_smiles(smiles, largest_fragment)
    says_it_all = marked_mol(own).HasSubstructMatch(marked_mol(asked), useChirality=True)
    return own if says_it_all else asked


def _compared_smiles(smiles: str, largest_fragment: bool) -> str:
    """A SMILES in canonical form, without what `not_compared` lists; the hydrogen of an imine where it has a side."""

    def write() -> str:
        marked = without_labels(marked_mol(smiles, largest_fragment=largest_fragment))
        centres = {mark.centre for mark in text_marks(Chem.AddHs(marked))}
        for atom in marked.GetAtoms():
            if atom.GetIdx() not in centres:
                atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
        return Chem.CanonSmiles(Chem.MolToSmiles(marked))

    from rdkit import Chem

    return said_by_either_perception(write)


def text_marks(mol: Mol) -> list[StereoMark]:
    """What the text of a molecule says: one of `marked_mol`, with its hydrogens added."""
    marks = []
    open_centres = _open_centres(mol)
    for atom in mol.GetAtoms():
        sign, near = _HANDS.get(str(atom.GetChiralTag()), 0), _neighbours(atom)
        stands = len(near) == 4 or (len(near) == 3 and _keeps_its_lone_pair(atom))
        if sign and stands and atom.GetIdx() not in open_centres:
            # a lone pair is the last neighbour to RDKit, the first to volume_signs: an odd permutation
            marks.append(StereoMark(near, sign if len(near) == 4 else -sign, atom.GetIdx()))
    for bond in mol.GetBonds():
        sign = _SIDES.get(str(bond.GetStereo()), 0)
        if sign and _has_sides(bond):
            start, end = bond.GetStereoAtoms()
            marks.append(StereoMark((start, bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), end), sign))
    return marks


def keeps_its_labels(mol: Mol) -> bool:
    """Whether the positions of a molecule are those of its own labels: as ``text_marks``, with one conformer."""
    return _all_true(text_marks(mol), {atom: atom for atom in range(mol.GetNumAtoms())}, mol)


def position_marks(mol: Mol, *, imines: bool = True) -> list[StereoMark]:
    """What the positions of a molecule say, wherever neighbours stand around an atom or beside a double bond.

    Args:
        mol: with all its hydrogens and one conformer.
        imines: whether the side of the hydrogen of C=N-H is said, which SMILES leave out as a rule.
    """
    hands, chains = {}, []
    for atom in mol.GetAtoms():
        near = _neighbours(atom)
        if len(near) == 4 or (len(near) == 3 and _keeps_its_lone_pair(atom)):
            hands[atom.GetIdx()] = near
    for bond in mol.GetBonds():
        if bond.GetBondTypeAsDouble() != 2.0 or not _has_sides(bond):
            continue
        one, two = bond.GetBeginAtom(), bond.GetEndAtom()
        if imines or not (_is_of_imine(one) or _is_of_imine(two)):
            start = next(other for other in _neighbours(one) if other != two.GetIdx())
            end = next(other for other in _neighbours(two) if other != one.GetIdx())
            chains.append((start, one.GetIdx(), two.GetIdx(), end))
    positions = mol.GetConformer().GetPositions()
    volumes = volume_signs(positions, list(hands), list(hands.values())).tolist()
    sides = side_signs(positions, chains).tolist()
    marks = [StereoMark(near, sign, atom) for (atom, near), sign in zip(hands.items(), volumes, strict=True) if sign]
    return marks + [StereoMark(chain, sign) for chain, sign in zip(chains, sides, strict=True) if sign]


def _inverted(mol: Mol) -> set[int]:
    """Of the centres of four neighbours those that stand outside of them, in small cages: they have no hand.

    What RDKit reads off three neighbours and the centre there depends on which three they are.
    """
    near = {atom.GetIdx(): _neighbours(atom) for atom in mol.GetAtoms() if atom.GetDegree() == 4}
    centres, threes, parity = [], [], []
    for centre, four in near.items():
        for left_out in range(4):
            centres.append(centre)
            threes.append([*four[:left_out], *four[left_out + 1 :]])
            parity.append(-1 if left_out % 2 else 1)  # the centre stands in the place of the one that is left out
    signs = volume_signs(mol.GetConformer().GetPositions(), centres, threes) * np.array(parity, dtype=np.int64)
    return {centre for n, centre in enumerate(near) if len({*signs[4 * n : 4 * n + 4].tolist()} - {0}) > 1}


def _open_centres(mol: Mol) -> set[int]:
    """Centres whose hand the text leaves open: ``&`` stands for both, ``o`` for one nobody knows."""
    groups = [group for group in mol.GetStereoGroups() if str(group.GetGroupType()) != "STEREO_ABSOLUTE"]
    return {atom.GetIdx() for group in groups for atom in group.GetAtoms()}


def _neighbours(atom: Atom) -> tuple[int, ...]:
    """In the order of the bonds, to which RDKit's tags refer."""
    index = atom.GetIdx()
    return tuple(bond.GetOtherAtomIdx(index) for bond in atom.GetBonds())


def _keeps_its_lone_pair(atom: Atom) -> bool:
    """Whether three neighbours stand around an atom and stay where they are."""
    if atom.GetIsAromatic():
        return False
    if atom.GetAtomicNum() == 7:
        return not turns_over(atom) and all(str(bond.GetBondType()) == "SINGLE" for bond in atom.GetBonds())
    return atom.GetAtomicNum() in (15, 16, 33, 34)  # P, S, As, Se


def _has_sides(bond: Bond) -> bool:
    """Whether a double bond holds the neighbours of its ends in a plane, and is in no small ring."""
    for end in (bond.GetBeginAtom(), bond.GetEndAtom()):
        others = [other for other in end.GetBonds() if other.GetIdx() != bond.GetIdx()]
        if (
            not others
            or len(others) > 2
            or any(str(other.GetBondType()) not in ("SINGLE", "AROMATIC") for other in others)
        ):
            return False
    return not any(bond.IsInRingSize(size) for size in range(3, SMALLEST_RING))


def _agrees(molecule: Mol, wanted: Mol, marks: list[StereoMark]) -> bool | None:
    """Whether some mapping of the wanted graph onto the molecule makes all marks true; None as of `is_molecule`."""
    if flat_smiles(molecule) != flat_smiles(wanted):
        return False
    if not marks:
        return True
    query = _matching_graph(wanted)
    # a hand whose neighbours are equal is no hand
    meaning = [mark for mark in marks if query.twins.isdisjoint(mark.atoms)]
    if not meaning:
        return True
    target, inverted = _matching_graph(molecule), _inverted(molecule)
    matches = target.mol.GetSubstructMatches(query.mol, uniquify=False, useChirality=False, maxMatches=MOST_MAPPINGS)
    for match in matches:
        mapping = dict(zip(query.index, (target.index[n] for n in match), strict=True))
        looked_at = [mark for mark in meaning if mark.centre is None or mapping[mark.centre] not in inverted]
        if _all_true(looked_at, mapping, molecule):
            return True
    return None if len(matches) == MOST_MAPPINGS else False


def _all_true(marks: list[StereoMark], mapping: dict[int, int], molecule: Mol) -> bool:
    """Whether the positions agree with all marks under a mapping."""

    def place(atom: int, parent: int) -> int:
        """A hydrogen that is not mapped is the only one of its parent."""
        if atom in mapping:
            return mapping[atom]
        near = molecule.GetAtomWithIdx(mapping[parent]).GetNeighbors()
        return int(next(other.GetIdx() for other in near if other.GetAtomicNum() == 1))

    positions: Float[np.ndarray, "atoms 3"] = molecule.GetConformer().GetPositions()
    centres, near, hands, chains, sides = [], [], [], [], []
    for mark in marks:
        if mark.centre is None:
            start, one, two, end = mark.atoms
            chains.append((place(start, one), mapping[one], mapping[two], place(end, two)))
            sides.append(mark.sign)
        else:
            centres.append(mapping[mark.centre])
            near.append([place(atom, mark.centre) for atom in mark.atoms])
            hands.append(mark.sign)
    return volume_signs(positions, centres, near).tolist() == hands and side_signs(positions, chains).tolist() == sides


def _matching_graph(mol: Mol) -> MatchingGraph:
    """What is mapped onto another graph."""
    from rdkit import Chem

    elements = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    charges = [atom.GetFormalCharge() for atom in mol.GetAtoms()]
    near: list[dict[int, float]] = [{} for _ in elements]  # neighbours, with the order of the bond
    for bond in mol.GetBonds():
        one, two, order = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), bond.GetBondTypeAsDouble()
        near[one][two] = near[two][one] = order

    def is_implied(atom: int) -> bool:
        if elements[atom] != 1 or len(near[atom]) != 1:
            return False
        (parent,) = near[atom]
        return elements[parent] != 1 and not _is_imine(elements[parent], [*near[parent].values()])

    implied = {atom for atom in range(len(elements)) if is_implied(atom)}
    twins: set[int] = set()
    spare: set[int] = set()
    labels = []
    for atom, others in enumerate(near):
        leaves: dict[tuple[int, int, int, float], list[int]] = {}
        for other, order in others.items():
            if all(third in implied or third == atom for third in near[other]):
                kind = (elements[other], charges[other], len(near[other]), order)
                leaves.setdefault(kind, []).append(other)
        equal = [group for group in leaves.values() if len(group) > 1]
        twins |= {leaf for group in equal for leaf in group}
        fused = {leaf for group in equal for leaf in group[1:] if leaf not in implied}
        spare |= fused | {third for leaf in fused for third in near[leaf] if third in implied}
        hydrogens = sum(other in implied for other in others)
        # what a match of atoms does not look at, as an isotope, which it does; counts never reach 16
        labels.append(1 + (charges[atom] + 8) % 16 + 16 * hydrogens + 256 * len(fused))
    edited = Chem.RWMol(mol)
    gone = implied | spare
    edited.BeginBatchEdit()
    for atom in edited.GetAtoms():
        atom.SetIsotope(labels[atom.GetIdx()])
    for index in gone:
        edited.RemoveAtom(index)
    edited.CommitBatchEdit()
    return MatchingGraph(edited.GetMol(), tuple(n for n in range(len(elements)) if n not in gone), frozenset(twins))


def _is_imine(element: int, orders: list[float]) -> bool:
    """Nitrogen of C=N-H, whose hydrogen has a side."""
    return element == 7 and sorted(orders) == [1.0, 2.0]


def _is_of_imine(atom: Atom) -> bool:
    return _is_imine(atom.GetAtomicNum(), [bond.GetBondTypeAsDouble() for bond in atom.GetBonds()]) and any(
        other.GetAtomicNum() == 1 for other in atom.GetNeighbors()
    )
