"""Reading a measured powder pattern from whatever file it is in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from unigen.crystals.powder.axis import Axis
from unigen.crystals.powder.columns import parse_columns
from unigen.crystals.powder.instruments import INSTRUMENT_FORMATS, read_instrument_file
from unigen.crystals.powder.measured import Measured, to_pattern
from unigen.crystals.powder.pattern import PowderPattern
from unigen.crystals.powder.pdcif import parse_powder_cif
from unigen.crystals.powder.radiation import wavelength_of
from unigen.parsing import read_whole

_TEXT: dict[str, Callable[[str, str], Measured]] = {".cif": parse_powder_cif, ".pdcif": parse_powder_cif}
"""What is no table of columns, by ending."""


def read_pattern(
    path: str | Path,
    *,
    wavelength: str | float | None = None,
    axis: Axis | None = None,
    form: Literal["profile", "peaks"] | None = None,
) -> PowderPattern:
    """A powder pattern of a file: columns of text, a powder CIF, an instrument's own format.

    Columns (``.xy``, ``.xye``, ``.csv``, ``.dat``, ``.chi``, ``.ras``, ``.uxd`` and any other ending; ``.gz`` too) are
    2theta in degrees, Q in 1/Angstrom or d in Angstrom, and the intensity; headings tell which, else the values do.
    Instruments' files (``.xrdml``, ``.brml``, ``.rasx``, ``.raw``) need the optional package fairmat-readers-xrd.

    Args:
        path: the file.
        wavelength: Angstrom, or a name such as ``CuKa1``; else what the file says, else the mean of Cu K-alpha, which
            is then said among the pattern's remarks.
        axis: what the first column is, where the file does not say so, or says it wrongly.
        form: a profile, or a list of peaks; else told by the steps, which are even along a profile.

    Raises:
        UserError: naming the file: not there, nothing that is a pattern, an axis that cannot be told, no wavelength.

    Example:
        >>> read_pattern("rutile.xy", wavelength="CuKa1").peaks  # doctest: +SKIP
        False
    """
    path = Path(path)
    ending = path.with_suffix("").suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    given = None if wavelength is None else wavelength_of(wavelength)
    if ending in INSTRUMENT_FORMATS:
        measured = read_instrument_file(path)
    else:
        text = read_whole(path)
        looks_like_cif = text.lstrip().lower().startswith("data_") or "\nloop_" in text
        parse = _TEXT.get(ending, parse_powder_cif if looks_like_cif else parse_columns)
        measured = parse(text, str(path))
    return to_pattern(measured, str(path), given, axis, form)
