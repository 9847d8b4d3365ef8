"""How symmetric are the samples, and how symmetric is what they should be like: shares of systems and groups.

The total-variation distance of two distributions p and q over classes is ``1/2 sum_i |p_i - q_i|``: 0 for the same, 1
for distributions without a class in common. Of few samples it is never 0, so beside it stands what as many draws from
the reference itself have on average.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.eval.crystals.samples import EntrySet
from unigen.eval.crystals.scores import Scored
from unigen.eval.statistics import Metric
from unigen.eval.tables import Section
from unigen.parallel import Workers
from unigen.shapes import Float, Int
from unigen.symmetry.crystal_systems import CRYSTAL_SYSTEMS, crystal_system
from unigen.symmetry.space_groups import space_group

SYMPRECS = (0.1, 0.01)
"""Tolerances in Angstrom: nearly symmetric, and symmetric."""

MAX_REFERENCES = 10_000
"""References whose symmetry is looked for, at most; a draw without replacement where there are more."""

DRAWS = 200
"""Draws from the reference that the distance of as many samples is averaged over."""

PRINTED = 10
"""Space groups in the printed table."""

_GROUPS = range(1, 231)
_SYSTEM = np.array([CRYSTAL_SYSTEMS.index(crystal_system(group)) for group in _GROUPS])
_NOTE = "tv: total-variation distance from the reference; in its own column, that of as many draws from it"


def symmetry_sections(scored: Scored, reference: EntrySet | None, workers: Workers) -> dict[str, Section]:
    """Shares of crystal systems and space groups, of samples and of the reference side by side.

    Args:
        scored: the samples; its seed chooses among the references.
        reference: what they should be like, or None.
        workers: the processes that find the symmetry (some 4 ms a structure and tolerance).
    """
    samples = [crystal for crystal in scored.crystals if crystal is not None]
    known = _chosen(reference.crystals, scored.seed) if reference is not None else []
    found = workers.map(partial(_groups, symprecs=SYMPRECS), samples + known, "Symmetry")
    groups = np.array(found, dtype=np.int64).reshape(-1, len(SYMPRECS))
    ours, theirs = groups[: len(samples)], groups[len(samples) :]
    return {"symmetry": _systems(ours, theirs, scored), "space_groups": _space_groups(ours, theirs)}


def total_variation(first: Float[np.ndarray, "classes"], second: Float[np.ndarray, "classes"]) -> float:
    """Half the sum of the differences of two distributions over the same classes."""
    return float(np.abs(first - second).sum() / 2)


def _chosen(crystals: list[Crystal], seed: int) -> list[Crystal]:
    if len(crystals) <= MAX_REFERENCES:
        return crystals
    drawn = np.random.default_rng(seed).choice(len(crystals), MAX_REFERENCES, replace=False)
    return [crystals[index] for index in np.sort(drawn)]


def _groups(crystal: Crystal, symprecs: tuple[float, ...]) -> list[int]:
    return [crystal.space_group(symprec).number for symprec in symprecs]


def _systems(
    ours: Int[np.ndarray, "samples tolerances"], theirs: Int[np.ndarray, "references tolerances"], scored: Scored
) -> Section:
    rows: dict[str, dict[str, Metric | int]] = {name: {} for name in ("n", *CRYSTAL_SYSTEMS, "P1")}
    for position, symprec in enumerate(SYMPRECS):
        mine, other = ours[:, position], theirs[:, position]
        _add(rows, f"samples_{symprec:g}", scored.intervals(_classes(mine)), len(mine))
        if len(other):
            shares = {name: Metric(float(held.mean()), n=len(other)) for name, held in _classes(other).items()}
            _add(rows, f"reference_{symprec:g}", shares, len(other))
            for name, ofs in (("tv_crystal_systems", _system_shares), ("tv_space_groups", _group_shares)):
                wanted = ofs(other)
                row = rows.setdefault(name, {})
                row[f"samples_{symprec:g}"] = Metric(total_variation(ofs(mine), wanted), n=len(mine))
                row[f"reference_{symprec:g}"] = Metric(_by_chance(wanted, len(mine), scored.seed), n=len(mine))
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


def _space_groups(
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
    order = np.lexsort((-table.max(axis=1), -table[:, 0]))
    rows: dict[str, dict[str, Metric | int]] = {
        f"{index + 1} {space_group(int(index) + 1).symbol}": {
            column: Metric(float(table[index, place]), n=sizes[column]) for place, column in enumerate(shares)
        }
        for index in order
        if table[index].any()
    }
    return Section("Space groups", rows, printed=PRINTED)
