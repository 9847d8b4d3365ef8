"""Read anyone's crystals: folders, CIF, CSV, extended XYZ, whatever ASE reads, JSON lines, ragged npz, Parquet.

Reading has two stages. `read_records` walks a path and yields cheap raw records in a fixed order; `parse` turns one
into a row and is where the time goes, so builders call it in worker processes. A bad entry becomes a row with a reason.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from unigen.crystals import json_form as sites
from unigen.crystals.crystal import Crystal
from unigen.data.readers.merge_arrays import read_npz, read_parquet
from unigen.data.readers.record import Record, Row, split_from_name
from unigen.data.readers.text import LONGEST_FIELD, number, open_text, read_frames, stem
from unigen.errors import UserError
from unigen.parsing import PARSER_ERRORS, numeric

Reader = Callable[[Path], Iterator[Record]]

_NOT_PROPERTIES = frozenset(("id", "material_id", "index", "", "Unnamed: 0", "split"))


def read_rows(path: str | Path) -> Iterator[Row]:
    """Every entry of a file or folder, one after the other, in a fixed order; bad ones with the reason why.

    Understands a folder (searched recursively, or the output of ``unigen generate``), CIF, POSCAR, CSV with a ``cif``
    column, extended XYZ, JSON lines with ``lattice`` and ``sites``, ragged npz, a Parquet store, and ASE's formats
    (its databases included).

    Raises:
        UserError: nothing at the path, or nothing in it that can be read as crystals.
    """
    return map(parse, read_records(path))


def read_records(path: str | Path) -> Iterator[Record]:
    """The raw entries of a file or folder; raises UserError as `read_rows` does."""
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise UserError("no such file or folder", where=str(path))
    return (_reader(path) or _read_ase)(path)


def parse(record: Record) -> Row:
    """The crystal of a record, or the reason why there is none."""
    given_id, info = record.id, dict(record.info)
    try:
        if record.kind == "json":
            given_id, info = _json_fields(record)
        crystal = _crystal(record)
    except UserError as error:
        return Row(given_id, None, str(error), record.where, record.split, info)
    except PARSER_ERRORS as error:
        reason = f"{record.where}: {type(error).__name__}: {' '.join(str(error).split())[:160]}"
        return Row(given_id, None, reason, record.where, record.split, info)
    properties = numeric({k: v for k, v in info.items() if k not in _NOT_PROPERTIES}) | crystal.properties
    crystal = Crystal(crystal.numbers, crystal.frac_coords, crystal.lattice, properties)
    return Row(given_id, crystal, "", record.where, str(info.get("split") or record.split), info)


def _crystal(record: Record) -> Crystal:
    content: Any = record.content
    if record.kind == "bad":
        raise UserError(content, where=record.where)
    if record.kind == "arrays":
        numbers, frac_coords, lattice = content
        return Crystal.from_arrays(numbers, frac_coords, lattice, where=record.where)
    if record.kind == "json":
        if isinstance(content.get("cif"), str) and not sites.holds_structure(content):
            return Crystal.from_cif(content["cif"] + "\n", record.where)
        return sites.from_json(content, record.where)
    return _CONVERTERS[record.kind](content, record.where)


def _from_file(path: str, where: str) -> Crystal:
    is_cif = path.lower().removesuffix(".gz").endswith(".cif")
    with open_text(Path(path)) as file:
        return (Crystal.from_cif if is_cif else Crystal.from_poscar)(file.read() + "\n", where)


_CONVERTERS: dict[str, Callable[[Any, str], Crystal]] = {
    "cif": lambda text, where: Crystal.from_cif(text + "\n", where),
    "frame": lambda text, where: Crystal.from_extxyz(text + "\n", where),
    "file": _from_file,
    "atoms": Crystal.from_ase,
}


def _json_fields(record: Record) -> tuple[str, dict[str, object]]:
    if not isinstance(record.content, dict):
        raise UserError("not a JSON object", where=record.where, got=str(record.content)[:60])
    entry = record.content
    name = entry.get("id", entry.get("material_id", entry.get("name")))
    info = {key: value for key, value in entry.items() if key not in sites.STRUCTURE_KEYS and key != "cif"}
    return (str(name) if name is not None else record.id), info | record.info


def _read_folder(folder: Path) -> Iterator[Record]:
    if (folder / "samples.jsonl").exists():
        return _read_output(folder)
    files = sorted(file for file in folder.rglob("*") if file.is_file() and _reader(file))
    if not files:
        raise UserError(
            "no structures in this folder", where=str(folder), wanted="CIF, CSV, extxyz, JSON lines, npz, ..."
        )
    return (record for file in files for record in _contained(file))


def _contained(file: Path) -> Iterator[Record]:
    """A file of a folder: unlike a file the user named, an unreadable one is one bad entry among others."""
    try:
        yield from (_reader(file) or _read_ase)(file)
    except UserError as error:
        yield Record(file.stem, "bad", error.reason, str(file))


def _read_output(folder: Path) -> Iterator[Record]:
    """A folder written by ``unigen generate``: a line of facts a sample, the structure in it or in samples.extxyz."""
    lines = _read_json_lines(folder / "samples.jsonl")
    frames = read_frames(folder / "samples.extxyz") if (folder / "samples.extxyz").exists() else iter(())
    for line in lines:
        if _failed(line):
            facts: dict = line.content  # type: ignore[assignment]
            yield Record(str(facts.get("id", line.id)), "bad", str(facts["reason"]), line.where, "train", facts)
            continue
        frame = next(frames, None)
        if line.kind == "bad" or frame is None or sites.holds_structure(line.content):  # type: ignore[arg-type]
            yield line
        else:
            facts = line.content  # type: ignore[assignment]
            yield Record(str(facts.get("id", frame.id)), frame.kind, frame.content, frame.where, "train", facts)


def _failed(line: Record) -> bool:
    """Whether a line says that no structure was made: it has no frame either."""
    facts = line.content
    return isinstance(facts, dict) and "reason" in facts and not sites.holds_structure(facts)


def _reader(path: Path) -> Reader | None:
    """How to read a file, by its name; None when the name says nothing."""
    name = path.name.lower().removesuffix(".gz")
    if name.startswith(("poscar", "contcar")):
        return _read_single
    return _READERS.get(name[name.rfind(".") :] if "." in name else "")


def _read_single(path: Path) -> Iterator[Record]:
    yield Record(stem(path), "file", str(path), str(path), split_from_name(path.parent.name))


def _read_csv(path: Path) -> Iterator[Record]:
    csv.field_size_limit(2**31 - 1)  # a CIF of a large cell is longer than the default field
    with open_text(path) as file:
        rows = csv.DictReader(file)
        if "cif" not in (rows.fieldnames or ()):
            raise UserError("no column 'cif'", where=str(path), got=",".join(rows.fieldnames or ())[:80])
        for index, row in enumerate(rows, start=1):
            where = f"{path} row {index}"
            name = row.get("material_id") or row.get("id") or str(index)
            split = row.get("split") or split_from_name(path.stem)
            text = row.pop("cif")
            info = {key: number(value) for key, value in row.items() if key and len(str(value)) <= LONGEST_FIELD}
            kind, content = ("cif", text) if text else ("bad", "the cif field is empty")
            yield Record(str(name), kind, content, where, str(split), info)  # type: ignore[arg-type]


def _read_json_lines(path: Path) -> Iterator[Record]:
    with open_text(path) as file:
        for index, line in enumerate(file, start=1):
            if line.strip():
                yield _json_record(path, index, line)


def _json_record(path: Path, index: int, line: str) -> Record:
    name, where = f"{path.stem}-{index}", f"{path} line {index}"
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        return Record(name, "bad", f"not JSON: {error.msg}", where)
    return Record(name, "json", entry, where, split_from_name(path.stem))


def _read_json(path: Path) -> Iterator[Record]:
    """One JSON document: a list of structures, one structure, or an ASE database in JSON."""
    with open_text(path) as file:
        try:
            document = json.load(file)
        except ValueError as error:
            raise UserError("not readable JSON", where=str(path), got=str(error)[:80]) from error
    if isinstance(document, dict) and not sites.holds_structure(document):
        yield from _read_ase(path)
        return
    for index, entry in enumerate(document if isinstance(document, list) else [document], start=1):
        yield Record(f"{path.stem}-{index}", "json", entry, f"{path} entry {index}", split_from_name(path.stem))


def _read_ase(path: Path) -> Iterator[Record]:
    """Anything else ASE knows; its databases row by row."""
    import ase.io
    from ase.io.formats import UnknownFileTypeError

    images = _database(path) if path.suffix in (".db", ".json") else ase.io.iread(str(path))
    index = 0
    try:
        for index, atoms in enumerate(images, start=1):
            info, atoms.info = atoms.info, {}  # left on the atoms they would be properties past a recipe's renaming
            name = str(info.pop("unigen_id", f"{stem(path)}-{index}"))
            yield Record(name, "atoms", atoms, f"{path} entry {index}", split_from_name(path.stem), info)
    except (UnknownFileTypeError, *PARSER_ERRORS) as error:
        reason = f"ASE cannot read it: {type(error).__name__}: {' '.join(str(error).split())[:120]}"
        if index == 0:
            raise UserError(reason, where=str(path)) from error
        yield Record(f"{path.stem}-{index + 1}", "bad", f"{reason}: the rest is not read", f"{path} entry {index + 1}")


def _database(path: Path) -> Iterator:
    from ase.db import connect

    for row in connect(str(path)).select():
        atoms = row.toatoms()
        atoms.info = dict(row.key_value_pairs) | {"unigen_id": row.get("name", row.id)}
        yield atoms


_READERS: dict[str, Reader] = {
    ".cif": _read_single,
    ".vasp": _read_single,
    ".poscar": _read_single,
    ".csv": _read_csv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
    ".xyz": read_frames,
    ".extxyz": read_frames,
    ".npz": read_npz,
    ".parquet": read_parquet,
    **dict.fromkeys((".db", ".traj", ".xsf", ".res", ".cell", ".gen"), _read_ase),
}
