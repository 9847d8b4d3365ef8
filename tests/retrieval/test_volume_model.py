from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.retrieval.known_crystals import dataset_of, prototype_generator, prototypes
from unigen.crystals.crystal import Crystal
from unigen.retrieval.compositions import Compositions
from unigen.retrieval.volume import RIDGE, SMALLEST, VolumeModel

atoms = st.dictionaries(st.integers(1, 118), st.integers(1, 12), min_size=1, max_size=6)


def _cell(numbers: list[int], volume: float) -> Crystal:
    return Crystal(
        np.array(numbers), np.linspace(0, 0.9, len(numbers) * 3).reshape(-1, 3), np.eye(3) * volume ** (1 / 3)
    )


def _fit(crystals: list[Crystal]) -> VolumeModel:
    return VolumeModel.fit(Compositions.of_dataset(dataset_of(crystals)))


def test_recovers_volumes_that_are_additive():
    true = {3: 20.0, 8: 11.0, 22: 14.0}
    rng = np.random.default_rng(0)
    cells = [[number for number in true for _ in range(rng.integers(1, 5))] for _ in range(400)]
    model = _fit([_cell(cell, sum(true[number] for number in cell)) for cell in cells])
    for number, volume in true.items():
        assert model.per_atom[number] == pytest.approx(volume, rel=0.02)


def test_the_fit_is_that_of_the_whole_matrix_of_cells_and_elements():
    light = {1, 5, 6, 7, 8, 9}  # some of these would take less than an atom may
    crystals = [crystal for crystal in prototypes() if not light & {*crystal.counts}]
    cells = Compositions.of_dataset(dataset_of(crystals))
    counts = np.zeros((len(cells), 119))
    counts[cells.owner, cells.number] = cells.count
    mean = np.median(cells.volume / counts.sum(axis=1))
    ridge = RIDGE / mean**2
    design = np.concatenate([counts / cells.volume[:, None], np.sqrt(ridge) * np.eye(119)])
    wanted = np.concatenate([np.ones(len(cells)), np.full(119, np.sqrt(ridge) * mean)])
    plain = np.linalg.lstsq(design, wanted, rcond=None)[0]
    assert (plain[1:] > SMALLEST).all(), "no bound is active"
    np.testing.assert_allclose(VolumeModel.fit(cells).per_atom[1:], plain[1:], rtol=1e-9)


def test_volumes_stay_positive_where_plain_least_squares_gives_none():
    from scipy.optimize import lsq_linear

    hydrogen = np.tile(np.arange(1, 8), 30)
    volumes = 100.0 - 8 * hydrogen
    model = _fit([_cell([1] * n + [40] * 4, volume) for n, volume in zip(hydrogen, volumes, strict=True)])
    design = np.stack([hydrogen / volumes, 4 / volumes], axis=1)
    bounded = lsq_linear(design, np.ones(len(design)), bounds=(SMALLEST, np.inf)).x
    np.testing.assert_allclose(model.per_atom[[1, 40]], bounded, rtol=0.01)
    assert model.per_atom[1] == SMALLEST


@given(atoms, st.integers(1, 5))
def test_volume_is_extensive_and_positive_for_any_composition(counts, times):
    model = prototype_generator().volume
    volume = model.predict(counts)
    assert volume >= SMALLEST * sum(counts.values())
    assert model.predict({number: count * times for number, count in counts.items()}) == pytest.approx(times * volume)


def test_an_unseen_element_takes_the_volume_of_an_atom():
    model = _fit([_cell([12, 8], 20.0)] * 10)
    assert model.per_atom[79] == pytest.approx(10.0)


def test_predicts_real_cells_better_than_one_volume_for_all():
    known = prototypes()
    volumes = np.abs(np.linalg.det(known.lattice))
    model = VolumeModel.fit(Compositions.of_dataset(known))
    predicted = np.array([model.predict(crystal.counts) for crystal in known])
    flat = np.median(volumes / known.num_atoms) * known.num_atoms
    error = np.abs(np.log(predicted / volumes))
    assert np.median(error) < 0.5 * np.median(np.abs(np.log(flat / volumes)))
