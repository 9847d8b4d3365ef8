"""PoseBusters' checks of a molecule by itself: distances, angles, clashes, flatness, strain.

Buttenschoen et al., Chem. Sci. 15, 3130 (2024). Some 0.3 CPU-seconds a molecule, ten for some small cages. One in ten
real molecules fails some check, so a rate means nothing without theirs beside it.

For the strain PoseBusters embeds a molecule fifty times and gives up when one of them fails. So the first of the fifty
is tried here before, with the same seed: where it fails the strain is not known, which counts as not passed, and only
the other checks are run. That saves half a minute a molecule and changes no verdict.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.eval.molecules.protocol import RDKIT
from unigen.eval.molecules.reference import MoleculeReference
from unigen.eval.molecules.scores import MoleculeResult, ScoredMolecules
from unigen.eval.report import Outcome
from unigen.eval.statistics import Metric
from unigen.eval.tables import Section
from unigen.molecules.molecule import Molecule
from unigen.parallel import Workers
from unigen.version import require

if TYPE_CHECKING:
    from rdkit.Chem import Mol

Checks = dict[str, bool | None]

NEEDS_EMBEDDING = "internal_energy"
"""PoseBusters' name of the check (strain) that needs embedding."""


def with_posebusters(
    outcome: Outcome, scored: ScoredMolecules, reference: MoleculeReference | None, count: int, workers: Workers
) -> Outcome:
    """With the checks of the first samples, and of as many reference molecules."""
    stated = [verdict.stated if verdict else None for verdict in scored.verdicts[:count]]
    molecules = [graph.molecule if graph else None for graph in stated]
    checked = run_checks(molecules, RDKIT.posebusters, workers, "PoseBusters")
    sets = {"posebusters.pass": checked}
    if reference is not None and len(reference.molecules):
        drawn = reference.drawn(len(checked), scored.seed)
        label = "PoseBusters, reference"
        sets["posebusters.pass_reference"] = run_checks(drawn, RDKIT.posebusters, workers, label)
    unknown = sum(None in checks.values() for checks in checked)
    metrics: dict[str, Metric] = {}
    for name, each in sets.items():
        passed = np.array([passes(checks) for checks in each], dtype=bool)
        metrics |= RDKIT.intervals({name: passed}, scored.seed)
    rows = [
        replace(row, posebusters=passes(checks), failed_checks=" ".join(n for n, held in checks.items() if not held))
        for row, checks in zip(outcome.rows, checked, strict=False)
        if isinstance(row, MoleculeResult)
    ]
    return replace(
        outcome,
        metrics=outcome.metrics | metrics,
        counts=outcome.counts | {"posebusters": len(checked), "posebusters_not_computed": unknown},
        rows=(*rows, *outcome.rows[len(rows) :]),
        sections=outcome.sections | {"posebusters": _section_by_check(sets)},
    )


def _section_by_check(sets: dict[str, list[Checks]]) -> Section:
    """Share of all that pass each check; what is no molecule passes none."""
    names = dict.fromkeys(name for molecules in sets.values() for checks in molecules for name in checks)
    rows: dict[str, dict[str, Metric | int]] = {
        name: {
            column: Metric(float(np.mean([checks.get(name) is True for checks in molecules])), n=len(molecules))
            for column, molecules in sets.items()
        }
        for name in names
    }
    return Section("PoseBusters by check", rows, "share of the first samples, failures among them, that pass")


def run_checks(molecules: Sequence[Molecule | None], checks: str, workers: Workers, label: str) -> list[Checks]:
    """The outcome of every check by name, None where it could not be computed; nothing for no molecule.

    Args:
        molecules: with bonds.
        checks: PoseBusters' name of a set of checks, such as "mol".
        workers: the processes that do it.
        label: of the progress bar.

    Raises:
        UserError: posebusters is not installed.
    """
    require("posebusters", "posebusters", "these checks need")
    return workers.map(partial(_check, checks=checks), molecules, label)


def passes(checks: Checks) -> bool:
    """Whether there is a molecule and every check is passed."""
    return bool(checks) and all(checks.values())


def _check(molecule: Molecule | None, checks: str) -> Checks:
    if molecule is None:
        return {}
    from rdkit import rdBase

    mol = molecule.to_rdkit()
    embeds = _embeds(mol)
    # RDKit tells of every atom that UFF has no type for; what comes of it is in the table
    with warnings.catch_warnings(), rdBase.BlockLogs():
        warnings.simplefilter("ignore")
        # its set "mol_fast" is "mol" without the strain
        table = _busters(checks if embeds else f"{checks}_fast").bust([mol])
    outcomes = {str(name): _WORDS.get(str(value)) for name, value in table.iloc[0].items()}
    return outcomes if embeds else outcomes | {NEEDS_EMBEDDING: None}


def _embeds(mol: Mol) -> bool:
    """Whether the first conformer that PoseBusters would make can be made."""
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDistGeom

    settings: Any = rdDistGeom.ETKDGv3()
    settings.randomSeed = 42  # these two as PoseBusters sets them
    settings.useRandomCoords = True
    with rdBase.BlockLogs():
        # PoseBusters embeds what the molecule's InChI says, not the molecule
        again = Chem.MolFromInchi(Chem.MolToInchi(mol))
        return again is not None and rdDistGeom.EmbedMolecule(Chem.AddHs(again), settings) >= 0


_WORDS = {"True": True, "False": False}
"""Of a column that may hold missing values too."""


@cache
def _busters(checks: str) -> Any:
    """One a process: reading the set of checks takes longer than a check."""
    from posebusters import PoseBusters

    logging.getLogger("posebusters").setLevel(logging.ERROR)  # what it warns of is in its table
    return PoseBusters(config=checks, max_workers=0)  # no processes of its own: this is one of ours
