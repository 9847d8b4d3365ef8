"""Text of SMILES and symbols are two spellings of one thing."""

import csv
import gzip
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.smiles.real_skeletons import nci_smiles
from unigen.elements import ATOMIC_NUMBER
from unigen.errors import UserError
from unigen.smiles.text import TEXT, smiles_symbols, smiles_text, split_smiles
from unigen.tokens.vocabulary import CRYSTAL_VOCABULARY_SIZE, VOCABULARY_SIZE, element_symbol

CHARACTERS = "()[].-=#$:/+@%0123456789BCNOPSFIHbcnopsaelr*~XtK "


def test_every_smiles_of_the_nci_comes_back_and_none_is_refused():
    texts = nci_smiles()
    assert len(texts) == 4999
    assert [text for text in texts if smiles_text(smiles_symbols(text)) != text] == []


def test_ten_thousand_smiles_of_moses_come_back():
    folder = Path(os.environ.get("UNIGEN_DATA", "")) / "moses"
    files = sorted(folder.glob("train.csv*")) if "UNIGEN_DATA" in os.environ else []
    if not files:
        pytest.skip("UNIGEN_DATA names no folder with moses/train.csv or moses/train.csv.gz")
    with gzip.open(files[0], "rt") if files[0].suffix == ".gz" else files[0].open() as file:
        texts = [row["SMILES"] for row in itertools.islice(csv.DictReader(file), 10_000)]
    assert len(texts) == 10_000
    assert [text for text in texts if smiles_text(smiles_symbols(text)) != text] == []


@given(st.text(CHARACTERS, max_size=20))
def test_text_comes_back_or_is_refused_with_the_place(text):
    try:
        tokens = split_smiles(text)
    except UserError as error:
        place = int(str(error).split("cannot read character ")[1].split(";")[0])
        tokens, text = [str(error).split("got '")[1][0]], text[place - 1]
    assert "".join(tokens) == text
    assert set(tokens) <= {*TEXT.values(), *CHARACTERS}


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Sc1ccccc1", ["S", "c", "1", "c", "c", "c", "c", "c", "1"]),
        ("[Sc+3]", ["[", "Sc", "+", "3", "]"]),
        ("Cn1cccc1", ["C", "n", "1", "c", "c", "c", "c", "1"]),
        ("[13C@@H](F)(Cl)Br", ["[", "1", "3", "C", "@@", "H", "]", "(", "F", ")", "(", "Cl", ")", "Br"]),
        ("[se]1cccc1", ["[", "se", "]", "1", "c", "c", "c", "c", "1"]),
        ("C%12CC%12", ["C", "%", "1", "2", "C", "C", "%", "1", "2"]),
        ("[Zn++].[CH3:2]/C=C\\N", [*"[", "Zn", *"++].[CH3:2]/C=C\\N"]),
    ],
)
def test_tokens_are_those_of_the_specification(text, tokens):
    assert split_smiles(text) == tokens


@pytest.mark.parametrize("text", ["C*C", "C~C", "N->[Pt]", "[C@TH1](F)", "[Pt@SP1]", "C%1", "Xx", "C C", "C+", "é"])
def test_what_is_no_smiles_of_atoms_is_refused(text):
    with pytest.raises(UserError, match="cannot read character"):
        split_smiles(text)


def test_elements_are_the_symbols_that_they_are_in_crystals():
    for element, number in ATOMIC_NUMBER.items():
        assert smiles_symbols(f"[{element}]")[1] == element_symbol(number) < CRYSTAL_VOCABULARY_SIZE
    others = [symbol for symbol, token in TEXT.items() if token not in ATOMIC_NUMBER]
    assert sorted(others) == list(range(CRYSTAL_VOCABULARY_SIZE, VOCABULARY_SIZE))
    assert len(np.unique(list(TEXT.values()))) == len(TEXT)
