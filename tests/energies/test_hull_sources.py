"""What a hull may be built of: entries are read as pymatgen reads them, and energies that do not belong are refused."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import CompositionEnergyAdjustment, ComputedEntry, ConstantEnergyAdjustment

from unigen.elements import format_formula, parse_formula, reduce_counts
from unigen.energies.hull.build import build_from_energies
from unigen.energies.hull.provenance import functional_of
from unigen.energies.hull.reference import LEFT_OUT, hull_folder, open_reference
from unigen.energies.hull.sources import read_energies
from unigen.errors import UserError

MIXING = "MP GGA(+U)/r2SCAN mixing adjustment"
ANION = "MP2020 anion correction (Cl)"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path))
    return tmp_path


def entry(formula, energy, run_type="GGA", adjustments=(), name=None) -> dict:
    """As pymatgen writes it; energies an atom."""
    atoms = Composition(formula).num_atoms
    made = [CompositionEnergyAdjustment(value, atoms, name=label) for label, value in adjustments]
    parameters = {"run_type": run_type} if run_type else {}
    return ComputedEntry(
        formula, energy * atoms, energy_adjustments=made, parameters=parameters, entry_id=name or f"mp-{formula}"
    ).as_dict()


SALT = [entry("Na2", -1.3), entry("Cl4", -1.825), entry("NaCl", -3.4, adjustments=[(ANION, -0.307)])]


def build(home, entries, scheme="MP2020", quantity="total", name="mine"):
    path = home / f"{name}.json"
    path.write_text(json.dumps(entries))
    return build_from_energies(name, [str(path)], energy=None, quantity=quantity, scheme=scheme)


def energies(name="mine") -> dict[str, float]:
    reference = open_reference(name)
    return dict(zip(reference.formulas, reference.energies.round(6).tolist(), strict=True))


counted = st.dictionaries(st.sampled_from(["Na", "Cl", "O", "Fe", "H"]), st.integers(1, 6), min_size=1, max_size=3)


@given(counted, st.floats(-9, -0.5), st.floats(-1, 1), st.sampled_from(["formula_unit", "atom"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_entries_have_the_energy_that_pymatgen_gives_them(tmp_path, counts, energy, correction, mode):
    atoms = sum(counts.values())
    made = ComputedEntry(
        Composition(counts), energy * atoms, energy_adjustments=[ConstantEnergyAdjustment(correction, name="MP2020 x")]
    )
    path = tmp_path / "one.json"
    path.write_text(json.dumps([made.as_dict(), made.normalize(mode).as_dict()]))
    ((_, formula, one), (_, normalised, two)) = read_energies(str(path), None, "total", "PBE").entries
    wanted = {element.Z: int(n) for element, n in made.composition.items()}
    assert parse_formula(formula) == parse_formula(normalised) == reduce_counts(wanted)[0]
    assert one == pytest.approx(made.energy_per_atom)
    assert two == pytest.approx(made.energy_per_atom)
    (((_, _, bare), _)) = read_energies(str(path), None, "total", "MP-uncorrected").entries
    assert bare == pytest.approx(made.uncorrected_energy_per_atom)


@pytest.mark.parametrize("written", [{"Na+": 1.0, "Cl-": 1.0}, {"Na": 0.5, "Cl": 0.5}, {"Na0+": 2, "Cl": 2.0}, "ClNa"])
def test_charges_and_fractions_are_the_same_composition(home, written):
    atoms = sum(written.values()) if isinstance(written, dict) else 2
    salt = SALT[2] | {"composition": written, "energy": -3.4 * atoms, "correction": -0.307 * atoms}
    card = build(home, [*SALT[:2], salt])
    assert (card.entries, card.skipped) == (3, {})
    assert energies() == {"Na": -1.3, "Cl": -1.825, "NaCl": -3.707}


def test_deuterium_is_hydrogen_and_what_is_left_out_is_written_down(home):
    entries = [
        entry("Li", -1.9),
        entry("H2", -3.35),
        entry("LiH", -3.5) | {"composition": {"Li": 1, "D": 1}},
        entry("LiH", -3.0, name="mp-odd") | {"composition": {"Li": 1, "Vac": 1}},
        entry("LiH", -3.0, name="mp-none") | {"energy": None},
        entry("LiH", -9.0, name="mp-hot") | {"@class": "GibbsComputedStructureEntry"},
        entry("LiH", -9.0, name="mp-gone") | {"deprecated": True},
        "nothing",
    ]
    card = build(home, entries)
    assert energies() == {"Li": -1.9, "H": -3.35, "LiH": -3.5}
    assert card.skipped == {
        "'Vac' is no element": 1,
        "no energy": 1,
        "a Gibbs energy at a temperature, not the energy of a crystal": 1,
        "deprecated by its source": 1,
        "not an entry": 1,
    }
    with (hull_folder("mine") / LEFT_OUT).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["mp-odd", "mp-none", "mp-hot", "mp-gone", "7"]
    assert all(row["source"] == "mine.json" and row["reason"] in card.skipped for row in rows)


@pytest.mark.parametrize(
    ("entries", "scheme", "said"),
    [
        ([*SALT, entry("NaCl", -8.45, "R2SCAN", name="mp-r2")], "MP2020", r"two functionals.*mp-Na2.*mp-r2"),
        ([*SALT, entry("NaCl", -8.45, "", name="mp-1-r2SCAN")], "PBE", "two functionals.*mp-Na2.*mp-1-r2SCAN"),
        ([*SALT, entry("NaCl", -8.45, "", name="mp-1")], "MP2020", "two kinds.*mp-1: NaCl at -8.450.*mp-Na2.*mp-Cl4"),
        (SALT, "r2SCAN", r"another functional than r2SCAN's; got PBE\(\+U\): mp-Na2 .*wanted r2SCAN"),
        ([*SALT, entry("NaCl3", -2, adjustments=[(MIXING, -0.1)])], "MP2020", f"does not have.*mp-NaCl3.*{MIXING[:6]}"),
        ([*SALT, entry("NaCl3", -2, adjustments=[(MIXING, -0.1)])], "PBE", "does not have.*mixing: mp-NaCl3"),
        ([*SALT, entry("NaCl3", -2, adjustments=[("MIT Cl", -0.1)])], "PBE", "does not have.*MIT Cl.*MP2020: mp-NaCl"),
        ([*SALT, entry("NaCl3", -2, adjustments=[("MIT Cl", -0.1)])], "MP2020", "does not have.*MIT Cl"),
        ([each | {"energy": each["energy"] * 40} for each in SALT], "MP2020", "not energies an atom"),
    ],
)
def test_energies_of_two_schemes_are_refused_and_both_named(home, entries, scheme, said):
    with pytest.raises(UserError, match=said):
        build(home, entries, scheme)
    with pytest.raises(UserError, match="is not built"):
        open_reference("mine")


def test_two_sources_are_one_hull(home):
    for name, run_type in (("a", "GGA"), ("b", "R2SCAN")):
        (home / f"{name}.json").write_text(json.dumps([entry("Na", -1.3, run_type, name=name)]))
    with pytest.raises(UserError, match=r"got PBE\(\+U\): a .*; r2SCAN: b "):
        build_from_energies(
            "mine", [str(home / "a.json"), str(home / "b.json")], energy=None, quantity="total", scheme="x"
        )


def test_a_scheme_that_mixes_may_be_mixed(home):
    mixed = [*SALT[:2], entry("NaCl", -3.0, "R2SCAN", [(MIXING, -0.7)])]
    assert build(home, mixed, "MP-mixed").notes == ()
    assert energies()["NaCl"] == -3.7


def test_corrections_are_left_out_where_the_scheme_has_none_and_that_is_said(home):
    card = build(home, SALT, "mp-uncorrected")
    assert (card.scheme, energies()["NaCl"]) == ("MP-uncorrected", -3.4)
    assert card.notes == ("corrections of 1 entries left out: MP-uncorrected has none",)
    assert build(home, SALT, "MP2020", name="other").notes == ()


@pytest.mark.parametrize(
    ("rows", "quantity", "scheme", "said"),
    [
        ("Na,-1.3\nCl,-1.8\nNaCl,-3.7", "formation", "PBE", "no formation energies; got Na: Na at -1.3"),
        ("SrTiO3,-8\nTiO2,-8.7\nSrO,-6", "formation", "PBE", "no formation energies; got TiO2"),
        ("Na,0\nCl,0\nNaCl,-2", "total", "MP2020", "no total energies; got"),
        ("Na,-1.3\nCl,-1.8\nNaCl,-30", "total", "MP2020", "not energies an atom; got NaCl"),
    ],
)
def test_values_that_cannot_be_what_they_are_said_to_be_are_refused(home, rows, quantity, scheme, said):
    (home / "a.csv").write_text(f"formula,e\n{rows}\n")
    with pytest.raises(UserError, match=said):
        build_from_energies("mine", [str(home / "a.csv")], energy="e", quantity=quantity, scheme=scheme)


@given(st.lists(st.floats(-4.5, 2), min_size=2, max_size=8), st.lists(st.floats(-0.2, 0.4), max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_formation_energies_as_they_occur_are_taken(tmp_path_factory, compounds, elements):
    home = tmp_path_factory.mktemp("home")
    rows = [f"NaCl{n},{e}" for n, e in enumerate(compounds, 1)]
    rows += [f"{s},{e}" for s, e in zip(("Na", "Cl", "K"), elements, strict=False)]
    (home / "a.csv").write_text("formula,e\n" + "\n".join(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIGEN_HOME", str(home))
        card = build_from_energies("mine", [str(home / "a.csv")], energy="e", quantity="formation", scheme="MP2020")
    assert card.formulas == len(rows)


def test_a_few_wrong_values_stop_no_set_and_are_named(home):
    rows = [f"NaCl{n},-1" for n in range(1, 100)]
    (home / "a.csv").write_text("formula,e\n" + "\n".join([*rows, "KCl,-5.2"]))
    card = build_from_energies("mine", [str(home / "a.csv")], energy="e", quantity="formation", scheme="MP2020")
    assert card.notes == ("1 formulas below -5 eV/atom, where no formation energy lies: KCl",)


@pytest.mark.parametrize(
    ("column", "quantity", "scheme", "said"),
    [
        ("formation_energy_per_atom", "total", "PBE", "named after formation energies"),
        ("uncorrected_energy_per_atom", "total", "MP2020", "named after uncorrected energies"),
        ("corrected_energy", "total", "MP-uncorrected", "named after corrected energies"),
        ("total_energy", "formation", "PBE", "named after total energies"),
        ("e_above_hull", "formation", "PBE", "named after energies above a hull"),
    ],
)
def test_columns_named_after_something_else_are_refused(home, column, quantity, scheme, said):
    (home / "a.csv").write_text(f"formula,{column}\nNaCl,-2\n")
    with pytest.raises(UserError, match=said):
        build_from_energies("mine", [str(home / "a.csv")], energy=column, quantity=quantity, scheme=scheme)


def test_formulas_of_tables_are_read_as_everywhere(home):
    formulas = ["CaSO4·2H2O", "K4[Fe(CN)6]", "Na0.5Cl0.5", "Na+", "?"]
    (home / "a.csv").write_text("formula,e\n" + "\n".join(f"{each},-1" for each in formulas), encoding="latin-1")
    card = build_from_energies("mine", [str(home / "a.csv")], energy="e", quantity="formation", scheme="PBE")
    assert set(open_reference("mine").formulas) == {format_formula(parse_formula(f)) for f in (*formulas[:2], "NaCl")}
    assert sum(card.skipped.values()) == 2
    assert all(reason.startswith("formula not understood: ") for reason in card.skipped)
    assert any("a charge" in reason for reason in card.skipped)


DOCUMENT = {"material_id": "mp-1", "formula_pretty": "NaCl", "composition": {"Na": 1.0, "Cl": 1.0}}
DOCUMENT |= {"energy_per_atom": -3.7, "uncorrected_energy_per_atom": -3.4, "formation_energy_per_atom": -2.1}


@pytest.mark.parametrize(
    ("quantity", "scheme", "energy"),
    [("total", "MP2020", -3.7), ("total", "MP-uncorrected", -3.4), ("formation", "MP2020", -2.1)],
)
def test_documents_of_the_materials_project(home, quantity, scheme, energy):
    build(home, {"data": [DOCUMENT | {"thermo_type": "GGA_GGA+U"}]}, scheme, quantity)
    assert energies() == {"NaCl": energy}
    with pytest.raises(UserError, match="another functional than"):
        build(home, [DOCUMENT | {"thermo_type": "GGA_GGA+U_R2SCAN"}], scheme, quantity, "other")


@pytest.mark.parametrize("run_type", ["GGA", "GGA+U", "GGA_U", "PBE", "PBE+U", "GGA_GGA+U"])
def test_one_functional_has_many_names(run_type):
    assert functional_of(run_type) == "PBE(+U)"


def test_the_command_says_what_it_leaves_out(home, capsys, monkeypatch):
    from unigen import cli

    (home / "a.json").write_text(json.dumps([*SALT, {"composition": {"Na": 1}, "entry_id": "odd"}]))
    words = ["hull", "build", "mine", "--from", str(home / "a.json"), "--quantity", "total"]
    monkeypatch.setattr("sys.argv", ["unigen", *words, "--energy-scheme", "MP-uncorrected"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "hull mine: 3 formulas of 3 entries; total energies, MP-uncorrected" in said
    assert "left out: 1 no energy" in said
    assert "note: corrections of 1 entries left out" in said
    assert LEFT_OUT in said
    assert np.isfinite(open_reference("mine").energies).all()
