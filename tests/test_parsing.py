"""Text of any origin is read alike, and what is no text ends in one line."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unigen import parsing
from unigen.elements import SYMBOLS, atomic_number_of
from unigen.errors import UserError
from unigen.parsing import decode, open_text, parse_json, read_whole

# without line ends: each test brings its own; without half letters, which no encoding writes
LINES = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])), max_size=5)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@given(
    lines=LINES, end=ENDS, encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]), packed=st.booleans()
)
def test_every_encoding_and_line_end_is_read_alike(tmp_path_factory, lines, end, encoding, packed):
    content = "".join(line + end for line in lines).encode(encoding)
    path = tmp_path_factory.mktemp("text") / ("a.txt.gz" if packed else "a.txt")
    path.write_bytes(gzip.compress(content) if packed else content)
    text = "".join(line + "\n" for line in lines).removeprefix("\ufeff")
    assert read_whole(path).removeprefix("\ufeff") == text
    assert decode(content).removeprefix("\ufeff") == text


@given(st.text(st.characters(min_codepoint=32, max_codepoint=255)))
def test_latin_1_loses_no_ascii_letter(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes(text.encode("latin-1"))
    with open_text(path) as file:
        read = file.read()
    assert [letter for letter in read if letter.isascii()] == [
        letter for letter in text.replace("\r", "\n") if letter.isascii()
    ]


def test_old_programs_names_come_through(tmp_path):
    path = tmp_path / "a.cif"
    path.write_bytes("Müller, 3 Å".encode("latin-1"))
    assert read_whole(path) == "Müller, 3 Å"


def test_a_file_made_to_fill_the_memory_is_refused_before_it_does(tmp_path, monkeypatch):
    monkeypatch.setattr(parsing, "UNPACKED_FREELY", 1 << 20)
    path = tmp_path / "zeros.json.gz"
    path.write_bytes(gzip.compress(bytes(64 << 20)))
    with pytest.raises(UserError, match=r"zeros\.json\.gz: unpacks to far more than structures do"):
        read_whole(path)


@given(cut=st.integers(min_value=1, max_value=40))
def test_a_damaged_gzip_file_is_named(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("text") / "a.xyz.gz"
    content = gzip.compress(b"1\n\nH 0 0 0\n" * 10)
    path.write_bytes(content[: max(len(content) - cut, 1)])
    with pytest.raises(UserError, match=r"a\.xyz\.gz: (not a readable gzip file|cannot be read)"):
        read_whole(path)


def test_a_folder_and_a_missing_file_are_one_line(tmp_path):
    for path in (tmp_path, tmp_path / "none", tmp_path / "none.gz"):
        with pytest.raises(UserError, match="cannot be read"):
            read_whole(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        ("9" * 5_000, "not JSON"),
        (r'"\ud800"', "not JSON"),
        ("{", "not JSON"),
        ("", "not JSON"),
    ],
)
def test_json_that_cannot_be_is_one_line(text, reason):
    with pytest.raises(UserError, match=reason) as error:
        parse_json(text, "a.json")
    assert str(error.value).startswith("a.json: ")
    assert len(str(error.value)) < 300


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    )
)
def test_json_is_read_as_it_was_written(document):
    assert parse_json(json.dumps(document), "a.json") == document


CHARGES = st.sampled_from(["", "+", "-", "2+", "3-", "+2", "0+", "0.5+", "2+,spin=5", "3+,spin=-1"])


@given(
    number=st.integers(1, 118),
    case=st.sampled_from([str, str.upper, str.lower]),
    isotope=st.sampled_from(["", "2", "13", "235"]),
    charge=CHARGES,
)
def test_a_species_is_its_element_however_it_is_written(number, case, isotope, charge):
    assert atomic_number_of(f"{isotope}{case(SYMBOLS[number])}{charge}") == number


@given(st.text(st.characters(codec="ascii"), max_size=6))
def test_all_letters_of_a_species_are_those_of_its_element(text):
    number = atomic_number_of(text)
    letters = "".join(letter for letter in text.split(",")[0] if letter.isalpha()).capitalize()
    assert number is None or letters in {SYMBOLS[number], "D", "T"}


@pytest.mark.parametrize("name", ["OH", "Vac", "Vac1", "Wat", "X", "Xx", "H2O", "Fe1Fe", "", "1", "Na1", "Q"])
def test_a_word_is_no_element_by_its_beginning(name):
    assert atomic_number_of(name) is None


def test_text_in_memory_is_what_it_is():
    text, where = parsing.read_text("\ufeff2\n\n")
    assert (text, where) == ("2\n\n", "the text")
