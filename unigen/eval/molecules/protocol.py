"""The protocols of molecules: every setting that moves a number. Their cards are in ``eval/protocols/``."""

from __future__ import annotations

from dataclasses import dataclass

from unigen.eval.protocol import Rules
from unigen.molecules.relaxation.minimum import BOND_LENGTH
from unigen.molecules.relaxation.xtb import XTB, XtbSettings


@dataclass(frozen=True, kw_only=True)
class EdmRules(Rules):
    """The look-up stability of EDM.

    Attributes:
        margins: added to the lengths of single, double and triple bonds, picometres, as EDM has them.
    """

    margins: tuple[float, float, float] = (10.0, 5.0, 3.0)


@dataclass(frozen=True, kw_only=True)
class RdkitRules(Rules):
    """What RDKit finds in the positions, and what it says about the bonds a sample carries.

    Attributes:
        charges: net charges that are tried, in this order: most molecules are neutral.
        max_references: reference molecules drawn for distributions and for the reference's own rates, at most.
        posebusters: PoseBusters' set of checks.
    """

    charges: tuple[int, ...] = (0, 1, -1)
    max_references: int = 1000
    posebusters: str = "mol"


@dataclass(frozen=True, kw_only=True)
class ConformerRules(Rules):
    """How conformers are held against reference conformers.

    Attributes:
        threshold: a conformer is covered below this root mean square deviation, Angstrom (0.5 is QM9's).
        max_matches: symmetry-equivalent orders of the atoms tried for one pair, at most.
        samples_per_reference: conformers the baseline makes for one reference where a molecule has no samples (2 in
            GeoMol's protocol).
    """

    threshold: float = 0.5
    max_matches: int = 10_000
    samples_per_reference: int = 2


@dataclass(frozen=True, kw_only=True)
class StrainRules(Rules):
    """How strain is measured.

    Attributes:
        relaxation: how a molecule is relaxed, and what can't be.
        bond_length: longest bond, in sums of two covalent radii.
    """

    relaxation: XtbSettings = XTB
    bond_length: float = BOND_LENGTH


@dataclass(frozen=True, kw_only=True)
class MosesRules(Rules):
    """What molecules are compared by as chemistry.

    Attributes:
        radius: of Morgan's fingerprint, bonds.
        bits: its length.
        descriptors: whose distributions are compared, in the order of MOSES' tables.
    """

    radius: int = 2
    bits: int = 1024
    descriptors: tuple[str, ...] = ("logP", "SA", "QED", "weight")


EDM = EdmRules(name="molecules-edm")
RDKIT = RdkitRules(name="molecules-rdkit")
STRAIN = StrainRules(name="molecules-strain")
MOSES = MosesRules(name="molecules-moses")
CONFORMERS = ConformerRules(name="conformers")
CONDITIONAL = Rules(name="conditional-qm9")


@dataclass(frozen=True)
class Unit:
    """The unit of a property in published tables.

    Attributes:
        name: of the unit.
        factor: from the unit of the dataset.
    """

    name: str = ""
    factor: float = 1.0


HARTREE_IN_MEV = 27_211.386
"""CODATA 2018, to a microelectronvolt."""

PUBLISHED_UNITS = {
    "alpha": Unit("bohr^3"),
    "gap": Unit("meV", HARTREE_IN_MEV),
    "homo": Unit("meV", HARTREE_IN_MEV),
    "lumo": Unit("meV", HARTREE_IN_MEV),
    "mu": Unit("D"),
    "Cv": Unit("cal/(mol K)"),
}
"""Of the properties of the protocol ``conditional-qm9``; others stay as the dataset has them."""


def unit_of(name: str) -> Unit:
    """The unit that a property is reported in."""
    return PUBLISHED_UNITS.get(name, Unit())
