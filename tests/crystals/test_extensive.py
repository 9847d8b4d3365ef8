"""A total of a cell is that of the cell: it follows when the number of atoms changes, everything else stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crystals.real_crystals import elemental_crystals
from unigen.cards import DatasetCard
from unigen.crystals.crystal import Crystal, repeat_cell
from unigen.crystals.extensive import EXTENSIVE, is_extensive, scaled_properties
from unigen.data.crystal_rows import treat_crystal
from unigen.data.readers.record import CrystalArrays, Record
from unigen.data.shards import Task, Treatment

OF_THE_MATERIAL = {"band_gap": 1.5, "energy_per_atom": -3.0, "e_above_hull": 0.1, "bulk_modulus": 100.0}


def _built(crystal: Crystal, properties: dict[str, float], card: DatasetCard | None = None) -> Crystal:
    content = CrystalArrays(crystal.numbers, crystal.frac_coords, crystal.lattice)
    built = treat_crystal(Task(Record("a", "arrays", content, "a", info=dict(properties)), card), Treatment()).structure
    assert built is not None
    return built


@settings(max_examples=25, deadline=None)
@given(
    crystal=st.sampled_from(elemental_crystals()),
    copies=st.integers(2, 6),
    totals=st.dictionaries(st.sampled_from(sorted(EXTENSIVE)), st.floats(-100, 100), min_size=1),
)
def test_a_supercell_builds_to_the_row_of_its_crystal(crystal, copies, totals):
    larger = repeat_cell(crystal, copies)
    of_larger = {name: value * copies for name, value in totals.items()}
    one, other = _built(crystal, totals | OF_THE_MATERIAL), _built(larger, of_larger | OF_THE_MATERIAL)
    assert len(one) == len(other)
    assert other.properties == pytest.approx(one.properties)
    assert {name: other.properties[name] for name in OF_THE_MATERIAL} == OF_THE_MATERIAL


def test_names_are_read_in_any_spelling_and_by_the_whole():
    assert all(map(is_extensive, ("Energy", "TOTAL ENERGY", "free-energy", "nsites")))
    assert not any(map(is_extensive, ("energy_per_atom", "formation_energy", "energy_above_hull", "volume_per_atom")))
    assert scaled_properties({"energy": -8.0, "gap": 1.0}, 0.25) == {"energy": -2.0, "gap": 1.0}


def test_a_unit_an_atom_says_more_than_a_name():
    card = {"energy": {"unit": "eV/atom"}, "volume": {"unit": "A^3"}}
    crystal = repeat_cell(Crystal(np.array([29]), np.zeros((1, 3)), 2.5 * np.eye(3)), 4)
    built = _built(crystal, {"energy": -3.0, "volume": 62.5}, _card(card))
    assert built.properties == pytest.approx({"energy": -3.0, "volume": 15.625})


def _card(properties: dict[str, dict[str, str]]) -> DatasetCard:
    from dataclasses import replace

    from unigen.cards import find_cards, read_dataset_card

    return replace(read_dataset_card(find_cards("data")["perov-5"]), properties=properties, limits={}, rename={})
