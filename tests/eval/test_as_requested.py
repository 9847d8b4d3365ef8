"""What samples were asked to be and say they are, held against what they are."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.eval.known_samples import caesium_chloride, crystal, rock_salt, shaken
from unigen.crystals.crystal import Crystal
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.eval.crystals.samples import CrystalEntry, Statement, read_statement
from unigen.request import CrystalRequest


def _perovskite(c: float = 3.9) -> Crystal:
    coords = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return crystal("Sr Ti O O O", coords, np.diag([3.9, 3.9, c]))


def _verdict(made: Crystal | None, stated: int) -> str | None:
    return (
        evaluate_crystals([CrystalEntry("a", made, statement=Statement(space_group=stated)), rock_salt()])
        .rows[0]
        .stated_symmetry
    )


@pytest.mark.parametrize(
    ("made", "stated", "verdict"),
    [
        (_perovskite(), 221, "confirmed"),
        (_perovskite(), 123, "higher"),  # the tetragonal subgroup
        (_perovskite(), 1, "higher"),
        (_perovskite(), 225, "other"),  # with this lattice a subgroup has not more operations
        (_perovskite(4.2), 123, "confirmed"),
        (_perovskite(4.2), 221, "other"),
        (_perovskite(), 194, "other"),  # hexagonal: not related
        (shaken(_perovskite(), np.random.default_rng(0), 0.05), 221, "other"),
        (rock_salt(), 225, "confirmed"),
        (rock_salt(), 166, "higher"),  # its primitive cell in a rhombohedral group
        (None, 221, "failed"),
    ],
)
def test_the_stated_space_group(made, stated, verdict):
    assert _verdict(made, stated) == verdict


def test_a_finer_lattice_is_higher():
    doubled = crystal("Cs I Cs I", [[0, 0, 0], [0.5, 0.5, 0.25], [0, 0, 0.5], [0.5, 0.5, 0.75]], np.diag([4.5, 4.5, 9]))
    assert doubled.space_group().number == 221
    assert _verdict(doubled, 123) == "higher"


def _rows(requests: list[CrystalRequest], made: list[Crystal | None]) -> dict:
    statements = [read_statement({"request": request.to_dict()}) for request in requests]
    pairs = zip(statements, made, strict=True)
    entries = [CrystalEntry(f"s-{n}", each, statement=statement) for n, (statement, each) in enumerate(pairs)]
    return evaluate_crystals(entries).sections["as_requested"].rows


def test_composition_and_symmetry_as_requested():
    requests = [
        CrystalRequest(formula="Na2Cl2"),  # a ratio: NaCl in a cell of any size
        CrystalRequest(formula="NaCl", n_atoms=2),
        CrystalRequest(formula="NaCl", z=2),
        CrystalRequest(formula="KCl"),
        CrystalRequest(n_atoms=2, crystal_system="cubic"),
        CrystalRequest(formula="NaCl", n_atoms=2, space_group=225),
        CrystalRequest(template="221 Na:a Cl:b"),
    ]
    made = [rock_salt()] * 5 + [None, caesium_chloride()]
    rows = _rows(requests, made)
    assert {name: (row["samples"], row["of"]) for name, row in rows.items()} == {
        "formula": (3, 6),
        "number_of_atoms": (3, 5),
        "symmetry": (2, 3),
    }
    assert rows["formula"]["share"].value == 0.5


def test_nothing_said_nothing_reported():
    assert "as_requested" not in evaluate_crystals([rock_salt()]).sections
    same = [CrystalEntry("a", rock_salt())]
    assert "as_requested" not in evaluate_crystals(same, same).sections


@pytest.mark.parametrize(
    ("info", "group"),
    [
        ({"space_group": 221}, 221),
        ({"space_group": "221"}, 221),
        ({"template": "221 Sr:a Ti:b O:c"}, 221),
        ({"space_group": "Pm-3m"}, None),
        ({"space_group": 231}, None),
        ({"space_group": None, "template": None, "request": None}, None),
        ({"space_group": 221.5, "request": "a crystal"}, None),
        ({"request": {"formula": 3, "n_atoms": "many"}}, None),
        ({"request": {"formula": "Xx2"}}, None),
    ],
)
def test_fields_that_are_not_ours_are_not_read(info, group):
    statement = read_statement(info)
    assert (statement.space_group if statement else None) == group
    assert statement is None or statement.request is None


def test_a_run_folder_tells_in_both_protocols(tmp_path):
    made = [(_perovskite(), 221), (_perovskite(4.2), 221), (_perovskite(), 99), (None, 221)]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(_line(n, *each)) + "\n" for n, each in enumerate(made)))
    references = [CrystalEntry(f"r-{n}", _perovskite()) for n in range(len(made))]
    for report in (evaluate_crystals(tmp_path), evaluate_crystals(tmp_path, references, "csp")):
        rows = report.sections["as_requested"].rows
        assert {name: row["samples"] for name, row in rows.items()} == {
            "formula": 3,
            "space_group_stated_and_found": 1,
            "space_group_higher_than_stated": 1,
            "space_group_lower_or_other": 1,
            "space_group_stated_but_no_structure": 1,
        }
        assert {row["of"] for row in rows.values()} == {4}
        assert [row.stated_symmetry for row in report.rows] == ["confirmed", "other", "higher", "failed"]
        assert report.rows[0].stated_space_group == 221


def _line(number: int, made: Crystal | None, stated: int) -> dict:
    line = {"id": f"r-{number}", "index": 0, "request": {"formula": "SrTiO3", "elements": ["Sr", "Ti", "O"]}}
    line |= {"space_group": stated}
    if made is None:
        return line | {"reason": "nothing came"}
    sites = [
        {"element": symbol, "fractional_coordinates": place.tolist()}
        for symbol, place in zip(["Sr", "Ti", "O", "O", "O"], made.frac_coords, strict=True)
    ]
    return line | {"lattice": made.lattice.tolist(), "sites": sites}


def test_densities_are_held_against_those_asked_for():
    light, dense = _perovskite(4.2), _perovskite(3.8)
    wanted = [light.density + 1.0, dense.density, 9.0]
    entries = [
        CrystalEntry(f"s-{n}", crystal, statement=Statement(CrystalRequest(properties={"density": value})))
        for n, (crystal, value) in enumerate(zip((light, dense, None), wanted, strict=True))
    ]
    row = evaluate_crystals(entries, protocol="denovo").sections["density_as_requested"].rows["density"]
    assert (row["samples"], row["of"]) == (2, 3)
    assert row["mae"].value == pytest.approx(0.5)
    apart = [abs(crystal.density - value) for crystal in (light, dense) for value in wanted]
    assert row["mae_random"].value == pytest.approx(np.mean(apart))
