"""Build a reference set for hulls, and the energies of the elements that let a potential use it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import open_dataset
from unigen.energies.hull.elements import ElementEnergies, fit_element_energies, write_element_energies
from unigen.energies.hull.reference import (
    ENTRIES,
    HullCard,
    HullReference,
    Quantity,
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

WORK = "relaxed"
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
        UserError: a source that cannot be read; another set of this name.
    """
    found = [read_energies(source, energy) for source in sources]
    card = HullCard(name=name, quantity=quantity, scheme=scheme, sources={one.name: one.fact for one in found})
    _check_name(card)
    entries = [entry for one in found for entry in one.entries]
    return _keep(card, entries, sum((one.skipped for one in found), Counter[str]()))


def build_by_potential(
    name: str, sources: Sequence[str], potential: Potential, settings: RelaxSettings, workers: Workers
) -> HullCard:
    """Relax every crystal of datasets, so that the hull and what it judges have the same errors.

    An interrupted build goes on where it stopped. Structures that were gated or failed are counted on the card.

    Raises:
        UserError: a dataset that is not built, not one energy, another set of this name.
    """
    datasets = [open_dataset(source) for source in sources]
    card = HullCard(
        name=name,
        quantity="total",
        scheme=potential.scheme,
        sources={each: {"sha256": dataset_checksum(each)} for each in sources},
        potential=potential.identity,
        relaxation=asdict(settings),
    )
    _check_name(card)
    relaxed = RelaxedCrystals(hulls_home() / name / WORK, potential, settings)
    entries: list[Entry] = []
    skipped: Counter[str] = Counter()
    for dataset in datasets:
        crystals = list(dataset)
        for label, crystal, result in zip(
            dataset.ids.tolist(), crystals, relaxed.relax(crystals, workers), strict=True
        ):
            if result.energy_per_atom is None:
                skipped[result.outcome] += 1
            else:
                entries.append((label, crystal.formula, result.energy_per_atom))
    if not entries:
        raise UserError("not one crystal has an energy", where=name, got=dict(skipped))
    return _keep(card, entries, skipped)


def fit_elements(
    name: str, sources: Sequence[str], potential: Potential, *, energy: str, limit: int, seed: int, workers: Workers
) -> tuple[ElementEnergies, Path]:
    """Fit energies of the elements for a potential, on crystals with known formation energy as they are.

    Args:
        name: reference set of formation energies.
        sources: datasets of relaxed crystals with formation energies in the set's scheme.
        potential: to be used with the set.
        energy: column of the formation energies, eV/atom.
        limit: crystals, drawn at random.
        seed: of the draw.
        workers: one thread each.

    Raises:
        UserError: another scheme, a set of total energies, too few crystals.
    """
    card = open_reference(name).card
    if card.quantity != "formation" or card.scheme != potential.scheme:
        raise UserError(
            "energies of the elements are for a set of formation energies in the potential's scheme",
            where=name,
            got=f"{card.quantity}, {card.scheme}",
            wanted=f"formation, {potential.scheme}",
        )
    crystals, known = _with_energies(sources, energy)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(crystals))[:limit]).tolist()
    folder = hull_folder(name)
    work = folder / f"static-{potential.name.replace(':', '-')}"
    results = RelaxedCrystals(work, potential, RelaxSettings(max_steps=0)).relax([crystals[n] for n in chosen], workers)
    rows = [
        (n, result.energy_per_atom)
        for n, result in zip(chosen, results, strict=True)
        if result.energy_per_atom is not None
    ]
    found = fit_element_energies(
        [crystals[n].counts for n, _ in rows],
        np.array([value for _, value in rows]),
        np.array([known[n] for n, _ in rows]),
        potential,
        sources,
    )
    return found, write_element_energies(folder, potential, found)


def _with_energies(sources: Sequence[str], energy: str) -> tuple[list[Crystal], list[float]]:
    crystals = [
        crystal for source in sources for crystal in dataset_with(source, energy) if energy in crystal.properties
    ]
    return crystals, [crystal.properties[energy] for crystal in crystals]


def _check_name(card: HullCard) -> None:
    """A set of this name made of the same may be made again; another one is not written over."""
    if (hulls_home() / card.name / ENTRIES).exists():
        there = open_reference(card.name).card
        blank = replace(there, entries=0, formulas=0, skipped={})
        if blank != card:
            raise UserError(
                "another hull has this name",
                where=str(hulls_home() / card.name),
                got=f"{card.quantity}, {card.scheme}, from {', '.join(card.sources)}",
                wanted=f"{there.quantity}, {there.scheme}, from {', '.join(there.sources)}",
                next_step="give another name, or remove that folder",
            )


def _keep(card: HullCard, entries: list[Entry], skipped: Counter[str]) -> HullCard:
    """Write the set; returns its card with the counts."""
    ids, formulas, energies = lowest_of_each(entries)
    card = replace(card, entries=len(entries), formulas=len(formulas), skipped=dict(skipped))
    write_reference(HullReference(card, ids, formulas, np.array(energies)))
    return card
