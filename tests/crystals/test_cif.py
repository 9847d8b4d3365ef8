"""CIF tells one crystal in many ways: all of them come back as the same, and what contradicts itself is refused."""

from __future__ import annotations

import io

import ase.io
import gemmi
import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crystals.real_crystals import prototypes
from unigen.crystals.crystal import Crystal
from unigen.data.readers.crystals import read_crystal_rows
from unigen.elements import ATOMIC_NUMBER, SYMBOLS
from unigen.errors import UserError

GENERAL = np.array([0.1234567, 0.2718281, 0.4142135])
"""No operation of any group brings it near to itself."""


def block(
    *lines: str, cell: tuple[float, ...] = (5.64, 5.64, 5.64, 90, 90, 90), sites: list[str], more: str = ""
) -> str:
    """A CIF of lines, a cell and rows of sites: label, type symbol, three coordinates, and what ``more`` names."""
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    head = [f"_cell_{name} {value}" for name, value in zip(names, cell, strict=True)]
    columns = ["label", "type_symbol", "fract_x", "fract_y", "fract_z", *more.split()]
    return "\n".join(["data_x", *head, *lines, "loop_", *(f"_atom_site_{column}" for column in columns), *sites, ""])


def operators(triplets: list[str], tag: str = "_space_group_symop_operation_xyz") -> str:
    return "\n".join(["loop_", tag, *(f"'{triplet}'" for triplet in triplets)])


def formula(text: str, units: float | None = None) -> str:
    return f"_chemical_formula_sum '{text}'" + (f"\n_cell_formula_units_Z {units}" if units else "")


def assert_same(crystal: Crystal, other: Crystal, tolerance: float = 1e-3) -> None:
    """Same cell, and each atom of one on a like atom of the other."""
    assert crystal.counts == other.counts
    assert crystal.lattice == pytest.approx(other.lattice, abs=1e-4)
    for number in crystal.counts:
        mine = crystal.frac_coords[crystal.numbers == number]
        difference = mine[:, None] - other.frac_coords[other.numbers == number]
        distance = np.linalg.norm((difference - np.round(difference)) @ crystal.lattice, axis=-1)
        assert max(distance.min(axis=0).max(), distance.min(axis=1).max()) < tolerance


class Setting:
    """One of spglib's 530 settings: operations, a cell they fit, a general and, where there is one, a special site."""

    def __init__(self, hall_number: int) -> None:
        self.kind = spglib.get_spacegroup_type(hall_number)
        symmetry = spglib.get_symmetry_from_database(hall_number)
        self.rotations, self.translations = symmetry["rotations"], symmetry["translations"]
        start = np.array([[196.0, 13, -9], [13, 256, 17], [-9, 17, 324]])
        metric = np.mean([rotation.T @ start @ rotation for rotation in self.rotations], axis=0)
        a, b, c = lengths = np.sqrt(np.diagonal(metric))
        cosines = metric[1, 2] / (b * c), metric[0, 2] / (a * c), metric[0, 1] / (a * b)
        self.cell = (*lengths, *np.degrees(np.arccos(cosines)))
        self.places = {"Na": GENERAL}
        if (special := self._special()) is not None:
            self.places["Cl"] = special

    def _special(self) -> np.ndarray | None:
        """A point that some operation leaves where it is."""
        for rotation, translation in zip(self.rotations[1:], self.translations[1:], strict=True):
            images = [GENERAL + 0.05]
            while len(images) < 12:  # a multiple of every order
                images.append(rotation @ images[-1] + translation)
            point = np.mean(images, axis=0)
            if abs(rotation @ point + translation - point).max() < 1e-9:
                return point
        return None

    def crystal(self, lattice: np.ndarray) -> Crystal:
        numbers, coords = [], []
        for symbol, place in self.places.items():
            images = self.rotations @ place + self.translations
            images = np.round(images - np.floor(images + 1e-6), 6)
            orbit = np.unique(images, axis=0)
            coords.append(orbit)
            numbers += [ATOMIC_NUMBER[symbol]] * len(orbit)
        return Crystal(np.array(numbers), np.concatenate(coords), lattice)

    def triplets(self) -> list[str]:
        result = []
        for rotation, translation in zip(self.rotations, self.translations, strict=True):
            operator = gemmi.Op("x,y,z")
            operator.rot, operator.tran = (rotation * 24).tolist(), np.rint(translation * 24).astype(int).tolist()
            result.append(operator.triplet())
        return result

    def text(self, told: str, digits: int = 7) -> str:
        rows = [
            f"{symbol}1 {symbol} " + " ".join(f"{value:.{digits}f}" for value in place)
            for symbol, place in self.places.items()
        ]
        return block(told, cell=self.cell, sites=rows)


@pytest.mark.parametrize("first", range(1, 531, 53))
def test_every_setting_comes_back_from_operators_from_hall_and_from_its_symbol(first):
    for hall_number in range(first, first + 53):
        setting = Setting(hall_number)
        kind = setting.kind
        listed = Crystal.from_cif(setting.text(operators(setting.triplets())))
        assert_same(listed, setting.crystal(listed.lattice))
        suffix = f" :{kind.choice}" if kind.choice else ""
        assert "Cl" not in setting.places or listed.counts[17] < listed.counts[11] == len(setting.rotations)
        for told in (
            f"_space_group_name_Hall '{kind.hall_symbol}'",
            f"_symmetry_space_group_name_H-M '{kind.international_full}{suffix}'",
            f"_space_group.name_H-M_alt '{kind.international_full.replace(' ', '')}{suffix}'",
        ):
            assert_same(Crystal.from_cif(setting.text(told)), listed)


@pytest.mark.parametrize(
    ("symbols", "hall_number"),
    [
        ("P 21/n|P21/n|P2_1/n|P 1 21/n 1|P_1_21/n_1|P 2(1)/n|p 21/N|P 21/c :b2|P 21/n (No. 14)", 82),
        ("R -3 c :R|R-3c:R|R -3 c R|R-3c r|R -3 2/c :R|R -3 c (rhombohedral axes)", 461),
        ("R -3 c :H|R -3 c|R-3cH|H -3 c|R -3 c HR", 460),
        ("F d -3 m :1|Fd-3mS|F d -3 m S|F d -3 m (origin choice 1)|F 41/d -3 2/m :1|F d 3 m :1", 525),
        ("F d -3 m :2|Fd-3m Z|Fd-3m:2|F d -3 m O2|F 41/d -3 2/m : 2", 526),
        ("F m -3 m|FM-3M|Fm3m|F 4/m -3 2/m|225|F m -3 m (225)|F m -3 m #225", 523),
        ("P 63/m m c|P6_3/mmc|P 6(3)/m m c|P 63/m 2/m 2/c", 488),
        ("C m c e|C m c a|Cmca|C 2/m 2/c 21/e", 304),
    ],
)
def test_a_symbol_has_many_spellings(symbols, hall_number):
    setting = Setting(hall_number)
    wanted = Crystal.from_cif(setting.text(operators(setting.triplets())))
    for symbol in symbols.split("|"):
        assert_same(Crystal.from_cif(setting.text(f"_symmetry_space_group_name_H-M '{symbol}'")), wanted)


def test_a_short_symbol_means_the_axis_that_the_cell_has():
    for hall_number in (61, 62, 83, 84):
        setting = Setting(hall_number)
        short = "".join(part for part in setting.kind.international_full.split() if part != "1")
        told = f"_symmetry_space_group_name_H-M '{short}'"
        assert_same(Crystal.from_cif(setting.text(told)), Crystal.from_cif(setting.text(operators(setting.triplets()))))


@settings(max_examples=60, deadline=None)
@given(hall_number=st.integers(3, 530), digits=st.integers(3, 6))
def test_rounded_places_land_on_their_special_positions(hall_number, digits):
    setting = Setting(hall_number)
    told = operators(setting.triplets())
    exact, rounded = (Crystal.from_cif(setting.text(told, places)) for places in (9, digits))
    assert_same(rounded, exact, tolerance=30 * 10.0**-digits)


ROCK_SALT = ["Na1 Na 0 0 0", "Cl1 Cl .5 .5 .5"]
ALL_OF_ROCK_SALT = [
    *("Na1 Na 0 0 0", "Na2 Na 0 .5 .5", "Na3 Na .5 0 .5", "Na4 Na .5 .5 0"),
    *("Cl1 Cl .5 .5 .5", "Cl2 Cl .5 0 0", "Cl3 Cl 0 .5 0", "Cl4 Cl 0 0 .5"),
]
ALONE = operators(["x, y, z"])
FM3M = "_symmetry_space_group_name_H-M Fm-3m"


@pytest.mark.parametrize(
    "text",
    [
        block(FM3M, sites=ROCK_SALT),
        block(FM3M, ALONE, sites=ROCK_SALT),
        block(FM3M, ALONE, formula("Na4 Cl4", 4), sites=ROCK_SALT),
        block(FM3M, ALONE, formula("Na Cl", 4), "_symmetry_Int_Tables_number 225", sites=ROCK_SALT),
        block(FM3M, ALONE, sites=ALL_OF_ROCK_SALT),
        block(FM3M, ALONE, formula("Na Cl", 4), sites=ALL_OF_ROCK_SALT),
        block(FM3M, sites=ALL_OF_ROCK_SALT),
        block("_symmetry_space_group_name_H-M 'P 1'", ALONE, sites=ALL_OF_ROCK_SALT),
        block(sites=ALL_OF_ROCK_SALT),
        block("_symmetry_space_group_name_H-M F m -3 m", sites=ROCK_SALT),
        block("_space_group_IT_number 225", sites=ROCK_SALT),
        block(
            operators(["x,y,z", "x,y+1/2,z+1/2", "x+1/2,y,z+1/2", "x+0.5,1/2+y,z"], "_symmetry_equiv_pos_as_xyz"),
            FM3M,
            sites=ROCK_SALT,
        ),
        block(FM3M, sites=["Na1 Na+ 0 0 0 1", "Cl1 Cl1- 1/2 .5(1) 0.5 ."], more="occupancy"),
        block(FM3M, sites=["Na1 ? 0 0 0 d", "CL2 . .5 .5 .5 d"], more="calc_flag").replace(
            "loop_", formula("Na Cl") + "\nloop_", 1
        ),
        block(FM3M, sites=["1 Na1 0 0 0 0 .", "2 Cl2 .5 .5 .5 ? A"], more="attached_hydrogens disorder_assembly"),
    ],
)
def test_rock_salt_is_rock_salt_however_it_is_told(text):
    assert_same(Crystal.from_cif(text), Crystal.from_cif(block(sites=ALL_OF_ROCK_SALT)))


def test_listed_operators_tell_the_setting_where_the_symbol_names_another():
    setting = Setting(82)
    told = operators(setting.triplets()) + "\n_symmetry_space_group_name_H-M 'P 21/c'\n_space_group_IT_number 14"
    assert_same(Crystal.from_cif(setting.text(told)), setting.crystal(Crystal.from_cif(setting.text(told)).lattice))


def test_the_formula_tells_the_origin_and_without_it_nothing_is_guessed():
    diamond = ["Si1 Si 0 0 0"]
    told = "_symmetry_space_group_name_H-M 'F d -3 m'"
    assert Crystal.from_cif(block(told, formula("Si", 8), sites=diamond)).counts == {14: 8}
    assert Crystal.from_cif(block(told, formula("Si", 16), sites=diamond)).counts == {14: 16}
    with pytest.raises(UserError, match=r"does not tell which .*origin choice 1: Si8.*origin choice 2: Si16"):
        Crystal.from_cif(block(told, sites=diamond))


def test_all_atoms_beside_a_leftover_symbol_are_not_doubled():
    """Moved from the origin of the symbol: the operations would make four atoms of each."""
    setting = Setting(81)
    setting.places = {"Na": GENERAL}
    whole = setting.crystal(Crystal.from_cif(setting.text(operators(setting.triplets()))).lattice)
    moved = whole.frac_coords + np.array([0.1, 0.07, 0.0])
    rows = [f"Na{i} Na " + " ".join(f"{value:.6f}" for value in place) for i, place in enumerate(moved)]
    told = ("_symmetry_space_group_name_H-M 'P 21/c'", ALONE)
    assert len(Crystal.from_cif(block(*told, formula("Na", 4), cell=setting.cell, sites=rows))) == 4
    with pytest.raises(UserError, match="does not tell which structure"):
        Crystal.from_cif(block(*told, cell=setting.cell, sites=rows))


PEROVSKITE = ["Sr1 Sr 0.01 0 0", "Ti1 Ti .5 .5 .49", "O1 O .5 .5 .02", "O2 O .5 0 .51", "O3 O 0.01 .5 .5"]


def test_a_distorted_crystal_keeps_its_atoms_beside_the_symbol_of_the_ideal_one():
    told = ("_symmetry_space_group_name_H-M 'P m -3 m'", ALONE)
    for declared in ((), (formula("Sr Ti O3", 1),)):
        crystal = Crystal.from_cif(block(*told, *declared, cell=(4, 4, 4, 90, 90, 90), sites=PEROVSKITE))
        assert crystal.frac_coords[:, 2].tolist() == [0, 0.49, 0.02, 0.51, 0.5]
    with pytest.raises(UserError, match="neither all atoms nor one of each kind"):
        Crystal.from_cif(block(*told, cell=(4, 4, 4, 90, 90, 90), sites=PEROVSKITE[:-1]))


def test_a_primitive_cell_beside_the_symbol_of_its_group_is_read_as_it_is():
    primitive = (3.988, 3.988, 3.988, 60, 60, 60)
    assert Crystal.from_cif(block(FM3M, ALONE, cell=primitive, sites=ROCK_SALT)).counts == {11: 1, 17: 1}
    with pytest.raises(UserError, match="has not the symmetry of F m -3 m"):
        Crystal.from_cif(block(FM3M, cell=primitive, sites=ROCK_SALT))


OXIDE = ["Mg1 Mg 0 0 0", "O1 O 0.3333 0.6667 0.22", "O2 O 0.6667 0.3333 0.78"]
BRUCITE = (3.14, 3.14, 4.77, 90, 90, 120)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (block(FM3M, cell=(5.64, 5.64, 5.8, 90, 90, 90), sites=ROCK_SALT), "has not the symmetry of F m -3 m"),
        (block(FM3M, ALONE, cell=(5, 5.64, 5.8, 90, 90, 90), sites=ROCK_SALT), "has not the symmetry of F m -3 m"),
        (block(operators(["x,y,z", "-y,x,z"]), sites=ROCK_SALT), "operators form no group"),
        (block(operators(["x,y,z", "x+y,z"]), sites=ROCK_SALT), "operators form no group; got 'x+y,z'"),
        (block(operators(["x,y,z", "-x,-y,-z"]), FM3M, formula("Na Cl", 4), sites=ROCK_SALT[:1]), "no site of Cl"),
        (
            block(operators(["x,y,z", "-x,-y,z"]), "_space_group_IT_number 2", sites=["Na1 Na .1 .2 .3"]),
            "which structure",
        ),
        (block("_space_group_name_Hall 'no such'", sites=ROCK_SALT), "unknown space group: Hall symbol 'no such'"),
        (block("_symmetry_space_group_name_H-M 'P 9'", sites=ROCK_SALT), "unknown space group"),
        (block("_symmetry_space_group_name_H-M 'P 9'", "_space_group_IT_number 14", sites=ROCK_SALT), "unknown space"),
        (block("_space_group_IT_number 300", sites=ROCK_SALT), "unknown space group: number '300'"),
        (block(FM3M, ALONE, sites=[*ROCK_SALT, "Na2 Na .5 .5 0"]), "got Na1 and Na2 coincide"),
        (block(FM3M, sites=[*ROCK_SALT, "K1 K .5 .5 0"]), "two sites of the file are the same place; got Na1 and K1"),
        (block(formula("Mg O2 H2"), cell=BRUCITE, sites=OXIDE), "no site of H, which the declared formula has"),
        (block(formula("Mg O2", 2), cell=BRUCITE, sites=OXIDE), "contradict the declared formula"),
        (block(formula("Mg O"), cell=BRUCITE, sites=OXIDE), "contradict the declared formula"),
        (block(formula("O2"), cell=BRUCITE, sites=OXIDE), "sites of Mg, which the declared formula has not"),
        (block(cell=BRUCITE, sites=[*OXIDE, "H1 H 0.3333 0.6667 0.22"]), "atoms too close"),
        (block(FM3M, sites=["Na1 Na 0 0 0 1", "Cl1 Cl .5 .5 .5 0"], more="occupancy"), "site 1: occupancy 0"),
        (block(FM3M, sites=["Na1 Na 0 0 0 .5", "K1 K 0 0 0 .5"], more="occupancy"), "site 0: partial occupancy"),
        (block(FM3M, sites=["Na1 Na 0 0 0 2"], more="occupancy"), "partial occupancy; got Na1 2"),
        (block(FM3M, sites=["Na1 Na 0 0 0 abc"], more="occupancy"), "partial occupancy; got Na1 abc"),
        (block(FM3M, sites=["Na1 Na 0 0 0 d", "X1 . .5 .5 .5 dum"], more="calc_flag"), "site 1: a dummy"),
        (block(FM3M, sites=["O1 O 0 0 0 2"], more="attached_hydrogens"), "O1 with 2 attached hydrogens"),
        (block(sites=["O1 O 0 0 0 1", "O2 O .1 0 0 2"], more="disorder_group"), "disorder groups 1, 2"),
        (block(sites=["O1 O 0 0 0 -1"], more="disorder_group"), "disorder groups -1"),
        (block(sites=["OH1 O 0 0 0"]), "site 0: hydrogen without a place; got OH1"),
        (block(sites=["Wat1 O 0 0 0"]), "hydrogen without a place; got Wat1"),
        (block(sites=["O1 OH 0 0 0"]), "site 0: unknown species; got OH"),
        (block(sites=["Vac1 . 0 0 0"]), "site 0: unknown species; got Vac1"),
        (block(sites=["NA1 . 0 0 0"]), "unknown species; got NA1"),
        (block(sites=["T1 . 0 0 0"]), "unknown species; got T1"),
        (block(sites=["Na1 Na 0 ? 0"]), "site 0 (Na1): no place; got 0 ? 0"),
        (block(sites=["Na1 Na 0 0 1e999"]), "no place"),
        (block(sites=["Na1 Na 0 0 nan"]), "no place"),
        (block(sites=ROCK_SALT, cell=(-5, 5, 5, 90, 90, 90)), "no such cell"),
        (block(sites=ROCK_SALT, cell=(5, 5, 5, 30, 100, 170)), "no such cell"),
        (block(sites=ROCK_SALT).replace("_cell_length_b 5.64\n", ""), "no such cell; got a b c 5.64 ? 5.64"),
        (block(sites=ROCK_SALT).replace("_cell_angle_gamma 90\n", ""), "no such cell"),
        (block("_cell_modulation_dimension 1", sites=ROCK_SALT), "superspace"),
        (block("_space_group_ssg_name_IT 'Pnma(00g)0s0'", sites=ROCK_SALT), "superspace"),
        (block("_space_group_magn.number_BNS 62.448", sites=ROCK_SALT), "magnetic"),
        (block(sites=ROCK_SALT).replace("fract_", "Cartn_"), "sites in Cartesian coordinates"),
        (block(sites=ROCK_SALT).replace("fract_", "U_"), "sites without places"),
        (block(sites=ROCK_SALT) + block(sites=ROCK_SALT), "duplicate block name: x"),
        (block(sites=ROCK_SALT) + block(sites=["K1 K"]).replace("data_x", "data_y"), "Wrong number of values"),
        (block(sites=ROCK_SALT) + block(sites=["K1 K 0 0 0"]).replace("data_x", "data_y"), "2 structures in one CIF"),
        (block("_cell_length_a 5", sites=ROCK_SALT), "duplicate tag"),
        (block("_cell.length_a 5", sites=ROCK_SALT), "tells _cell.length_a twice"),
        (block(sites=ROCK_SALT).replace("data_x\n", ""), "not a readable CIF"),
        ("data_article\n_publ_section_title 'no atoms'\n", "no atom sites"),
        ("\n", "no atom sites"),
        (
            # y and z exchanged: both mercury and its image are 0.1 A beside the axis that it is on
            block(
                "_space_group_name_Hall 'P 32 2\"'",
                cell=(4.145, 4.145, 9.496, 90, 90, 120),
                sites=["Hg1 Hg 0.7198 0.66666667 0 3"],
                more="symmetry_multiplicity",
            ),
            "Hg1 with 6 images, some closer than 0.5 A; declared multiplicity 3",
        ),
    ],
)
def test_what_contradicts_itself_or_is_no_crystal_is_refused(text, said):
    with pytest.raises(UserError) as refused:
        Crystal.from_cif(text, "some.cif entry 3")
    assert said in str(refused.value)
    assert str(refused.value).startswith("some.cif entry 3: ")


def test_a_block_of_the_journal_is_passed_by():
    text = "data_global\n_publ_section_title\n;\n A title of\n two lines\n;\n" + block(FM3M, sites=ROCK_SALT)
    assert Crystal.from_cif(text).counts == {11: 4, 17: 4}


@pytest.mark.parametrize(
    ("label", "declared", "symbol"),
    [
        *(
            ("Na1", "", "Na"),
            ("O1A", "", "O"),
            ("SiT", "", "Si"),
            ("OA1", "", "O"),
            ("D3", "", "H"),
            ("Fe01_2", "", "Fe"),
        ),
        *(("NA1", "Na", "Na"), ("CL2", "Cl", "Cl"), ("CA1", "C", "C"), ("OB", "O", "O"), ("HO1", "H", "H")),
    ],
)
def test_a_label_tells_the_element_where_only_one_is_meant(label, declared, symbol):
    text = block(*([formula(declared)] if declared else []), sites=[f"{label} . 0 0 0"])
    assert SYMBOLS[Crystal.from_cif(text).numbers[0]] == symbol


@settings(max_examples=15, deadline=None)
@given(index=st.integers(0, 10**6))
def test_what_others_write_comes_back(index):
    pool = prototypes(20)
    crystal = pool[index % len(pool)]
    file = io.BytesIO()
    ase.io.write(file, crystal.to_ase(), format="cif")
    small = gemmi.SmallStructure()
    small.cell = gemmi.UnitCell(*crystal.to_pymatgen().lattice.parameters)
    small.spacegroup_hm = "P 1"
    for number, place in zip(crystal.numbers, crystal.frac_coords, strict=True):
        site = gemmi.SmallStructure.Site()
        site.label = site.type_symbol = SYMBOLS[number]
        site.element, site.fract = gemmi.Element(int(number)), gemmi.Fractional(*place)
        small.add_site(site)
    document = gemmi.cif.Document()
    document.add_copied_block(small.make_cif_block())
    read = Crystal.from_cif(crystal.to_cif(symprec=None))
    for text in (file.getvalue().decode(), document.as_string()):
        assert_same(Crystal.from_cif(text), read)
    assert read.numbers.tolist() == crystal.numbers.tolist()
    symmetrised = Crystal.from_cif(crystal.to_cif(symprec=0.01))
    assert symmetrised.space_group() == crystal.space_group()
    assert symmetrised.reduced(0.01).counts == crystal.reduced(0.01).counts


@pytest.mark.parametrize(
    ("index", "seed", "noise", "symprec"), [(7, 5, 0.05, 0.3), (6, 6, 0.03, 0.3), (7, 168, 0.05, 0.3)]
)
def test_a_crystal_that_is_nearly_symmetric_is_not_written_as_another(index, seed, noise, symprec):
    """pymatgen writes operators of another cell than its sites: 8 Ti of 4."""
    ideal = prototypes(12)[index]
    shift = np.random.default_rng(seed).normal(size=ideal.frac_coords.shape)
    moved = ideal.frac_coords + noise * shift / np.linalg.norm(ideal.lattice, axis=1)
    crystal = Crystal(ideal.numbers, moved, ideal.lattice)
    back = Crystal.from_cif(crystal.to_cif(symprec=symprec))
    assert back.reduced_formula == crystal.reduced_formula
    assert len(back) / back.volume == pytest.approx(len(crystal) / crystal.volume, rel=0.05)


def test_operators_of_a_skewed_cell_and_of_an_unusual_origin_are_read():
    told = operators(["x,y,z", "-x+128/413,-y,-z", "-x+128/413,-y,-2x+z+128/413", "x,y,2x-z-128/413"])
    lattice = np.array([[5.0, 0, -3.5], [0, 6, 0], [0, 0, 3.5]])  # a + c is normal to c, the axis
    a, b, c = np.linalg.norm(lattice, axis=1)
    beta = np.degrees(np.arccos(lattice[0] @ lattice[2] / (a * c)))
    crystal = Crystal.from_cif(block(told, cell=(a, b, c, 90, beta, 90), sites=["Na1 Na .1 .2 .3"]))
    assert len(crystal) == 4
    assert crystal.space_group().number >= 10


@pytest.mark.parametrize("separator", ["\v", "\f", "\x1c", "\u2028", " "])
def test_a_file_without_lines_is_one_refusal(separator, tmp_path):
    """Line ends that are none: the words ``data_`` are there, and begin no block."""
    text = "# a comment\n" + prototypes(1)[0].to_cif()
    (tmp_path / "a.cif").write_text((text * 2).replace("\n", separator), encoding="utf-8")
    rows = list(read_crystal_rows(tmp_path / "a.cif"))
    assert [row.structure for row in rows] == [None] * len(rows)
    assert rows
    assert all("not a readable CIF" in row.reason for row in rows)
