"""Powder patterns in CIF, by the dictionary of powder diffraction (pdCIF; Toby, International Tables G, chapter 3.3)."""

from __future__ import annotations

import numpy as np

from unigen.crystals.cif_block import Block, number_of, read_blocks
from unigen.crystals.powder.axis import Axis
from unigen.crystals.powder.measured import Measured
from unigen.crystals.powder.radiation import LONGEST, SHORTEST
from unigen.errors import UserError
from unigen.shapes import Float

_PLACES: tuple[tuple[Axis, str], ...] = (
    ("2theta", "_pd_proc_2theta_corrected"),
    ("2theta", "_pd_meas_2theta_corrected"),
    ("2theta", "_pd_meas_2theta_scan"),
    ("q", "_pd_proc_recip_len_q"),
    ("d", "_pd_proc_d_spacing"),
)
_RANGES = ("_pd_proc_2theta_range", "_pd_meas_2theta_range")
_INTENSITIES = (
    # what was measured comes before what was calculated, what was corrected before what was counted
    "_pd_proc_intensity_net",
    "_pd_proc_intensity_total",
    "_pd_meas_intensity_net",
    "_pd_meas_intensity_total",
    "_pd_meas_counts_total",
    "_pd_calc_intensity_net",
    "_pd_calc_intensity_total",
)
_PEAK_PLACES: tuple[tuple[Axis, str], ...] = (
    ("2theta", "_pd_peak_2theta_centroid"),
    ("2theta", "_pd_peak_2theta_maximum"),
    ("d", "_pd_peak_d_spacing"),
)
_PEAK_INTENSITIES = ("_pd_peak_intensity", "_pd_peak_pk_height")
_WAVELENGTHS = ("_pd_proc_wavelength", "_diffrn_radiation_wavelength", "_diffrn_radiation_wavelength_wavelength")


def parse_powder_cif(text: str, where: str) -> Measured:
    """The one pattern of a file of one or several data blocks, a profile or a list of peaks.

    Raises:
        UserError: no CIF, no pattern, several patterns, one of neutrons.
    """
    blocks = read_blocks(text, where)
    patterns = [(block, found) for block in blocks if (found := _pattern(block)) is not None]
    if not patterns:
        flying = any(tag.startswith("_pd_meas_time_of_flight") for block in blocks for tag in block.values)
        what = "a pattern by time of flight, which is of neutrons" if flying else "no powder pattern in the CIF"
        wanted = "a loop with _pd_meas_2theta_scan or the like, and intensities"
        raise UserError(what, where=where, wanted=wanted)
    if len(patterns) > 1:
        got = ", ".join(f"data_{block.name}" for block, _ in patterns)
        raise UserError("several powder patterns", where=where, got=got, wanted="one", next_step="put one into a file")
    block, measured = patterns[0]
    probes = {block.first("_diffrn_radiation_probe", "_diffrn_radiation_type").lower() for block in blocks}
    if any("neutron" in probe for probe in probes):
        raise UserError("a pattern of neutrons", where=where, wanted="one of X-rays")
    # the wavelength may stand in a block of the instrument
    values = [number_of(each.first(*_WAVELENGTHS)) for each in (block, *blocks)]
    known = [value for value in values if SHORTEST <= value <= LONGEST]
    return Measured(
        measured.places,
        measured.intensity,
        measured.uncertainty,
        measured.axis,
        known[0] if known else None,
        measured.peaks,
    )


def _pattern(block: Block) -> Measured | None:
    for peaks, places, intensities in ((False, _PLACES, _INTENSITIES), (True, _PEAK_PLACES, _PEAK_INTENSITIES)):
        for tag in intensities:
            written = block.values.get(tag, [])
            if not any(written):
                continue
            values = _numbers(written)
            for axis, name in places:
                column = block.values.get(name, [])
                if len(column) == len(values) and any(column):
                    return Measured(_numbers(column), values, axis=axis, peaks=peaks)
            ranged = None if peaks else _range(block, len(values))
            if ranged is not None:
                return Measured(ranged, values, axis="2theta", peaks=False)
    return None


def _range(block: Block, count: int) -> Float[np.ndarray, "points"] | None:
    """Angles that are told by the first and the step, or by the first and the last."""
    for tag in _RANGES:
        first, last, step = (number_of(block.first(f"{tag}_{end}")) for end in ("min", "max", "inc"))
        if count > 1 and np.isfinite(first) and (np.isfinite(step) or np.isfinite(last)):
            step = step if np.isfinite(step) else (last - first) / (count - 1)
            return first + step * np.arange(count)
    return None


def _numbers(texts: list[str]) -> Float[np.ndarray, "points"]:
    """Without their standard uncertainties, NaN where nothing is told."""
    return np.array([number_of(text) if text else np.nan for text in texts])
