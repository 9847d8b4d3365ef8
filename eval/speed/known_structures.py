"""A million known structures: opening and asking them, mapped against read from their Parquet file.

python eval/speed/known_structures.py

The structures are those of the bundled table, again and again: each time the elements are exchanged for others by a
permutation that is drawn, and cells and free parameters shaken. Every measurement has a process of its own; the two
ways take turns. CPU-seconds from an imported package to a retriever that has answered nothing yet, memory then (all
that is resident, and the part of it that no file backs and that other processes cannot share), and the time of a
shortlist.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measurement import circumstances, write

from unigen.models.checkpoint import model_folder
from unigen.retrieval.build_table import TABLE
from unigen.retrieval.mapped_table import open_retriever
from unigen.retrieval.shortlist import Retriever
from unigen.retrieval.table import FEATURES, TemplateTable, read_table

COPIES = 33  # of 30,355 structures
TURNS = 3
QUERIES = 200
SHAKEN = 0.01  # of an edge, and of a free parameter: more than any tolerance at which symmetry is found


def make_table(source: Path, target: Path, copies: int) -> int:
    """Write the table of all copies, a row group each; returns how many structures it has."""
    table, file = read_table(source), pq.ParquetFile(source).read().combine_chunks()
    random = np.random.default_rng(0)
    elements = np.unique(table.elements)
    with pq.ParquetWriter(target, file.schema, compression="zstd") as writer:
        for copy in range(copies):
            becomes = np.arange(256)
            becomes[elements] = random.permutation(elements) if copy else elements
            writer.write_table(_exchanged(file, table, becomes, random, SHAKEN if copy else 0.0))
    return copies * len(table)


def _exchanged(
    file: pa.Table, table: TemplateTable, becomes: np.ndarray, random: np.random.Generator, shaken: float
) -> pa.Table:
    """The file of a table with other elements, whose sites come in the order of their new numbers."""
    width = np.diff(table.element_offsets)
    order = np.lexsort((becomes[table.elements], np.repeat(np.arange(len(table)), width)))
    owner = np.repeat(np.arange(len(table)), width**2)
    place = np.arange(len(owner)) - table.contact_offsets[owner]
    start, wide = table.element_offsets[owner], width[owner]
    old_row, old_column = order[start + place // wide] - start, order[start + place % wide] - start
    columns = {
        "numbers": becomes[table.numbers].astype(np.uint8),
        "fingerprint": table.fingerprints[order].ravel(),
        "contacts": table.contacts[table.contact_offsets[owner] + old_row * wide + old_column].ravel(),
    }
    free, lattice = (np.array(file[name].combine_chunks().flatten()) for name in ("free", "lattice"))
    columns["free"] = (free + shaken * random.normal(size=len(free))).astype(np.float32)
    edges = lattice.reshape(-1, 6) * (1 + shaken * random.normal(size=(len(table), 1)) * np.array([1] * 3 + [0] * 3))
    assert len(columns["fingerprint"]) == FEATURES * width.sum()
    for name, values in columns.items():
        lists = pa.ListArray.from_arrays(file[name].combine_chunks().offsets, pa.array(values))
        file = file.set_column(file.column_names.index(name), name, lists)
    of_six = pa.FixedSizeListArray.from_arrays(pa.array(edges.ravel().astype(np.float32)), 6)
    return file.set_column(file.column_names.index("lattice"), "lattice", of_six).cast(file.schema)


def measured(way: str, path: Path) -> dict[str, float]:
    """What one process sees."""
    started = time.process_time()
    if way == "mapped":
        known = open_retriever(path)
    else:
        known = Retriever(read_table(path))
        _ = known.fit
    opened = time.process_time() - started
    memory = _memory()
    rows = np.random.default_rng(1).integers(0, len(known.table), QUERIES).tolist()
    cells = [known.table.counts(row) for row in rows]
    started = time.process_time()
    for cell in cells:
        known.shortlist(cell, exclude_formula=True)
    asked = (time.process_time() - started) / QUERIES
    after = _memory()
    return {
        "opening_cpu_s": opened,
        "resident_mb": memory["VmRSS"],
        "of_no_file_mb": memory["RssAnon"],
        "largest_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "query_cpu_ms": 1e3 * asked,
        "resident_after_mb": after["VmRSS"],
        "of_no_file_after_mb": after["RssAnon"],
    }


def _memory() -> dict[str, float]:
    """Megabytes, as Linux tells them."""
    lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines()]
    return {line[0].rstrip(":"): int(line[1]) / 1024 for line in lines if line[0].startswith(("VmRSS", "Rss"))}


def main() -> None:
    """Make the table, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=COPIES)
    parser.add_argument("--measure", nargs=2, metavar=("WAY", "TABLE"), help="what the processes are called with")
    options = parser.parse_args()
    if options.measure:
        way, table = options.measure
        print(json.dumps(measured(way, Path(table))))
        return
    facts = circumstances(threads=1)
    turns: dict[str, list[dict[str, float]]] = {"first": [], "mapped": [], "parquet": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / TABLE
        structures = make_table(model_folder("unigen-crystal-small") / TABLE, path, options.copies)
        for way in ("first", *["mapped", "parquet"] * TURNS):  # the first opening makes the mapped file
            command = [sys.executable, __file__, "--measure", "mapped" if way == "first" else way, str(path)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            turns[way].append(json.loads(done.stdout.splitlines()[-1]))
        sizes = {file.name: round(file.stat().st_size / 1e6) for file in sorted(Path(folder).iterdir())}
    found = {
        way: {name: round(statistics.median(turn[name] for turn in each), 3) for name in each[0]}
        for way, each in turns.items()
    }
    ratios = {
        name: round(
            statistics.median(p[name] / m[name] for m, p in zip(turns["mapped"], turns["parquet"], strict=True)), 2
        )
        for name in found["mapped"]
    }
    for name, ratio in ratios.items():
        values = "  ".join(f"{way} {each[name]:9.2f}" for way, each in found.items())
        print(f"{name:22s} {values}  parquet / mapped {ratio:6.2f} x")
    write(
        "known_structures",
        facts | {"structures": structures, "files_mb": sizes, "turns": TURNS, "by_way": found, "ratios": ratios},
    )


if __name__ == "__main__":
    main()
