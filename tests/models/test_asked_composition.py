"""Chemical systems, charges and known datasets: what is drawn without a formula keeps what is asked of it."""

from __future__ import annotations

import pytest

from unigen import generate
from unigen.crystals.plausibility.charge_balance import check_composition
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.sample.requests import requests_of


@pytest.fixture(scope="module")
def samples():
    asked = {"chemical_system": "Na-Ti-O", "n": 6, "score": False}
    return generate(**asked, seed=1), generate(**asked, seed=1, charge_balanced=True)


def test_a_chemical_system_is_all_of_its_elements(samples):
    for drawn in samples:
        assert {frozenset(SYMBOLS[number] for number in each.structure.counts) for each in drawn if each.structure} == {
            frozenset({"Na", "Ti", "O"})
        }


def test_charges_balance_where_they_shall(samples):
    assert all(check_composition(each.structure.reduced_formula).valid for each in samples[1] if each.structure)


def test_systems_and_elements_exclude_each_other():
    with pytest.raises(UserError, match="chemical_system and elements exclude each other"):
        requests_of({"chemical_system": "Li-O", "elements": "Li,O"})
    (request,) = requests_of({"chemical_system": "Li-O", "charge_balanced": "yes"})
    assert (request.elements, request.must_contain, request.charge_balanced) == (("Li", "O"), ("Li", "O"), True)
    with pytest.raises(UserError, match="must_contain: not in the formula MgO"):
        requests_of({"formula": "MgO", "must_contain": "Li"})
