"""Powder patterns come back from every form of file, and bad files are said in one line."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from ase.build import bulk

from tests.crystals.powder.powder_files import WAVELENGTH, profile, written
from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.files import read_pattern
from unigen.crystals.powder.pattern import PowderPattern
from unigen.crystals.powder.radiation import WAVELENGTHS
from unigen.errors import UserError

COPPER = Crystal.from_ase(bulk("Cu", cubic=True))
MEASURED = profile(COPPER, ground=20.0, seed=1, step=0.1)
FILES = written(MEASURED)


@pytest.mark.parametrize("name", FILES)
def test_a_pattern_comes_back_from_every_form(name, tmp_path):
    path = tmp_path / name
    path.write_text(FILES[name], encoding="utf-8")
    found = read_pattern(path)
    assert found.wavelength == pytest.approx(WAVELENGTH, abs=1e-6)
    np.testing.assert_allclose(found.inverse_d, MEASURED.inverse_d, rtol=1e-6)
    np.testing.assert_allclose(found.intensity, MEASURED.intensity, rtol=1e-6)
    assert not found.peaks
    assert (found.uncertainty is not None) == name.endswith(".xye")


def test_what_is_written_is_read_back_exactly_and_compressed_too(tmp_path):
    MEASURED.to_xy(tmp_path / "own.xy")
    (tmp_path / "own.xy.gz").write_bytes(gzip.compress((tmp_path / "own.xy").read_bytes()))
    for name in ("own.xy", "own.xy.gz"):
        found = read_pattern(tmp_path / name)
        assert found.wavelength == WAVELENGTH
        np.testing.assert_allclose(found.inverse_d, MEASURED.inverse_d, rtol=1e-12)
        np.testing.assert_array_equal(found.intensity, MEASURED.intensity)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("d.txt", "d (A)  I\n2.087 100\n1.807 46\n1.278 20\n"),
        ("backwards.txt", "d I\n1.278 20\n1.807 46\n2.087 100\n"),
        ("card.txt", "h k l d I/I0\n1 1 1 2.087 100\n2 0 0 1.807 46\n2 2 0 1.278 20\n"),
        ("angles.csv", "no,2theta,d,intensity\n1,43.32,2.087,100\n2,50.45,1.807,46\n3,74.13,1.278,20\n"),
        ("peaks.cif", "data_a\nloop_\n_pd_peak_d_spacing\n_pd_peak_intensity\n2.087 100\n1.807(2) 46\n1.278 20\n"),
    ],
)
def test_lists_of_peaks(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    found = read_pattern(tmp_path / name, wavelength="CuKa1")
    assert found.peaks
    np.testing.assert_allclose(1 / found.inverse_d, [2.087, 1.807, 1.278], rtol=1e-3)
    assert found.intensity.tolist() == [100, 46, 20]


def test_what_is_assumed_is_said_and_what_is_told_comes_first(tmp_path):
    rows = "".join(f"{n / 10} {n % 7 + 1}\n" for n in range(100, 900))
    (tmp_path / "bare.xy").write_text(f"-0.1 5\n{rows}")
    found = read_pattern(tmp_path / "bare.xy")
    assert found.wavelength == WAVELENGTHS["CuKa"]
    said = "; ".join(found.remarks)
    for words in ("2theta in degrees is assumed", "Cu K-alpha, 1.54187 A, is assumed", "1 points at or below 0"):
        assert words in said
    assert read_pattern(tmp_path / "bare.xy", wavelength=0.7).wavelength == 0.7
    (tmp_path / "told.xy").write_text(f"# Mo Ka1 tube\n{rows}")
    assert read_pattern(tmp_path / "told.xy").wavelength == WAVELENGTHS["MoKa1"]
    as_q = read_pattern(tmp_path / "bare.xy", axis="q", form="profile")
    assert as_q.inverse_d[-1] == pytest.approx(89.9 / (2 * np.pi))
    assert as_q.wavelength < 2 / as_q.inverse_d[-1]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("empty.xy", "", "no powder pattern; got an empty file"),
        ("words.xy", "hello\nworld\n", "no powder pattern; got hello; wanted two columns of numbers"),
        ("one.xy", "1\n2\n3\n", "one column of numbers"),
        ("lone.xy", "3.1\nd I\n", "no powder pattern; got 3.1; wanted two columns of numbers"),
        ("endless.xy", f"10.0 0.5 {'9' * 400}\n1 2 3 4 5\n", "rows of different lengths"),
        ("torn.xy", "10 5\n11 6\n12 abc3\n13 7\n", "torn.xy:3: a line that is no row of numbers; got 12 abc3"),
        ("ragged.xy", "10 5\n11 6\n12 6 7\n", "ragged.xy:3: rows of different lengths"),
        ("flat.xy", "".join(f"{n} 7\n" for n in range(10, 90)), "no peak"),
        ("far.xy", "2theta I\n" + "".join(f"{n} {n}\n" for n in range(10, 200)), "2theta beyond 180 degrees; got 199"),
        ("axis.xy", "".join(f"{n / 100} {n % 7}\n" for n in range(50, 800)), "cannot tell the axis"),
        ("counted.txt", "1 28.4 3.1 100\n2 47.3 1.9 55\n", "the first one counts the rows; name every column"),
        ("atoms.cif", "data_a\n_cell_length_a 3\n", "no powder pattern in the CIF"),
        ("broken.cif", "data_a\nloop_\n_pd_meas_2theta_scan\n'\n", "not a readable CIF"),
        ("flight.cif", "data_a\nloop_\n_pd_meas_time_of_flight\n_pd_meas_counts_total\n1 2\n", "which is of neutrons"),
        (
            "neutrons.cif",
            "data_a\n_diffrn_radiation_probe neutron\nloop_\n_pd_meas_2theta_scan\n_pd_meas_counts_total\n10 2\n11 3\n",
            "a pattern of neutrons",
        ),
        (
            "two.cif",
            "\n".join(f"data_{name}\nloop_\n_pd_peak_d_spacing\n_pd_peak_intensity\n2 1" for name in "ab"),
            "several powder patterns; got data_a, data_b",
        ),
    ],
)
def test_bad_files_are_said_in_one_line(name, text, said, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError) as caught:
        read_pattern(tmp_path / name)
    assert said in str(caught.value)
    assert name in str(caught.value)


def test_an_instruments_file_names_the_package_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fairmat_readers_xrd", None)
    (tmp_path / "scan.xrdml").write_text("<xrdMeasurements/>")
    with pytest.raises(
        UserError, match=r"scan.xrdml: a file of Malvern Panalytical needs fairmat_readers_xrd.*\[pxrd\]"
    ):
        read_pattern(tmp_path / "scan.xrdml")
    with pytest.raises(UserError, match="no such file"):
        read_pattern(tmp_path / "other.brml")


def test_no_pattern_reaches_beyond_its_wavelength():
    places = np.linspace(0.1, 1.5, 50)
    with pytest.raises(UserError, match="reaches farther than its wavelength can"):
        PowderPattern(places, places, 1.54)
