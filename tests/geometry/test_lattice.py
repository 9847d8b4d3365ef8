import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unigen.geometry.lattice import automorphisms, lattice_matrix, lattice_parameters

lengths = st.floats(2.0, 20.0)
angles = st.floats(60.0, 120.0)


@given(
    st.tuples(lengths, lengths, lengths, angles, angles, angles).filter(
        lambda six: 1 + 2 * np.cos(np.radians(six[3:])).prod() - (np.cos(np.radians(six[3:])) ** 2).sum() > 0.01
    )
)
def test_six_numbers_make_a_right_handed_cell_that_gives_them_back(six):
    parameters = np.array([*six[:3], *np.radians(six[3:])])
    lattice = lattice_matrix(parameters)
    assert np.linalg.det(lattice) > 0
    np.testing.assert_allclose(lattice_parameters(lattice), parameters, atol=1e-9)


def test_parameters_agree_with_pymatgen():
    from pymatgen.core import Lattice

    lattice = Lattice.from_parameters(3.1, 4.2, 5.3, 75, 95, 110)
    ours = lattice_parameters(lattice.matrix)
    np.testing.assert_allclose(ours[:3], lattice.abc)
    np.testing.assert_allclose(np.degrees(ours[3:]), lattice.angles)


@given(st.tuples(*[st.floats(0.1, 3.0)] * 3))
def test_angles_that_close_no_cell_still_give_one(three):
    lattice = lattice_matrix(np.array([4.0, 5.0, 6.0, *three]))
    assert np.isfinite(lattice).all()
    assert np.linalg.det(lattice) > 0


HOLOHEDRY = {  # number of rotations that map the reduced lattice onto itself
    "cubic P": ((4, 4, 4, 90, 90, 90), 24),
    "cubic F": ((4, 4, 4, 60, 60, 60), 24),
    "hexagonal": ((4, 4, 7, 90, 90, 120), 12),
    "tetragonal": ((4, 4, 7, 90, 90, 90), 8),
    "rhombohedral": ((4, 4, 4, 80, 80, 80), 6),
    "orthorhombic": ((4, 5, 7, 90, 90, 90), 4),
    "monoclinic": ((4, 5, 7, 90, 105, 90), 2),
    "triclinic": ((4, 5, 7, 80, 75, 70), 1),
}


@pytest.mark.parametrize(("six", "order"), HOLOHEDRY.values(), ids=HOLOHEDRY)
def test_automorphisms_are_the_rotations_of_the_lattice_and_form_a_group(six, order):
    lattice = lattice_matrix(np.array([*six[:3], *np.radians(six[3:])], dtype=float))
    group = automorphisms(lattice)
    assert len(group) == order
    metric = lattice @ lattice.T
    np.testing.assert_allclose(group @ metric @ group.swapaxes(1, 2), np.broadcast_to(metric, (order, 3, 3)), atol=1e-9)
    known = {matrix.tobytes() for matrix in group}
    assert all((a @ b).tobytes() in known for a in group for b in group)
