"""Which known structures an octree model is shown beside a crystal, and in which frame both are seen.

Neighbours are the nearest of each kind on the shortlist of the crystal's cell (``unigen.retrieval.shortlist``): known
structures of other formulas with as many atoms of each of their elements, the wanted elements in their roles, their
volume scaled by what the elements take. Where the first of those that are shown is the one of place n on the list, the
next ones are those of the places behind it. A half or a third of a cell is no neighbour of it here.

**Frames.** Where the crystal has the template of a neighbour, the lessons of its dataset hold it in the setting of that
neighbour (``Lesson.aligned_lattice``, ``aligned_free``: of all settings of their space group the nearest to it), so
both are shown as they stand there, site beside site. Others are shown as their space groups' canonical settings have
them, each its own. Both are then seen in the cell that Niggli reduction gives the neighbour, and moved by the same
symmetry of the cube and to the same origin. To draw a crystal nothing of this has to be known of it: a neighbour is
shown in its own setting, and in the frames of training the crystal stands as the neighbour stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from unigen.bounded_cache import BoundedCache
from unigen.crystals.cell import wrap
from unigen.crystals.crystal import Crystal
from unigen.crystals.symmetric import SymmetricCrystal
from unigen.data.crystal_store import CrystalDataset
from unigen.data.dataset_file import resolve_dataset
from unigen.elements import format_formula, reduce_counts
from unigen.errors import UserError
from unigen.geometry.lattice import lattice_parameters
from unigen.geometry.morton import OPERATIONS, operations
from unigen.models.octree.batch import OctreeItem, ShownNeighbour
from unigen.models.octree.network import OctreeCrystalConfig
from unigen.models.octree.tokens import always_fits
from unigen.retrieval.build_table import open_table
from unigen.retrieval.lessons import LESSONS, Lesson, read_lessons
from unigen.retrieval.shortlist import Retriever, Shortlist
from unigen.shapes import Float, Int

_REMEMBERED = 4096
"""Cells whose shortlists are kept."""

_TENS = 10.0
"""The unit of places on a list, so that what a network reads is of order one."""

Counts = dict[int, int]


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A known structure with the elements of a wanted cell in its places, in its own frame.

    Attributes:
        crystal: in its reduced cell; its volume as the exchange implies.
        basis: of this cell in that of its space group's setting.
        was: atomic numbers that stand there in the known structure.
        facts: see ``ShownNeighbour``.
        source: which crystal of the table.
        distance: chemical, between the two compositions.
    """

    crystal: Crystal
    basis: Float[np.ndarray, "3 3"]
    was: Int[np.ndarray, "atoms"]
    facts: Float[np.ndarray, "3"]
    source: int
    distance: float

    @classmethod
    def of(cls, retriever: Retriever, shortlist: Shortlist, index: int) -> Neighbour:
        """One of a shortlist.

        Args:
            retriever: over the table.
            shortlist: of the wanted cell.
            index: on the list.
        """
        crystal = retriever.substitute(shortlist, index).to_crystal()
        role_of = np.zeros(256, dtype=np.int64)
        role_of[shortlist.elements] = shortlist.roles[index]
        distance = float(shortlist.distance[index])
        growth = np.log(retriever.volume_ratio(shortlist, index))
        facts = np.array([distance, growth, shortlist.kind[index] / _TENS])
        basis, was = reduced_basis(crystal.lattice), role_of[crystal.numbers]
        return cls(in_basis(crystal, basis), basis, was, facts, int(shortlist.sources[index]), distance)


@dataclass(frozen=True)
class Frame:
    """From where a crystal is seen: its axes in any order and sense, from any origin.

    Attributes:
        operation: symmetry of the cube.
        origin: fractional.
    """

    operation: int
    origin: Float[np.ndarray, "3"]

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Frame:
        """Any is as likely."""
        return cls(int(rng.integers(OPERATIONS)), rng.random(3))

    def item(self, crystal: Crystal, neighbours: Sequence[Neighbour] = ()) -> OctreeItem:
        """A crystal behind its neighbours as they are seen from here; improper operations show the mirror image."""
        coords = crystal.frac_coords + self.origin
        shown, operation = self.shown(neighbours)
        return OctreeItem(crystal.numbers, coords, self.lattice_numbers(crystal), operation, neighbours=shown)

    def shown(self, neighbours: Sequence[Neighbour]) -> tuple[tuple[ShownNeighbour, ...], int]:
        """Neighbours alone, and the symmetry of the cube by which they are moved."""
        parts = [(each.crystal.numbers, each.was, each.crystal.frac_coords + self.origin) for each in neighbours]
        lattices = [self.lattice_numbers(each.crystal) for each in neighbours]
        return tuple(
            ShownNeighbour(*part, lattice, each.facts)
            for part, lattice, each in zip(parts, lattices, neighbours, strict=True)
        ), self.operation

    def lattice_numbers(self, crystal: Crystal) -> Float[np.ndarray, "6"]:
        """Of the moved axes."""
        return lattice_numbers(operations(torch.device("cpu"))[self.operation].numpy() @ crystal.lattice)


def lattice_numbers(lattice: Float[np.ndarray, "*crystals 3 3"]) -> Float[np.ndarray, "*crystals 6"]:
    """Ln Angstrom, radians."""
    six = lattice_parameters(lattice.astype(np.float64))
    six[..., :3] = np.log(six[..., :3])
    return six


def reduced_basis(lattice: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """The vectors of the Niggli cell in whole numbers of those of a lattice, of the same handedness; needs spglib."""
    import spglib  # late: networks are used where there is none

    from unigen.crystals.cell import quiet_spglib

    with quiet_spglib():
        niggli = spglib.niggli_reduce(lattice)
    if niggli is None:
        return np.eye(3)
    basis = np.rint(niggli @ np.linalg.inv(lattice))
    return basis if np.linalg.det(basis) > 0 else -basis


def in_basis(crystal: Crystal, basis: Float[np.ndarray, "3 3"]) -> Crystal:
    """A crystal in another cell of its lattice, as large, whose vectors are these whole numbers of its own."""
    return Crystal(crystal.numbers, wrap(crystal.frac_coords @ np.linalg.inv(basis)), basis @ crystal.lattice)


class KnownNeighbours:
    """Looks up what a model is shown before it draws a crystal of a cell.

    Args:
        retriever: over the known structures.
        config: of the model; what its octree cannot hold is not shown.
        exclude_formula: show none of a cell's own reduced formula.
    """

    def __init__(self, retriever: Retriever, config: OctreeCrystalConfig, *, exclude_formula: bool) -> None:
        self.retriever, self.grid, self.most = retriever, config.grid, config.neighbours
        self.exclude_formula = exclude_formula
        self._listed = BoundedCache[tuple[tuple[int, int], ...], list[Neighbour]](_REMEMBERED)

    def shown(self, cell: Counts, sample: int) -> list[Neighbour]:
        """What a sample of a cell is shown.

        The first sample begins with the nearest kind, the next with the one behind it; behind the last kind comes a
        sample that is shown nothing, and then the first kind again.

        Args:
            cell: atoms by atomic number.
            sample: how many samples of the cell came before.
        """
        kinds = self._kinds(cell)
        first = sample % (len(kinds) + 1)
        return kinds[first : first + self.most]

    def provenance(self, neighbours: Sequence[Neighbour]) -> dict[str, str | int | float]:
        """What is told of a sample that was shown these; it is a drawing of its own, and need not follow any."""
        if not neighbours:
            return {"shown": "none"}
        table = self.retriever.table
        return {
            "shown": ", ".join(str(table.ids[each.source]) for each in neighbours),
            "shown_formula": ", ".join(
                format_formula(reduce_counts(table.counts(each.source))[0]) for each in neighbours
            ),
            "shown_distance": round(neighbours[0].distance, 4),
        }

    def _kinds(self, cell: Counts) -> list[Neighbour]:
        key = tuple(sorted(cell.items()))
        found = self._listed.get(key)
        if found is None:
            shortlist = self.retriever.shortlist(cell, exclude_formula=self.exclude_formula)
            kinds = [Neighbour.of(self.retriever, shortlist, index) for index in shortlist.representatives.tolist()]
            found = [each for each in kinds if always_fits(self.grid, each.crystal.frac_coords)]
            self._listed[key] = found
        return found


class TaughtNeighbours:
    """What the crystals of a dataset are shown beside in training, by the lessons of the dataset.

    Args:
        dataset: ``NAME:SPLIT`` of a dataset with templates and lessons.
        crystals: those of it that are shown.
        retriever: over the table that its neighbours come from.
        config: of the model.

    Raises:
        UserError: a dataset without templates or lessons, or whose templates are those of other crystals.
    """

    def __init__(
        self,
        dataset: str,
        crystals: CrystalDataset,
        retriever: Retriever,
        config: OctreeCrystalConfig,
    ) -> None:
        path, split = resolve_dataset(dataset)
        self.table = open_table(dataset.rsplit(":", 1)[0] if split else dataset)
        self.lessons = read_lessons(path.with_name(LESSONS), self.table, retriever)
        row_of = {name: row for row, name in enumerate(self.table.ids.tolist())}
        try:
            self.rows = [row_of[name] for name in crystals.ids.tolist()]
        except KeyError as error:
            raise UserError(
                "templates of another version of the dataset",
                where=dataset,
                got=f"none of {error.args[0]}",
                next_step=f"run: unigen data templates {path.parent.name}, then unigen data neighbours",
            ) from error
        self.retriever, self.grid = retriever, config.grid
        self.most, self.hidden = config.neighbours, config.neighbour_dropout

    def item(self, index: int, crystal: Crystal, rng: np.random.Generator) -> OctreeItem:
        """A crystal as it is shown this time, beside neighbours or alone, from anywhere.

        Args:
            index: of the crystal in the dataset.
            crystal: as the dataset has it.
            rng: chooses.
        """
        frame = Frame.drawn(rng)
        if rng.random() < self.hidden:
            return frame.item(crystal)
        seen, neighbours = self._scene(self.rows[index], rng)
        fit = all(always_fits(self.grid, each.frac_coords) for each in (seen, *(one.crystal for one in neighbours)))
        return frame.item(seen, neighbours) if fit and neighbours else frame.item(crystal)

    def _scene(self, row: int, rng: np.random.Generator) -> tuple[Crystal, list[Neighbour]]:
        """A crystal of the table and what it is shown beside; nothing where no known cell is like it."""
        lesson = self.lessons[row]
        kinds = lesson.shortlist.representatives
        # as samples ask for them: the first kind most often
        first = min(int(rng.geometric(0.5)) - 1, max(len(kinds) - 1, 0))
        crystal: Crystal | None = None
        neighbours: list[Neighbour] = []
        for kind in range(first, min(first + self.most, len(kinds))):
            index, stands = int(kinds[kind]), None
            aligned = np.flatnonzero(lesson.shortlist.kind[lesson.aligned_at] == kind)
            if crystal is None and len(aligned):
                which = int(rng.choice(aligned))
                index, stands = int(lesson.aligned_at[which]), self._as_it_stands(lesson, which)
            neighbour = Neighbour.of(self.retriever, lesson.shortlist, index)
            neighbours.append(neighbour)
            if stands is not None:
                crystal = in_basis(stands, neighbour.basis)
        if crystal is None:
            own = self.table[row].to_crystal()
            crystal = in_basis(own, reduced_basis(own.lattice))
        return crystal, neighbours

    def _as_it_stands(self, lesson: Lesson, which: int) -> Crystal:
        """A crystal in the setting of a neighbour that has its template."""
        beside = self.retriever.substitute(lesson.shortlist, int(lesson.aligned_at[which]))
        group, lattice, free = beside.space_group, lesson.aligned_lattice[which], lesson.aligned_free[which]
        return SymmetricCrystal(group, lattice, beside.numbers, beside.letters, free).to_crystal()
