"""Samples to ensembles: relaxed, sorted by energy, duplicates and what is too high left out, each with its reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import count, groupby
from pathlib import Path
from typing import Any, Literal

from unigen.energies.relaxed_molecules import RelaxedMolecules
from unigen.errors import UserError
from unigen.models.generator import Sample
from unigen.molecules.ensemble import (
    ENERGY,
    LEFT_OUT,
    RANK,
    RELATIVE,
    WEIGHT,
    EnsembleRules,
    Member,
    ensemble_order,
    ensembles,
    is_left_out,
    with_energies,
)
from unigen.molecules.molecule import Molecule
from unigen.molecules.relaxation.force_field import CONVERGED
from unigen.molecules.relaxation.minimum import minimum_energy
from unigen.molecules.relaxation.xtb import XTB
from unigen.molecules.stereoisomers import smiles_as_asked
from unigen.parallel import Workers
from unigen.request import MoleculeRequest

DRAWN_AS, SMILES = "candidate", "smiles"
"""Names of facts of a conformer: which draw it was, and of one that is left out which molecule."""

NOT_RELAXED = "not relaxed"
"""Said of what has no energy, where others are left out for being duplicates or too high."""

FACTS = (RANK, DRAWN_AS, ENERGY, RELATIVE, WEIGHT, LEFT_OUT)
"""Facts of a sample that its line in a run folder keeps."""

ENERGY_DIGITS = 5
"""Of kcal/mol, in the lines of a run folder and where conformers are sorted: which of two that are one minimum comes
first is not for the last digits of a number to decide."""

MoleculeSample = Sample[MoleculeRequest, Molecule]


@dataclass(frozen=True, kw_only=True)
class EnsembleSettings:
    """How conformers that were drawn become an ensemble.

    Attributes:
        relax: by MMFF94, as they are drawn, or by GFN2-xTB.
        rules: which are kept.
    """

    relax: Literal["mmff", "xtb"]
    rules: EnsembleRules = field(default_factory=EnsembleRules)

    @property
    def method(self) -> str:
        """Whose energies they are."""
        return "MMFF94" if self.relax == "mmff" else XTB.method

    def facts(self) -> dict[str, Any]:
        """What determines the ensemble, for ``run.yaml``."""
        return {"relax": self.relax, "method": self.method, **asdict(self.rules)}


def ensemble_settings(
    requests: Sequence[object],
    relax: str | None,
    window: float | None,
    distinct: float | None,
    *,
    ranked: bool = False,
) -> EnsembleSettings | None:
    """What these options ask for; None where nothing is to be done with what is drawn.

    MMFF94 of molecules that are no conformers of a SMILES is the generator's business, and each a molecule by itself.

    Args:
        requests: what is wanted.
        relax: none, mmff or xtb.
        window: kcal/mol.
        distinct: Angstrom.
        ranked: whether answers are chosen among candidates, too.

    Raises:
        UserError: options that contradict each other.
    """
    given = {"window": window, "distinct": distinct}
    asked = [f"--{name}" for name, value in given.items() if value is not None]
    if relax not in ("mmff", "xtb"):
        if not asked:
            return None
        # bonds as drawn are off by hundredths of an Angstrom, which is more energy than conformers differ by
        raise UserError(
            f"{asked[0]} compares relaxed conformers: as drawn, their energies say nothing",
            next_step="say --relax mmff, or --relax xtb (in Python relax=)",
        )
    of_smiles = all(isinstance(each, MoleculeRequest) and each.smiles is not None for each in requests)
    if asked and not of_smiles:
        raise UserError(f"{asked[0]} is of conformers of one molecule", next_step="say which with --smiles")
    if ranked and (asked or relax == "xtb"):
        option = asked[0] if asked else "--relax xtb"
        raise UserError(f"{option}: conformers are sorted by energy, not ranked", next_step="leave --rank-by out")
    if ranked or (relax == "mmff" and not of_smiles):
        return None
    by: Literal["mmff", "xtb"] = "mmff" if relax == "mmff" else "xtb"
    return EnsembleSettings(relax=by, rules=EnsembleRules(window=window, distinct=distinct))


def open_relaxed(settings: EnsembleSettings, folder: Path | None = None) -> RelaxedMolecules | None:
    """Where relaxations by GFN2-xTB are kept; None where the generator has relaxed.

    Raises:
        UserError: tblite is not installed; the folder holds results of other settings.
    """
    return RelaxedMolecules(folder, XTB) if settings.relax == "xtb" else None


def make_ensembles(
    samples: Sequence[MoleculeSample],
    settings: EnsembleSettings,
    workers: Workers,
    relaxed: RelaxedMolecules | None,
) -> list[MoleculeSample]:
    """As many samples a request as before: those of its ensemble by energy, then what was left out, then what failed.

    What is left out or failed has no structure but a reason, which names another by its index. Of a SMILES that leaves
    stereo open each stereoisomer has an ensemble of its own, in the order in which they were drawn first.

    Args:
        samples: as drawn, in the order of their requests.
        settings: how.
        workers: processes that relax.
        relaxed: see `open_relaxed`.
    """
    if relaxed is not None:
        samples = _relaxed_by_xtb(samples, workers, relaxed)
    else:
        samples = [each if each.structure is None else _checked_mmff(each) for each in samples]
    standing = [each for each in samples if each.structure is not None]
    groups = [(each.request_index, _molecule_of(each)) for each in standing]
    members = ensembles(
        groups,
        [each.structure for each in standing if each.structure is not None],
        [round(float(each.facts[ENERGY] or 0.0), ENERGY_DIGITS) for each in standing],
        settings.rules,
    )
    placed = [(standing[n], groups[n], members[n]) for n in ensemble_order(groups, members)]
    kept = [(sample, member) for sample, _, member in placed if member.kept]
    counters: dict[int, count[int]] = defaultdict(count)
    index_of = {(each.request_index, each.index): next(counters[each.request_index]) for each, _ in kept}
    told = []
    for sample, (_, smiles), member in placed:
        other = None if member.duplicate_of is None else standing[member.duplicate_of]
        name = "" if other is None else str(index_of[other.request_index, other.index])
        told.append(_told(sample, smiles, member, name))
    failed = [_numbered(each, {}) for each in samples if each.structure is None]
    # first what is kept, of all stereoisomers, then what is left out, then what failed
    in_order = sorted([*told, *failed], key=lambda each: (each.request_index, _part(each)))
    return [
        replace(sample, index=index)
        for _, group in groupby(in_order, key=lambda each: each.request_index)
        for index, sample in enumerate(group)
    ]


def _part(sample: MoleculeSample) -> int:
    if sample.structure is not None:
        return 0
    return 1 if is_left_out(sample.facts) else 2


def _checked_mmff(sample: MoleculeSample) -> MoleculeSample:
    """The sample; without its structure where the generator could not relax it to the end."""
    ending = str(sample.source.get("relaxed", ""))
    if ending == CONVERGED and ENERGY in sample.facts:
        return sample
    return _not_relaxed(sample, f"not relaxed: {ending}")


def _relaxed_by_xtb(
    samples: Sequence[MoleculeSample], workers: Workers, relaxed: RelaxedMolecules
) -> list[MoleculeSample]:
    results = relaxed.relax([each.structure for each in samples], workers)
    found = []
    for sample, result in zip(samples, results, strict=True):
        if sample.structure is None:
            found.append(sample)
            continue
        energy, reason = minimum_energy(sample.structure, result, relaxed.settings)
        if energy is None or result.molecule is None:
            found.append(_not_relaxed(sample, reason))
            continue
        source = sample.source | {"relaxed": f"{relaxed.settings.method.lower()} {result.ending}"}
        molecule = replace(result.molecule, properties=sample.structure.properties)
        found.append(replace(sample, structure=molecule, source=source, facts=sample.facts | {ENERGY: energy}))
    return found


def _not_relaxed(sample: MoleculeSample, reason: str) -> MoleculeSample:
    return replace(sample, structure=None, reason=reason, facts={LEFT_OUT: NOT_RELAXED})


def _molecule_of(sample: MoleculeSample) -> str:
    """Which molecule it is: its canonical SMILES with all stereo of its positions, and all that was asked for."""
    request = sample.request
    assert sample.structure is not None, "what failed is of no molecule"
    if request.smiles is None:
        return sample.structure.to_smiles()
    return smiles_as_asked(sample.structure.to_rdkit(), request.smiles, largest_fragment=request.largest_fragment)


def _told(sample: MoleculeSample, smiles: str, member: Member, lower: str) -> MoleculeSample:
    """The sample with what became of it; ``lower`` is the index of the one that it is a duplicate of."""
    if member.kept:
        return _numbered(sample, member.facts)
    left_out = replace(sample, structure=None, reason=member.reason(lower))
    return _numbered(left_out, member.facts | {SMILES: smiles})


def _numbered(sample: MoleculeSample, facts: Mapping[str, Any]) -> MoleculeSample:
    """With these facts beside its energy, or why it has none, and which draw it was."""
    before = {name: sample.facts[name] for name in (ENERGY, LEFT_OUT) if name in sample.facts}
    facts = {DRAWN_AS: sample.index, **before, **facts}
    molecule = sample.structure
    return replace(sample, structure=None if molecule is None else with_energies(molecule, facts), facts=facts)
