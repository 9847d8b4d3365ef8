"""Files of diffractometers that are no text, read by the optional package fairmat-readers-xrd."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from unigen.crystals.powder.measured import Measured
from unigen.errors import UserError
from unigen.parsing import ZIP_ERRORS, one_line
from unigen.version import require

INSTRUMENT_FORMATS = {
    ".xrdml": "Malvern Panalytical",
    ".brml": "Bruker",
    ".rasx": "Rigaku",
    ".raw": "Bruker, version 4",
}
"""Who writes them, by ending."""

_READERS = {
    ".xrdml": "read_panalytical_xrdml",
    ".brml": "read_bruker_brml",
    ".rasx": "read_rigaku_rasx",
    ".raw": "read_bruker_raw",
}


def read_instrument_file(path: Path) -> Measured:
    """2theta, intensities and the wavelength of one scan.

    Raises:
        UserError: the package is not installed, the file cannot be read, is no scan of 2theta, or holds several.
    """
    where = str(path)
    if not path.is_file():
        raise UserError("cannot be read", where=where, got="no such file")
    ending = path.suffix.lower()
    require("pxrd", "fairmat_readers_xrd", f"{where}: a file of {INSTRUMENT_FORMATS[ending]} needs")
    import fairmat_readers_xrd

    read = getattr(fairmat_readers_xrd, _READERS[ending])
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints
            content: Any = read(where)
    except ZIP_ERRORS as error:  # of ElementTree, whose ParseError is a SyntaxError
        raise UserError("not a readable scan", where=where, got=one_line(error)) from error
    if not isinstance(content, dict) or content.get("2Theta") is None or content.get("intensity") is None:
        raise UserError("no scan of 2theta", where=where, next_step="export it as two columns of text")
    two_theta, intensity = (_magnitude(content[name]) for name in ("2Theta", "intensity"))
    if two_theta.shape != intensity.shape or two_theta.ndim != 1:
        got = f"2theta {two_theta.shape}, intensity {intensity.shape}"
        raise UserError("not one scan", where=where, got=got, next_step="export one as two columns of text")
    source = content.get("metadata", {}).get("source", {}) or {}
    wavelength = source.get("kAlpha1")
    value = None if wavelength is None else float(_magnitude(wavelength))
    return Measured(two_theta, intensity, axis="2theta", wavelength=value, peaks=False)


def _magnitude(quantity: Any) -> np.ndarray:
    """Plain numbers of a quantity of pint (degrees and Angstrom, as the files have them), without idle dimensions."""
    return np.squeeze(np.asarray(getattr(quantity, "magnitude", quantity), dtype=np.float64))
