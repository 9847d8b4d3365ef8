"""The model of molecules as a generator: SMILES written or given, positions drawn, what is not as asked drawn again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from unigen.cards import Kind
from unigen.errors import UserError
from unigen.models.generator import Candidate, Job, OpenedModel, Range
from unigen.models.smiles.atoms_first_decoding import PartialMolecule, draw_atoms_first
from unigen.models.smiles.conformer_decoding import DrawnConformer, WrittenMolecule, draw_conformers
from unigen.models.smiles.jobs import ConformerJob, DeNovoJob, RequestResolver
from unigen.models.smiles.network import MoleculeModel
from unigen.models.smiles.scaffolds import Beginning
from unigen.models.smiles.settings import MoleculeSettings
from unigen.models.smiles.smiles_decoding import draw_smiles
from unigen.molecules.ensemble import ENERGY
from unigen.molecules.geometry_check import fault_of
from unigen.molecules.imines import imines_turned
from unigen.molecules.limits import check_size
from unigen.molecules.molecule import Molecule
from unigen.molecules.relaxation.force_field import mmff_energy, mmff_relaxed
from unigen.molecules.stereoisomers import is_molecule
from unigen.nn.conditions.properties import property_ranges
from unigen.request import MoleculeRequest
from unigen.smiles.hydrogens import HYDROGEN_BRANCH, without_hydrogens
from unigen.smiles.reader import read_smiles

_SYMBOLS_A_HEAVY_ATOM = 12
"""More than any SMILES has that the grammar lets be written."""

_WRITTEN_AGAIN = 8
"""How often a SMILES is written, at most, until one is a molecule that can be placed: a graph costs little beside its
positions, and half of all linkers do not reach."""

_ODD_IF_WRONG = 12
"""Heavy atoms up to which a molecule from nothing, or of a formula, that goes wrong is drawn again and not mended: its
graph is odd as a rule (a cage). Of QM9-like ones RDKit finds a molecule in the positions of 95 %, and of 92 % if they
are mended. In larger ones errors pile up, and to leave them out would favour what is easy."""

_MOST_HYDROGENS = 4
"""Of a heavy atom: methane has so many."""

ResolvedJob = ConformerJob | DeNovoJob


class MoleculeGenerator:
    """Draws molecules; a draw depends on its job alone, and on its batch by rounding.

    Args:
        model: trained.
        name: reported with every sample.
        version: checksum of the weights.
        settings: how to draw.
    """

    makes: Kind = "molecules"

    def __init__(
        self, model: MoleculeModel, name: str, version: str = "", settings: MoleculeSettings | None = None
    ) -> None:
        self.model = model.eval()
        self.name, self.version = name, version
        self.settings = settings or MoleculeSettings()
        self.atoms_first = model.config.layout == "atoms-first"
        if self.atoms_first and self.settings.guidance != 1.0:
            raise UserError("guidance: not for models of the layout atoms-first", got=self.settings.guidance)
        self.resolver = RequestResolver(model)

    def draw(self, jobs: list[Job[MoleculeRequest]]) -> list[Candidate[Molecule]]:
        """See Generator. A request the model cannot serve fails with the reason; the others go on.

        What is broken, and conformers of another stereo than their SMILES, are drawn again a few times.
        """
        candidates: dict[int, Candidate[Molecule]] = {}
        unfinished: list[ResolvedJob] = []
        for index, job in enumerate(jobs):
            try:
                unfinished.append(self.resolver.resolve(index, job))
            except UserError as error:
                candidates[index] = Candidate(None, reason=str(error))
        draw = self._draw_atoms_first if self.atoms_first else self._draw_graph_first
        for trial in range(self.settings.redraws + 1):
            candidates |= {
                job.job_index: candidate for job, candidate in zip(unfinished, draw(unfinished, trial), strict=True)
            }
            unfinished = [job for job in unfinished if candidates[job.job_index].structure is None]
        return [candidates[index] for index in range(len(jobs))]

    def ranges(self, properties: Collection[str]) -> dict[str, Range]:
        """See Generator."""
        config, embedding = self.model.config, self.model.embedding
        limits, spreads = embedding.property_range[1:], embedding.property_std[1:]
        return property_ranges(properties, config.properties, config.units, limits, spreads)

    def _draw_graph_first(self, jobs: list[ResolvedJob], trial: int) -> list[Candidate[Molecule]]:
        """All SMILES, then all positions."""
        written = {
            job.job_index: WrittenMolecule(
                job.smiles(trial), job.values, job.position_rng(trial), examples=job.examples
            )
            for job in jobs
            if isinstance(job, ConformerJob)
        }
        anew, faults = self._written_anew([job for job in jobs if isinstance(job, DeNovoJob)], trial)
        written |= anew
        readable = [job for job in jobs if job.job_index in written]
        molecules: list[DrawnConformer] = []
        if readable:
            settings = self.settings.warmer() if trial else self.settings
            molecules = draw_conformers(self.model, [written[job.job_index] for job in readable], settings)
        candidates = {
            job.job_index: self._candidate(job, drawn, trial) for job, drawn in zip(readable, molecules, strict=True)
        }
        candidates |= {index: Candidate(None, reason=str(fault)) for index, fault in faults.items()}
        return [candidates[job.job_index] for job in jobs]

    def _written_anew(
        self, jobs: list[DeNovoJob], trial: int
    ) -> tuple[dict[int, WrittenMolecule], dict[int, UserError]]:
        """Molecules by the number of their job, and what is wrong with those that could not be made one of."""
        written: dict[int, WrittenMolecule] = {}
        faults: dict[int, UserError] = {}
        for attempt in range(_WRITTEN_AGAIN):
            draw = trial + attempt * (self.settings.redraws + 1)
            beginnings = [job.begin(draw) for job in jobs]
            texts = self._write(jobs, beginnings, draw)
            faults = {}
            for job, text, begun in zip(jobs, texts, beginnings, strict=True):
                try:
                    symbols, fixed = begun.finished(text)
                    read = read_smiles(symbols)
                    # the grammar counts heavy atoms; with hydrogens they may be more than the model has labels for
                    check_size(sum(read.skeleton.counts.values()), self.model.config.max_atoms, "written")
                except UserError as error:
                    faults[job.job_index] = error
                    continue
                is_small = int((read.skeleton.numbers > 1).sum()) <= _ODD_IF_WRONG
                settle = job.kept is not None or not is_small or trial == self.settings.redraws
                written[job.job_index] = WrittenMolecule(
                    symbols, job.values, job.position_rng(trial), fixed, job.examples, settle
                )
            jobs = [job for job in jobs if job.job_index in faults]
            if not jobs:
                break
        return written, faults

    def _write(self, jobs: list[DeNovoJob], beginnings: list[Beginning], trial: int) -> list[list[int]]:
        """A SMILES for each job, as symbols, its hydrogens implied."""
        if not jobs:
            return []
        are_written = self.model.config.hydrogens == "written"
        symbols_an_atom = _SYMBOLS_A_HEAVY_ATOM + (_MOST_HYDROGENS * len(HYDROGEN_BRANCH) if are_written else 0)
        draws = symbols_an_atom * int(self.model.most_heavy)
        written = draw_smiles(
            self.model,
            [begun.grammar for begun in beginnings],
            [job.values for job in jobs],
            np.stack([job.smiles_rng(trial).random(draws) for job in jobs]),
            self.settings.symbol_temperature,
            self.settings.guidance,
            [begun.symbols for begun in beginnings],
            [job.examples for job in jobs],
        )
        return [without_hydrogens(symbols) for symbols in written] if are_written else written

    def _draw_atoms_first(self, jobs: list[ResolvedJob], trial: int) -> list[Candidate[Molecule]]:
        """Symbols and positions in turn."""
        rows: dict[int, PartialMolecule] = {}
        for job in jobs:
            rng = job.smiles_rng(trial)
            if isinstance(job, ConformerJob):
                rows[job.job_index] = PartialMolecule.conformer(job.smiles(trial, stereo=False), job.values, rng)
            elif job.kept is None:
                rows[job.job_index] = PartialMolecule.de_novo(job.grammar, job.values, rng)
        molecules = dict(zip(rows, draw_atoms_first(self.model, list(rows.values()), self.settings), strict=True))
        refused: Candidate[Molecule] = Candidate(None, reason="a model of the layout atoms-first keeps no scaffold")
        return [
            self._candidate(job, DrawnConformer(molecules[job.job_index]), trial) if job.job_index in rows else refused
            for job in jobs
        ]

    def _candidate(self, job: ResolvedJob, drawn: DrawnConformer, trial: int) -> Candidate[Molecule]:
        """The molecule, cleaned up if asked for, or what is wrong with it."""
        molecule = drawn.molecule
        source: dict[str, str | int | float] = {"redraws": trial} if trial else {}
        if drawn.repairs:
            source["repairs"] = drawn.repairs
        if drawn.settled:
            source["settled"] = 1
        if self.resolver.table is not None and job.values:
            source["examples"] = len(job.examples)
        if self.settings.relax == "mmff":
            molecule, source["relaxed"] = mmff_relaxed(molecule)
        if fault := fault_of(molecule):
            return Candidate(None, reason=f"broken; got {fault}", source=source)
        if isinstance(job, ConformerJob) and not _is_asked_for(molecule, job.job.request):
            # the model knows no sides of a hydrogen, and draws one of the two nearly always
            turned = map(self._settled, imines_turned(molecule))
            right = next(
                (other for other in turned if not fault_of(other) and _is_asked_for(other, job.job.request)), None
            )
            if right is None:
                too_many = _is_asked_for(molecule, job.job.request) is None
                fault = "too symmetrical to tell its stereo" if too_many else "another stereo"
                return Candidate(None, reason=f"{fault}; got {molecule.to_smiles()}", source=source)
            molecule, source["imines_turned"] = right, 1
        asked = {f"{name}_asked": float(value) for name, value in job.job.request.properties.items()}
        energy = mmff_energy(molecule) if "relaxed" in source else None
        told = {} if energy is None else {ENERGY: energy}
        return Candidate(replace(molecule, properties=asked | told), source=source, facts={**told})

    def _settled(self, molecule: Molecule) -> Molecule:
        """The molecule, one of whose hydrogens was moved, in its minimum if that is asked for."""
        return mmff_relaxed(molecule)[0] if self.settings.relax == "mmff" else molecule


def _is_asked_for(molecule: Molecule, request: MoleculeRequest) -> bool | None:
    return is_molecule(molecule.to_rdkit(), str(request.smiles), largest_fragment=request.largest_fragment)


def smiles_generator(opened: OpenedModel) -> MoleculeGenerator:
    """A generator of a trained model of molecules."""
    return MoleculeGenerator(opened.network, opened.name, opened.version, opened.settings)
