"""Input files of VASP for a relaxation as the Materials Project does it, by pymatgen's ``MPRelaxSet``.

POTCAR files are under VASP's licence and not ours to write: ``POTCAR.spec`` names them, one a line, in the order of the
POSCAR; ``MPRelaxSet`` of an installation with pseudopotentials (``PMG_VASP_PSP_DIR``) makes the same set with them.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from unigen.disk import write_text

if TYPE_CHECKING:
    from unigen.crystals.crystal import Crystal

FILES = ("INCAR", "KPOINTS", "POSCAR", "POTCAR.spec")


def write_vasp_inputs(crystal: Crystal, folder: Path) -> None:
    """Write INCAR, KPOINTS, POSCAR and POTCAR.spec.

    Args:
        crystal: in any cell; pymatgen keeps it, the sites sorted by element.
        folder: made if need be.
    """
    from pymatgen.io.vasp.sets import MPRelaxSet

    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # "metal with ISMEAR < 0": the set's own choice, which the Materials Project's data are computed with
        warnings.simplefilter("ignore")
        inputs = MPRelaxSet(crystal.to_pymatgen())
        texts = (str(inputs.incar), str(inputs.kpoints), str(inputs.poscar), "\n".join(inputs.potcar_symbols) + "\n")
    for name, text in zip(FILES, texts, strict=True):
        write_text(folder / name, text)
