"""Read anyone's crystals: folders, CIF, CSV, extended XYZ, whatever ASE reads, JSON lines, ragged npz, Parquet.

Reading has two stages. `CRYSTAL_FORMATS` yields cheap raw records in a fixed order; `parse_crystal` turns one into a
row and is where the time goes, so builders call it in worker processes. A bad entry becomes a row with a reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from unigen.crystals import json_form
from unigen.crystals.cif_block import split_structures
from unigen.crystals.crystal import Crystal
from unigen.data.left_out import LEFT_OUT
from unigen.data.readers.arrays import read_crystal_npz, read_crystal_store
from unigen.data.readers.ase_files import ase_format, ase_images
from unigen.data.readers.copies import Description
from unigen.data.readers.file_names import own_name
from unigen.data.readers.formats import Formats, left_out_records
from unigen.data.readers.generators import read_diffcsp_tensors, read_zip_of_cifs
from unigen.data.readers.record import Record, Row, parse_record, split_from_name
from unigen.data.readers.text import BEYOND, LONGEST_FIELD, csv_rows, field_named, number, read_frames, stem
from unigen.errors import UserError
from unigen.parsing import PARSER_ERRORS, numeric, one_line, open_text, parse_json, read_whole

RELAXED_TABLE = "relaxed.csv"
"""Of a folder of relaxed crystals: a line an entry, with its id, index and outcome."""

_NOT_PROPERTIES = frozenset(("id", "material_id", "index", "", "Unnamed: 0", "split"))


def read_crystal_rows(path: str | Path) -> Iterator[Row[Crystal]]:
    """Every entry of a file or folder, one after the other, in a fixed order; bad ones with the reason why.

    Understands a folder (searched recursively, or the output of ``unigen generate``), CIF, POSCAR, CSV with a ``cif``
    column, extended XYZ, JSON lines with ``lattice`` and ``sites``, ragged npz, a Parquet store, ASE's formats (its
    databases included), and what other generators write: a zip of CIFs, DiffCSP's ``.pt``.

    Raises:
        UserError: nothing at the path, or nothing in it that can be read as crystals.
    """
    return map(parse_crystal, CRYSTAL_FORMATS.records(path))


def parse_crystal(record: Record) -> Row[Crystal]:
    """The crystal of a record, or the reason why there is none."""
    content = record.content
    if record.form == "json" and isinstance(content, dict):
        name = next((content[key] for key in json_form.NAMES if content.get(key) not in (None, "")), None)
        fields = {key: value for key, value in content.items() if key not in json_form.STRUCTURE_KEYS and key != "cif"}
        record = replace(record, id=str(name) if name is not None else record.id, info=fields | record.info)
    return parse_record(record, _crystal)


def _crystal(record: Record) -> Crystal:
    content: Any = record.content
    where = record.where
    match record.form:
        case "arrays":
            crystal = Crystal.from_arrays(content.numbers, content.frac_coords, content.lattice, where=where)
        case "json":
            crystal = _from_json(content, where)
        case "cif":
            crystal = Crystal.from_cif(content + "\n", where)  # a line end: text, not a path
        case "frame":
            crystal = Crystal.from_extxyz(content + "\n", where)
        case "file":
            is_cif = content.lower().removesuffix(".gz").endswith(".cif")
            crystal = (Crystal.from_cif if is_cif else Crystal.from_poscar)(read_whole(content) + "\n", where)
        case "atoms":
            crystal = Crystal.from_ase(content, where)
        case _:
            raise UserError(str(content), where=where)
    properties = numeric({name: value for name, value in record.info.items() if name not in _NOT_PROPERTIES})
    return replace(crystal, properties=properties | crystal.properties)


def _from_json(entry: object, where: str) -> Crystal:
    """A structure in one of the forms of `json_form`, or a CIF as the text of a field."""
    if not isinstance(entry, dict):
        raise UserError("not a JSON object", where=where, got=str(entry)[:60])
    if isinstance(entry.get("cif"), str) and not json_form.holds_structure(entry):
        return Crystal.from_cif(entry["cif"] + "\n", where)
    return json_form.from_json(entry, where)


def _read_run(folder: Path) -> Iterator[Record]:
    """A folder written by ``unigen generate``: a line of facts a sample, the structure in it or in samples.extxyz."""
    frames = read_frames(folder / "samples.extxyz") if (folder / "samples.extxyz").exists() else iter(())
    paired = False
    for line in _read_json_lines(folder / "samples.jsonl"):
        facts = line.content if isinstance(line.content, dict) else {}
        complete = json_form.holds_structure(facts)
        if "reason" in facts and not complete:  # no structure was made, so it has no frame either
            yield Record(str(facts.get("id", line.id)), "bad", str(facts["reason"]), line.where, "train", facts)
            continue
        frame = next(frames, None)
        if complete or frame is None or not isinstance(line.content, dict):
            yield line
        else:
            yield Record(str(facts.get("id", frame.id)), frame.form, frame.content, frame.where, "train", facts)
            paired = True
    for frame in frames if paired else ():
        yield replace(frame, form="bad", content="a frame that no line of samples.jsonl stands for")


def _describe(record: Record) -> Description:
    """Composition, volume an atom and smallest distance: enough to know the same crystal in another format or cell."""
    crystal = parse_crystal(record).structure
    if crystal is None:
        return "", ()
    return crystal.reduced_formula, (crystal.volume / len(crystal), crystal.smallest_distance())


def _read_relaxed(folder: Path) -> Iterator[Record]:
    """A folder written by ``unigen relax``: what was relaxed, and what was not, each entry of its input once."""
    frames, journal = folder / "relaxed.extxyz", folder / "relaxed.jsonl"
    if not frames.exists():  # cut off before its end
        yield from _read_json_lines(journal)
        return
    if (folder / RELAXED_TABLE).exists():
        yield from _read_relaxed_table(folder)
        return
    yield from read_frames(frames)
    if (folder / LEFT_OUT).exists():
        yield from left_out_records(folder)
        return
    for line in _read_json_lines(journal):  # of versions that did not write down what was left out
        if isinstance(line.content, dict) and not json_form.holds_structure(line.content):
            yield replace(line, form="bad", content=line.content.get("reason") or "not relaxed")


def _read_relaxed_table(folder: Path) -> Iterator[Record]:
    """A row an entry of the input, in its order; those that have an energy have a frame."""
    frames = read_frames(folder / "relaxed.extxyz")
    for where, row in csv_rows(folder / RELAXED_TABLE, "file"):
        info: dict[str, object] = {"id": row.get("id") or row["file"]}
        if (row.get("index") or "").isdecimal():
            info["index"] = int(row["index"])
        frame = next(frames, None) if row.get("space_group") else None
        if frame is not None:
            yield replace(frame, id=row["file"], info=info)
        else:
            yield Record(row["file"], "bad", row.get("reason") or row.get("outcome") or "not relaxed", where, info=info)
    for frame in frames:
        yield replace(frame, form="bad", content=f"a frame that no line of {RELAXED_TABLE} stands for")


def _read_single(path: Path) -> Iterator[Record]:
    yield Record(own_name(path), "file", str(path), str(path), split_from_name(path.parent.name))


def _read_cif(path: Path) -> Iterator[Record]:
    """The structure of a CIF, or each of several: a broken block is a bad entry beside the others."""
    split = split_from_name(path.parent.name)
    try:
        text = read_whole(path)
    except UserError as error:
        yield Record(own_name(path), "bad", error.reason, str(path), split)
        return
    blocks = split_structures(text) if text.lower().count("data_") > 1 else []
    if len(blocks) < 2:
        yield from _read_single(path)
        return
    names = Counter(name for name, _ in blocks)
    for index, (name, block) in enumerate(blocks, start=1):
        own = name if name and names[name] == 1 else str(index)
        yield Record(f"{own_name(path)}-{own}", "cif", block, f"{path} data_{name} (block {index})", split)


def _read_csv(path: Path) -> Iterator[Record]:
    for index, (where, row) in enumerate(csv_rows(path, "cif"), start=1):
        name = field_named(row, "material_id", "id", "mp_id", "jid", "name") or str(index)
        split = field_named(row, "split") or split_from_name(path.stem)
        text = row.pop("cif")
        if any(row.pop(BEYOND, ())):
            yield Record(name, "bad", "more fields than columns", where, split)
            continue
        info = {key: number(value) for key, value in row.items() if key and len(str(value)) <= LONGEST_FIELD}
        if text:
            yield Record(name, "cif", text, where, split, info)
        else:
            yield Record(name, "bad", "the cif field is empty", where, split, info)


def _read_json_lines(path: Path) -> Iterator[Record]:
    with open_text(path) as file:
        for index, line in enumerate(file, start=1):
            if not line.strip():
                continue
            name, where = f"{path.stem}-{index}", f"{path} line {index}"
            try:
                yield Record(name, "json", parse_json(line, where), where, split_from_name(path.stem))
            except UserError as error:
                yield Record(name, "bad", error.reason, where)


_LISTS = ("data", "entries", "structures", "results")
"""Where answers of OPTIMADE and other services, and files of entries, keep their list."""


def _read_json(path: Path) -> Iterator[Record]:
    """One JSON document: a list of structures, one, structures by name, or an ASE database in JSON."""
    document = parse_json(read_whole(path), str(path))
    split, names = split_from_name(path.stem), []
    if isinstance(document, dict) and not json_form.holds_structure(document):
        listed = next((document[key] for key in _LISTS if isinstance(document.get(key), list)), None)
        by_name = [each for each in document.values() if isinstance(each, dict) and json_form.holds_structure(each)]
        if listed is None and (not by_name or len(by_name) < len(document)):
            yield from _read_ase(path)
            return
        names = list(document) if listed is None else []
        document = by_name if listed is None else listed
    entries = document if isinstance(document, list) else [document]
    for index, entry in enumerate(entries, start=1):
        name = names[index - 1] if names else f"{stem(path)}-{index}"
        yield Record(name, "json", entry, f"{path} entry {index}", split)


def _read_ase(path: Path) -> Iterator[Record]:
    """Anything else ASE knows; its databases row by row."""
    index = 0
    try:
        for index, atoms in enumerate(ase_images(path), start=1):
            info, atoms.info = atoms.info, {}  # left on the atoms they would be properties past a recipe's renaming
            name = str(info.pop("unigen_id", f"{stem(path)}-{index}"))
            yield Record(name, "atoms", atoms, f"{path} entry {index}", split_from_name(path.stem), info)
    except PARSER_ERRORS as error:
        reason = f"ASE cannot read it: {type(error).__name__}: {one_line(error)[:120]}"
        if isinstance(error, UserError):
            reason = error.reason
        elif isinstance(error, MemoryError):  # a count is believed before what it counts is looked for
            reason = "ASE cannot read it: it counts more than it holds"
        if index == 0:
            raise UserError(reason, where=str(path)) from error
        yield Record(f"{stem(path)}-{index + 1}", "bad", f"{reason}: the rest is not read", f"{path} entry {index + 1}")


def _read_by_content(path: Path) -> Iterator[Record]:
    """A file whose name says nothing; of frames it is read as such files are, by ASE of anything else."""
    yield from (read_frames if ase_format(path) in ("xyz", "extxyz") else _read_ase)(path)


def _read_magnetic(path: Path) -> Iterator[Record]:
    raise UserError("a magnetic CIF is not read: its moments and symmetry would be lost", where=str(path))


_UNREAD = frozenset(
    # macromolecules, molecules, programs other than VASP, and VASP
    [
        ".mmcif",
        ".bcif",
        ".pdb",
        ".sdf",
        ".mol",
        ".mol2",
        ".smi",
        ".gjf",
        ".cssr",
        ".xtl",
        ".lmp",
        ".pwi",
        ".pwo",
        ".fdf",
        ".magres",
        ".struct",
        "outcar",
        "vasprun.xml",
        "vaspout.h5",
        "geometry.in",
    ]
)
"""Endings and names of files that hold structures and are not read; in a folder each is a bad entry."""


CRYSTAL_FORMATS = Formats(
    kind="crystals",
    by_ending={
        ".cif": _read_cif,
        ".mcif": _read_magnetic,
        ".vasp": _read_single,
        ".poscar": _read_single,
        ".csv": _read_csv,
        ".jsonl": _read_json_lines,
        ".ndjson": _read_json_lines,
        ".json": _read_json,
        ".xyz": read_frames,
        ".extxyz": read_frames,
        ".npz": read_crystal_npz,
        ".parquet": read_crystal_store,
        **dict.fromkeys((".db", ".traj", ".xsf", ".res", ".cell", ".gen"), _read_ase),
    },
    # VASP tells its files by their names, which have no endings
    by_start={"poscar": _read_single, "contcar": _read_single, "xdatcar": _read_ase},
    otherwise=_read_by_content,
    run_file="samples.jsonl",
    read_run=_read_run,
    noun="structures",
    wanted="CIF, CSV, extxyz, JSON lines, npz, ...",
    own_folders={"relaxed.jsonl": _read_relaxed},
    single=frozenset((".cif", ".vasp", ".poscar", ".xsf", ".res", ".cell", ".gen")),
    unread=_UNREAD,
    describe=_describe,
    archives={".zip": read_zip_of_cifs, ".pt": read_diffcsp_tensors},
)
