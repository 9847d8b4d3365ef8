"""Space groups by the symbols of every setting: those of gemmi, of spglib, and as people type them."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import gemmi
import pytest
import spglib

from unigen.errors import UserError
from unigen.symmetry.space_groups import space_group, space_group_number

AMBIGUOUS = {"b2", "c21", "p42", "p32", "p62"}
"""Of two groups: B 2 in settings of 3 and 5, C 21 of 4 and 5; P 4 2 is P42 and the Hall symbol of P422, and so on."""

GROUPS = [*gemmi.spacegroup_table()]
TYPES = [spglib.get_spacegroup_type(hall) for hall in range(1, 531)]
WRITTEN = [(text, group.number) for group in GROUPS for text in (group.hm, group.xhm(), group.short_name(), group.hall)]
WRITTEN += [(text, kind.number) for kind in TYPES for text in (*kind.international.split("="), kind.hall_symbol)]


def plain(text: str) -> str:
    return text.replace(" ", "").replace("_", "").casefold()


def test_the_table_in_the_package_is_what_its_script_gives():
    root = Path(__file__).parents[2]
    script = runpy.run_path(str(root / "data" / "wyckoff" / "make_symbols.py"))
    assert json.loads((root / "unigen" / "symmetry" / "symbols.json").read_text()) == script["symbols"]()


def test_every_setting_has_its_number():
    for text, number in WRITTEN:
        if plain(text) in AMBIGUOUS and " ".join(text.split()) not in ("P 42", "P 32", "P 62"):
            continue
        # the standard symbol of group 5 wins over a setting of group 3
        assert space_group_number(text) == (5 if plain(text) == "c2" else number), text


def test_case_and_underscores_do_not_count():
    for number in range(1, 231):
        symbol = space_group(number).symbol
        for text in (symbol, symbol.lower(), symbol.replace("_", ""), f" {symbol} ", str(number), f"IT {number}"):
            assert space_group_number(text) == number


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("P21/n", 14),
        ("P 21/n", 14),
        ("P2(1)/c", 14),
        ("P2₁/c", 14),
        ("P −1", 2),  # noqa: RUF001 - the sign that typesetters use
        ("Fm3m", 225),
        ("Pm3\u0304m", 221),
        ("Ia3d", 230),
        ("Cmca", 64),
        ("R-3c:H", 167),
        ("R -3 c :R", 167),
        ("F d -3 m :1", 227),
        ("-P 2ybc", 14),
        ("no. 62", 62),
    ],
)
def test_symbols_as_people_write_them(written, number):
    assert space_group_number(written) == number


@pytest.mark.parametrize("written", ["B2", "P 4 2"])
def test_a_symbol_of_two_groups_is_refused(written):
    with pytest.raises(UserError, match="a symbol of two groups"):
        space_group_number(written)


@pytest.mark.parametrize("written", ["", "xyz", "0", "231", "-1", "Fm4m"])
def test_what_names_no_group(written):
    with pytest.raises(UserError):
        space_group_number(written)
