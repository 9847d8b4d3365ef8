"""What follows from the request of a job before anything is drawn: graph, grammar, scaffold, numbered properties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from unigen.errors import UserError
from unigen.models.generator import UNUSED, Job
from unigen.models.smiles.embedding import CHARGES
from unigen.models.smiles.network import MoleculeModel
from unigen.models.smiles.tokens import Example, atoms_of_symbols
from unigen.molecules.limits import check_elements, check_size
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import kekule_smiles
from unigen.nn.conditions.properties import property_numbers
from unigen.request import MoleculeRequest
from unigen.shapes import Float, Int
from unigen.smiles.atoms import CHARGED, NEUTRAL
from unigen.smiles.grammar import SmilesGrammar
from unigen.smiles.hydrogens import Hydrogens, with_hydrogens
from unigen.smiles.reader import ReadSmiles, read_smiles
from unigen.smiles.scaffold import ScaffoldPrefix, attachment_points, begin_smiles
from unigen.smiles.skeleton import Skeleton, skeleton_of
from unigen.smiles.text import smiles_symbols
from unigen.smiles.writer import write_smiles

_OTHER_ELEMENTS = "RDKit's ETKDG (EmbedMolecule) makes conformers of other elements; the model was trained without them"

_EXAMPLES = 4000
"""The stream of a job that chooses among examples that are equally near."""

Formula = tuple[tuple[int, int], ...]


def _stream(job: Job[MoleculeRequest], stream: int) -> np.random.Generator:
    return np.random.default_rng([job.seed, job.request_index, job.index, UNUSED, stream])


@dataclass(frozen=True, eq=False)
class MoleculeJob:
    """A job and what follows from its request.

    Attributes:
        job_index: in the list of jobs.
        job: what is wanted.
        values: properties asked for, by their number in the model.
        examples: known molecules with nearby values.
    """

    job_index: int
    job: Job[MoleculeRequest]
    values: Mapping[int, float]
    examples: tuple[Example, ...]

    def smiles_rng(self, trial: int) -> np.random.Generator:
        """The job's own random numbers for symbols, at its first, second, ... trial."""
        return self._rng(2000 + trial)

    def position_rng(self, trial: int) -> np.random.Generator:
        """The same for positions."""
        return self._rng(3000 + trial)

    def _rng(self, stream: int) -> np.random.Generator:
        """A stream beside ``Job.rng``; 1000 apart, they do not meet: a draw is repeated a few times."""
        return _stream(self.job, stream)


@dataclass(frozen=True, eq=False)
class ConformerJob(MoleculeJob):
    """A conformer of a molecule that is given.

    Attributes:
        skeleton: its graph and stereo.
    """

    skeleton: Skeleton

    def smiles(self, trial: int, *, stereo: bool = True) -> list[int]:
        """One of its SMILES, as symbols."""
        return np.asarray(write_smiles(self.skeleton, self.smiles_rng(trial), stereo=stereo).symbols).tolist()


@dataclass(frozen=True, eq=False)
class DeNovoJob(MoleculeJob):
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
        attachment_points: atoms that can be added to.
        smiles_hydrogens: of its SMILES: implied, or written.
    """

    skeleton: Skeleton
    positions: Float[np.ndarray, "heavy 3"]
    hydrogens: tuple[Float[np.ndarray, "_ 3"], ...]
    attachment_points: tuple[int, ...]
    smiles_hydrogens: Hydrogens

    @classmethod
    def of(cls, molecule: Molecule, grammar: SmilesGrammar) -> Scaffold:
        """A scaffold that can be added to; raises UserError for one that cannot."""
        stripped = skeleton_of(molecule.numbers, molecule.charges, molecule.bonds)
        rng = np.random.default_rng(0)  # one SMILES an atom is tried, always the same
        points = [
            atom
            for atom in attachment_points(stripped.skeleton)
            if _is_legal(_begun(stripped.skeleton, atom, rng, grammar.hydrogens), grammar)
        ]
        if not points:
            raise UserError(
                "scaffold: nothing can be added to it", got=molecule.formula, wanted="an atom with hydrogens"
            )
        hydrogens = tuple(molecule.positions[list(atoms)] for atoms in stripped.hydrogens)
        return cls(stripped.skeleton, molecule.positions[stripped.atoms], hydrogens, tuple(points), grammar.hydrogens)

    def prefix(self, rng: np.random.Generator) -> ScaffoldPrefix:
        """How a SMILES begins that goes on at one of its atoms."""
        return _begun(self.skeleton, int(rng.choice(self.attachment_points)), rng, self.smiles_hydrogens)

    def fixed(self, order: Int[np.ndarray, "heavy"], read: ReadSmiles) -> dict[int, np.ndarray]:
        """Positions by atom of the molecule that was written; hydrogens of the atom that was added to move.

        Args:
            order: atoms of the scaffold as they stand in the SMILES.
            read: the whole molecule.
        """
        fixed = {written: self.positions[atom] for written, atom in enumerate(order.tolist())}
        heavy, hydrogens = len(read.skeleton), read.skeleton.hydrogens
        first_hydrogen = heavy + np.cumsum(hydrogens) - hydrogens
        for written, atom in enumerate(order.tolist()):
            if len(self.hydrogens[atom]) == hydrogens[written]:
                first = int(first_hydrogen[written])
                fixed |= {first + n: position for n, position in enumerate(self.hydrogens[atom])}
        return fixed


class RequestResolver:
    """Resolves the requests of jobs for one model.

    Args:
        model: what it was trained on decides what it may write.
    """

    def __init__(self, model: MoleculeModel) -> None:
        self.model = model
        seen = [(number, charge - CHARGES) for number, charge in model.atoms_seen.nonzero().tolist()]
        self.elements = {number for number, _ in seen}
        self.heavy = frozenset(number for number, charge in seen if not charge and number in NEUTRAL)
        self.charges = frozenset(ion for ion in seen if ion in CHARGED and ion[0] in self.heavy)
        self.hydrogens = model.config.hydrogens
        self.table = None if model.examples is None else model.examples.table(self.hydrogens)

    def resolve(self, job_index: int, job: Job[MoleculeRequest]) -> ConformerJob | DeNovoJob:
        """A job with what follows from its request.

        Raises:
            UserError: a property the model does not know, a SMILES, formula or scaffold that it cannot serve.
        """
        request = job.request
        values = self.values(request.properties)
        examples: tuple[Example, ...] = ()
        if self.table is not None:
            examples = self.table.examples(values, self.model.config.examples, _stream(job, _EXAMPLES))
        if request.smiles is not None:
            skeleton = _skeleton(request.smiles, request.largest_fragment, self)
            return ConformerJob(job_index, job, values, examples, skeleton)
        formula = None if request.counts is None else tuple(request.counts.items())
        if request.scaffold is None:
            return DeNovoJob(job_index, job, values, examples, self.grammar(formula))
        grammar, scaffold = _scaffold(request.scaffold, request.largest_fragment, formula, self)
        return DeNovoJob(job_index, job, values, examples, grammar, scaffold)

    def grammar(self, formula: Formula | None) -> SmilesGrammar:
        """What the model may write."""
        stereo = self.model.config.layout == "graph-first"  # as in training: else its share would go to charged atoms
        most = int(self.model.most_heavy)
        return _grammar(self.heavy, most, self.charges, formula, stereo=stereo, hydrogens=self.hydrogens)

    def values(self, properties: Mapping[str, float]) -> dict[int, float]:
        """Properties by their number in the model."""
        numbers = property_numbers(properties, self.model.config.properties)
        return {number + 1: value for number, value in numbers.items()}


@lru_cache(maxsize=64)  # samples of one request share what its grammar remembers; requests come one after another
def _grammar(
    elements: frozenset[int],
    max_heavy: int,
    charges: frozenset[tuple[int, int]],
    formula: Formula | None,
    *,
    stereo: bool,
    hydrogens: Hydrogens,
) -> SmilesGrammar:
    counts = None if formula is None else dict(formula)
    return SmilesGrammar(elements, max_heavy, charges, formula=counts, stereo=stereo, hydrogens=hydrogens)


@lru_cache(maxsize=1024)  # many samples of one request; more requests than a batch has jobs
def _skeleton(smiles: str, largest_fragment: bool, resolver: RequestResolver) -> Skeleton:
    skeleton = read_smiles(smiles_symbols(kekule_smiles(smiles, largest_fragment=largest_fragment))).skeleton
    where = f"SMILES {smiles[:80]!r}"
    check_elements(skeleton.counts, resolver.elements, where, _OTHER_ELEMENTS)
    check_size(sum(skeleton.counts.values()), resolver.model.config.max_atoms, where)
    return skeleton


@lru_cache(maxsize=64)  # a run has one scaffold, perhaps with several formulas
def _scaffold(
    text: str, largest_fragment: bool, formula: Formula | None, resolver: RequestResolver
) -> tuple[SmilesGrammar, Scaffold]:
    molecule = Molecule.from_sdf(text)
    if largest_fragment:
        molecule = molecule.largest_fragment()
    molecule.checked("scaffold", elements=resolver.elements, connected=True)
    heavy, most = int((molecule.numbers > 1).sum()), int(resolver.model.most_heavy)
    if heavy >= most:
        raise UserError(
            "scaffold: as large as the largest molecule the model can write",
            got=f"{heavy} heavy atoms",
            wanted=f"at most {most - 1}",
        )
    grammar = resolver.grammar(formula)
    return grammar, Scaffold.of(molecule, grammar)


def _begun(skeleton: Skeleton, attachment: int, rng: np.random.Generator, hydrogens: Hydrogens) -> ScaffoldPrefix:
    """As ``begin_smiles``; with written hydrogens the atom to go on at has one fewer, in whose place the rest comes."""
    prefix = begin_smiles(skeleton, attachment, rng)
    if hydrogens == "implied":
        return prefix
    counts = skeleton.hydrogens[prefix.order]
    counts[0] -= 1
    return ScaffoldPrefix(
        with_hydrogens(prefix.symbols, atoms_of_symbols(prefix.symbols), counts.tolist())[0], prefix.order
    )


def _is_legal(prefix: ScaffoldPrefix, grammar: SmilesGrammar) -> bool:
    """Whether the grammar lets a SMILES begin so."""
    walk = grammar.start()
    for symbol in prefix.symbols:
        if not walk.legal()[symbol]:
            return False
        walk = walk.write(symbol)
    return True
