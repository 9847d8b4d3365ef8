import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.small_model import small_model
from unigen.elements import ATOMIC_NUMBER, parse_formula, reduce_counts
from unigen.errors import UserError
from unigen.models.words.decoding import WordsSettings
from unigen.models.words.generator import WordsGenerator
from unigen.ranking.settings import RankSettings
from unigen.request import CrystalRequest
from unigen.sample.generate import generate
from unigen.sample.requests import read_requests

REQUESTS = [
    CrystalRequest(formula="SrTiO3", z=2),
    CrystalRequest(formula="NaCl"),
    CrystalRequest(elements=("Li", "Fe", "P", "O")),
    CrystalRequest(n_atoms=7),
    CrystalRequest(),
]


@pytest.fixture(scope="module")
def generator():
    return WordsGenerator(small_model(), "small", settings=WordsSettings(steps=3), score_steps=2)


def as_numbers(sample):
    crystal = sample.structure
    return (
        None if crystal is None else (*crystal.numbers.tolist(), *crystal.lattice.ravel(), *crystal.frac_coords.ravel())
    )


def test_every_request_is_kept(generator):
    samples = generate(REQUESTS, n=5, model=generator)
    assert [(s.request_index, s.index) for s in samples] == [(r, k) for r in range(5) for k in range(5)]
    for sample in samples:
        counts = sample.structure.counts
        request = sample.request
        if request.formula:
            assert reduce_counts(counts)[0] == dict(sorted(parse_formula(request.formula).items()))
        if request.counts:
            assert counts == dict(sorted(request.counts.items()))
        if request.elements:
            assert set(counts) <= {ATOMIC_NUMBER[symbol] for symbol in request.elements}
        if request.n_atoms:
            assert sum(counts.values()) == request.n_atoms
        assert sum(counts.values()) <= 12
        assert np.isfinite(sample.log_likelihood)


def test_the_same_seed_gives_the_same_structures_and_another_seed_others(generator):
    one, two, other = (generate(REQUESTS, n=2, model=generator, seed=seed) for seed in (0, 0, 1))
    assert [as_numbers(s) for s in one] == [as_numbers(s) for s in two]
    assert [as_numbers(s) for s in one] != [as_numbers(s) for s in other]


@settings(max_examples=8)
@given(st.integers(1, 30))
def test_batches_change_nothing(batch_size):
    generator = WordsGenerator(small_model(), "small", settings=WordsSettings(steps=3), score_steps=0)
    wanted = generate(REQUESTS, n=3, model=generator)
    got = generate(REQUESTS, n=3, model=generator, batch_size=batch_size)
    for one, two in zip(wanted, got, strict=True):
        assert one.structure.counts == two.structure.counts
        gap = one.structure.frac_coords - two.structure.frac_coords
        assert np.abs(gap - np.round(gap)).max() < 1e-3
        np.testing.assert_allclose(one.structure.lattice, two.structure.lattice, atol=1e-3)


def test_the_best_of_several_is_the_likeliest(generator):
    drawn = generate(REQUESTS[0], n=8, model=generator)
    best = generate(REQUESTS[0], n=1, model=generator, ranking=RankSettings(candidates=8), workers=1)
    assert [sample.score for sample in best] == [max(sample.score for sample in drawn)]


def test_a_request_the_model_cannot_serve_fails_alone(generator):
    samples = generate([CrystalRequest(formula="Si", n_atoms=13), REQUESTS[0]], model=generator)
    assert samples[0].structure is None
    assert "more atoms" in samples[0].reason
    assert samples[1].structure is not None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"formula": "Xx2O"}, "unknown element 'Xx'"),
        ({"formula": "Sr(TiO3"}, "without its"),
        ({"formula": "SrTi0O3"}, "count of zero"),
        ({"formula": "Sr1.5O"}, "a fractional count"),
        ({"formula": ""}, "empty"),
        ({"formula": "SrTiO3", "elements": ("Sr", "O")}, "exclude the formula"),
        ({"formula": "SrTiO3", "n_atoms": 7}, "multiple of 5"),
        ({"formula": "SrTiO3", "n_atoms": 5, "z": 2}, "contradict"),
        ({"z": 2}, "formula units of what"),
        ({"n_atoms": 0}, "not a positive count"),
        ({"elements": ("Li", "Q")}, "unknown element 'Q'"),
    ],
)
def test_requests_that_make_no_sense_are_refused(fields, said):
    with pytest.raises(UserError, match=said):
        CrystalRequest(**fields)


@given(st.dictionaries(st.integers(1, 118), st.integers(1, 9), min_size=1, max_size=4))
def test_formulas_are_read_as_pymatgen_reads_them(counts):
    from pymatgen.core import Composition

    from unigen.elements import format_formula

    formula = format_formula(counts)
    assert parse_formula(formula) == counts
    assert {e.Z: int(n) for e, n in Composition(formula).items()} == counts


def test_nested_groups_are_read_as_pymatgen_reads_them():
    from pymatgen.core import Composition

    for formula in ("Ca(OH)2", "Mg3(Si2O5(OH)2)2", "K4(Fe(CN)6)", "Al2 (SO4)3"):
        assert parse_formula(formula) == {e.Z: int(n) for e, n in Composition(formula).items()}


def test_request_files(tmp_path):
    csv = tmp_path / "r.csv"
    csv.write_text('id,formula,n_atoms,elements\na,NaCl,2,\nb,,8,"Li,Fe"\n')
    lines = tmp_path / "r.jsonl"
    lines.write_text(
        '{"id": "a", "formula": "NaCl", "n_atoms": 2}\n\n{"id": "b", "n_atoms": 8, "elements": ["Li", "Fe"]}\n'
    )
    assert read_requests(csv) == read_requests(lines)
    assert read_requests(csv)[1] == CrystalRequest(id="b", n_atoms=8, elements=("Li", "Fe"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("formula,atoms\nNaCl,2\n", "unknown column 'atoms'"),
        ("formula,n_atoms\nNaCl,2\nNaCl,two\n", r"r.csv:3: n_atoms: not a whole number"),
        ("formula\nNaCl\nNaXx\n", r"r.csv:3.*unknown element"),
        ("formula\n", "no requests"),
    ],
)
def test_a_bad_row_is_named(tmp_path, text, said):
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        read_requests(tmp_path / "r.csv")
