"""Powder patterns as columns of text: what diffractometers export, and what people write by hand."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from unigen.crystals.powder.axis import axis_named
from unigen.crystals.powder.measured import Measured
from unigen.crystals.powder.radiation import LONGEST, SHORTEST, WAVELENGTHS
from unigen.errors import UserError

_COMMENT = re.compile(r"\s*[#!%'\"*/;_$<&]")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][+-]?\d+)?|nan|[+-]?inf", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"([+-]?\d+),(\d+)")
_RADIATION = re.compile(
    r"\b(Cu|Mo|Co|Cr|Fe|Ag)[\s_\-]*(?:K|Ka)[\s_\-]*(?:alpha|a|\u03b1)?[\s_\-]*([12])?\b", re.IGNORECASE
)
_WAVELENGTH = re.compile(
    r"(?:wave[\s_\-]*length|lambda|\u03bb|\bwl\s*1\b|_wl1)(?:[\s_\-]*k?[\s_\-]*alpha[\s_\-]*1)?[^\d\n]{0,40}?(\d*\.\d+(?:e[+-]?\d+)?)\s*(nm|m|pm)?\b",
    re.IGNORECASE,
)
_INTENSITY = re.compile(
    r"intens|counts?\b|\bcps\b|\bi\b|\bi[\W_]*(?:obs|rel|meas|net)|\by[\W_]*obs|\byobs", re.IGNORECASE
)
_UNCERTAINTY = re.compile(r"\besd\b|sigma|\berr(?:or)?s?\b|\bs\.?u\.?\b|uncertain|std|\u03c3|\be\b", re.IGNORECASE)


def parse_columns(text: str, where: str) -> Measured:
    """A table of at least two columns, between or after lines of words.

    Numbers stand between blanks, tabs, commas or semicolons, with a decimal point or, where columns are not divided by
    commas, a decimal comma. Headings and comments tell the axis, the columns and the wavelength where they name them;
    else the first column is the place, the second the intensity. A block of ``start step end`` followed by intensities
    alone (FullProf, DBWS) is read too.

    Raises:
        UserError: no two columns of numbers, or a line among the numbers that is none.
    """
    rows, heading = _rows(text, where)
    words = "\n".join(heading)
    counted = _start_step_end(rows)
    if counted is not None:
        return Measured(*counted, axis=axis_named(words) or "2theta", wavelength=wavelength_in(words))
    width = len(rows[0][1])
    for line, row in rows:
        if len(row) != width:
            got = f"{len(row)} numbers, where the first row has {width}"
            raise UserError("rows of different lengths", where=f"{where}:{line}", got=got)
    if width < 2:
        wanted = "2theta, Q or d, and the intensity"
        raise UserError("one column of numbers", where=where, wanted=wanted)
    table = np.array([row for _, row in rows])
    names = _column_names(heading, width)
    if (
        names is None
        and width > 2
        and np.array_equal(np.diff(table[:, 0]), np.ones(len(table) - 1))
        and table[0, 0] in (0, 1)
    ):
        next_step = "name every column in one line above them, such as: no, 2theta, intensity"
        raise UserError("cannot tell the columns: the first one counts the rows", where=where, next_step=next_step)
    place, intensity, uncertainty = _columns(names, width, where)
    used = {place, intensity, uncertainty} - {None}
    unused = [str(n + 1) for n in range(width) if n not in used]
    remarks = [f"of the columns, these are not used: {', '.join(unused)}"] if unused else []
    axis = (axis_named(names[place]) if names else None) or axis_named(words)
    places = table[:, place]
    if axis == "q" and re.search(
        r"nm|nanomet", names[place] if names and "nm" in names[place].lower() else words, re.IGNORECASE
    ):
        places = places / 10  # 1/nm
    return Measured(
        places,
        table[:, intensity],
        None if uncertainty is None else table[:, uncertainty],
        axis,
        wavelength_in(words),
        remarks=tuple(remarks),
    )


def wavelength_in(words: str) -> float | None:
    """Angstrom, where a heading tells it as a number or by the tube's name; None where it does not."""
    for number, unit in _WAVELENGTH.findall(words):
        value = float(number) * {"nm": 10.0, "m": 1e10, "pm": 0.01}.get(unit.lower(), 1.0)
        if SHORTEST <= value <= LONGEST:
            return value
    named = _RADIATION.search(words)
    return WAVELENGTHS[f"{named[1].capitalize()}Ka{named[2] or ''}"] if named else None


def _rows(text: str, where: str) -> tuple[list[tuple[int, list[float]]], list[str]]:
    """The rows of numbers with their lines, and the lines of words before, among and after them."""
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    plain = [(number, line) for number, line in lines if not _COMMENT.match(line)]
    divide = _divider([line for _, line in plain])
    parsed = [(number, line, divide(line)) for number, line in plain]
    heading = [line for _, line in lines if _COMMENT.match(line)]
    is_row = [row is not None for _, _, row in parsed]
    # a lone number above the table, the count of points or a temperature, belongs to the heading
    start = is_row.index(True) if any(is_row) else len(parsed)
    while start + 1 < len(parsed) and _is_alone(parsed, start):
        start += 1
    heading = [line for _, line, _ in parsed[:start]] + heading
    rows: list[tuple[int, list[float]]] = []
    for number, line, row in parsed[start:]:
        if row is not None:
            rows.append((number, row))
        elif any(letter.isdigit() for letter in line):
            raise UserError("a line that is no row of numbers", where=f"{where}:{number}", got=line[:60])
        else:  # a word such as END
            heading.append(line)
    if not rows:  # none at all, or a lone number above nothing
        wanted = "two columns of numbers: 2theta, Q or d, and the intensity"
        got = lines[0][1][:60] if lines else "an empty file"
        raise UserError("no powder pattern", where=where, got=got, wanted=wanted)
    return rows, heading


def _is_alone(parsed: list[tuple[int, str, list[float] | None]], index: int) -> bool:
    row, after = parsed[index][2], parsed[index + 1][2]
    return row is None or (len(row) == 1 and (after is None or len(after) > 1))


def _divider(lines: list[str]) -> Callable[[str], list[float] | None]:
    """How lines are divided into numbers: by what most of them allow."""

    def numbers(parts: list[str]) -> list[float] | None:
        parts = [part.strip().strip('"') for part in parts]
        parts = parts[:-1] if len(parts) > 1 and not parts[-1] else parts  # a divider at the end of the line
        if not parts or not all(_NUMBER.fullmatch(part) for part in parts):
            return None
        return [float(part.lower().replace("d", "e")) for part in parts]

    def pointed(line: str) -> list[float] | None:
        return numbers(re.split(r"\s*[,;\t]\s*|\s+", line))

    def comma_decimal(line: str) -> list[float] | None:
        return numbers(re.split(r"\s*;\s*|\s+", _DECIMAL_COMMA.sub(r"\1.\2", line)))

    # "10,02 134,0" and "10,02;134": with points and commas as dividers these would be three or four columns
    commas = [line for line in lines if _DECIMAL_COMMA.search(line)]
    whole = [
        line
        for line in commas
        if all(_DECIMAL_COMMA.fullmatch(part) or part.isdigit() for part in re.split(r"[;\s]+", line.strip(" ;\t")))
    ]
    divided = [line for line in whole if re.search(r"[;\s]", line.strip(" ;\t"))]
    return comma_decimal if len(divided) > len(lines) / 2 else pointed


def _start_step_end(rows: list[tuple[int, list[float]]]) -> tuple[np.ndarray, np.ndarray] | None:
    """Places and intensities of a block that gives only the first place, the step and the last."""
    if len(rows) < 2 or len(rows[0][1]) != 3:
        return None
    start, step, end = rows[0][1]
    if not (0 < step < end - start < float("inf")):  # a number of hundreds of digits is read as infinity
        return None
    values = [value for _, row in rows[1:] for value in row]
    count = round((end - start) / step) + 1
    if len(values) != count:
        return None
    return start + step * np.arange(count), np.array(values)


def _column_names(heading: list[str], width: int) -> list[str] | None:
    """The names of the columns, from the last line of the heading that has as many and names an axis."""
    for line in reversed(heading):
        bare = line.lstrip("#!%'\"*/;& ").strip()
        for parts in (re.split(r"\s*[,;\t]\s*", bare), re.split(r"\s{2,}", bare), bare.split()):
            names = [part.strip().strip('"') for part in parts]
            if len(names) == width and any(axis_named(name) for name in names):
                return names
    return None


def _columns(names: list[str] | None, width: int, where: str) -> tuple[int, int, int | None]:
    """Which columns are the place, the intensity and its uncertainty."""
    if names is None:
        # three columns without headings are x, y and the uncertainty of y where the ending says so
        return 0, 1, 2 if width == 3 and ".xye" in where.lower() else None
    axes = [n for n, name in enumerate(names) if axis_named(name)]
    # of several, such as 2theta and d of a list of peaks, the first
    place = axes[0]
    others = [n for n in range(width) if n not in axes]
    counts = [n for n in others if _INTENSITY.search(names[n]) and not _UNCERTAINTY.search(names[n])]
    intensity = (counts or others or [1 - place])[0]
    doubts = [n for n in others if n != intensity and _UNCERTAINTY.search(names[n])]
    return place, intensity, doubts[0] if doubts else None
