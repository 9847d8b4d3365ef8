"""The files of structures in a run folder: each format is the same crystal, in the cell that the format promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crystals.real_crystals import prototypes
from unigen.crystals.crystal import Crystal
from unigen.energies.vasp_inputs import FILES, write_vasp_inputs
from unigen.errors import UserError
from unigen.runs.formats import FORMATS, read_formats, write_structure_files

SOME = [(f"c{number}", crystal) for number, crystal in enumerate(prototypes(6))]


def test_every_format_is_the_same_crystal(tmp_path):
    write_structure_files(tmp_path, FORMATS, SOME)
    for name, crystal in SOME:
        whole = [
            Crystal.from_cif(tmp_path / f"cif-p1/{name}.cif"),
            Crystal.from_poscar(tmp_path / f"poscar/{name}.vasp"),
            Crystal.from_poscar(tmp_path / f"vasp/{name}/POSCAR"),
        ]
        for back in whole:  # in the very cell
            assert back.counts == crystal.counts
            assert back.volume == pytest.approx(crystal.volume, rel=1e-6)
            assert back.smallest_distance() == pytest.approx(crystal.smallest_distance(), rel=1e-6)
        back = Crystal.from_cif(tmp_path / f"cif/{name}.cif")
        assert back.space_group(1e-3) == crystal.space_group(1e-3)
        assert back.reduced(1e-3).counts == crystal.reduced(1e-3).counts


def test_what_a_run_has_written_stays(tmp_path):
    write_structure_files(tmp_path, ("cif", "vasp"), SOME[:1])
    files = [tmp_path / "cif/c0.cif", tmp_path / "vasp/c0/INCAR"]
    for file in files:
        file.write_text("mine")
    write_structure_files(tmp_path, ("cif", "vasp"), SOME[:2], keep=True)
    assert [file.read_text() for file in files] == ["mine", "mine"]
    assert (tmp_path / "cif/c1.cif").exists()
    write_structure_files(tmp_path, ("cif", "vasp"), SOME[:1])
    assert "mine" not in {file.read_text() for file in files}


def test_inputs_of_vasp_name_their_pseudopotentials_in_the_order_of_the_sites(tmp_path):
    _, crystal = SOME[0]
    write_vasp_inputs(crystal, tmp_path / "a")
    texts = {name: (tmp_path / "a" / name).read_text() for name in FILES}
    elements = texts["POSCAR"].splitlines()[5].split()
    assert [line.split("_")[0] for line in texts["POTCAR.spec"].split()] == elements
    assert "ENCUT = 520" in texts["INCAR"]
    assert len(texts["KPOINTS"].splitlines()[3].split()) == 3


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("cif", ("cif",)), (" CIF, poscar ,cif", ("cif", "poscar")), (["vasp", "extxyz"], ("vasp", "extxyz"))],
)
def test_formats_are_read_in_whatever_case_and_once(given, wanted):
    assert read_formats(given) == wanted


@pytest.mark.parametrize("given", ["", " , ", "xsf", ["cif", "xsf"]])
def test_other_words_are_refused(given):
    with pytest.raises(UserError, match="wanted cif, cif-p1"):
        read_formats(given)


def test_the_command_line_writes_what_is_asked_for(unigen):
    command = ("generate", "crystal", "--formula", "NaCl", "--z", 1, "--n", 2, "--no-picture", "--no-page")
    assert unigen(*command, "--format", "poscar,cif-p1", "--out", "run")[0] == 0
    made = sorted(path.as_posix() for path in Path("run").rglob("*.*") if path.parent.name != "run")
    assert made == [*(f"run/cif-p1/NaCl__{n}.cif" for n in range(2)), *(f"run/poscar/NaCl__{n}.vasp" for n in range(2))]
    # a run that is there gets more files by the same command
    assert unigen(*command, "--out", "run")[0] == 0
    assert "Fm-3m" in Crystal.from_cif("run/cif/NaCl__0.cif").space_group().symbol
    assert len(Crystal.from_cif("run/cif/NaCl__0.cif")) == 8
