"""Properties of a molecule that follow from its graph and cost nothing: what medicinal chemists ask for.

All are RDKit's: Crippen's logP (Wildman and Crippen 1999), the drug-likeness QED (Bickerton et al. 2012), the polar
surface TPSA (Ertl et al. 2000), and the score of synthetic accessibility SA (Ertl and Schuffenhauer 2009), from 1,
easy, to 10.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from unigen.errors import UserError, did_you_mean
from unigen.molecules.molecule import Molecule
from unigen.shapes import Float

if TYPE_CHECKING:
    from rdkit.Chem import Mol


def _log_p(mol: Mol) -> float:
    from rdkit.Chem import rdMolDescriptors

    log_p, _molar_refractivity = rdMolDescriptors.CalcCrippenDescriptors(mol)
    return float(log_p)


def _qed(mol: Mol) -> float:
    from rdkit.Chem import QED

    return float(QED.qed(mol))


def _tpsa(mol: Mol) -> float:
    from rdkit.Chem import rdMolDescriptors

    return float(rdMolDescriptors.CalcTPSA(mol))


def _weight(mol: Mol) -> float:
    from rdkit.Chem.Descriptors import MolWt  # type: ignore[attr-defined]

    return float(MolWt(mol))


def _rings(mol: Mol) -> float:
    return float(mol.GetRingInfo().NumRings())


def _donors(mol: Mol) -> float:
    from rdkit.Chem import rdMolDescriptors

    return float(rdMolDescriptors.CalcNumHBD(mol))


def _acceptors(mol: Mol) -> float:
    from rdkit.Chem import rdMolDescriptors

    return float(rdMolDescriptors.CalcNumHBA(mol))


def _rotatable(mol: Mol) -> float:
    from rdkit.Chem import rdMolDescriptors

    return float(rdMolDescriptors.CalcNumRotatableBonds(mol))


@lru_cache(maxsize=1)  # reads a table of fragments, a third of a second
def _accessibility() -> Callable[[Mol], float]:
    from rdkit.Chem import RDConfig

    folder = f"{RDConfig.RDContribDir}/SA_Score"
    if folder not in sys.path:
        sys.path.append(folder)
    import sascorer

    return sascorer.calculateScore  # type: ignore[no-any-return]


def _sa(mol: Mol) -> float:
    return float(_accessibility()(mol))


DESCRIPTORS: dict[str, tuple[Callable[[Mol], float], str]] = {
    "logP": (_log_p, "1"),
    "QED": (_qed, "1"),
    "TPSA": (_tpsa, "Angstrom^2"),
    "weight": (_weight, "g/mol"),
    "rings": (_rings, "1"),
    "donors": (_donors, "1"),
    "acceptors": (_acceptors, "1"),
    "rotatable_bonds": (_rotatable, "1"),
    "SA": (_sa, "1"),
}
"""What can be computed, and its unit, by name."""


def check_descriptors(names: Iterable[str], where: str = "") -> None:
    """Raises UserError for a name that is none of `DESCRIPTORS`."""
    for name in names:
        if name not in DESCRIPTORS:
            raise UserError(
                f"{name}: not a property that can be computed{did_you_mean(name, DESCRIPTORS)}",
                where=where,
                wanted=", ".join(DESCRIPTORS),
            )


def computed(mol: Mol, names: Iterable[str]) -> dict[str, float]:
    """Some of `DESCRIPTORS` of a sanitised molecule, whose hydrogens may be atoms or implied; the same either way."""
    from rdkit import Chem

    bare = Chem.RemoveHs(mol)  # atoms of hydrogen would count in some of them
    return {name: DESCRIPTORS[name][0](bare) for name in names}


class ComputedDescriptors:
    """All of `DESCRIPTORS` as a function of molecules, as those who rank and judge by properties want it."""

    name, version = "computed from the graph", ""
    trained_on = "nothing: it follows from the graph"
    properties = tuple(DESCRIPTORS)

    def __call__(self, structures: Sequence[Molecule]) -> Float[np.ndarray, "molecules properties"]:
        """One column a property, in their order."""
        rows = [list(computed(molecule.to_rdkit(), self.properties).values()) for molecule in structures]
        return np.array(rows, dtype=np.float64).reshape(-1, len(self.properties))
