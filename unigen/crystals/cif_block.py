"""The data blocks of a CIF as columns of text by tag, read by gemmi."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from unigen.errors import UserError
from unigen.parsing import PARSER_ERRORS, one_line


@dataclass(frozen=True)
class Block:
    """The values of a data block by tag: lower case, with the dots of the newer dictionaries as underscores."""

    name: str
    values: dict[str, list[str]]

    @property
    def holds_atoms(self) -> bool:
        """Whether it is a structure: blocks of a journal, of a diffraction pattern have no sites."""
        return any(tag.startswith("_atom_site_") and not tag.startswith("_atom_site_aniso_") for tag in self.values)

    def first(self, *tags: str) -> str:
        """The first of the tags that says something, else nothing."""
        for tag in tags:
            for value in self.values.get(tag, ())[:1]:
                if value:
                    return value
        return ""

    def column(self, tag: str, rows: int) -> list[str]:
        """The values of the atom sites, empty where they are not told."""
        values = self.values.get(tag, [])
        return values if len(values) == rows else [""] * rows


def read_blocks(text: str, where: str) -> list[Block]:
    """The data blocks of a file; raises UserError with gemmi's own words where it is no CIF."""
    from gemmi import cif

    # gemmi takes ASCII alone outside text fields; nothing that is read here needs more, but for a minus or an overline
    text = re.sub(r"(\d)\u0305", r"-\1", text).translate({0x2212: "-", 0x2013: "-", 0x1A: None})
    text = text.encode("ascii", "replace").decode()
    try:
        try:
            document = cif.read_string(text)
        except ValueError:
            document = cif.read_string(_quoted(text))
    except PARSER_ERRORS as error:
        raise UserError(
            "not a readable CIF", where=where, got=one_line(error).removeprefix("string:").strip()
        ) from error
    return [_block(block, where) for block in document]


_HEADING = re.compile(r"[ \t]*data_(\S*)", re.IGNORECASE)


def split_structures(text: str) -> list[tuple[str, str]]:
    """Name and text of each data block that holds atom sites; nothing is parsed, what is broken stays what it is."""
    starts, inside, position = [], False, 0
    for line in text.split("\n"):
        if line.startswith(";"):  # a text field, which may hold anything
            inside = not inside
        heading = None if inside else _HEADING.match(line)
        if heading is not None:
            starts.append((heading[1], position))
        position += len(line) + 1
    ends = [start for _, start in starts[1:]] + [len(text)] * bool(starts)
    blocks = [(name, text[start:end]) for (name, start), end in zip(starts, ends, strict=True)]
    return [(name, block) for name, block in blocks if "_atom_site" in block.lower()]


_BARE = re.compile(r"(_[^\s]+)[ \t]+([^\s'\"#;_][^'\"#\n]*?[ \t][^'\"#\n]*?)[ \t]*")


def _quoted(text: str) -> str:
    """The text with quotes around values of several words that lack them: ``_symmetry_space_group_name_H-M P 21/c``."""
    lines, inside = [], False
    for line in text.split("\n"):
        if line.startswith(";"):
            inside = not inside
        bare = _BARE.fullmatch(line) if not inside and len(line) < 200 else None  # symbols and names are short
        lines.append(f"{bare[1]} '{bare[2]}'" if bare else line)
    return "\n".join(lines)


def _block(block: Any, where: str) -> Block:
    from gemmi import cif

    values: dict[str, list[str]] = {}
    for item in block:
        if item.pair is not None:
            columns = {item.pair[0]: [item.pair[1]]}
        elif item.loop is not None:
            tags = item.loop.tags
            columns = {tag: item.loop.values[index :: len(tags)] for index, tag in enumerate(tags)}
        else:
            continue
        for tag, column in columns.items():
            key = tag.lower().replace(".", "_")
            texts = ["" if cif.is_null(value) else cif.as_string(value).strip() for value in column]
            if values.setdefault(key, texts) != texts:
                raise UserError(f"data_{block.name} tells {tag} twice, with different values", where=where)
    return Block(block.name.strip(), values)


def number_of(text: str) -> float:
    """A number without its standard uncertainty, or a plain fraction; NaN for anything else."""
    from gemmi import cif

    fraction = re.fullmatch(r"([+-]?\d{1,3})/(\d{1,3})", text) if "/" in text else None
    if fraction is not None and int(fraction[2]):
        return int(fraction[1]) / int(fraction[2])
    return float(cif.as_number(text))
