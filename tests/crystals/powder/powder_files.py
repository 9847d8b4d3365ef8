"""Powder patterns as files of every form that is read, of the same measurement."""

from __future__ import annotations

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.pattern import PowderPattern
from unigen.crystals.powder.radiation import inverse_d_of, two_theta_of
from unigen.crystals.powder.reflections import reflections

WAVELENGTH = 1.540593


def profile(
    crystal: Crystal,
    *,
    breadth: float = 0.2,
    ground: float = 0.0,
    counts: float = 1000.0,
    seed: int | None = None,
    step: float = 0.05,
    ends: tuple[float, float] = (10.0, 90.0),
) -> PowderPattern:
    """A crystal's profile, Gauss's form, as counts with a seed of their noise."""
    two_theta = np.arange(ends[0], ends[1], step)
    lines = reflections(crystal, float(inverse_d_of(np.array([ends[1]]), WAVELENGTH)[0]))
    at = two_theta_of(lines.inverse_d, WAVELENGTH)
    forms = np.exp(-0.5 * np.square((two_theta[:, None] - at) / (breadth / 2.3548)))
    values = forms @ lines.intensities(WAVELENGTH)
    values = counts * values / values.max() + ground * (1 + np.exp(-two_theta / 20))
    if seed is not None:
        values = np.random.default_rng(seed).poisson(values).astype(float)
    return PowderPattern(inverse_d_of(two_theta, WAVELENGTH), values, WAVELENGTH)


def _table(first: np.ndarray, second: np.ndarray, between: str = " ") -> str:
    pairs = zip(first.tolist(), second.tolist(), strict=True)
    return "".join(f"{one:.9g}{between}{other:.9g}\n" for one, other in pairs)


def written(pattern: PowderPattern) -> dict[str, str]:
    """The text of the pattern, by the name of a file of each form."""
    angle, d, value = pattern.two_theta, 1 / pattern.inverse_d, pattern.intensity
    q = 2 * np.pi * pattern.inverse_d
    table, told = _table(angle, value), f"# wavelength {WAVELENGTH}\n"
    fullprof = "\n".join(
        " ".join(f"{each:.6f}" for each in value[start : start + 10]) for start in range(0, len(value), 10)
    )
    step = (angle[-1] - angle[0]) / (len(angle) - 1)
    return {
        "two_columns.xy": told + table,
        "tabs.txt": f"# Cu K-alpha1\n# 2Theta\tIntensity\n{_table(angle, value, chr(9))}",
        "commas.csv": f"wavelength (A), {WAVELENGTH}\n2theta (deg),counts\n{_table(angle, value, ',')}",
        "decimal_commas.csv": f"lambda = {WAVELENGTH}\n2theta;Counts\n{_table(angle, value, ';').replace('.', ',')}",
        "uncertainties.xye": told + "".join(f"{row} 3.5\n" for row in table.splitlines()),
        "fit2d.chi": f"lambda {WAVELENGTH}\n2-Theta Angle (Degrees)\nIntensity\n {len(angle)}\n{table}",
        "fit2d_q.chi": (
            f"lambda = {WAVELENGTH / 10} nm\nQ Space (Inverse Nanometres)\nIntensity\n {len(q)}\n"
            f"{_table(10 * q, value)}"
        ),
        "q.dat": f"! wavelength: {WAVELENGTH}\n! Q(1/A)  I\n{_table(q, value)}",
        "d.dat": f"# wavelength: {WAVELENGTH}\n# d-spacing intensity\n{_table(d, value)}",
        "backwards.dat": f"# wavelength: {WAVELENGTH}\n# d(A) I\n{_table(d[::-1], value[::-1])}",
        "fullprof.dat": f"! lambda = {WAVELENGTH}\n{angle[0]:.9f} {step:.12f} {angle[-1]:.9f}\n{fullprof}\n",
        "rigaku.ras": (
            f'*RAS_DATA_START\n*HW_XG_WAVE_LENGTH_ALPHA1 "{WAVELENGTH}"\n*MEAS_SCAN_AXIS_X "TwoThetaTheta"\n'
            "*RAS_INT_START\n"
            + "".join(f"{row} 1.0000\n" for row in table.splitlines())
            + "*RAS_INT_END\n*RAS_DATA_END\n"
        ),
        "bruker.uxd": f"; a scan\n_ANODE = 'Cu'\n_WL1 = {WAVELENGTH}\n_WL2 = 1.54443\n_2THETACOUNTS\n{table}",
        "scan.cif": (
            f"data_scan\n_diffrn_radiation_probe x-ray\n_diffrn_radiation_wavelength {WAVELENGTH}\nloop_\n"
            f"_pd_meas_2theta_scan\n_pd_meas_counts_total\n{table}"
        ),
        "range.cif": (
            f"data_scan\n_pd_proc_wavelength {WAVELENGTH}\n_pd_meas_2theta_range_min {angle[0]:.9f}\n"
            f"_pd_meas_2theta_range_inc {step:.12f}\nloop_\n_pd_meas_intensity_total\n"
            + "".join(f"{each:.9g}(3)\n" for each in value)
        ),
    }
