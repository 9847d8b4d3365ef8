"""One molecule to draw: what follows from its request before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from unigen.errors import UserError
from unigen.models.generator import Job
from unigen.models.smiles.embedding import CHARGES
from unigen.models.smiles.network import MoleculeModel
from unigen.molecules.limits import check_elements, check_size
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import kekule_smiles
from unigen.nn.conditions.properties import property_numbers
from unigen.request import MoleculeRequest
from unigen.smiles.atoms import CHARGED, NEUTRAL
from unigen.smiles.grammar import SmilesGrammar
from unigen.smiles.reader import ReadSmiles, read_smiles
from unigen.smiles.scaffold import ScaffoldPrefix, attachment_points, begin_smiles
from unigen.smiles.skeleton import Skeleton, skeleton_of
from unigen.smiles.text import smiles_symbols
from unigen.smiles.writer import write_smiles

Formula = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class MoleculeTask:
    """A job and what follows from its request.

    Attributes:
        place: in the list of jobs.
        job: what is wanted.
        values: properties asked for, by their number in the model.
    """

    place: int
    job: Job[MoleculeRequest]
    values: Mapping[int, float]

    def rng(self, trial: int) -> np.random.Generator:
        """The job's own random numbers at its first, second, ... trial."""
        job = self.job
        return np.random.default_rng([job.seed, job.request_index, job.index, job.candidate, 2000 + trial])


@dataclass(frozen=True, eq=False)
class ConformerTask(MoleculeTask):
    """Conformers of a molecule that is given.

    Attributes:
        skeleton: its graph and stereo.
    """

    skeleton: Skeleton

    def written(self, trial: int, *, stereo: bool = True) -> list[int]:
        """One of its SMILES."""
        return np.asarray(write_smiles(self.skeleton, self.rng(trial), stereo=stereo).symbols).tolist()


@dataclass(frozen=True, eq=False)
class WritingTask(MoleculeTask):
    """A molecule that is to be written, perhaps onto a scaffold.

    Attributes:
        grammar: what may be written.
        scaffold: positions to keep; None for none.
    """

    grammar: SmilesGrammar
    scaffold: Scaffold | None = None


@dataclass(frozen=True, eq=False)
class Scaffold:
    """Atoms that are kept where they are.

    Attributes:
        skeleton: their graph, hydrogens implied.
        positions: of the atoms of the skeleton, Angstrom.
        hydrogens: positions of the hydrogens of each.
        places: atoms that can be added to.
    """

    skeleton: Skeleton
    positions: np.ndarray
    hydrogens: tuple[np.ndarray, ...]
    places: tuple[int, ...]

    @classmethod
    def of(cls, molecule: Molecule, grammar: SmilesGrammar) -> Scaffold:
        """A scaffold that can be added to; raises UserError for one that cannot."""
        stripped = skeleton_of(molecule.numbers, molecule.charges, molecule.bonds)
        rng = np.random.default_rng(0)
        places = [
            n for n in attachment_points(stripped.skeleton) if _fits(begin_smiles(stripped.skeleton, n, rng), grammar)
        ]
        if not places:
            raise UserError(
                "scaffold: nothing can be added to it", got=molecule.formula, wanted="an atom with hydrogens"
            )
        hydrogens = tuple(molecule.positions[list(atoms)] for atoms in stripped.hydrogens)
        return cls(stripped.skeleton, molecule.positions[stripped.atoms], hydrogens, tuple(places))

    def begun(self, rng: np.random.Generator) -> ScaffoldPrefix:
        """How a SMILES begins that goes on at one of its atoms."""
        return begin_smiles(self.skeleton, int(rng.choice(self.places)), rng)

    def fixed(self, order: np.ndarray, read: ReadSmiles) -> dict[int, np.ndarray]:
        """Positions by atom of the molecule that was written; hydrogens of the atom that was added to move."""
        kept = {place: self.positions[atom] for place, atom in enumerate(order.tolist())}
        heavy = len(read.skeleton)
        first = heavy + np.cumsum(read.skeleton.hydrogens) - read.skeleton.hydrogens
        for place, atom in enumerate(order.tolist()):
            if len(self.hydrogens[atom]) == read.skeleton.hydrogens[place]:
                kept |= {int(first[place]) + n: where for n, where in enumerate(self.hydrogens[atom])}
        return kept


class TaskMaker:
    """Requests to tasks for one model.

    Args:
        model: what it was trained on decides what it may write.
    """

    def __init__(self, model: MoleculeModel) -> None:
        self.model = model
        seen = [(number, charge - CHARGES) for number, charge in model.atoms_seen.nonzero().tolist()]
        self.elements = {number for number, _ in seen}
        self.heavy = frozenset(number for number, charge in seen if not charge and number in NEUTRAL)
        self.charges = frozenset(each for each in seen if each in CHARGED and each[0] in self.heavy)

    def task(self, place: int, job: Job[MoleculeRequest]) -> ConformerTask | WritingTask:
        """The task of a job.

        Raises:
            UserError: a property the model does not know, a SMILES, formula or scaffold that it cannot serve.
        """
        request = job.request
        values = self.values(request.properties)
        if request.smiles is not None:
            return ConformerTask(place, job, values, _skeleton(request.smiles, request.largest_fragment, self))
        formula = None if request.counts is None else tuple(request.counts.items())
        if request.scaffold is None:
            return WritingTask(place, job, values, self.grammar(formula))
        return WritingTask(place, job, values, *_scaffold(request.scaffold, request.largest_fragment, formula, self))

    def grammar(self, formula: Formula | None) -> SmilesGrammar:
        """What the model may write."""
        counts = None if formula is None else dict(formula)
        stereo = self.model.config.layout == "graph-first"  # as in training: else its share would go to charged atoms
        return SmilesGrammar(self.heavy, int(self.model.most_heavy), self.charges, formula=counts, stereo=stereo)

    def values(self, properties: Mapping[str, float]) -> dict[int, float]:
        """Properties by their number in the model."""
        numbers = property_numbers(properties, self.model.config.properties)
        return {number + 1: value for number, value in numbers.items()}


@lru_cache(maxsize=1024)  # many samples of one request
def _skeleton(smiles: str, largest_fragment: bool, maker: TaskMaker) -> Skeleton:
    skeleton = read_smiles(smiles_symbols(kekule_smiles(smiles, largest_fragment=largest_fragment))).skeleton
    where = f"SMILES {smiles[:80]!r}"
    check_elements(skeleton.counts, maker.elements, where)
    check_size(sum(skeleton.counts.values()), maker.model.config.max_atoms, where)
    return skeleton


@lru_cache(maxsize=64)
def _scaffold(
    text: str, largest_fragment: bool, formula: Formula | None, maker: TaskMaker
) -> tuple[SmilesGrammar, Scaffold]:
    molecule = Molecule.from_sdf(text)
    if largest_fragment:
        molecule = molecule.largest_fragment()
    molecule.checked("scaffold", elements=maker.elements, connected=True)
    heavy, most = int((molecule.numbers > 1).sum()), int(maker.model.most_heavy)
    if heavy >= most:
        raise UserError(
            "scaffold: as large as the largest molecule the model can write",
            got=f"{heavy} heavy atoms",
            wanted=f"at most {most - 1}",
        )
    grammar = maker.grammar(formula)
    return grammar, Scaffold.of(molecule, grammar)


def _fits(begun: ScaffoldPrefix, grammar: SmilesGrammar) -> bool:
    """Whether the grammar lets a SMILES begin so."""
    walk = grammar.start()
    for symbol in begun.symbols:
        if not walk.legal()[symbol]:
            return False
        walk = walk.write(symbol)
    return True
