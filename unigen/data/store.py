"""A built dataset: one Parquet file, opened by memory map; needs numpy and pyarrow alone.

Columns of every store: ``id`` string, ``split`` string, those of its kind of structure, then one double column a
property (NaN = unknown). Arrays of one row an atom or a bond hold all structures, one after the other; where each
structure's part begins stands beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.data.dataset_file import open_table, resolve_dataset
from unigen.data.ragged import chosen_items, items, list_items, numbers, row_index, rows_of_split
from unigen.disk import encodable
from unigen.elements import SYMBOLS
from unigen.errors import UserError, did_you_mean
from unigen.molecules.molecule import Molecule
from unigen.shapes import Float, Int, UInt8

Structure = TypeVar("Structure", Crystal, Molecule)
AnyDataset = TypeVar("AnyDataset", bound="Dataset")


class Column(NamedTuple):
    """A column of a store that is no property.

    Attributes:
        name: of the column, of the attribute of a structure, and of the attribute of a dataset.
        type: of one number in it.
        shape: of what one structure, atom or bond has.
        offsets: the attribute of a dataset that says where each structure's part begins; empty where a structure has
            exactly one.
    """

    name: str
    type: pa.DataType
    shape: tuple[int, ...] = ()
    offsets: str = ""

    @property
    def arrow_type(self) -> pa.DataType:
        """Of a field of the table: a list where there are several numbers a structure."""
        if self.offsets:
            return pa.list_(self.type)
        return pa.list_(self.type, prod(self.shape)) if self.shape else self.type


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset(Generic[Structure]):
    """Structures as flat columns; ``dataset[i]`` is a structure.

    Attributes:
        name: dataset name, for messages.
        ids: one string a structure.
        split: one string a structure ("train", "val", "test").
        numbers: atomic numbers of all atoms.
        offsets: atoms of structure i are ``offsets[i]:offsets[i + 1]``.
        properties: one array a property, NaN where unknown.
    """

    kind: ClassVar[Kind]
    columns: ClassVar[tuple[Column, ...]]

    name: str
    ids: np.ndarray
    split: np.ndarray
    numbers: UInt8[np.ndarray, "sites"]
    offsets: Int[np.ndarray, "structures_plus_1"]
    properties: dict[str, Float[np.ndarray, "structures"]] = field(default_factory=dict)

    def structure(self, index: int, atoms: slice, properties: dict[str, float]) -> Structure:
        """One structure, of its atoms and its known properties."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Structure:
        values = {name: float(column[index]) for name, column in self.properties.items()}
        properties = {name: value for name, value in values.items() if np.isfinite(value)}
        return self.structure(index, slice(self.offsets[index], self.offsets[index + 1]), properties)

    def __iter__(self) -> Iterator[Structure]:
        return (self[index] for index in range(len(self)))

    @property
    def num_atoms(self) -> Int[np.ndarray, "structures"]:
        """Atoms of each structure: of a crystal in its cell, of a molecule with its hydrogens."""
        return np.diff(self.offsets)

    def select(self: AnyDataset, keep: np.ndarray) -> AnyDataset:  # noqa: PYI019 - beartype cannot check Self here
        """The structures at the given indices (or where a boolean mask holds), in that order."""
        rows = row_index(keep)
        parts = {name: chosen_items(getattr(self, name), rows) for name in self._offset_names()}
        items = {name: chosen for name, (_, chosen) in parts.items()} | {"": rows}
        arrays: dict[str, Any] = {
            column.name: getattr(self, column.name)[items[column.offsets]] for column in self.columns
        }
        arrays |= {name: offsets for name, (offsets, _) in parts.items()}
        properties = {name: values[rows] for name, values in self.properties.items()}
        return replace(self, ids=self.ids[rows], split=self.split[rows], properties=properties, **arrays)

    def only(self: AnyDataset, split: str) -> AnyDataset:  # noqa: PYI019
        """The structures of one split; raises UserError, naming the splits there are, when it is empty."""
        return self.select(rows_of_split(self.split, split, self.name))

    def check_properties(self, names: Iterable[str], *, computed: Iterable[str] = ()) -> None:
        """Raise UserError for the first of these properties that no structure is said to have.

        Args:
            names: of properties.
            computed: those that follow from any structure.
        """
        known = [*self.properties, *computed]
        for name in names:
            if name not in known:
                raise UserError(
                    f"{self.name} has no property {name!r}",
                    wanted=f"some of {sorted(known)}",
                    next_step=did_you_mean(name, known),
                )

    def values_of(self, names: Iterable[str]) -> Float[np.ndarray, "structures properties"]:
        """Values of these properties, NaN where unknown; raises UserError as ``check_properties``."""
        self.check_properties(names := tuple(names))
        return np.stack([self.properties[name] for name in names], axis=1)

    @classmethod
    def _offset_names(cls) -> list[str]:
        return list(dict.fromkeys(column.offsets for column in cls.columns if column.offsets))

    @classmethod
    def column_names(cls) -> tuple[str, ...]:
        """Columns of the store that are no properties."""
        return ("id", "split", *(column.name for column in cls.columns))

    @classmethod
    def schema(cls, property_names: Iterable[str]) -> pa.Schema:
        """The Parquet schema of a dataset with these property columns."""
        fields = [pa.field("id", pa.string()), pa.field("split", pa.string())]
        fields += [pa.field(column.name, column.arrow_type) for column in cls.columns]
        return pa.schema(fields + [pa.field(name, pa.float64()) for name in property_names])

    @classmethod
    def to_table(cls, structures: list[Structure], ids: list[str], splits: list[str]) -> pa.Table:
        """A Parquet-ready table of these structures and all properties that they have, by name."""
        columns: dict[str, list] = {"id": [*map(encodable, ids)], "split": splits}
        for column in cls.columns:
            values = [getattr(structure, column.name) for structure in structures]
            is_text = pa.types.is_string(column.type)
            columns[column.name] = values if is_text else [value.ravel().tolist() for value in values]
        names = sorted({name for structure in structures for name in structure.properties})
        for name in names:
            columns[name] = [structure.properties.get(name, float("nan")) for structure in structures]
        return pa.table(columns, schema=cls.schema(names))

    @classmethod
    def from_table(cls: type[AnyDataset], name: str, table: pa.Table) -> AnyDataset:  # noqa: PYI019
        """The dataset in a table of the store's columns.

        Raises:
            UserError: values that are missing or of another type, lists whose lengths disagree, an unknown element.
        """
        arrays: dict[str, Any] = {}
        for column in cls.columns:
            if not (column.offsets or column.shape):
                arrays[column.name] = items(table, column.name, column.type, name)
                continue
            flat, offsets = list_items(table, column.name, column.type, name, prod(column.shape))
            expected = arrays.setdefault(column.offsets, offsets) if column.offsets else np.arange(len(table) + 1)
            if not np.array_equal(offsets, expected):
                row = int(np.flatnonzero(np.diff(offsets) != np.diff(expected))[0])
                raise UserError(
                    f"column {column.name}, row {row}: not as long as the others",
                    where=name,
                    got=int(np.diff(offsets)[row]),
                    wanted=int(np.diff(expected)[row]),
                )
            arrays[column.name] = flat.reshape(-1, *column.shape)
        unknown = np.flatnonzero((arrays["numbers"] < 1) | (arrays["numbers"] >= len(SYMBOLS)))
        if len(unknown):
            raise UserError("column numbers: unknown element", where=name, got=int(arrays["numbers"][unknown[0]]))
        names = [column for column in table.column_names if column not in cls.column_names()]
        properties = {column: numbers(table, column, name) for column in names}
        ids, split = (items(table, column, pa.string(), name) for column in ("id", "split"))
        return cls(name=name, ids=ids, split=split, properties=properties, **arrays)

    @classmethod
    def open(cls: type[AnyDataset], name: str | Path) -> AnyDataset:  # noqa: PYI019
        """Open a built dataset by name (``"mp-20"``, ``"mp-20:test"``) or by the path of its Parquet file.

        Raises:
            UserError: the dataset is not built or holds another kind of structure, the file is not a readable store, or
                the split is empty.
        """
        path, split = resolve_dataset(name, cls.kind)
        dataset = cls.from_table(str(name), open_table(path, cls.column_names()))
        if not len(dataset):
            raise UserError(f"holds no {cls.kind}", where=str(path), next_step="build the dataset again")
        return dataset.only(split) if split else dataset
