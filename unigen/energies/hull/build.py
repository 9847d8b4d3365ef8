"""Build a reference set for hulls, and the energies of the elements that let a potential use it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import open_crystals
from unigen.data.left_out import by_reason, write_left_out
from unigen.energies.hull.elements import (
    ElementEnergies,
    elements_file,
    fit_element_energies,
    write_element_energies,
)
from unigen.energies.hull.mp_corrections import CORRECTIONS
from unigen.energies.hull.provenance import Quantity, check_one_scheme, check_quantity, scheme_name
from unigen.energies.hull.reference import (
    ENTRIES,
    LEFT_OUT,
    LEFT_OUT_COLUMNS,
    HullCard,
    HullReference,
    hull_folder,
    hulls_home,
    lowest_of_each,
    open_reference,
    write_reference,
)
from unigen.energies.hull.sources import Entry, dataset_checksum, dataset_with, read_energies
from unigen.energies.potential import Potential
from unigen.energies.relaxation import RelaxSettings
from unigen.energies.relaxed_crystals import RelaxedCrystals
from unigen.errors import UserError
from unigen.parallel import Workers
from unigen.parsing import one_line

RELAXED = "relaxed"
"""Folder of the relaxations behind a set, so that an interrupted build goes on."""


def build_from_energies(
    name: str, sources: Sequence[str], *, energy: str | None, quantity: Quantity, scheme: str
) -> HullCard:
    """Keep the lowest energy of each reduced formula.

    Args:
        name: of the set.
        sources: as `read_energies` takes them.
        energy: column with energies in eV/atom.
        quantity: what they are.
        scheme: what they may be compared with.

    Raises:
        UserError: a source that cannot be read; energies of two schemes, or not what they are said to be; another set
            of this name.
    """
    scheme = scheme_name(scheme)
    energies = [read_energies(source, energy, quantity, scheme) for source in sources]
    card = HullCard(name=name, quantity=quantity, scheme=scheme, sources={each.name: each.origin for each in energies})
    _check_name(card)
    notes = check_one_scheme([each.provenance for each in energies], scheme)
    entries = [entry for each in energies for entry in each.entries]
    left_out = [(each.name, *row) for each in energies for row in each.left_out]
    total = next((each.provenance.total for each in energies if each.provenance.total), "")
    return _write_lowest(card, entries, Counter(reason for *_, reason in left_out), left_out, notes, total)


def build_by_potential(
    name: str, sources: Sequence[str], potential: Potential, settings: RelaxSettings, workers: Workers
) -> HullCard:
    """Relax every crystal of datasets, so that the hull and what it judges have the same errors.

    An interrupted build goes on where it stopped. Structures that were gated or failed are counted on the card.

    Raises:
        UserError: a dataset that is not built, not one energy, another set of this name.
    """
    datasets = [open_crystals(source) for source in sources]
    card = HullCard(
        name=name,
        quantity="total",
        scheme=potential.scheme,
        sources={each: {"sha256": dataset_checksum(each)} for each in sources},
        potential=potential.identity,
        relaxation=settings.facts(),
    )
    _check_name(card)
    relaxed = RelaxedCrystals(hulls_home() / name / RELAXED, potential, settings)
    entries: list[Entry] = []
    skipped: Counter[str] = Counter()
    left_out: list[tuple[str, str, str]] = []
    unfinished = 0
    for source, dataset in zip(sources, datasets, strict=True):
        crystals = list(dataset)
        for label, crystal, result in zip(
            dataset.ids.tolist(), crystals, relaxed.relax(crystals, workers), strict=True
        ):
            if result.energy_per_atom is None:
                skipped[result.outcome] += 1
                left_out.append((source, label, f"{result.outcome}: {result.reason}"))
            else:
                unfinished += result.outcome == "limit"
                entries.append((label, crystal.formula, result.energy_per_atom))
    if not entries:
        raise UserError("not one crystal has an energy", where=name, got=dict(skipped))
    notes = [f"{unfinished:,} relaxations out of steps: upper bounds of their energies"] if unfinished else []
    return _write_lowest(card, entries, skipped, left_out, notes)


def fit_elements(
    name: str, sources: Sequence[str], potential: Potential, *, energy: str, limit: int, seed: int, workers: Workers
) -> tuple[ElementEnergies, Path]:
    """Fit energies of the elements for a potential, on crystals with known formation energy as they are.

    Crystals without the energy, or that the potential has none for, are left out: counted in the fit, listed beside it.

    Args:
        name: reference set of formation energies.
        sources: datasets of relaxed crystals with formation energies in the set's scheme, into which the potential's
            are brought where a correction leads there.
        potential: to be used with the set.
        energy: column of the formation energies, eV/atom.
        limit: crystals, drawn at random.
        seed: of the draw.
        workers: one thread each.

    Raises:
        UserError: another scheme, a set of total energies, too few crystals.
    """
    card = open_reference(name).card
    correction = CORRECTIONS.get((potential.scheme, card.scheme))
    if card.quantity != "formation" or (card.scheme != potential.scheme and correction is None):
        raise UserError(
            "energies of the elements are for a set of formation energies in the potential's scheme",
            where=name,
            got=f"{card.quantity}, {card.scheme}",
            wanted=f"formation, {potential.scheme}",
        )
    left_out: list[tuple[str, str, str]] = []
    crystals: list[tuple[str, str, Crystal]] = []
    for source in sources:
        dataset = dataset_with(source, energy)
        for label, crystal in zip(dataset.ids.tolist(), dataset, strict=True):
            if energy in crystal.properties:
                crystals.append((source, label, crystal))
            else:
                left_out.append((source, label, f"no {energy}"))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(crystals))[:limit]).tolist()
    folder = hull_folder(name)
    single_points = RelaxedCrystals(
        folder / f"static-{potential.name.replace(':', '-')}", potential, RelaxSettings(max_steps=0)
    )
    drawn = [crystals[n] for n in chosen]
    results = single_points.relax([crystal for *_, crystal in drawn], workers)
    computed: list[tuple[Crystal, float]] = []
    for (source, label, crystal), result in zip(drawn, results, strict=True):
        if result.energy_per_atom is None:
            left_out.append((source, label, f"{result.outcome}: {result.reason}"))
        else:
            try:
                corrected = 0.0 if correction is None else correction(crystal)
            except ValueError as error:
                left_out.append((source, label, f"no correction to {card.scheme}: {one_line(error)}"))
                continue
            computed.append((crystal, result.energy_per_atom + corrected))
    write_left_out(elements_file(folder, potential).with_suffix(f".{LEFT_OUT}"), left_out, LEFT_OUT_COLUMNS)
    fit = fit_element_energies(
        [crystal.counts for crystal, _ in computed],
        np.array([total for _, total in computed]),
        np.array([crystal.properties[energy] for crystal, _ in computed]),
        potential,
        sources,
        by_reason(("", reason) for *_, reason in left_out),
    )
    return fit, write_element_energies(folder, potential, fit)


def _check_name(card: HullCard) -> None:
    """A set of this name made of the same may be made again; another one is not written over."""
    if (hulls_home() / card.name / ENTRIES).exists():
        built = open_reference(card.name).card
        if replace(built, entries=0, formulas=0, skipped={}, notes=()) != card:  # counts come last
            raise UserError(
                "another hull has this name",
                where=str(hulls_home() / card.name),
                got=_made_of(card),
                wanted=_made_of(built),
                next_step="give another name, or remove that folder",
            )


def _made_of(card: HullCard) -> str:
    """Quantity, scheme and sources, each with the beginning of its checksum: a file may have changed."""
    sources = ", ".join(f"{name} ({origin.get('sha256', '')[:8]})" for name, origin in card.sources.items())
    return f"{card.quantity}, {card.scheme}, from {sources}"


def _write_lowest(
    card: HullCard,
    entries: list[Entry],
    skipped: Counter[str],
    left_out: list[tuple[str, str, str]],
    notes: list[str],
    total: str = "",
) -> HullCard:
    """Write the set; returns its card with the counts. Raises UserError for energies that cannot be what is said."""
    ids, formulas, energies = lowest_of_each(entries)
    values = np.array(energies)
    if not card.potential:  # a potential says what it computes
        notes = notes + check_quantity(formulas, values, ids, card.quantity, card.scheme, total)
    card = replace(card, entries=len(entries), formulas=len(formulas), skipped=dict(skipped), notes=tuple(notes))
    write_reference(HullReference(card, ids, formulas, values), left_out)
    return card
