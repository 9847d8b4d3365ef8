"""The molecular graph that RDKit sees: in the positions alone, or in the bonds a sample carries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unigen.errors import UserError
from unigen.molecules.bonds import MAX_ASSIGNMENTS
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import flat_smiles

_BOUNDED = f"{MAX_ASSIGNMENTS:,} sets of valences"
"""What `with_bonds` says when its search ended at the bound."""

_BOND_SIGNS = {"SINGLE": "-", "DOUBLE": "=", "TRIPLE": "#", "AROMATIC": ":"}


@dataclass(frozen=True, eq=False)
class Graph:
    """A sanitised graph.

    Attributes:
        molecule: the molecule with these bonds.
        flat: canonical SMILES without stereo.
        smiles: canonical SMILES with the stereo of the positions.
        charge: net charge.
        fragments: connected pieces.
        radicals: unpaired electrons.
        lengths: kind and length in Angstrom of every bond, ``("C-H", 1.09)``; aromatic bonds are a kind.
    """

    molecule: Molecule
    flat: str
    smiles: str
    charge: int
    fragments: int
    radicals: int
    lengths: tuple[tuple[str, float], ...]

    @property
    def whole(self) -> bool:
        """One piece without unpaired electrons: what both protocols call valid."""
        return self.fragments == 1 and not self.radicals


@dataclass(frozen=True, eq=False)
class Perception:
    """What the positions alone say.

    Attributes:
        graph: the first that is found, None where there is none.
        bounded: the search for some charge ended at its bound.
        reason: why there is no graph.
    """

    graph: Graph | None
    bounded: bool = False
    reason: str = ""


def graph_of(molecule: Molecule) -> Graph:
    """The graph of the bonds that a molecule has.

    Raises:
        UserError: it has none, or RDKit does not accept them.
    """
    mol = molecule.to_rdkit()
    lengths = []
    for bond in mol.GetBonds():
        ends = (bond.GetBeginAtom(), bond.GetEndAtom())
        kind = _BOND_SIGNS[bond.GetBondType().name].join(sorted(atom.GetSymbol() for atom in ends))
        first, second = molecule.positions[[atom.GetIdx() for atom in ends]]
        lengths.append((kind, float(np.linalg.norm(first - second))))
    return Graph(
        molecule=molecule,
        flat=flat_smiles(mol),
        smiles=molecule.to_smiles(),
        charge=molecule.total_charge,
        fragments=int(molecule.fragments.max()) + 1,
        radicals=sum(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()),
        lengths=tuple(lengths),
    )


def perceive(molecule: Molecule, charges: Sequence[int] = (0, 1, -1)) -> Perception:
    """The graph by RDKit's DetermineBonds for the first of these net charges that fits; bonds it has are not looked at.

    Example:
        >>> perceive(Molecule.from_smiles("CCO")).graph.smiles
        'CCO'
    """
    bare = replace(molecule, bonds=np.zeros((0, 3), dtype=np.int64), charges=np.zeros(len(molecule), dtype=np.int64))
    bounded, reason = False, ""
    for charge in charges:
        try:
            return Perception(graph_of(bare.with_bonds(charge)), bounded)
        except UserError as error:
            bounded = bounded or _BOUNDED in str(error)
            reason = reason or str(error)  # that of the first charge, the likeliest
    return Perception(None, bounded, reason)
