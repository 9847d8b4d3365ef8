"""How symmetric are the samples, and how symmetric is what they should be like: shares of systems and groups.

The total-variation distance of two distributions p and q over classes is ``1/2 sum_i |p_i - q_i|``: 0 for the same, 1
for distributions without a class in common. Of few samples it is never 0, so beside it stands what as many draws from
the reference itself have on average.
"""

from __future__ import annotations

import numpy as np

from unigen.eval.crystals.samples import CrystalSet
from unigen.eval.crystals.scores import ScoredCrystals
from unigen.eval.crystals.space_groups import SpaceGroups
from unigen.eval.statistics import Metric, total_variation
from unigen.eval.tables import Section
from unigen.parallel import Workers
from unigen.shapes import Float, Int
from unigen.symmetry.crystal_systems import CRYSTAL_SYSTEMS, crystal_system
from unigen.symmetry.space_groups import space_group

SYMPRECS = (0.1, 0.01)
"""Tolerances in Angstrom: nearly symmetric (that of the per-structure table), and symmetric (that of stated groups)."""

MAX_REFERENCES = 10_000
"""References whose symmetry is looked for, at most; a draw without replacement where there are more.

So many take 80 CPU-seconds at both tolerances, once a built dataset.
"""

DRAWS = 200
"""Draws from the reference that the distance of as many samples is averaged over."""

PRINTED = 10
"""Space groups in the printed table."""

_GROUPS = range(1, 231)
_SYSTEM = np.array([CRYSTAL_SYSTEMS.index(crystal_system(group)) for group in _GROUPS])
_NOTE = "tv: total-variation distance from the reference; in its own column, that of as many draws from it"


def symmetry_sections(scored: ScoredCrystals, reference: CrystalSet | None, workers: Workers) -> dict[str, Section]:
    """Shares of crystal systems and space groups, of samples and of the reference side by side.

    Args:
        scored: the samples; its seed chooses among the references.
        reference: what they should be like, or None.
        workers: the processes that find the symmetry.
    """
    samples = [crystal for crystal in scored.crystals if crystal is not None]
    references = reference.crystals if reference is not None else []
    if len(references) > MAX_REFERENCES:
        drawn = np.random.default_rng(scored.seed).choice(len(references), MAX_REFERENCES, replace=False)
        references = [references[index] for index in np.sort(drawn)]
    ours = scored.space_groups.find(samples, SYMPRECS, workers, "Symmetry")
    known = SpaceGroups(reference.dataset if reference is not None else None)
    theirs = known.find(references, SYMPRECS, workers, "Symmetry of the reference")
    return {"symmetry": _symmetry_section(ours, theirs, scored), "space_groups": _space_group_section(ours, theirs)}


def _symmetry_section(
    ours: Int[np.ndarray, "samples tolerances"],
    theirs: Int[np.ndarray, "references tolerances"],
    scored: ScoredCrystals,
) -> Section:
    rows: dict[str, dict[str, Metric | int]] = {name: {} for name in ("n", *CRYSTAL_SYSTEMS, "P1")}
    for column, symprec in enumerate(SYMPRECS):
        samples, references = ours[:, column], theirs[:, column]
        _add(rows, f"samples_{symprec:g}", scored.intervals(_classes(samples)), len(samples))
        if len(references):
            shares = {
                name: Metric(float(held.mean()), n=len(references)) for name, held in _classes(references).items()
            }
            _add(rows, f"reference_{symprec:g}", shares, len(references))
            for name, shares_of in (("tv_crystal_systems", _system_shares), ("tv_space_groups", _group_shares)):
                expected = shares_of(references)
                row = rows.setdefault(name, {})
                n, distance = len(samples), total_variation(shares_of(samples), expected)
                row[f"samples_{symprec:g}"] = Metric(distance, n=n)
                row[f"reference_{symprec:g}"] = Metric(_by_chance(expected, n, scored.seed), n=n)
    return Section("Symmetry at two tolerances (Angstrom)", rows, _NOTE if len(theirs) else "")


def _add(rows: dict[str, dict[str, Metric | int]], column: str, shares: dict[str, Metric], count: int) -> None:
    rows["n"][column] = count
    for name, metric in shares.items():
        rows[name][column] = metric


def _classes(groups: Int[np.ndarray, "crystals"]) -> dict[str, np.ndarray]:
    """For each crystal system, and for P1, which crystals have it."""
    system = _SYSTEM[groups - 1]
    return {name: system == number for number, name in enumerate(CRYSTAL_SYSTEMS)} | {"P1": groups == 1}


def _system_shares(groups: Int[np.ndarray, "crystals"]) -> Float[np.ndarray, "systems"]:
    return np.bincount(_SYSTEM[groups - 1], minlength=len(CRYSTAL_SYSTEMS)) / len(groups)


def _group_shares(groups: Int[np.ndarray, "crystals"]) -> Float[np.ndarray, "groups"]:
    return np.bincount(groups - 1, minlength=len(_GROUPS)) / len(groups)


def _by_chance(shares: Float[np.ndarray, "classes"], draws: int, seed: int) -> float:
    """The mean distance from these shares of so many draws from them."""
    drawn = np.random.default_rng(seed).multinomial(draws, shares, size=DRAWS) / draws
    return float(np.mean([total_variation(row, shares) for row in drawn]))


def _space_group_section(
    ours: Int[np.ndarray, "samples tolerances"], theirs: Int[np.ndarray, "references tolerances"]
) -> Section:
    """All groups that occur, the most frequent among the samples first."""
    shares: dict[str, np.ndarray] = {}
    sizes: dict[str, int] = {}
    for position, symprec in enumerate(SYMPRECS):
        for name, groups in (("samples", ours[:, position]), ("reference", theirs[:, position])):
            if len(groups):
                column = f"{name}_{symprec:g}"
                shares[column], sizes[column] = _group_shares(groups), len(groups)
    table = np.stack(list(shares.values()), axis=1)
    # lexsort sorts by its last key first: the share of samples at the looser tolerance, then the largest of any column
    order = np.lexsort((-table.max(axis=1), -table[:, 0]))
    rows: dict[str, dict[str, Metric | int]] = {
        f"{index + 1} {space_group(int(index) + 1).symbol}": {
            column: Metric(float(table[index, number]), n=sizes[column]) for number, column in enumerate(shares)
        }
        for index in order
        if table[index].any()
    }
    return Section("Space groups", rows, printed=PRINTED)
