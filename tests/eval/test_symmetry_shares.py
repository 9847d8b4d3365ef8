"""Distributions of crystal systems and space groups, of samples against a reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.eval.known_samples import caesium_chloride, elements, prototypes, rock_salt, shaken
from unigen.eval.crystals import symmetry as symmetry_shares
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.eval.crystals.samples import CrystalEntry
from unigen.eval.statistics import total_variation
from unigen.symmetry.crystal_systems import CRYSTAL_SYSTEMS, crystal_system

counts = st.lists(st.integers(0, 20), min_size=7, max_size=7).filter(any)


@given(counts, counts, counts)
def test_total_variation_is_a_distance(a, b, c):
    p, q, r = (np.array(each) / sum(each) for each in (a, b, c))
    assert total_variation(p, p) == 0
    assert total_variation(p, q) == total_variation(q, p)
    assert 0 <= total_variation(p, q) <= 1 + 1e-12
    assert total_variation(p, r) <= total_variation(p, q) + total_variation(q, r) + 1e-12


def test_total_variation_of_what_shares_nothing_is_one():
    assert total_variation(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1


def test_a_set_against_itself():
    known = list(prototypes()[:12])
    rows = evaluate_crystals(known, known, "denovo").sections["symmetry"].rows
    for symprec in ("0.1", "0.01"):
        for name in (*CRYSTAL_SYSTEMS, "P1"):
            assert rows[name][f"samples_{symprec}"].value == rows[name][f"reference_{symprec}"].value
        assert rows["tv_space_groups"][f"samples_{symprec}"].value == 0
        assert rows["tv_space_groups"][f"reference_{symprec}"].value > 0  # of so few draws it is not
        assert sum(rows[name][f"samples_{symprec}"].value for name in CRYSTAL_SYSTEMS) == pytest.approx(1)


def test_shares_are_those_of_a_direct_count():
    rng = np.random.default_rng(0)
    samples = [*prototypes()[:8], *(shaken(each, rng, 0.02) for each in prototypes()[:8]), CrystalEntry("lost", None)]
    sections = evaluate_crystals(samples, list(elements()[:5]), "denovo").sections
    readable = samples[:-1]
    for symprec in (0.1, 0.01):
        groups = [each.space_group(symprec).number for each in readable]
        rows = sections["symmetry"].rows
        assert rows["n"][f"samples_{symprec}"] == len(readable)
        for name in CRYSTAL_SYSTEMS:
            held = [crystal_system(group) == name for group in groups]
            assert rows[name][f"samples_{symprec}"].value == pytest.approx(np.mean(held))
        assert rows["P1"][f"samples_{symprec}"].value == pytest.approx(np.mean([group == 1 for group in groups]))
        listed = {name: row[f"samples_{symprec}"].value for name, row in sections["space_groups"].rows.items()}
        assert {int(name.split()[0]): value for name, value in listed.items() if value} == pytest.approx(
            {group: groups.count(group) / len(groups) for group in groups}
        )
    loose, tight = (sections["symmetry"].rows["P1"][f"samples_{symprec}"].value for symprec in (0.1, 0.01))
    assert tight > loose  # shaken by 0.02 Angstrom


def test_few_of_many_references_are_drawn_by_the_seed(monkeypatch):
    monkeypatch.setattr(symmetry_shares, "MAX_REFERENCES", 10)
    known = [*prototypes(), *elements()]
    one, again = (evaluate_crystals([rock_salt()], known, "denovo", seed=1).sections["symmetry"] for _ in range(2))
    assert one == again
    assert one.rows["n"]["reference_0.1"] == 10


def test_without_a_reference_there_are_only_shares():
    sections = evaluate_crystals([rock_salt(), caesium_chloride()]).sections
    assert sections["symmetry"].rows["cubic"]["samples_0.1"].value == 1
    assert "tv_space_groups" not in sections["symmetry"].rows
    assert set(sections["space_groups"].rows) == {"225 Fm-3m", "221 Pm-3m"}
