"""What happens to files: mutations of bytes, of text, of JSON and YAML, and of arrays; the same input, the same output.

A mutation is where and what, as numbers: the same list of mutations changes a file in the same way on every machine, so
a finding is repeated from its list, and a list is made shorter by leaving mutations out.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml


class Mutation(NamedTuple):
    """One change.

    Attributes:
        kind: which of the kinds that the form of the file has, by its place in the list (modulo its length).
        place: where in the file, a share of its length.
        value: what comes there, by its place in the list of values (modulo its length).
    """

    kind: int
    place: float
    value: int


def drawn(rng: random.Random) -> list[Mutation]:
    """One to four of them: one shows a fault by itself, several reach behind the first check."""
    return [Mutation(rng.randrange(1 << 16), rng.random(), rng.randrange(1 << 16)) for _ in range(rng.randint(1, 4))]


DEEP = 100_000
"""Nested so deep that a parser which calls itself runs out of stack."""

NUMBERS = (
    *("0", "-1", "1", "2", "-0.5", "0.5", "3.9", "1e30", "-1e30", "1e-30", "1e400", "nan", "NaN", "inf", "-Infinity"),
    *("200", "999999999", "1000000000000", "-2147483649", "18446744073709551616", "9" * 5_000, "1,5", "1.000,5"),
    *("0x1F", "1_0", "1e", "--1", "1.2.3", "\u0663", "\u00bd", "five", "", "'", "1d5", "1(2)", "?", ".", "\u22121"),
)
"""What stands where a number should: small, large, not finite, of another country, not a number."""

WORDS = (
    *("", "X", "Vac", "OH", "D", "Uuo", "na", "NA", "None", "null", "true", "[]", "{}", "\\", "'", '"', ";", ",", "#"),
    *("_", "loop_", "data_", "\ud7ff", "\U0001f600", "\u00e5", "\ufeff", "\x00", "\x1a", "\x0c", "\u2028", "a" * 5_000),
    *("..", "/", "%s", "$$$$", "M  END", "V3000", "V2000", "Lattice=", "Properties=", "!!python/name:os.system", "*a"),
    *("[/b]", "(", "C" * 300, "((((", "]", "{", "}", "0", "=", "\t"),
)
"""What stands where a word should."""

DEEPER = ("[", "{", '{"a":', "(", "- ", "[[", "C(", "'", "&a [*a, ", "!!set {")
"""What can be nested, or never closes."""

VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2,
        3.5,
        200,
        1e30,
        -1e-9,
        float("nan"),
        float("inf"),
        10**12,
        10**30,
        "",
        "x",
        "Vac",
    ),
    *("NaN", "0", "1e400", "\u00e5", [], {}, [[]], [None], [0.0] * 6, [[1, 2], [3]], {"a": 1}, ["Na", None], "\x00"),
    *([[float("nan")] * 3] * 3, [1e308] * 3, {"matrix": 5}, {"@module": "os", "@class": "system"}),
    {"__ndarray__": [[100_000, 1_000_000], "float64", []]},
    [[[0] * 3] * 3] * 3,
)
"""What stands where a value of JSON or YAML should."""


def _span(content: bytes, mutation: Mutation) -> tuple[int, int]:
    """A place, and up to 63 bytes behind it."""
    start = int(mutation.place * len(content))
    return start, min(len(content), start + 1 + mutation.value % 63)


def _flip(content: bytes, mutation: Mutation) -> bytes:
    start, _ = _span(content, mutation)
    if not content:
        return b"\x00"
    return content[:start] + bytes([content[start] ^ (1 << mutation.value % 8)]) + content[start + 1 :]


def _high_byte(content: bytes, mutation: Mutation) -> bytes:
    start, _ = _span(content, mutation)
    return content[:start] + bytes([128 + mutation.value % 128]) + content[start:]


def _cut_out(content: bytes, mutation: Mutation) -> bytes:
    start, stop = _span(content, mutation)
    return content[:start] + content[stop:]


def _again(content: bytes, mutation: Mutation) -> bytes:
    start, stop = _span(content, mutation)
    return content[:stop] + content[start:stop] + content[stop:]


def _cut_off(content: bytes, mutation: Mutation) -> bytes:
    return content[: int(mutation.place * len(content))]


def _zeros(content: bytes, mutation: Mutation) -> bytes:
    start, stop = _span(content, mutation)
    return content[:start] + bytes(stop - start) + content[stop:]


def _integer(content: bytes, mutation: Mutation) -> bytes:
    """Four bytes become a count: headers of binary files are made of these."""
    start, _ = _span(content, mutation)
    count = (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 1 << 24)[mutation.value % 6]
    return content[:start] + struct.pack("<I", count) + content[start + 4 :]


def _nothing(content: bytes, mutation: Mutation) -> bytes:
    return b"" if mutation.value % 2 else b"\n" * (1 + mutation.value % 7)


def _pack(content: bytes, mutation: Mutation) -> bytes:
    packed = gzip.compress(content, mtime=0)
    return gzip.compress(packed, mtime=0) if mutation.value % 2 else packed


BYTES = (_flip, _high_byte, _cut_out, _again, _cut_off, _zeros, _integer, _nothing, _pack)
"""For every file."""


def _on_lines(change: Callable[[list[str], int, Mutation], None]) -> Callable[[bytes, Mutation], bytes]:
    def mutated(content: bytes, mutation: Mutation) -> bytes:
        lines = content.decode("utf-8", "surrogateescape").split("\n")
        change(lines, min(int(mutation.place * len(lines)), len(lines) - 1), mutation)
        return "\n".join(lines).encode("utf-8", "surrogateescape")

    mutated.__name__ = change.__name__
    return mutated


def _drop_line(lines: list[str], at: int, mutation: Mutation) -> None:
    del lines[at]


def _double_line(lines: list[str], at: int, mutation: Mutation) -> None:
    lines[at:at] = [lines[at]] * (1, 1, 2, 50)[mutation.value % 4]


def _swap_lines(lines: list[str], at: int, mutation: Mutation) -> None:
    other = (at + 1 + mutation.value) % len(lines)
    lines[at], lines[other] = lines[other], lines[at]


def _blank_line(lines: list[str], at: int, mutation: Mutation) -> None:
    lines.insert(at, (" ", "", "\t", "#", "\x00")[mutation.value % 5])


def _join_line(lines: list[str], at: int, mutation: Mutation) -> None:
    lines[at : at + 2] = [" ".join(lines[at : at + 2])]


def _long_line(lines: list[str], at: int, mutation: Mutation) -> None:
    lines[at] += (" x", " 1", "C", "(", "\u00e5", ",")[mutation.value % 6] * (100_000, 3_000)[mutation.value // 6 % 2]


def _other_ends(lines: list[str], at: int, mutation: Mutation) -> None:
    end = ("\r", "\r\n", "\x0b", "\x85", "\u2028")[mutation.value % 5]
    text = end.join(lines) if end != "\r\n" else "\r\n".join(lines)
    lines[:] = [text]


def _replaced(pattern: str, values: tuple[str, ...]) -> Callable[[bytes, Mutation], bytes]:
    matcher = re.compile(pattern)

    def mutated(content: bytes, mutation: Mutation) -> bytes:
        text = content.decode("utf-8", "surrogateescape")
        found = list(matcher.finditer(text))
        if not found:
            return content
        chosen = found[min(int(mutation.place * len(found)), len(found) - 1)]
        value = values[mutation.value % len(values)]
        return (text[: chosen.start()] + value + text[chosen.end() :]).encode("utf-8", "surrogateescape")

    return mutated


def _nested(content: bytes, mutation: Mutation) -> bytes:
    start = int(mutation.place * len(content))
    deep = DEEPER[mutation.value % len(DEEPER)].encode() * (DEEP if mutation.value % 3 else 500)
    return content[:start] + deep + content[start:]


def _encoded(content: bytes, mutation: Mutation) -> bytes:
    text = content.decode("utf-8", "replace")
    coded = ("utf-8-sig", "utf-16", "utf-32", "utf-16-le", "cp037", "latin-1")[mutation.value % 6]
    return text.encode(coded, "replace")


def _surrogate(content: bytes, mutation: Mutation) -> bytes:
    start = int(mutation.place * len(content))
    return content[:start] + b"\\ud800" + content[start:]


def _shuffled_words(content: bytes, mutation: Mutation) -> bytes:
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    at = min(int(mutation.place * len(lines)), len(lines) - 1)
    words = lines[at].split(" ")
    random.Random(mutation.value).shuffle(words)  # noqa: S311 - the same words on every machine
    lines[at] = " ".join(words)
    return "\n".join(lines).encode("utf-8", "surrogateescape")


_number = _replaced(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?", NUMBERS)

TEXT = (
    *BYTES,
    *(_number,) * 6,  # most of what is wrong with files is wrong with their numbers
    *(_replaced(r"[A-Za-z_]\w*", WORDS),) * 4,
    *map(_on_lines, (_drop_line, _double_line, _swap_lines, _blank_line, _join_line, _long_line, _other_ends)),
    *(_nested, _encoded, _surrogate, _shuffled_words),
)
"""For every text."""


def _change_node(document: Any, mutation: Mutation) -> Any:
    """The document with one of its values replaced, left out, said twice, or renamed."""
    places: list[tuple[Any, Any]] = []
    stack, seen = [document], set()
    while stack:
        node = stack.pop()
        if isinstance(node, dict | list):
            if id(node) in seen:  # an alias of YAML: the same node again
                continue
            seen.add(id(node))
        children = list(node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ())
        places += [(node, key) for key, _ in children]
        stack += [child for _, child in children]
    if not places:
        return VALUES[mutation.value % len(VALUES)]
    parent, key = places[min(int(mutation.place * len(places)), len(places) - 1)]
    match mutation.kind % 8:
        case 0:
            del parent[key]
        case 1 if isinstance(parent, list):
            parent.append(parent[key])
        case 1:
            parent[f"{key}x"] = parent.pop(key)
        case _:
            parent[key] = VALUES[mutation.value % len(VALUES)]
    return document


def _json(content: bytes, mutation: Mutation) -> bytes:
    return json.dumps(_change_node(json.loads(content), mutation)).encode("utf-8", "surrogatepass")


def _json_line(content: bytes, mutation: Mutation) -> bytes:
    lines = content.split(b"\n")
    at = mutation.value % len(lines)
    lines[at] = _json(lines[at], mutation)
    return b"\n".join(lines)


def _yaml(content: bytes, mutation: Mutation) -> bytes:
    document = _change_node(yaml.safe_load(content), mutation)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()


def _yaml_bomb(content: bytes, mutation: Mutation) -> bytes:
    """Aliases of aliases: a hundred bytes that stand for ten to the ninth."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(lines).encode() + b"\n" + content


def _changed_array(array: np.ndarray, mutation: Mutation) -> np.ndarray:
    """Another type, another shape, other numbers."""
    changes: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
        lambda a: a.astype(str),
        np.ravel,
        lambda a: a.reshape(-1)[:-1],
        lambda a: np.array(a.ravel()[0] if a.size else 0),
        lambda a: a[:0],
        lambda a: a[None],
        lambda a: a.T,
        np.zeros_like,
        lambda a: np.full(a.shape, np.nan) if a.dtype.kind in "fiu" else a,
        lambda a: a * 0 + 200 if a.dtype.kind in "fiu" else a,
        lambda a: -a.astype(np.int64) if a.dtype.kind in "fiu" else a,
        lambda a: a.astype(np.complex128) if a.dtype.kind in "fiu" else a,
        lambda a: a.astype(np.float64) * 1e300 if a.dtype.kind in "fiu" else a,
        lambda a: np.concatenate([a, a]) if a.ndim else a,
        lambda a: a.astype("datetime64[s]") if a.dtype.kind in "iu" else a,
        lambda a: np.full(a.shape, 2**62) if a.dtype.kind in "iu" else a,
        lambda a: np.zeros(a.shape, dtype=[("a", "f8"), ("b", "i4")]),
    )
    return changes[mutation.value % len(changes)](array)


def _npz(content: bytes, mutation: Mutation) -> bytes:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays = dict(archive)
    name = sorted(arrays)[min(int(mutation.place * len(arrays)), len(arrays) - 1)]
    if mutation.kind % 5 == 0:
        del arrays[name]
    else:
        with np.errstate(all="ignore"):
            arrays[name] = _changed_array(arrays[name], mutation)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _npz_header(content: bytes, mutation: Mutation) -> bytes:
    """A shape that the bytes behind it do not fill."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = sorted(members)[int(mutation.place * len(members))]
    shape = ("(100000000000,)", "(9999999,9999999)", "(0,)", "(-1,)", "(1,2", "(3000000000,3)")[mutation.value % 6]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, data in members.items():
            dtype = "|O" if mutation.value % 13 == 0 else "<f8"
            header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
            lies = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n" + data[-64:]
            archive.writestr(each, lies if each == name else data)
    return file.getvalue()


def _parquet(content: bytes, mutation: Mutation) -> bytes:
    table = pq.read_table(io.BytesIO(content))
    index = min(int(mutation.place * table.num_columns), table.num_columns - 1)
    name, rows = table.column_names[index], len(table)
    lists: list[pa.Array] = [
        pa.nulls(rows),
        pa.array(["x"] * rows),
        pa.array([200] * rows),
        pa.array([float("nan")] * rows),
        pa.array([[1.0] * 6] * rows),
        pa.array([[]] * rows, pa.list_(pa.float64())),
        pa.array([[None, 1.0, 2.0]] * rows, pa.list_(pa.float64())),
        pa.array([None] * rows, pa.list_(pa.float64(), 9)),
        pa.array([[200] * 9] * rows),
        pa.array([["Na"]] * rows),
        pa.array([{"a": 1}] * rows),
        pa.array([b"\xff"] * rows),
        pa.array([2**62] * rows),
        pa.array([True] * rows),
        pa.array([[-1, 0, 5]] * rows, pa.list_(pa.int64())),
        pa.array([10**12] * rows, pa.timestamp("us")),
    ]
    match mutation.kind % 8:
        case 0:
            table = table.drop_columns([name])
        case 1:
            table = table.slice(0, mutation.value % 2)
        case 2:
            table = pa.concat_tables([table, table])
        case 3:
            table = table.append_column(name + "2" * (mutation.value % 2), table[name])
        case 4:
            column = table[name].to_pylist()
            column[mutation.value % max(rows, 1) : mutation.value % max(rows, 1) + 1] = [None]
            table = table.set_column(index, name, pa.array(column, table.schema.field(name).type))
        case _:
            table = table.set_column(index, name, lists[mutation.value % len(lists)])
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def _safetensors(content: bytes, mutation: Mutation) -> bytes:
    """A header that says something else, or numbers that are none."""
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    data = bytearray(content[8 + length :])
    names = sorted(name for name in header if name != "__metadata__")
    name = names[min(int(mutation.place * len(names)), len(names) - 1)]
    entry = header[name]
    match mutation.kind % 8:
        case 0:
            header[name + "x"] = header.pop(name)
        case 1:
            entry["shape"] = [*entry["shape"][::-1], 1]
        case 2:
            entry["shape"] = [10**9, 10**3]
        case 3:
            entry["dtype"] = ("F64", "I32", "BF16", "X", "BOOL", "U8")[mutation.value % 6]
        case 4:
            entry["data_offsets"] = [0, 10**12]
        case 5:
            header["__metadata__"] = {"format": "other"}
        case 6:
            start, stop = entry["data_offsets"]
            data[start:stop] = b"\xff" * (stop - start)
        case _:
            header = _change_node(header, mutation)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(data)


FORMS: dict[str, tuple[Callable[[bytes, Mutation], bytes], ...]] = {
    "text": TEXT,
    "json": (*TEXT, *(_json,) * len(TEXT)),
    "jsonl": (*TEXT, *(_json_line,) * len(TEXT)),
    "yaml": (*TEXT, *(_yaml,) * len(TEXT) * 2, _yaml_bomb),
    "npz": (*BYTES, *(_npz,) * 12, *(_npz_header,) * 4),
    "parquet": (*BYTES[:6], *(_parquet,) * 18),
    "safetensors": (*BYTES[:6], *(_safetensors,) * 12),
    "binary": BYTES,
}
"""The mutations of each form of file; what is likelier to go wrong stands there more often."""


def mutate(content: bytes, form: str, mutations: list[Mutation]) -> bytes:
    """The content with all mutations made, one after the other."""
    kinds = FORMS[form]
    for mutation in mutations:
        # the kind is used up in parts: what chooses the function, and what the function chooses with
        rest = mutation._replace(kind=mutation.kind // len(kinds))
        try:
            content = kinds[mutation.kind % len(kinds)](content, rest)
        except Exception:  # noqa: BLE001 - an earlier mutation broke it: it cannot be taken apart, by whatever library
            content = BYTES[mutation.value % len(BYTES)](content, rest)
    return content
