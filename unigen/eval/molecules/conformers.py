"""Score conformers against reference conformers: coverage and matching, recall and precision, beside ETKDG.

Ganea et al., GeoMol, NeurIPS 2021 (where MAT is called AMR). With the RMSD over heavy atoms, best over symmetry: COV-R
is the share of a molecule's reference conformers that lie nearer than the threshold to some sample, MAT-R the mean
distance of a reference conformer to its nearest sample; COV-P and MAT-P are the same seen from the samples.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from unigen.errors import UserError
from unigen.eval.molecules.conformer_pairing import group_references, pair_conformers
from unigen.eval.molecules.conformer_scores import ConformerScoring
from unigen.eval.molecules.protocol import CONFORMERS, ConformerRules
from unigen.eval.molecules.reference import MoleculeReference, read_reference
from unigen.eval.molecules.samples import Molecules, MoleculeSet, read_samples
from unigen.eval.report import Report
from unigen.molecules.molecule import Molecule
from unigen.parallel import Workers

TOOLS = ("unigen-matter", "rdkit", "numpy", "ase")


def evaluate_conformers(
    samples: Molecules | None,
    reference: str | Path | Sequence[Molecule],
    *,
    threshold: float = CONFORMERS.threshold,
    baseline: bool = True,
    only_sampled: bool = False,
    largest_fragment: bool = False,
    workers: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Report:
    """Score generated conformers; failures, other molecules and other stereoisomers cover nothing.

    Args:
        samples: SD or XYZ files, a run folder, or molecules in memory, any number for each molecule; None scores
            RDKit's ETKDG itself, with two conformers a reference.
        reference: a dataset (``"qm9:test"``), files with one or more conformers a molecule, or molecules in memory.
        threshold: a conformer is covered below this deviation, Angstrom (0.5 for QM9; 0.75 and 1.25 for GEOM-Drugs).
        baseline: also score ETKDG, with and without MMFF94 clean-up, with as many conformers a molecule.
        only_sampled: leave molecules without any sample out; they are failures otherwise.
        largest_fragment: of an entry of several molecules (a salt), sample or reference, take the largest.
        workers: processes; one a core by default. Numbers do not depend on it.
        seed: of the bootstrap intervals and of ETKDG.
        progress: show progress bars on standard error.

    Raises:
        UserError: nothing readable, no sample that belongs to any molecule of the reference, a threshold or count that
            is not positive.

    Example:
        >>> report = evaluate_conformers("run/", "qm9:test", only_sampled=True)  # doctest: +SKIP
        >>> report["cov_r"], report["mat_r"]  # doctest: +SKIP
    """
    started = time.perf_counter()
    for name, value in (("threshold", threshold), ("workers", workers)):
        if value is not None and value <= 0:
            raise UserError(f"{name}: not positive", got=value)
    rules = replace(CONFORMERS, threshold=float(threshold))
    sample_set = MoleculeSet("etkdg") if samples is None else read_samples(samples)
    if largest_fragment:
        sample_set = replace(sample_set, entries=tuple(entry.largest_fragment() for entry in sample_set.entries))
    with Workers(workers, progress=progress) as crew:
        reference_set = read_reference(reference, crew, largest_fragment=largest_fragment)
        scoring = _pair(sample_set, reference_set, only_sampled, rules, seed, crew)
        outcome = scoring.outcome(crew, baseline=baseline)
    return outcome.report(
        rules,
        samples=sample_set.name,
        reference=reference_set.name,
        entries=sample_set.entries,
        seed=seed,
        tools=TOOLS,
        seconds=time.perf_counter() - started,
        passed_over={"samples": sample_set.passed_over},
    )


def _pair(
    sample_set: MoleculeSet,
    reference: MoleculeReference,
    only_sampled: bool,
    rules: ConformerRules,
    seed: int,
    workers: Workers,
) -> ConformerScoring:
    groups, unusable = group_references(reference, workers)
    if not groups:
        raise UserError("no molecule with positions and bonds", where=reference.name)
    pairing = pair_conformers(sample_set.entries, groups)
    if sample_set.entries and not any(pairing.of_group):
        raise UserError(
            "no sample belongs to any molecule of the reference, neither by SMILES nor by id",
            got=f"samples such as {sample_set.entries[0].id!r}, molecules such as {groups[0].smiles}",
            next_step="let samples carry the SMILES or the id of their molecule",
        )
    if only_sampled and sample_set.entries:
        keep = [number for number, paired in enumerate(pairing.of_group) if paired]
        groups = [groups[number] for number in keep]
        pairing = replace(pairing, of_group=tuple(pairing.of_group[number] for number in keep))
    return ConformerScoring(sample_set.entries, tuple(groups), pairing, unusable, rules, seed)
