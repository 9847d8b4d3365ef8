"""Tables at 80 columns: nothing is cut off, and no word is broken in its middle."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.runs.test_tables import IRON
from unigen.runs.tables import answers_table, samples_table
from unigen.runs.terminal_table import Column, terminal_table


def printed(table, width=80) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


FACTS = {"space_group": "P2_12_12_1", "space_group_number": 19, "density": 10.25, "smallest_distance": 1.91}
ROW = FACTS | {"valid": True, "crystal": IRON, "log_likelihood": -1234.56}


@pytest.mark.parametrize("formula", ["LiFePO4", "Li4Fe4P12O36", "Ba2Cu3O7Y"])
@pytest.mark.parametrize("prototype", ["half-Heusler", "anti-cotunnite", "cubic perovskite", "rocksalt"])
def test_formulas_and_names_are_not_broken_in_mid_word(formula, prototype):
    source = {"id": "285211-647695", "formula": formula, "distance": 0.25, "probability": 0.5}
    text = printed(samples_table([ROW | {"formula": formula, "prototype": prototype, "source": source}]))
    assert max(map(len, text.splitlines())) <= 80
    assert text.count(formula) == 2
    for word in (*re.split("(?<=-)| ", prototype), "285211-", "647695", "P2_12_12_1", "(19)"):
        assert re.search(rf"(?<![\w]){re.escape(word)}", text)
    assert "…" not in text


ELEMENTS = st.lists(st.sampled_from(["Li4", "Fe12", "P", "O36", "Ba2", "Cu3"]), min_size=1, max_size=4, unique=True)
WORDS = st.lists(st.from_regex(r"[a-z]{1,9}", fullmatch=True), min_size=1, max_size=4)


@given(st.lists(st.tuples(ELEMENTS.map("".join), WORDS.map("-".join)), min_size=1, max_size=4), st.integers(28, 60))
def test_every_piece_is_whole_at_every_width_that_has_room_for_it(rows, width):
    columns = [Column("formula", "names"), Column("prototype", "names"), Column("z")]
    text = printed(terminal_table(columns, [[*row, "-12.5"] for row in rows], width=width), width)
    assert max(map(len, text.splitlines())) <= width
    words = text.split()
    for formula, name in rows:
        if len(formula) <= 9:
            assert formula in words
        pieces = "".join(words)
        assert all(piece in pieces for piece in name.split("-"))
    assert words.count("-12.5") == len(rows)


def test_ranked_answers_show_the_prototype_and_those_of_a_scan_what_is_known():
    checks = {"space_group": "Fm-3m", "space_group_number": 225, "prototype": "rocksalt"}
    salt = {"checks": checks, "sites": [{"element": "Na"}, {"element": "Cl"}]}
    ranking = {"rank": 1, "candidate": 0, "by": "energy", "energy_per_atom": -3.5, "energy_above_lowest": 0.0}
    told = {"energy_above_hull": 0.03125}
    one = printed(answers_table([salt | {"ranking": ranking}], 1, "eV/atom"))
    assert re.search(r"NaCl.*\n.*rocksalt", one)
    assert "rank" in one
    scanned = printed(answers_table([salt | {"ranking": ranking | told, "known": "yes"}] * 2, 2, "eV/atom"))
    assert scanned.count("yes") == 2
    assert "0.03125" in scanned
    assert "rank" not in scanned
    assert "lowest" not in scanned
    apart = [salt | {"ranking": ranking}, salt | {"ranking": ranking | {"rank": 2, "energy_above_lowest": 0.125}}]
    assert "0.125" in printed(answers_table(apart, 2, "eV/atom"))
