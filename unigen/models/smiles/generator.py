"""The model of molecules as a generator: SMILES written or given, positions drawn, what is not as asked drawn again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from unigen.errors import UserError
from unigen.models.generator import Draft, Job, Makes, Opened, Range
from unigen.models.smiles.atoms_first_drawing import Row, draw_atoms_first
from unigen.models.smiles.drawing import Writing, draw_molecules
from unigen.models.smiles.network import MoleculeModel
from unigen.models.smiles.settings import MoleculeSettings
from unigen.models.smiles.tasks import ConformerTask, TaskMaker, WritingTask
from unigen.models.smiles.writing import draw_smiles
from unigen.molecules.force_field import mmff_relaxed
from unigen.molecules.geometry_check import fault_of
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import is_molecule
from unigen.nn.conditions.properties import property_ranges
from unigen.request import MoleculeRequest
from unigen.smiles.reader import read_smiles

_LONGEST = 12
"""Symbols a heavy atom: more than any SMILES has that the grammar lets be written."""

Task = ConformerTask | WritingTask


class MoleculeGenerator:
    """Draws molecules; a draw depends on its job alone, and on its batch by rounding.

    Args:
        model: trained.
        name: reported with every sample.
        version: checksum of the weights.
        settings: how to draw.
    """

    makes: Makes = "molecules"

    def __init__(
        self, model: MoleculeModel, name: str, version: str = "", settings: MoleculeSettings | None = None
    ) -> None:
        self.model = model.eval()
        self.name, self.version = name, version
        self.settings = settings or MoleculeSettings()
        self.atoms_first = model.config.layout == "atoms-first"
        if self.atoms_first and self.settings.guidance != 1.0:
            raise UserError("guidance: not for models of the layout atoms-first", got=self.settings.guidance)
        self.tasks = TaskMaker(model)

    def draw(self, jobs: list[Job[MoleculeRequest]]) -> list[Draft[Molecule]]:
        """See Generator. A request the model cannot serve fails with the reason; the others go on.

        Conformers that have another stereo than their SMILES, or are broken, are drawn again a few times.
        """
        drafts: dict[int, Draft[Molecule]] = {}
        tasks: list[Task] = []
        for place, job in enumerate(jobs):
            try:
                tasks.append(self.tasks.task(place, job))
            except UserError as error:
                drafts[place] = Draft(None, reason=str(error))
        for trial in range(self.settings.redraws + 1):
            found = self._drawn(tasks, trial)
            drafts |= {task.place: draft for task, draft in zip(tasks, found, strict=True)}
            tasks = [task for task in tasks if drafts[task.place].structure is None]
        return [drafts[place] for place in range(len(jobs))]

    def ranges(self, properties: Collection[str]) -> dict[str, Range]:
        """See Generator."""
        config = self.model.config
        return property_ranges(properties, config.properties, config.units, self.model.embedding.property_range[1:])

    def _drawn(self, tasks: list[Task], trial: int) -> list[Draft[Molecule]]:
        if self.atoms_first:
            return self._drawn_in_turn(tasks, trial)
        written = self._written(tasks, trial)
        writings = [one for one in written if isinstance(one, Writing)]
        molecules = iter(draw_molecules(self.model, writings, self.settings) if writings else [])
        return [
            self._draft(task, next(molecules), trial) if isinstance(one, Writing) else Draft(None, reason=str(one))
            for task, one in zip(tasks, written, strict=True)
        ]

    def _drawn_in_turn(self, tasks: list[Task], trial: int) -> list[Draft[Molecule]]:
        """Symbols and positions in turn."""
        rows = {
            place: Row.writing(task.grammar, task.values, task.rng(trial))
            if isinstance(task, WritingTask)
            else Row.conformer(task.written(trial, stereo=False), task.values, task.rng(trial))
            for place, task in enumerate(tasks)
            if isinstance(task, ConformerTask) or task.scaffold is None
        }
        found = dict(zip(rows, draw_atoms_first(self.model, list(rows.values()), self.settings), strict=True))
        refused: Draft[Molecule] = Draft(None, reason="a model of the layout atoms-first keeps no scaffold")
        return [
            refused if place not in rows else self._draft(task, found[place], trial) for place, task in enumerate(tasks)
        ]

    def _written(self, tasks: list[Task], trial: int) -> list[Writing | UserError]:
        """A SMILES for every task, or why there is none."""
        open_tasks = [task for task in tasks if isinstance(task, WritingTask)]
        drawn = iter(self._write(open_tasks, trial))
        return [
            next(drawn)
            if isinstance(task, WritingTask)
            else Writing(task.written(trial), task.values, _noise(task, trial))
            for task in tasks
        ]

    def _write(self, tasks: list[WritingTask], trial: int) -> list[Writing | UserError]:
        if not tasks:
            return []
        begun = [task.scaffold.begun(task.rng(trial)) if task.scaffold else ([], np.zeros(0, int)) for task in tasks]
        draws = _LONGEST * int(self.model.most_heavy)
        uniforms = np.stack([task.rng(trial).random(draws) for task in tasks])
        settings = self.settings
        values = [task.values for task in tasks]
        smiles = draw_smiles(
            self.model,
            [task.grammar for task in tasks],
            values,
            uniforms,
            settings.symbol_temperature,
            settings.guidance,
            [symbols for symbols, _ in begun],
        )
        return [
            _writing(task, trial, symbols, order)
            for task, symbols, (_, order) in zip(tasks, smiles, begun, strict=True)
        ]

    def _draft(self, task: Task, molecule: Molecule, trial: int) -> Draft[Molecule]:
        """The molecule, cleaned up if asked for, or what is wrong with it."""
        source: dict[str, str | int | float] = {"redraws": trial} if trial else {}
        if self.settings.relax == "mmff":
            molecule, source["relaxed"] = mmff_relaxed(molecule)
        if isinstance(task, ConformerTask):
            fault = fault_of(molecule)
            if fault:
                return Draft(None, reason=f"broken: {fault}", source=source)
            if not is_molecule(molecule.to_rdkit(), str(task.job.request.smiles)):
                return Draft(None, reason=f"another stereo: {molecule.to_smiles()}", source=source)
        asked = {f"{name}_asked": float(value) for name, value in task.job.request.properties.items()}
        return Draft(replace(molecule, properties=asked), source=source)


def smiles_generator(opened: Opened) -> MoleculeGenerator:
    """A generator of a trained model of molecules."""
    return MoleculeGenerator(opened.network, opened.name, opened.version, opened.settings)


def _noise(task: Task, trial: int) -> np.random.Generator:
    """For the positions: another stream than that of the SMILES."""
    return task.rng(1000 + trial)


def _writing(task: WritingTask, trial: int, symbols: list[int], order: np.ndarray) -> Writing | UserError:
    try:
        read = read_smiles(symbols)
    except UserError as error:
        return error
    fixed = task.scaffold.fixed(order, read) if task.scaffold else {}
    return Writing(symbols, task.values, _noise(task, trial), fixed)
