"""The symmetry a request may ask for: in Python, in request files and on the command line."""

import json
import sys

import pytest

from unigen import cli
from unigen.elements import SYSTEM_SPACE_GROUPS
from unigen.errors import UserError
from unigen.request import CrystalRequest
from unigen.sample.requests import read_requests, request_of
from unigen.symmetry.crystal_systems import CRYSTAL_SYSTEMS, crystal_system

NACL = {"template": "Fm-3m Cl:b Na:a", "formula": "NaCl", "n_atoms": 2, "space_group": 225}


def test_the_crystal_systems_are_those_of_the_tables():
    assert tuple(SYSTEM_SPACE_GROUPS) == CRYSTAL_SYSTEMS
    assert [n for numbers in SYSTEM_SPACE_GROUPS.values() for n in numbers] == list(range(1, 231))
    assert all(crystal_system(n) == name for name, numbers in SYSTEM_SPACE_GROUPS.items() for n in numbers)


def test_space_groups_are_those_that_every_field_allows():
    assert len(CrystalRequest().space_groups) == 230
    assert CrystalRequest(crystal_system="triclinic").space_groups == {1, 2}
    assert CrystalRequest(space_group=225).space_groups == {225}
    assert CrystalRequest(space_group=225, crystal_system="cubic").space_groups == {225}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"space_group": 0}, "no such space group; got 0; wanted 1 to 230"),
        ({"space_group": 231}, "no such space group"),
        ({"crystal_system": "rhombohedral"}, "unknown crystal system 'rhombohedral'; wanted one of triclinic, "),
        ({"space_group": 194, "crystal_system": "cubic"}, "got space group 194, cubic; wanted .* from 195 to 230"),
        ({"template": " "}, "template: empty"),
    ],
)
def test_symmetries_that_make_no_sense_are_refused(fields, said):
    with pytest.raises(UserError, match=said):
        CrystalRequest(**fields)


@pytest.mark.parametrize("written", [225, "225", 225.0, "225.0", "Fm-3m", "F m -3 m"])
def test_a_space_group_is_written_as_number_or_symbol(written):
    assert request_of({"formula": "NaCl", "space_group": written}) == CrystalRequest(formula="NaCl", space_group=225)


def test_request_files_hold_symmetries(tmp_path):
    csv, lines = tmp_path / "r.csv", tmp_path / "r.jsonl"
    csv.write_text("formula,space_group,crystal_system,template\nNaCl,Fm-3m,cubic,\n,,,Fm-3m Cl:b Na:a\nNaCl,2.0,,\n")
    rows = [{"formula": "NaCl", "space_group": 225, "crystal_system": "cubic"}, {"template": NACL["template"]}]
    rows.append({"formula": "NaCl", "space_group": "P-1"})
    lines.write_text("\n".join(map(json.dumps, rows)))
    assert read_requests(csv) == read_requests(lines)
    assert [request.space_group for request in read_requests(csv)] == [225, 225, 2]
    assert read_requests(csv)[1].to_dict() == NACL


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"space_group": "Fm4m"}, "r.jsonl:1: unknown space group 'Fm4m'"),
        ({"space_group": 300}, "r.jsonl:1: space_group: there is no such space group"),
        ({"crystal_system": 3}, "r.jsonl:1: crystal_system: unknown"),
        ({"template": "225 Na:z"}, "r.jsonl:1: template '225 Na:z': Fm-3m has no position 'z'"),
        ({"template": "225 Na:a", "formula": "KCl"}, "r.jsonl:1: formula and template '225 Na:a' contradict"),
    ],
)
def test_a_bad_symmetry_is_named_with_its_row(tmp_path, row, said):
    file = tmp_path / "r.jsonl"
    file.write_text(json.dumps(row))
    with pytest.raises(UserError, match=said):
        read_requests(file)


@pytest.fixture
def asked(monkeypatch):
    """The requests that ``unigen generate crystal`` makes of its options."""

    def run(*options):
        made = []
        monkeypatch.setattr("unigen.api.runs.run_generation", lambda wanted, *_: made.extend(wanted) or [])
        monkeypatch.setattr(
            sys, "argv", ["unigen", "generate", "crystal", "--no-picture", "--no-page", *map(str, options)]
        )
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return made if not stop.value.code else stop.value.code

    return run


def test_options_make_the_same_request(asked):
    assert asked("--template", NACL["template"]) == [CrystalRequest(**NACL)]
    assert asked("--formula", "NaCl", "--space-group", "Fm-3m", "--z", 1, "--crystal-system", "cubic") == [
        CrystalRequest(formula="NaCl", z=1, space_group=225, crystal_system="cubic")
    ]
    assert asked("--space-group", 62, "--elements", "Li,O") == [CrystalRequest(space_group=62, elements=("Li", "O"))]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--space-group", "Fm4m"], "unknown space group 'Fm4m'"),
        (["--crystal-system", "cube"], "unknown crystal system 'cube'"),
        (["--template", "225 Na:a Cl:a"], "4a is a fixed position"),
        (["--template", "225 Na:a", "--formula", "NaCl"], "formula and template '225 Na:a' contradict each other"),
        (["--requests", "r.csv", "--template", "225 Na:a"], "--requests stands alone; put template into the file"),
    ],
)
def test_bad_options_are_one_line(asked, capsys, options, said):
    assert asked(*options) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
