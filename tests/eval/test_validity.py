"""Validity: own images, volume, and SMACT's verdicts."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.eval.known_samples import crystal, elements, mp20_test, prototypes
from unigen.crystals.crystal import Crystal
from unigen.crystals.plausibility import charge_balance as composition_module
from unigen.crystals.plausibility.charge_balance import check_composition
from unigen.elements import SYMBOLS, format_formula, parse_formula
from unigen.eval.crystals.protocol import CSP
from unigen.eval.crystals.validity import describe


def structure_valid(each: Crystal, rules=CSP) -> bool:
    return describe(each, rules).structure_valid


def structure_valid_cdvae(each: Crystal, rules=CSP) -> bool:
    return describe(each, rules).structure_valid_cdvae


def test_own_image_clash_is_seen_by_us_and_missed_by_the_published_check():
    thin = crystal("Fe", [[0, 0, 0]], np.diag([0.4, 5.0, 5.0]))
    assert not structure_valid(thin)
    assert structure_valid_cdvae(thin)


def test_two_atoms_too_close_are_seen_by_both_across_the_boundary():
    close = crystal("Fe Fe", [[0.01, 0.5, 0.5], [0.95, 0.5, 0.5]], 5.0)
    assert not structure_valid(close)
    assert not structure_valid_cdvae(close)


@pytest.mark.parametrize(("distance", "valid"), [(0.499, False), (0.501, True)])
def test_the_limit_is_half_an_angstrom(distance, valid):
    pair = crystal("H H", [[0, 0, 0], [distance / 5, 0, 0]], 5.0)
    assert structure_valid(pair) is valid
    assert structure_valid_cdvae(pair) is valid


def test_a_cell_of_hardly_any_volume_is_invalid():
    flat = Crystal(np.array([1]), np.zeros((1, 3)), np.diag([0.3, 0.5, 0.6]))
    assert not structure_valid(flat, replace(CSP, min_distance=0.0))
    assert not structure_valid_cdvae(flat, replace(CSP, min_distance=0.0))


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 8))
def test_the_published_check_never_sees_more_clashes_than_ours(seed, count):
    rng = np.random.default_rng(seed)
    sample = Crystal(rng.integers(1, 90, count), rng.random((count, 3)), rng.normal(scale=4, size=(3, 3)))
    assert structure_valid_cdvae(sample) or not structure_valid(sample)


def test_real_crystals_are_valid():
    assert all(structure_valid(each) and structure_valid_cdvae(each) for each in (*prototypes(), *elements()))


def test_a_description_says_what_pymatgen_says():
    for each in prototypes()[:20]:
        found, structure = describe(each, CSP), each.to_pymatgen()
        assert found.density == pytest.approx(structure.density, rel=1e-3)
        assert found.space_group_number == structure.get_space_group_info(symprec=0.1)[1]
        assert found.volume == pytest.approx(structure.volume)


@pytest.mark.parametrize(
    ("formula", "valid"),
    [
        ("Fe", True),  # a single element
        ("Xe", True),
        ("CuZn", True),  # all metals
        ("NaCl", True),
        ("NaCl2", False),  # not neutral
        ("SrTiO3", True),
        ("O2F7", False),
        ("NaHe", False),  # no oxidation state for helium
    ],
)
def test_smact_verdicts(formula, valid):
    assert check_composition(formula).valid_cdvae is valid


def test_formulas_are_ratios():
    assert check_composition("Na4Cl4") == check_composition("NaCl")


def test_work_on_a_formula_is_bounded_and_counted():
    verdict = check_composition("CSNPFeMnO", 1000)
    assert verdict.bounded
    assert not verdict.valid
    assert not verdict.valid_cdvae


def test_combinations_are_those_smact_tries():
    assert composition_module._combinations("NaCl") >= 2
    assert composition_module._combinations("CuZn") == 1


def test_one_in_ten_of_mp20_fails_smact():
    verdicts = [check_composition(each.reduced_formula) for _, each in mp20_test(150)]
    assert 0.84 < np.mean([each.valid_cdvae for each in verdicts]) < 0.97
    assert not any(each.bounded for each in verdicts)


@pytest.mark.parametrize("number", range(1, len(SYMBOLS)))
def test_every_element_has_a_verdict(number):
    symbol = SYMBOLS[number]
    for formula in (symbol, f"{symbol}O2", f"Na{symbol}F"):
        verdict = check_composition(format_formula(parse_formula(formula)))
        unknown = f"composition not judged: SMACT's table ends before {symbol}"
        assert verdict.reason == ("" if number <= 103 else unknown)
        assert not (verdict.reason and verdict.valid)


def test_what_cannot_be_judged_stays_in_the_denominator(unigen, tmp_path):
    cell = {"lattice": (5 * np.eye(3)).tolist(), "frac_coords": [[0] * 3, [0.5] * 3]}
    rows = [{"id": symbol, "species": [symbol, "O"]} | cell for symbol in ("Mg", "Rf")]
    (tmp_path / "two.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for protocol in (["denovo"], ["csp", "--reference", "two.jsonl"]):
        words = ("evaluate", "crystals", "two.jsonl", "--protocol", *protocol, "--no-page", "--workers", 1)
        assert unigen(*words, "--out", "r.json")[0] == 0
        report = json.loads((tmp_path / "r.json").read_text())
        assert report["counts"]["composition_not_judged"] == 1
    assert "SMACT's table ends before Rf" in (tmp_path / "r.csv").read_text()
