"""Trained octree models as generators: compositions, then octrees; nothing that is drawn has to be thrown away."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch

from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.peaks import PeakList
from unigen.errors import UserError
from unigen.geometry.lattice import lattice_matrix
from unigen.models.cell_choice import CellChooser, CellRow, draw_compositions, prompt_batch
from unigen.models.generator import (
    SCORE_STEPS,
    Candidate,
    Generator,
    Job,
    OpenedModel,
    Range,
    refuse_more_than_composition,
    refuse_retrieval,
)
from unigen.models.known_structures import open_known
from unigen.models.octree.batch import collate_neighbours
from unigen.models.octree.decoding import Counts, OctreeSettings, decode
from unigen.models.octree.neighbours import Frame, KnownNeighbours, Neighbour
from unigen.models.octree.network import OctreeModel
from unigen.models.octree.token_draws import Noise
from unigen.models.octree.tokens import decode as decode_octrees
from unigen.models.peaks import asked_peaks
from unigen.molecules.limits import check_elements, check_size
from unigen.molecules.molecule import Molecule
from unigen.request import MoleculeRequest
from unigen.retrieval.shortlist import Retriever
from unigen.tokens.composition import CompositionGrammar, composition_symbols
from unigen.tokens.sequence import VECTOR_WIDTH

_SYMBOL_DRAWS = 2 * 118 + 1
"""Two symbols an element, and END."""


@dataclass(frozen=True, eq=False)
class _Row:
    """A job whose composition is known, and its random numbers from here on."""

    position: int
    rng: np.random.Generator
    composition: Counts
    peaks: PeakList | None = None
    neighbours: tuple[Neighbour, ...] = ()


class _OctreeGenerator:
    """What both kinds share; a draw depends on its job alone, and on its batch by rounding.

    Args:
        model: trained.
        name: reported with every sample.
        version: checksum of the weights.
        settings: how to draw.
        score_steps: solver steps of the exact density of vectors in the score of a sample; 0 leaves the score out.

    Raises:
        UserError: a model that was trained on hidden leaves.
    """

    makes: Kind

    def __init__(
        self,
        model: OctreeModel,
        name: str,
        version: str = "",
        settings: OctreeSettings | None = None,
        score_steps: int = SCORE_STEPS,
    ) -> None:
        if model.config.masked:
            raise UserError(
                "this model draws nothing: it was trained to tell hidden leaves from all others",
                where=name,
                got=f"masked {model.config.masked}",
                next_step="begin another with it: start_from",
            )
        self.model = model.eval()
        self.name, self.version = name, version
        self.settings = settings or OctreeSettings()
        self.score_steps = score_steps
        self.elements = frozenset(model.seen.nonzero()[:, 0].tolist())
        self.most_peaks = model.most_peaks

    def ranges(self, properties: Collection[str]) -> dict[str, Range]:
        """See Generator: no property can be asked for."""
        del properties
        return {}

    def _structures(self, rows: list[_Row]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, float | None]]:
        """Atomic numbers, coordinates, lattice numbers and score of each row."""
        if not rows:
            return []
        device, config = next(self.model.parameters()).device, self.model.config
        neighbours = None
        if any(row.neighbours for row in rows):
            # from where they are seen is each row's own, drawn before all else of it
            seen = [Frame.drawn(row.rng).shown(row.neighbours) if row.neighbours else ((), 0) for row in rows]
            neighbours = collate_neighbours(self.model.grid, seen)
        noise = Noise.of([row.rng for row in rows], self.model.grid, config.max_atoms, device)
        compositions = [row.composition for row in rows]
        peaks = asked_peaks([row.peaks for row in rows], self.most_peaks)
        drawn = decode(self.model, compositions, noise, self.settings, self.score_steps, peaks, neighbours)
        numbers, coords = decode_octrees(self.model.grid, drawn.octrees)
        lengths = drawn.octrees.leaf_lengths.tolist()
        scores: list[float | None] = [None] * len(rows)
        if self.score_steps:
            prompts = prompt_batch([composition_symbols(composition) for composition in compositions], device, peaks)
            with torch.no_grad():
                scores = (self.model.symbol_log_likelihoods(prompts) + drawn.log_likelihood).tolist()
        return [
            (part.cpu().numpy(), places.cpu().numpy(), six, score)
            for part, places, six, score in zip(
                numbers.split(lengths), coords.split(lengths), drawn.lattice.double().cpu().numpy(), scores, strict=True
            )
        ]


class OctreeCrystalGenerator(_OctreeGenerator):
    """Draws crystals.

    Samples of a model that is shown neighbours begin with the nearest kind of known structure, each sample of a cell
    with another one (``KnownNeighbours.shown``); where the formula is open, all with the nearest of their own.

    Args:
        model: trained.
        name: reported with every sample.
        version: checksum of the weights, and of the known structures.
        settings: how to draw.
        score_steps: see ``_OctreeGenerator``.
        retriever: over the known structures, for a model that is shown some; None: it is shown none.
        exclude_formula: show none of a request's own formula.
    """

    makes: Kind = "crystals"

    def __init__(
        self,
        model: OctreeModel,
        name: str,
        version: str = "",
        settings: OctreeSettings | None = None,
        score_steps: int = SCORE_STEPS,
        retriever: Retriever | None = None,
        *,
        exclude_formula: bool = False,
    ) -> None:
        super().__init__(model, name, version, settings, score_steps)
        self.known: KnownNeighbours | None = None
        if model.config.most_neighbours and retriever is not None:
            self.known = KnownNeighbours(retriever, model.config, exclude_formula=exclude_formula)

    def draw(self, jobs: list[Job]) -> list[Candidate]:
        """See Generator. A request the model cannot serve fails with the reason; the others go on."""
        chooser = CellChooser(self.model, self.settings.temperature, elements=self.elements)
        candidates: dict[int, Candidate] = {}
        asked: list[CellRow] = []
        for position, job in enumerate(jobs):
            try:
                refuse_more_than_composition(job.request, self.name)
                asked.append(CellRow.of(position, job))
            except UserError as error:
                candidates[position] = Candidate(None, reason=str(error))
        rows: list[_Row] = []
        for row, cell in zip(asked, chooser.choose(asked), strict=True):
            if isinstance(cell, UserError):
                candidates[row.position] = Candidate(None, reason=str(cell))
            else:
                neighbours = self.known.shown(cell, chooser.earlier_samples(row, cell)) if self.known else ()
                rows.append(_Row(row.position, row.rng, cell, row.job.peaks, tuple(neighbours)))
        for drawn, (numbers, coords, six, score) in zip(rows, self._structures(rows), strict=True):
            lattice = lattice_matrix(np.concatenate([np.exp(six[:3]), six[3:]]))
            source = self.known.provenance(drawn.neighbours) if self.known else {}
            try:
                crystal = Crystal(numbers, coords - np.floor(coords), lattice)
                candidates[drawn.position] = Candidate(crystal, log_likelihood=score, score=score or 0.0, source=source)
            except UserError as error:
                candidates[drawn.position] = Candidate(None, reason=str(error), log_likelihood=score)
        return [candidates[position] for position in range(len(jobs))]


class OctreeMoleculeGenerator(_OctreeGenerator):
    """Draws molecules; bonds and charges are what the distances say, and where they say none it has failed."""

    makes: Kind = "molecules"

    def draw(self, jobs: list[Job[MoleculeRequest]]) -> list[Candidate[Molecule]]:
        """See Generator. A request the model cannot serve fails with the reason; the others go on."""
        candidates: dict[int, Candidate[Molecule]] = {}
        rows: list[_Row] = []
        de_novo: list[tuple[int, np.random.Generator, np.ndarray]] = []
        for position, job in enumerate(jobs):
            rng = job.rng()
            uniforms = rng.random(_SYMBOL_DRAWS)
            try:
                composition = self._composition(job.request)
            except UserError as error:
                candidates[position] = Candidate(None, reason=str(error))
                continue
            if composition is None:
                de_novo.append((position, rng, uniforms))
            else:
                rows.append(_Row(position, rng, composition))
        rows += self._drawn_compositions(de_novo)
        for row, (numbers, positions, _, score) in zip(rows, self._structures(rows), strict=True):
            molecule = Molecule(numbers, positions)
            try:
                candidate = Candidate(molecule.with_bonds(), log_likelihood=score, score=score or 0.0)
            except UserError as error:
                candidate = Candidate(None, reason=str(error), log_likelihood=score)
            candidates[row.position] = candidate
        return [candidates[position] for position in range(len(jobs))]

    def _composition(self, request: MoleculeRequest) -> Counts | None:
        """The composition that is asked for; None: it is open."""
        for what, got in (
            ("a SMILES", request.smiles),
            ("a scaffold", request.scaffold),
            ("properties", ", ".join(request.properties)),
        ):
            if got:
                raise UserError(f"{self.name} cannot be asked for {what}", got=got, next_step="use unigen-molecule")
        if request.counts is None:
            return None
        where = f"formula {request.formula}"
        check_elements(request.counts, self.elements, where)
        check_size(sum(request.counts.values()), self.model.config.max_atoms, where)
        return dict(request.counts)

    def _drawn_compositions(self, rows: list[tuple[int, np.random.Generator, np.ndarray]]) -> list[_Row]:
        if not rows:
            return []
        grammar = CompositionGrammar(elements=self.elements, max_atoms=self.model.config.max_atoms)
        drawn = draw_compositions(
            self.model,
            [grammar] * len(rows),
            np.stack([uniforms for _, _, uniforms in rows]),
            self.settings.temperature,
            np.zeros((len(rows), VECTOR_WIDTH), dtype=np.float32),
        )
        return [_Row(position, rng, cell) for (position, rng, _), cell in zip(rows, drawn, strict=True)]


def octree_generator(opened: OpenedModel) -> Generator:
    """A generator of a trained octree model; one that is shown neighbours looks them up as a wyckoff model does.

    Raises:
        UserError: a model that is shown neighbours, and no dataset to take them from; one that is shown none, and a
            dataset.
    """
    drawing = (opened.network, opened.name)
    if opened.makes == "molecules":
        return OctreeMoleculeGenerator(*drawing, opened.version, opened.settings, opened.score_steps)
    retriever, version = None, opened.version
    if opened.network.config.most_neighbours:
        retriever, checksum, _ = open_known(opened)
        version = f"{version}+{checksum}"
    else:
        refuse_retrieval(opened.retrieve_from, opened.name, exclude_formula=opened.exclude_formula)
    return OctreeCrystalGenerator(
        *drawing,
        version,
        opened.settings,
        opened.score_steps,
        retriever,
        exclude_formula=opened.exclude_formula,
    )
