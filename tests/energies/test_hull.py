"""The hull is pymatgen's of all entries; quantities and schemes do not mix."""

from __future__ import annotations

import csv
import gzip
import json

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry, ConstantEnergyAdjustment

from tests.energies.alloys import potential
from unigen.data.build import build_dataset
from unigen.elements import ATOMIC_NUMBER, parse_formula
from unigen.energies.hull.build import build_from_energies, fit_elements
from unigen.energies.hull.elements import fit_element_energies, open_element_energies
from unigen.energies.hull.hull import Hull
from unigen.energies.hull.reference import HullCard, HullReference, lowest_of_each, open_reference
from unigen.errors import UserError
from unigen.parallel import Workers

FORMULAS = ("SrO", "TiO2", "SrTiO3", "Sr2TiO4", "Ti2O3", "SrO2", "Ti3O", "SrTi2O5")
formation = st.lists(st.floats(-3, 0.5), min_size=len(FORMULAS), max_size=len(FORMULAS))
MU = {38: -1.7, 22: -7.9, 8: -4.9}


def reference(energies, quantity="formation", formulas=FORMULAS) -> HullReference:
    card = HullCard(name="x", quantity=quantity, scheme="PBE", sources={})
    return HullReference(card, list(formulas), list(formulas), np.array(energies, dtype=np.float64))


def element_part(counts) -> float:
    return sum(count * MU[number] for number, count in counts.items()) / sum(counts.values())


def diagram(energies) -> PhaseDiagram:
    entries = [PDEntry(Composition(f), e * Composition(f).num_atoms) for f, e in zip(FORMULAS, energies, strict=True)]
    return PhaseDiagram([*entries, *(PDEntry(Composition(symbol), 0.0) for symbol in ("Sr", "Ti", "O2"))])


@given(formation, st.floats(-4, 1))
def test_it_is_the_hull_of_all_entries(energies, energy):
    hull, whole = Hull(reference(energies)), diagram(energies)
    for formula in ("SrTiO3", "Sr3Ti2O7", "TiO"):
        counts = parse_formula(formula)
        found = hull.judge(counts, energy)
        entry = PDEntry(Composition(formula), energy * sum(counts.values()))
        wanted = whole.get_decomp_and_e_above_hull(entry, allow_negative=True, check_stable=False)[1]
        assert found.above_hull == pytest.approx(wanted, abs=1e-8)
        assert found.formation_energy == pytest.approx(energy, abs=1e-8)


@given(formation)
def test_no_entry_lies_below_its_own_hull(energies):
    hull = Hull(reference(energies))
    assert min(hull.judge(parse_formula(f), e).above_hull for f, e in zip(FORMULAS, energies, strict=True)) > -1e-8


@given(formation, st.floats(-4, 1), st.floats(0, 2))
def test_a_lower_reference_never_makes_a_crystal_more_stable(energies, energy, drop):
    lower = [value - drop * (formula == "TiO2") for formula, value in zip(FORMULAS, energies, strict=True)]
    counts = parse_formula("SrTiO3")
    assert Hull(reference(lower)).judge(counts, energy).above_hull >= (
        Hull(reference(energies)).judge(counts, energy).above_hull - 1e-8
    )


@given(formation, st.floats(-4, 1))
def test_total_and_formation_energies_say_the_same(energies, energy):
    counts = parse_formula("SrTiO3")
    total = [value + element_part(parse_formula(f)) for f, value in zip(FORMULAS, energies, strict=True)]
    elements = {"Sr": MU[38], "Ti": MU[22], "O": MU[8]}
    of_totals = Hull(reference([*total, *elements.values()], "total", (*FORMULAS, *elements)))
    wanted = Hull(reference(energies)).judge(counts, energy)
    for hull in (of_totals, Hull(reference(energies), MU)):
        found = hull.judge(counts, energy + element_part(counts))
        assert found.above_hull == pytest.approx(wanted.above_hull, abs=1e-7)
        assert found.formation_energy == pytest.approx(energy, abs=1e-7)


def test_the_phases_it_falls_into():
    found = Hull(reference([-2.0, -3.0, -2.0, 0, 0, 0, 0, 0])).judge(parse_formula("SrTiO3"), -2.5)
    assert found.decomposition == "0.6 TiO2 + 0.4 SrO"
    assert found.above_hull == pytest.approx(0.1)


def test_an_element_that_nobody_knows():
    assert "no energy of the element Na" in Hull(reference([0.0] * 8), MU).judge({11: 1, 8: 1}, 0.0).reason
    assert "no energy of the element" in Hull(reference([0.0] * 8, "total")).judge({38: 1, 8: 1}, 0.0).reason


@given(st.lists(st.tuples(st.sampled_from(["TiO2", "O2Ti", "Ti2O4", "SrO"]), st.floats(-9, 9)), min_size=1))
def test_the_lowest_of_each_formula_is_kept(rows):
    _, formulas, energies = lowest_of_each((str(n), formula, energy) for n, (formula, energy) in enumerate(rows))
    wanted = {"SrO": [e for f, e in rows if f == "SrO"], "TiO2": [e for f, e in rows if f != "SrO"]}
    assert dict(zip(formulas, energies, strict=True)) == {name: min(some) for name, some in wanted.items() if some}


@given(st.integers(0, 99))
def test_the_fit_finds_energies_that_are_there(seed):
    rng = np.random.default_rng(seed)
    counts = [{int(number): int(rng.integers(1, 5)) for number in rng.permutation(list(MU))[:2]} for _ in range(30)]
    formation = rng.uniform(-3, 0, 30)
    total = formation + [element_part(each) for each in counts]
    found = fit_element_energies(counts, total, formation, potential(), ["here"])
    assert found.by_number() == pytest.approx(MU, abs=1e-6)
    assert found.mean_error == pytest.approx(0, abs=1e-6)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path))
    return tmp_path


def test_energies_from_files(home):
    rows = [
        {"material_id": "a", "formula_pretty": "SrO", "e": -2.0},
        {"material_id": "b", "formula_pretty": "?", "e": 1},
    ]
    rows.append({"material_id": "c", "formula_pretty": "O2Sr2", "e": -2.5})
    with gzip.open(home / "mine.csv.gz", "wt") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    card = build_from_energies("mine", [str(home / "mine.csv.gz")], energy="e", quantity="formation", scheme="PBE")
    assert (card.entries, card.formulas, card.skipped) == (2, 1, {"formula not understood: cannot read": 1})
    found = open_reference("mine")
    assert (found.ids, found.formulas, found.energies.tolist()) == (["c"], ["SrO"], [-2.5])
    assert found.card == card


def test_pymatgen_entries_with_their_corrections(home):
    corrected = ComputedEntry("TiO2", -20, energy_adjustments=[ConstantEnergyAdjustment(-1.0)], entry_id="mp-1")
    entries = [corrected, *(ComputedEntry(symbol, -3) for symbol in ("Ti", "O"))]
    (home / "entries.json").write_text(json.dumps([entry.as_dict() for entry in entries]))
    build_from_energies("mp", [str(home / "entries.json")], energy=None, quantity="total", scheme="MP2020")
    assert open_reference("mp").energies[open_reference("mp").formulas.index("TiO2")] == pytest.approx(-7)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "nowhere", "--energy", "e"], "scheme"),
        (["--from", "nowhere", "--energy", "e", "--energy-scheme", "PBE"], "'nowhere' is not built"),
        (["--from", "a.csv", "--energy-scheme", "PBE"], "which column"),
        (["--from", "a.csv", "--energy", "x", "--energy-scheme", "PBE"], "columns missing; got formula, e; wanted x"),
        (["--from", "a.txt", "--energy", "x", "--energy-scheme", "PBE"], "not a source of energies"),
        (["--from", "b.json", "--energy-scheme", "PBE"], "not JSON"),
        (["--from", "c.json", "--energy-scheme", "PBE"], "not one usable energy"),
    ],
)
def test_sources_that_are_none(home, monkeypatch, refused, words, said):
    monkeypatch.chdir(home)
    for name, text in {"a.csv": "formula,e\nSrO,1\n", "a.txt": "", "b.json": "{", "c.json": '[{"energy": 1}]'}.items():
        (home / name).write_text(text)
    assert said in refused("hull", "build", "mine", *words)


def test_schemes_do_not_mix(home):
    (home / "a.csv").write_text("formula,e\nSrO,1\n")
    build_from_energies("mine", [str(home / "a.csv")], energy="e", quantity="total", scheme="OQMD")
    with pytest.raises(UserError, match=r"got ase.calculators.emt:EMT: EMT; wanted hull mine: OQMD"):
        Hull.open("mine", potential())
    with pytest.raises(UserError, match="not built; wanted mine"):
        Hull.open("other", potential())
    build_from_energies("form", [str(home / "a.csv")], energy="e", quantity="formation", scheme="EMT")
    with pytest.raises(UserError, match="has no energies of the elements"):
        Hull.open("form", potential())


def test_another_set_is_not_written_over(home):
    for number, name in enumerate(("a", "b")):
        (home / f"{name}.csv").write_text(f"formula,e\nSrO,{number}\n")
    options = {"energy": "e", "quantity": "formation", "scheme": "PBE"}
    card = build_from_energies("mine", [str(home / "a.csv")], **options)
    assert build_from_energies("mine", [str(home / "a.csv")], **options) == card
    with pytest.raises(UserError, match="another hull has this name"):
        build_from_energies("mine", [str(home / "b.csv")], **options)
    assert open_reference("mine").energies.tolist() == [0]


def test_what_a_fit_of_the_elements_does_without_is_counted_and_listed(home):
    metals = [(metal, 0.01 * step) for metal in ("Cu", "Al", "Ni") for step in range(4)] + [("Ag", 0.0), ("Fe", 0.0)]
    frames = []
    for number, (metal, strain) in enumerate(metals):
        atoms = bulk(metal, "fcc", cubic=True, a=(3.6 + 0.1 * ATOMIC_NUMBER[metal] / 10) * (1 + strain))
        atoms.info = {"id": f"m{number}"} | ({} if number == 2 else {"formation_energy_per_atom": strain})
        frames.append(atoms)
    write(home / "metals.extxyz", frames)
    build_dataset("metals", (str(home / "metals.extxyz"),), workers=1)
    (home / "known.csv").write_text("formula,e\nCu,0\nAl,0\nNi,0\n")
    build_from_energies("known", [str(home / "known.csv")], energy="e", quantity="formation", scheme="EMT")
    names = {"energy": "formation_energy_per_atom", "limit": 100, "seed": 0}
    fit, path = fit_elements("known", ["metals"], potential(), workers=Workers(1), **names)
    assert fit.left_out == {
        "no formation_energy_per_atom": 1,
        "failed: NotImplementedError: No EMT-potential for Fe": 1,
    }
    assert (fit.structures, fit.too_rare, set(fit.energies)) == (12, {"Ag": 1}, {"Cu", "Al", "Ni"})
    rows = path.with_suffix(".left_out.csv").read_text().splitlines()
    assert rows[:2] == ["source,id,reason", "metals,m2,no formation_energy_per_atom"]
    assert rows[2].startswith("metals,m13,failed: ")
    assert open_element_energies(path.parent, potential()) == fit


@pytest.mark.parametrize(("quantity", "mu"), [("total", None), ("formation", None), ("formation", {38: -1.7, 8: -4.9})])
def test_an_element_is_missing_where_nothing_of_it_is_judged(quantity, mu):
    hull = Hull(reference([-1.0, -5.0, -7.0], quantity, ("O", "Sr", "SrO")), mu)
    for elements in ({38: 1, 8: 1}, {22: 1, 8: 2}, {22: 1}, {38: 1}, {38: 1, 22: 1, 8: 3}):
        missing = hull.missing_elements(elements)
        assert bool(missing) == (hull.judge(elements, -3.0).above_hull is None)
        assert set(missing) <= {"Ti"}
