"""What follows from the request of a job before anything is drawn: graph, grammar, scaffold, numbered properties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from unigen.errors import UserError
from unigen.models.generator import UNUSED, Job
from unigen.models.smiles.embedding import CHARGES
from unigen.models.smiles.network import MoleculeModel
from unigen.models.smiles.scaffolds import Beginning, FragmentPair, Scaffold, without_fragment
from unigen.models.smiles.tokens import Example
from unigen.molecules.limits import check_elements, check_size
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import kekule_smiles
from unigen.nn.conditions.properties import property_numbers
from unigen.request import MoleculeRequest
from unigen.smiles.atoms import CHARGED, NEUTRAL
from unigen.smiles.grammar import SmilesGrammar
from unigen.smiles.hydrogens import Hydrogens
from unigen.smiles.reader import read_smiles
from unigen.smiles.skeleton import Skeleton, skeleton_of
from unigen.smiles.text import smiles_symbols
from unigen.smiles.writer import write_smiles

_OTHER_ELEMENTS = "RDKit's ETKDG (EmbedMolecule) makes conformers of other elements; the model was trained without them"

_EXAMPLES = 4000
"""The stream of a job that chooses among examples that are equally near."""

_LINKED = 2
"""Fragments that are linked at once."""

_HYDROGEN = {1: 2}

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
    """A molecule that is to be written, perhaps onto a scaffold, or between two fragments.

    Attributes:
        grammar: what may be written.
        kept: atoms that stay where they are; None for none.
    """

    grammar: SmilesGrammar
    kept: Scaffold | FragmentPair | None = None

    def begin(self, trial: int) -> Beginning:
        """How its SMILES begins, at its first, second, ... trial."""
        return Beginning(self.grammar) if self.kept is None else self.kept.begin(self.smiles_rng(trial))


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
        if request.counts == _HYDROGEN and request.scaffold is None:
            # the one molecule without a heavy atom, which the grammar begins with
            request = replace(request, smiles="[H][H]", formula=None)
            job = replace(job, request=request)
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
        kept = _kept(request.scaffold, request.largest_fragment, tuple(request.attach), formula, self)
        return DeNovoJob(job_index, job, values, examples, self.grammar(None), kept)

    def grammar(self, formula: Formula | None, min_heavy: int = 1, max_heavy: int | None = None) -> SmilesGrammar:
        """What the model may write; so many heavy atoms where no formula says it, at most as many as it has seen."""
        stereo = self.model.config.layout == "graph-first"  # as in training: else its share would go to charged atoms
        most = int(self.model.most_heavy) if max_heavy is None or formula is not None else max_heavy
        sizes = (1, most) if formula is not None else (min(min_heavy, most), most)
        return _grammar(self.heavy, sizes, self.charges, formula, stereo=stereo, hydrogens=self.hydrogens)

    def values(self, properties: Mapping[str, float]) -> dict[int, float]:
        """Properties by their number in the model."""
        numbers = property_numbers(properties, self.model.config.properties)
        return {number + 1: value for number, value in numbers.items()}


@lru_cache(maxsize=64)  # samples of one request share what its grammar remembers; requests come one after another
def _grammar(
    elements: frozenset[int],
    sizes: tuple[int, int],
    charges: frozenset[tuple[int, int]],
    formula: Formula | None,
    *,
    stereo: bool,
    hydrogens: Hydrogens,
) -> SmilesGrammar:
    counts = None if formula is None else dict(formula)
    least, most = sizes
    return SmilesGrammar(elements, most, charges, formula=counts, stereo=stereo, hydrogens=hydrogens, min_heavy=least)


@lru_cache(maxsize=1024)  # many samples of one request; more requests than a batch has jobs
def _skeleton(smiles: str, largest_fragment: bool, resolver: RequestResolver) -> Skeleton:
    skeleton = read_smiles(smiles_symbols(kekule_smiles(smiles, largest_fragment=largest_fragment))).skeleton
    where = f"SMILES {smiles[:80]!r}"
    check_elements(skeleton.counts, resolver.elements, where, _OTHER_ELEMENTS)
    check_size(sum(skeleton.counts.values()), resolver.model.config.max_atoms, where)
    return skeleton


@lru_cache(maxsize=64)  # a run has one scaffold, perhaps with several formulas
def _kept(
    text: str, largest_fragment: bool, attach: tuple[int, ...], formula: Formula | None, resolver: RequestResolver
) -> Scaffold | FragmentPair:
    molecule = Molecule.from_sdf(text)
    outside = [atom for atom in attach if not 1 <= atom <= len(molecule)]
    if outside:
        raise UserError("attach: no such atom in the scaffold", got=outside[0], wanted=f"1 to {len(molecule)}")
    molecule.checked("scaffold", elements=resolver.elements)
    labels = molecule.fragments
    pieces = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    if largest_fragment:
        pieces = [molecule.largest_fragment_atoms()]
    if len(pieces) > _LINKED:
        raise UserError(
            "scaffold: too many fragments",
            got=len(pieces),
            wanted="one to add to, or two to be linked",
            next_step="--largest-fragment (largest_fragment=True) takes the largest",
        )
    heavy = [int((molecule.numbers[piece] > 1).sum()) for piece in pieces]
    most = int(resolver.model.most_heavy)
    if sum(heavy) >= most:
        raise UserError(
            "scaffold: as large as the largest molecule the model can write",
            got=f"{sum(heavy)} heavy atoms",
            wanted=f"at most {most - 1}",
        )
    named = [{place: atom + 1 for place, atom in enumerate(piece.tolist()) if atom + 1 in attach} for piece in pieces]
    elsewhere = set(attach).difference(*(each.values() for each in named))
    if elsewhere:
        raise UserError("attach: not in the largest fragment of the scaffold", got=f"atom {min(elsewhere)}")
    fragments = [molecule.selected(piece) for piece in pieces]
    if len(pieces) == 1:
        return Scaffold.of(fragments[0], resolver.grammar(formula), named[0])
    skeletons = [skeleton_of(each.numbers, each.charges, each.bonds).skeleton for each in fragments]

    def grammar(number: int, least: int = 1, atoms: int = most) -> SmilesGrammar:
        other = skeletons[1 - number]
        counts = None if formula is None else tuple(without_fragment(dict(formula), other).items())
        return resolver.grammar(counts, least, min(atoms, most - len(other)))

    one, two = (Scaffold.of(fragments[number], grammar(number), named[number]) for number in (0, 1))
    return FragmentPair((one, two), grammar)
