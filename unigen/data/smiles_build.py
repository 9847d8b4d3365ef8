"""Write a table of SMILES: every entry of its sources is read and checked as a graph, and nothing is embedded.

Beside the table (`unigen.data.molecule_store.SmilesTable`) stand ``smiles-rejected.csv``, what is left out with the
reason, and ``smiles.yaml``, what it was made of.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from unigen.config import write_yaml
from unigen.data.build_sources import Source, resolve_sources
from unigen.data.dataset_file import check_dataset_name, datasets_home
from unigen.data.left_out import LeftOut, by_reason, write_left_out
from unigen.data.molecule_store import SMILES_SCHEMA, SMILES_TABLE, open_molecules
from unigen.data.progress import counting
from unigen.data.readers.molecules import not_kept_of, parse_molecule
from unigen.data.readers.record import Record
from unigen.disk import alone_in, durable
from unigen.elements import ATOMIC_NUMBER
from unigen.errors import UserError
from unigen.molecules.limits import check_elements, check_size
from unigen.molecules.rdkit_smiles import kekule_smiles, without_stereo
from unigen.parallel import Workers
from unigen.smiles.reader import read_smiles
from unigen.smiles.text import smiles_symbols
from unigen.version import version_of

REJECTED, FACTS = "smiles-rejected.csv", "smiles.yaml"

_WORK = ".smiles"
"""Where public files are fetched to: not where a build of the dataset itself is under way."""

_CHUNK, _GROUP = 500, 50_000
"""Entries a worker is sent at once, half a second of work; rows that are written together."""


@dataclass(frozen=True)
class SmilesTableResult:
    """What was written.

    Attributes:
        path: the table.
        splits: molecules a split.
        rejected: entries that were left out, by kind of reason.
        not_kept: what molecules that got in say in their source and not here, such as isotopes, and of how many.
    """

    path: Path
    splits: dict[str, int]
    rejected: dict[str, int]
    not_kept: dict[str, int]


def build_smiles_table(
    name: str,
    sources: tuple[str, ...] = (),
    *,
    exclude: tuple[str, ...] = (),
    largest_fragment: bool = False,
    limit: int | None = None,
    workers: int | None = None,
    console: Console | None = None,
) -> SmilesTableResult:
    """Write the SMILES of a recipe, of files or of a built dataset as a table: a millisecond each, nothing is embedded.

    Args:
        name: a recipe of molecules, or a name of your own.
        sources: files or built datasets; none for the public source of a recipe.
        exclude: built datasets, ``NAME`` or ``NAME:SPLIT``, none of whose molecules may occur, in whatever stereo.
        largest_fragment: of several molecules in one entry keep the largest; the recipe may say so, too.
        limit: read only so many entries of each split, the first.
        workers: processes; by default one a core.
        console: where progress is shown; silent without.

    Raises:
        UserError: unknown name or source, no network, crystals, nothing that can be used, a full disk.
    """
    check_dataset_name(name)
    chosen = resolve_sources(name, sources)
    if chosen[0].kind != "molecules":
        raise UserError("crystals have no SMILES", where=chosen[0].label)
    folder = datasets_home() / name
    with alone_in(folder), Workers(workers) as pool:
        return _written(name, folder, chosen, _Options(exclude, largest_fragment, limit), pool, console)


class _Options(NamedTuple):
    """See `build_smiles_table`."""

    exclude: tuple[str, ...]
    largest_fragment: bool
    limit: int | None


class _Text(NamedTuple):
    """A molecule of a source: its Kekule SMILES, and what is not kept of its entry.

    Attributes:
        smiles: in Kekule form.
        atoms: hydrogens counted.
        flat: the canonical SMILES that all its stereoisomers have.
        not_kept: see `unigen.data.readers.record.Row`.
    """

    smiles: str
    atoms: int
    flat: str
    not_kept: tuple[str, ...]


def _written(
    name: str, folder: Path, sources: list[Source], options: _Options, pool: Workers, console: Console | None
) -> SmilesTableResult:
    """Read, check and write; the table is there once all of it is."""
    fetched = folder / _WORK
    excluded = {without_stereo(text) for other in options.exclude for text in open_molecules(other).smiles.tolist()}
    counts: Counter[str] = Counter()
    not_kept: Counter[str] = Counter()
    rejected: list[LeftOut] = []
    known = [None] if options.limit else [source.count() for source in sources]
    total = None if None in known else sum(count for count in known if count is not None)
    label = f"reading {name}"
    with (
        counting(console, label, "molecules", total) as report,
        durable(folder / SMILES_TABLE) as file,
        pq.ParquetWriter(file, SMILES_SCHEMA, compression="zstd") as writer,
    ):
        tasks = (
            (chunk, (chunk, _rules(source, options)))
            for source in sources
            for chunk in _chunks(source.records(fetched, options.limit))
        )
        rows: list[tuple[str, str, int]] = []
        for chunk, found in pool.in_order(_read, tasks, label):
            before = len(rows)
            for record, text in zip(chunk, found, strict=True):
                if isinstance(text, _Text) and text.flat not in excluded:
                    rows.append((text.smiles, str(record.info.get("split") or record.split), text.atoms))
                    not_kept.update(text.not_kept)
                else:
                    reason = f"{record.where}: excluded molecule" if isinstance(text, _Text) else text
                    rejected.append(LeftOut(record.id, record.where, reason))
            counts.update(split for _, split, _ in rows[before:])
            report(len(rows) - before, len(chunk) - len(rows) + before)
            if len(rows) >= _GROUP:
                writer.write_table(_table(rows))
                rows = []
        writer.write_table(_table(rows))
        if not counts:
            first = rejected[0].reason if rejected else None
            raise UserError("holds no molecule that can be used", where=name, got=first)
        reasons = by_reason((each.where, each.reason) for each in rejected)
        write_left_out(folder / REJECTED, rejected)
        facts = {
            "name": name,
            "version": version_of("unigen-matter") or "source",
            "rdkit": version_of("rdkit"),
            "sources": [{"source": each.label, "checksum": each.checksum(fetched)} for each in sources],
            "options": options._asdict() | {"exclude": list(options.exclude)},
            "splits": dict(counts),
            "rejected": reasons,
            "not_kept": dict(not_kept.most_common()),
        }
        write_yaml(folder / FACTS, facts)
    shutil.rmtree(fetched, ignore_errors=True)
    return SmilesTableResult(folder / SMILES_TABLE, dict(counts), reasons, dict(not_kept.most_common()))


def _table(rows: list[tuple[str, str, int]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    return pa.table(
        [pa.array(column, kind) for column, kind in zip(columns, SMILES_SCHEMA.types, strict=True)], SMILES_SCHEMA
    )


class _Rules(NamedTuple):
    """What the molecules of a source must be; see `unigen.cards.DatasetCard`."""

    elements: frozenset[int] | None
    max_atoms: int | None
    largest_fragment: bool


def _rules(source: Source, options: _Options) -> _Rules:
    card = source.card
    if card is None:
        return _Rules(None, None, options.largest_fragment)
    elements = frozenset(ATOMIC_NUMBER[symbol] for symbol in card.elements) or None
    return _Rules(elements, card.max_atoms, options.largest_fragment or card.largest_fragment)


def _chunks(records: Iterator[Record]) -> Iterator[list[Record]]:
    """A molecule that gets several conformers is one here."""
    first = (record for record in records if not record.conformer)
    while chunk := list(islice(first, _CHUNK)):
        yield chunk


def _read(task: tuple[list[Record], _Rules]) -> list[_Text | str]:
    """Each entry as a text, or the reason why it is none."""
    records, rules = task
    found: list[_Text | str] = []
    for record in records:
        try:
            found.append(_text(record, rules))
        except UserError as error:
            found.append(str(error))
    return found


def _text(record: Record, rules: _Rules) -> _Text:
    smiles = str(record.content)
    if record.form != "smiles":
        row = parse_molecule(record, largest_fragment=rules.largest_fragment, max_atoms=rules.max_atoms)
        if row.structure is None:
            raise UserError(row.reason)
        smiles = row.structure.to_smiles()
    kekule = kekule_smiles(smiles, record.where, largest_fragment=rules.largest_fragment)
    counts = read_smiles(smiles_symbols(kekule)).skeleton.counts
    check_size(sum(counts.values()), rules.max_atoms, record.where)
    check_elements(counts, rules.elements, record.where)
    not_kept = not_kept_of(record, largest_fragment=rules.largest_fragment)
    return _Text(kekule, sum(counts.values()), without_stereo(kekule), not_kept)
