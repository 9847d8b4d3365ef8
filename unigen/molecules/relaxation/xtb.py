"""Relax a molecule with GFN2-xTB, as tblite computes it and ASE's BFGS walks: some 5 ms a step of a small molecule.

Bannwarth, Ehlert and Grimme, J. Chem. Theory Comput. 15, 1652 (2019). A semi-empirical method answers for anything, so
there are gates before and after: what no method should be asked is not computed, and every end of a relaxation has a
name that can be counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from unigen.errors import UserError
from unigen.molecules.molecule import Molecule
from unigen.version import require

if TYPE_CHECKING:
    from ase import Atoms

Ending = Literal[
    "converged",
    "step limit",
    "no molecule",
    "no bonds",
    "several fragments",
    "element unknown to GFN2-xTB",
    "atoms too close",
    "no self-consistent field",
    "refused by tblite",
    "energy or forces not finite",
    "atoms too close afterwards",
]
"""What became of a relaxation; all but the first are failures."""

HEAVIEST = 86
"""GFN2-xTB has parameters for hydrogen to radon."""


GFN2 = "gfn2-xtb"
"""How users name the one potential of molecules."""


def check_potential(potential: str | None, where: str = "") -> None:
    """Refuse every other one that is named; MMFF94 in particular, which is there, but elsewhere.

    Raises:
        UserError: another potential.
    """
    if potential is None or potential.lower() == GFN2:
        return
    step = "leave it out"
    if potential.lower().startswith("mmff"):
        step = "MMFF94 cleans up what is drawn: unigen generate molecule ... --relax mmff (in Python relax='mmff')"
    raise UserError(
        f"molecules are relaxed by {GFN2}", where=where, got=f"the potential {potential}", wanted=GFN2, next_step=step
    )


@dataclass(frozen=True, kw_only=True)
class XtbSettings:
    """How a molecule is relaxed, and what is none.

    Attributes:
        method: of tblite, with its default accuracy, iterations and electronic temperature.
        fmax: relaxed is what has no larger force on any atom, eV/Angstrom.
        max_steps: of the optimiser, at most; 0 computes the energy of the molecule as it is.
        min_distance: molecules with two closer atoms are not computed, Angstrom.
    """

    method: str = "GFN2-xTB"
    fmax: float = 0.05
    max_steps: int = 500
    min_distance: float = 0.5

    def __post_init__(self) -> None:
        if not self.fmax > 0:
            raise UserError("fmax: not a positive force", got=self.fmax, wanted="such as 0.05 eV/A")


XTB = XtbSettings()
"""As published numbers of UniGen are computed."""


@dataclass(frozen=True, eq=False)
class MoleculeRelaxation:
    """Where a relaxation ended.

    Attributes:
        ending: how.
        molecule: the molecule at its last step, None where there was none.
        energy: before and after, eV; None where there is no molecule.
        steps: of the optimiser.
    """

    ending: Ending
    molecule: Molecule | None = None
    energy: tuple[float, float] | None = None
    steps: int = 0


def require_xtb() -> None:
    """Raises UserError where tblite is not installed."""
    require("xtb", "tblite.ase", "energies of molecules need")


def relax_molecule(molecule: Molecule, settings: XtbSettings = XTB) -> MoleculeRelaxation:
    """Walk downhill until no force is larger than ``settings.fmax``.

    The net charge is the sum of the formal charges; unpaired electrons are those that RDKit sees in bonds and charges,
    all of one spin. Run it with OMP_NUM_THREADS=1: more threads are slower, and the last digits then depend on the run.

    Args:
        molecule: with its bonds.
        settings: gates, steps, and what counts as relaxed.

    Raises:
        UserError: tblite is not installed.

    Example:
        >>> found = relax_molecule(Molecule.from_smiles("CCO"))
        >>> found.ending, found.energy[1] < found.energy[0]
        ('converged', True)
    """
    require_xtb()
    from ase.calculators.calculator import CalculationFailed, InputError
    from tblite.ase import TBLite

    objection = _objection(molecule, settings)
    if objection is not None:
        return MoleculeRelaxation(objection)
    atoms = molecule.to_ase()
    # multiplicity 2 S + 1, each electron a half
    spin = 1 + sum(atom.GetNumRadicalElectrons() for atom in molecule.to_rdkit().GetAtoms())
    atoms.calc = TBLite(method=settings.method, charge=molecule.total_charge, multiplicity=spin, verbosity=0)
    try:
        return _descend(molecule, atoms, settings)
    except CalculationFailed:
        return MoleculeRelaxation("no self-consistent field")
    except InputError:  # it has gates of its own, and the walk may run into one
        return MoleculeRelaxation("refused by tblite")


def _objection(molecule: Molecule, settings: XtbSettings) -> Ending | None:
    """Why this molecule is not computed."""
    # first: fragments, charge and spin follow from the bonds
    try:
        molecule.to_rdkit()
    except UserError:
        return "no bonds"
    if molecule.fragments.max() > 0:
        return "several fragments"
    if molecule.numbers.max() > HEAVIEST:
        return "element unknown to GFN2-xTB"
    return "atoms too close" if molecule.closest_pair()[2] < settings.min_distance else None


def _descend(molecule: Molecule, atoms: Atoms, settings: XtbSettings) -> MoleculeRelaxation:
    from ase.optimize import BFGS

    before = float(atoms.get_potential_energy())
    optimizer, converged = BFGS(atoms, logfile=None), False
    for converged in optimizer.irun(fmax=settings.fmax, steps=settings.max_steps):  # noqa: B007 - the last one is asked for
        if not np.isfinite([atoms.get_potential_energy(), *atoms.get_forces().flat]).all():
            return MoleculeRelaxation("energy or forces not finite")
    end = replace(molecule, positions=atoms.positions)
    if end.closest_pair()[2] < settings.min_distance:
        return MoleculeRelaxation("atoms too close afterwards")
    energy = before, float(atoms.get_potential_energy())
    return MoleculeRelaxation("converged" if converged else "step limit", end, energy, optimizer.nsteps)
