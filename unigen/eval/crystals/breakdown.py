"""Numbers by what makes a crystal hard: match rates by size, free parameters and nearest neighbour of the reference.

De novo samples too by their nearest neighbour: what is stable is, as a rule, what is close to something known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.symmetry_finder import find_symmetric
from unigen.eval.crystals.scores import ScoredCrystals
from unigen.eval.statistics import Metric
from unigen.eval.tables import Section
from unigen.parallel import Workers
from unigen.retrieval.build_table import table_path
from unigen.retrieval.mapped_table import open_retriever
from unigen.retrieval.neighbours import NeighbourIndex
from unigen.shapes import Float, Int


@dataclass(frozen=True)
class Bins:
    """Classes of a number; a value on a border belongs to the upper of the two.

    Attributes:
        labels: name of each class.
        lower: smallest value of each class, ascending.
    """

    labels: tuple[str, ...]
    lower: tuple[float, ...]

    def of(self, values: Float[np.ndarray, "items"]) -> Int[np.ndarray, "items"]:
        """The class of each value; NaN falls into the first."""
        return np.searchsorted(self.lower, np.nan_to_num(values, nan=self.lower[0]), side="right") - 1


ATOMS = Bins(("1-4", "5-8", "9-12", "13-16", "17-20", "21+"), (0.0, 5.0, 9.0, 13.0, 17.0, 21.0))
"""Atoms in the primitive cell: in fours up to 20, where MP-20 ends."""

FREE = Bins(("1", "2-3", "4-6", "7-10", "11-20", "21+"), (0.0, 2.0, 4.0, 7.0, 11.0, 21.0))
"""Free coordinates and free numbers of the lattice."""

DISTANCE = Bins(("none", "<0.1", "0.1-0.3", "0.3-0.6", "0.6-1", "1-2", ">2"), (-np.inf, 0.0, 0.1, 0.3, 0.6, 1.0, 2.0))
"""Chemical distance; none: no known cell of another formula has such counts, which is NaN and so in the first class."""

FAMILIARITY = Bins(
    ("none", "known", "<0.1", "0.1-0.3", "0.3-0.6", "0.6-1", "1-2", ">2"),
    (-np.inf, 0.0, 1e-9, 0.1, 0.3, 0.6, 1.0, 2.0),
)
"""Chemical distance of a sample; known: the composition itself is, at distance zero but for rounding; none: no known
cell has such counts."""

_DENOVO = ("valid_cdvae", "novel", "stable_0.1", "sun_0.1")
"""Metrics of de novo samples that are broken down, where they are computed."""

_DENOVO_NOTE = "n: samples with a structure; energies are of those judged"

_FREE_NOTE = "free parameters: coordinates and lattice, in the space group at the tolerance that keeps the crystal"


@dataclass(frozen=True, eq=False)
class Breakdown:
    """What match rates are broken down by.

    Attributes:
        neighbours_of: the dataset whose crystals count as known; None: not by distance.
        index: its crystals.
    """

    neighbours_of: str | None = None
    index: NeighbourIndex | None = None

    @classmethod
    def open(cls, neighbours_of: str | Path | None = None) -> Breakdown:
        """Read the table of the known crystals.

        Raises:
            UserError: no such dataset, or one without templates.
        """
        if neighbours_of is None:
            return cls()
        return cls(str(neighbours_of), open_retriever(*table_path(neighbours_of)).index)

    def csp_sections(
        self,
        columns: dict[str, np.ndarray],
        references: Sequence[Crystal | None],
        scored: ScoredCrystals,
        workers: Workers,
    ) -> dict[str, Section]:
        """Match rate and RMSE, for every k there is, by class of the references (about 10 ms a reference).

        Args:
            columns: of every metric one value a reference, NaN where it is no item of that metric.
            references: the crystals, in the same order.
            scored: whose bootstrap gives the intervals; references of one class are resampled among themselves.
            workers: the processes that find the symmetry of the references.
        """
        readable = [crystal for crystal in references if crystal is not None]
        assert len(readable) == len(references), "unreadable references are left out before"
        facts = workers.map(_composition_and_freedom, readable, "Symmetry of the references")
        chosen = {name: column for name, column in columns.items() if name.startswith(("match_rate.", "rmse."))}
        atoms = np.array([sum(counts.values()) for counts, _ in facts], dtype=np.float64)
        free = np.array([n_free for _, n_free in facts], dtype=np.float64)
        sections = {
            "by_atoms": _section("By atoms in the reference's primitive cell", ATOMS, atoms, chosen, scored),
            "by_free_parameters": _section(
                "By free parameters of the reference", FREE, free, chosen, scored, _FREE_NOTE
            ),
        }
        if self.index is not None:
            nearest = np.array([self.index.nearest_distance(counts, exclude_formula=True) for counts, _ in facts])
            title = f"By chemical distance to the nearest crystal of another formula in {self.neighbours_of}"
            sections["by_neighbour_distance"] = _section(title, DISTANCE, nearest, chosen, scored)
        return sections

    def denovo_section(
        self, columns: dict[str, np.ndarray], scored: ScoredCrystals, workers: Workers
    ) -> dict[str, Section]:
        """Rates of samples by class of their composition (about 10 ms a sample).

        Args:
            columns: of metrics one value a sample, NaN where it is no item of that metric.
            scored: the samples, in the same order; failures stand in no class.
            workers: the processes that find the primitive cells.
        """
        assert self.index is not None, "known crystals are what these classes are about"
        made = {n: crystal for n, crystal in enumerate(scored.crystals) if crystal is not None}
        facts = workers.map(_composition_and_freedom, list(made.values()), "Primitive cells")
        nearest = np.array([self.index.nearest_distance(counts) for counts, _ in facts])
        chosen = {name: np.asarray(columns[name], dtype=np.float64)[list(made)] for name in _DENOVO if name in columns}
        title = f"By chemical distance to the nearest crystal in {self.neighbours_of}"
        return {"by_neighbour_distance": _section(title, FAMILIARITY, nearest, chosen, scored, _DENOVO_NOTE)}


def _composition_and_freedom(crystal: Crystal) -> tuple[dict[int, int], int]:
    """Atoms of the primitive cell by atomic number, and how many parameters are free."""
    symmetric = find_symmetric(crystal)
    return symmetric.counts, symmetric.n_free


def _section(
    title: str,
    bins: Bins,
    values: Float[np.ndarray, "items"],
    columns: dict[str, np.ndarray],
    scored: ScoredCrystals,
    note: str = "",
) -> Section:
    classes = bins.of(values)
    rows: dict[str, dict[str, Metric | int]] = {}
    for number, label in enumerate(bins.labels):
        inside = classes == number
        rows[label] = {"n": int(inside.sum())}
        rows[label] |= scored.intervals({name: column[inside] for name, column in columns.items()})
    return Section(title, rows, note)
