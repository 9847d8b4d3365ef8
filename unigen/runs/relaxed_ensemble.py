"""Ensembles among relaxed molecules: entries of one canonical SMILES are conformers of one molecule.

Beside ``relaxed.sdf``, which holds all of them in their order, ``ensemble.sdf`` holds those that are kept, the lowest
of each molecule first, and ``ensemble.csv`` a line an entry with its energy, weight, or the reason why it is left out.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from unigen.disk import durable_text
from unigen.molecules.ensemble import (
    ENERGY,
    LEFT_OUT,
    RANK,
    RELATIVE,
    WEIGHT,
    EnsembleRules,
    ensemble_order,
    ensembles,
    with_energies,
)
from unigen.molecules.molecule import Molecule
from unigen.molecules.relaxation.minimum import minimum_energy
from unigen.molecules.relaxation.xtb import MoleculeRelaxation, XtbSettings
from unigen.sample.ensemble import NOT_RELAXED

ENSEMBLE_SDF, ENSEMBLE_TABLE = "ensemble.sdf", "ensemble.csv"

_FACTS = (RANK, ENERGY, RELATIVE, WEIGHT, LEFT_OUT)


@dataclass(frozen=True, eq=False)
class Conformer:
    """What an entry is in the ensemble of its molecule.

    Attributes:
        place: in the order of `ensemble_order`; what has no energy comes last.
        smiles: of its molecule, canonical, with stereo; empty where there is none.
        molecule: relaxed, its energies among its properties; None for what is not kept.
        facts: rank, energies, weight, or what it was left out for, by the names that samples of generation have.
        reason: why it is not kept.
    """

    place: int
    smiles: str
    molecule: Molecule | None = None
    facts: dict[str, int | float | str] = field(default_factory=dict)
    reason: str = ""


def relaxed_conformers(
    names: Sequence[str],
    given: Sequence[Molecule | None],
    results: Sequence[MoleculeRelaxation],
    reasons: Sequence[str],
    rules: EnsembleRules,
    settings: XtbSettings,
) -> list[Conformer]:
    """What each entry is in the ensemble of its molecule, in the order of the entries.

    Args:
        names: of the entries: a duplicate names the one that is kept.
        given: as they were, with bonds; None for what could not be read.
        results: of their relaxation.
        reasons: why an entry could not be read.
        rules: window and smallest distance.
        settings: of the relaxation.
    """
    found: dict[int, Conformer] = {}
    minima: list[tuple[int, Molecule, float]] = []
    for entry, (molecule, result) in enumerate(zip(given, results, strict=True)):
        energy, reason = None, reasons[entry] or f"not relaxed: {result.ending}"
        if molecule is not None and result.molecule is not None:
            energy, reason = minimum_energy(molecule, result, settings)
        if energy is None or result.molecule is None:
            found[entry] = Conformer(len(given) + entry, "", None, {LEFT_OUT: NOT_RELAXED}, reason)
        else:
            minima.append((entry, result.molecule, energy))
    texts = [molecule.to_smiles() for _, molecule, _ in minima]
    members = ensembles(texts, [molecule for _, molecule, _ in minima], [energy for *_, energy in minima], rules)
    for place, number in enumerate(ensemble_order(texts, members)):
        (entry, molecule, energy), member = minima[number], members[number]
        facts = {ENERGY: energy} | member.facts
        kept = replace(with_energies(molecule, facts), smiles=texts[number]) if member.kept else None
        lower = "" if member.duplicate_of is None else names[minima[member.duplicate_of][0]]
        found[entry] = Conformer(place, texts[number], kept, facts, member.reason(lower))
    return [found[entry] for entry in range(len(given))]


def write_conformers(folder: Path, named: Sequence[tuple[str, Conformer]]) -> Path | None:
    """Write the SD file of what is kept, whose path it returns, and the table of all, in the order of the ensembles.

    Of no ensemble there are no such files, nor those of an earlier call.

    Args:
        folder: of the relaxation.
        named: the entries with their names.
    """
    if not named:
        for name in (ENSEMBLE_SDF, ENSEMBLE_TABLE):
            (folder / name).unlink(missing_ok=True)
        return None
    in_order = sorted(named, key=lambda each: each[1].place)
    with durable_text(folder / ENSEMBLE_SDF) as file:
        for name, each in in_order:
            if each.molecule is not None:
                file.write(each.molecule.to_sdf(name=name))
    with durable_text(folder / ENSEMBLE_TABLE, newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "smiles", *_FACTS, "reason"))
        for name, each in in_order:
            table.writerow((name, each.smiles, *(each.facts.get(fact, "") for fact in _FACTS), each.reason))
    return folder / ENSEMBLE_SDF
