"""A folder of molecules relaxed by GFN2-xTB; ``relaxed.sdf`` stands beside the files of its `ResultJournal`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from unigen.disk import durable_text
from unigen.journal import Line, ResultJournal, digest
from unigen.molecules.molecule import Molecule
from unigen.molecules.relaxation.xtb import MoleculeRelaxation, XtbSettings, relax_molecule, require_xtb
from unigen.parallel import Workers

MOLECULES = "relaxed.sdf"


class RelaxedMolecules:
    """The folder, new or continued.

    Args:
        path: made if need be; None keeps everything in memory.
        settings: of the relaxation.

    Raises:
        UserError: tblite is not installed; the folder holds results of other settings, or cannot be written.
    """

    def __init__(self, path: Path | None, settings: XtbSettings) -> None:
        require_xtb()
        self.path, self.settings = path, settings
        self._journal = ResultJournal(
            path,
            {
                "potential": {"name": settings.method, "version": f"tblite {version('tblite')}"},
                "settings": asdict(settings),
            },
            key=lambda molecule: digest(molecule.numbers, molecule.positions, molecule.bonds, molecule.charges),
            to_line=_to_line,
            from_line=_from_line,
        )

    def relax(
        self, molecules: Sequence[Molecule | None], workers: Workers, label: str = "Relaxing"
    ) -> list[MoleculeRelaxation]:
        """One result a molecule, in their order; what the folder holds is not computed again.

        Args:
            molecules: with bonds; None for what is no molecule.
            workers: one thread each, side by side: more threads change the last digits.
            label: of the progress bar.
        """

        def compute(missing: list[Molecule]) -> Iterator[tuple[int, MoleculeRelaxation]]:
            # never in this process: it may have read its number of threads long ago
            work = partial(relax_molecule, settings=self.settings)
            return workers.as_finished(work, missing, f"{label} ({self.settings.method})", here=False)

        results = iter(self._journal.results([molecule for molecule in molecules if molecule is not None], compute))
        return [MoleculeRelaxation("no molecule") if molecule is None else next(results) for molecule in molecules]

    def write(self, named: Iterable[tuple[str, MoleculeRelaxation]]) -> Path | None:
        """Write ``relaxed.sdf`` of what has a molecule at the end, energies in eV; returns its path."""
        if self.path is None:
            return None
        with durable_text(self.path / MOLECULES) as file:
            for name, result in named:
                if result.molecule is not None and result.energy is not None:
                    before, after = result.energy
                    outcome = {"converged": float(result.ending == "converged")}
                    properties = result.molecule.properties | {"energy": after, "initial_energy": before} | outcome
                    file.write(replace(result.molecule, properties=properties).to_sdf(name=name))
        return self.path / MOLECULES


def _to_line(result: MoleculeRelaxation) -> Line:
    line: Line = {"ending": result.ending, "energy": result.energy, "steps": result.steps}
    return line | ({} if result.molecule is None else {"positions": result.molecule.positions.tolist()})


def _from_line(line: Line, molecule: Molecule) -> MoleculeRelaxation:
    end = replace(molecule, positions=np.array(line["positions"])) if "positions" in line else None
    energy = None if line["energy"] is None else (line["energy"][0], line["energy"][1])
    return MoleculeRelaxation(line["ending"], end, energy, line["steps"])
