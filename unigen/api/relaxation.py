"""``relax`` and ``hull``: structures from anywhere, relaxed by a potential, and how far above a hull they are."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unigen.api.samples import Samples, row_of_sample
from unigen.api.structures import samples_of
from unigen.energies.hull.hull import Hull
from unigen.energies.potential import Potential, find_potential
from unigen.energies.relaxation import Relaxation, RelaxSettings
from unigen.energies.relaxed_crystals import RelaxedCrystals
from unigen.energies.relaxed_molecules import RelaxedMolecules
from unigen.errors import UserError
from unigen.models.generator import Sample
from unigen.molecules.ensemble import EnsembleRules
from unigen.molecules.relaxation.xtb import GFN2, XtbSettings, check_potential
from unigen.parallel import Workers, in_notebook
from unigen.runs.formats import read_formats
from unigen.runs.relaxation import relaxed_entries, write_relaxed_crystals
from unigen.runs.relaxed_ensemble import write_conformers
from unigen.runs.relaxed_table import RelaxedRow, relaxed_rows

_TOLD = (
    "outcome",
    "energy_per_atom",
    "energy_above_lowest",
    "space_group",
    "enthalpy_per_atom",
    "energy_drop",
    "steps",
    "displacement",
    "volume_change",
)
"""Columns of the table of relaxed crystals that a sample keeps among its facts."""


def relax(
    structures: Any,
    *,
    potential: str | None = None,
    energy_scheme: str | None = None,
    fmax: float = 0.05,
    max_steps: int = 500,
    pressure: float = 0.0,
    fix_symmetry: bool = False,
    symprec: float = 0.01,
    fix_cell: bool = False,
    fix_atoms: bool = False,
    limit: int | None = None,
    largest_fragment: bool = False,
    window: float | None = None,
    distinct: float | None = None,
    out: str | Path | None = None,
    format: str | Sequence[str] | None = None,  # noqa: A002 - the command line's word
    top: int | None = None,
    page: bool = True,
    workers: int | None = None,
    device: str = "cpu",
    batch: int | None = None,
    progress: bool | None = None,
) -> Any:
    """Relax crystals, cell and all, with a potential, or molecules with GFN2-xTB: what ``unigen relax`` does.

    Args:
        structures: Samples, one Sample, Crystal, Molecule, pymatgen Structure, ASE Atoms or RDKit Mol, a path, or a
            list of these.
        potential: of crystals ``chgnet`` (the default), ``chgnet-r2scan``, ``7net-0``, ``7net-l3i5``, or an ASE
            calculator ``package.module:Class``; of molecules ``gfn2-xtb``.
        energy_scheme: of a calculator by its path.
        fmax: largest force at the end, eV/Angstrom.
        max_steps: of the optimiser; 0 computes energies only.
        pressure: GPa.
        fix_symmetry: keep the space group, made exact first.
        symprec: tolerance of space groups, Angstrom.
        fix_cell: only the atoms move.
        fix_atoms: only the cell changes.
        limit: the first so many.
        largest_fragment: of molecules in pieces take the largest.
        window: of conformers, entries of one canonical SMILES with stereo, keep those within so many kcal/mol of the
            lowest. They come sorted by energy, with ``relative_energy_kcal_mol`` and ``boltzmann_weight`` among their
            facts; what is left out comes behind, with its reason in place of a structure.
        distinct: likewise, of those nearer to each other than this keep the lowest, Angstrom (heavy atoms, best over
            symmetry).
        out: folder that keeps all of it, as the command line writes it; an interrupted call goes on.
        format: files of each relaxed crystal, with ``out``.
        top: copy the best so many of each composition, with ``out``.
        page: write ``report.html``, with ``out``.
        workers: processes; by default one a core.
        device: of torch.
        batch: structures computed together.
        progress: show bars; by default in notebooks.

    Returns:
        Samples (one Sample for one structure) whose structures are the relaxed ones, in their order, with
        ``energy_per_atom``, ``energy_above_lowest`` (of its composition; both eV/atom), ``outcome`` and more in
        ``sample.facts``. What could not be relaxed has no structure but a reason, and a warning counts them.

    Raises:
        UserError: no such potential, settings that contradict each other, nothing to relax.

    Example:
        >>> relaxed = relax(crystal, potential="7net-0")  # doctest: +SKIP
        >>> relaxed.structure, relaxed.facts["energy_per_atom"]  # doctest: +SKIP
    """
    given, single = samples_of(structures)
    samples = Samples(given[:limit])
    shown = in_notebook() if progress is None else progress
    if samples.kind == "molecules":
        check_potential(potential)
        if energy_scheme or batch or device != "cpu":
            raise UserError("molecules are relaxed by gfn2-xtb, on the CPU, one by one")
        if fix_symmetry or fix_cell or fix_atoms or pressure or format or top:
            raise UserError("a cell, its symmetry, a pressure and their files are of crystals", got="molecules")
        xtb = XtbSettings(fmax=fmax, max_steps=max_steps)
        height, apart = (None if value is None else float(value) for value in (window, distinct))
        rules = None if height is None and apart is None else EnsembleRules(window=height, distinct=apart)
        relaxed = _relax_molecules(
            samples, xtb, rules, out, workers, shown, largest_fragment=largest_fragment, page=page
        )
    else:
        if largest_fragment or potential == GFN2 or window is not None or distinct is not None:
            raise UserError("largest_fragment, window, distinct and gfn2-xtb are of molecules", got="crystals")
        if out is None and (format or top):
            raise UserError("format and top are files of a folder", next_step="say out=FOLDER too, or samples.write")
        settings = RelaxSettings(
            fmax=fmax,
            max_steps=max_steps,
            fix_symmetry=fix_symmetry,
            symprec=symprec,
            fix_cell=fix_cell,
            fix_atoms=fix_atoms,
            pressure=pressure,
        )
        chosen = find_potential(potential or "chgnet", energy_scheme, device, batch)
        journal = RelaxedCrystals(None if out is None else Path(out), chosen, settings)
        with Workers(workers, progress=shown) as pool:
            found = iter(journal.relax(samples.structures, pool))
        results = [
            Relaxation(outcome="failed", reason=sample.reason) if sample.structure is None else next(found)
            for sample in samples
        ]
        rows = relaxed_rows(list(map(row_of_sample, samples)), results, settings)
        if out is not None:
            formats = read_formats(format or None)
            write_relaxed_crystals(journal, rows, results, formats, top)
            if page:
                from unigen.report.relaxation_page import write_crystals_page

                named = [(row.file, result) for row, result in zip(rows, results, strict=True)]
                write_crystals_page(Path(out), named)
        relaxed = Samples(map(_relaxed, samples, rows, results, [chosen] * len(samples)))
    if lost := relaxed.failed:
        warnings.warn(f"{len(lost)} of {len(relaxed)} not relaxed; the first: {lost[0].reason}", stacklevel=2)
    return relaxed[0] if single else relaxed


def _relaxed(sample: Sample[Any, Any], row: RelaxedRow, result: Relaxation, potential: Potential) -> Sample[Any, Any]:
    facts: dict[str, Any] = {name: getattr(row, name) for name in _TOLD if getattr(row, name) is not None}
    told = sample.facts | {"potential": potential.name, "energy_scheme": potential.scheme} | facts
    reason = "" if result.crystal is not None else f"{result.outcome}: {result.reason}"
    return replace(sample, structure=result.crystal, facts=told, reason=reason, template="")


def _relax_molecules(
    samples: Samples,
    settings: XtbSettings,
    rules: EnsembleRules | None,
    out: str | Path | None,
    workers: int | None,
    progress: bool,
    *,
    largest_fragment: bool,
    page: bool,
) -> Samples:
    given = [
        sample.structure.largest_fragment() if largest_fragment and sample.structure is not None else sample.structure
        for sample in samples
    ]
    journal = RelaxedMolecules(None if out is None else Path(out), settings)
    with Workers(workers, progress=progress) as pool:
        results = journal.relax(given, pool)
    names = [row_of_sample(sample).name for sample in samples]
    entries = relaxed_entries(names, given, results, [sample.reason for sample in samples], settings, rules)
    if out is not None:
        journal.write(zip(names, results, strict=True))
        write_conformers(Path(out), [(each.name, each.conformer) for each in entries if each.conformer is not None])
        if page:
            from unigen.report.relaxation_page import write_molecules_page

            write_molecules_page(Path(out), entries)
    relaxed = []
    for sample, entry in zip(samples, entries, strict=True):
        result, strain, conformer = entry.relaxation, entry.strain, entry.conformer
        facts: dict[str, Any] = {"potential": settings.method, "outcome": result.ending}
        facts |= {} if result.energy is None else {"energy": result.energy[1]}
        facts |= {} if strain.energy is None else {"strain": strain.energy, "bonds_kept": bool(strain.bonds_kept)}
        molecule, reason = result.molecule, "" if result.molecule is not None else sample.reason or result.ending
        if conformer is not None:
            molecule, reason, facts = conformer.molecule, conformer.reason, facts | conformer.facts
        relaxed.append(replace(sample, structure=molecule, facts=sample.facts | facts, reason=reason))
    if rules is not None:
        places = [each.conformer.place for each in entries if each.conformer is not None]
        relaxed = [relaxed[n] for n in sorted(range(len(relaxed)), key=places.__getitem__)]
    return Samples(relaxed)


def hull(
    structures: Any,
    name: str,
    *,
    potential: str = "chgnet",
    energy_scheme: str | None = None,
    **relaxation: Any,
) -> Any:
    """Energies above a convex hull of known phases.

    Args:
        structures: as `relax` takes them. What `relax` has given with this potential is judged as it is, everything
            else is relaxed first.
        name: of the reference set, as ``unigen hull build`` or ``unigen hull list`` names it.
        potential: whose energies.
        energy_scheme: of a calculator by its path.
        relaxation: further keywords of `relax`.

    Returns:
        Samples (one Sample for one structure), relaxed, with ``above_hull`` and ``formation_energy`` (eV/atom) and
        ``decomposition`` in ``sample.facts``; where the hull cannot tell, ``above_hull`` is None, ``hull_reason``
        says why, and a warning counts them.

    Raises:
        UserError: the hull is not built, its energies are of another scheme, and what `relax` raises.

    Example:
        >>> judged = hull(generate("TiO2", n=4), "known")  # doctest: +SKIP
        >>> judged.to_dataframe()[["formula", "above_hull"]]  # doctest: +SKIP
    """
    chosen = find_potential(potential, energy_scheme, relaxation.get("device", "cpu"))
    reference = Hull.open(name, chosen)
    given, single = samples_of(structures)
    if given.kind == "molecules":
        raise UserError("a hull is of crystals", got="molecules")
    known = [sample.facts.get("potential") == chosen.name and _energy(sample) is not None for sample in given]
    missing = Samples(sample for sample, done in zip(given, known, strict=True) if not done)
    options = {"potential": potential, "energy_scheme": energy_scheme, **relaxation}
    relaxed = iter(relax(missing, **options) if missing else ())
    samples = [sample if done else next(relaxed) for sample, done in zip(given, known, strict=True)]
    judged = Samples(_judged(sample, reference) for sample in samples)
    if unknown := [sample for sample in judged if "hull_reason" in sample.facts]:
        assert unknown[0].structure is not None, "what was judged has a structure"
        missing_elements = reference.missing_elements(unknown[0].structure.counts)
        way = f"; {reference.way_to_add(missing_elements[0], chosen)}" if missing_elements else ""
        counted = f"{len(unknown)} of {len(judged)} have no energy above the hull {name}"
        warnings.warn(f"{counted}; the first: {unknown[0].facts['hull_reason']}{way}", stacklevel=2)
    return judged[0] if single else judged


def _energy(sample: Sample[Any, Any]) -> float | None:
    energy = sample.facts.get("energy_per_atom")
    return energy if isinstance(energy, float) and sample.structure is not None else None


def _judged(sample: Sample[Any, Any], reference: Hull) -> Sample[Any, Any]:
    energy = _energy(sample)
    if energy is None:
        return sample
    assert sample.structure is not None, "what has an energy has a structure"
    verdict = reference.judge_crystal(sample.structure, energy)
    facts: dict[str, Any] = {
        "hull": reference.reference.card.name,
        "above_hull": verdict.above_hull,
        "formation_energy": verdict.formation_energy,
        "decomposition": verdict.decomposition,
    }
    facts |= {"hull_reason": verdict.reason} if verdict.reason else {}
    return replace(sample, facts=sample.facts | facts)
