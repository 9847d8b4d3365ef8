"""MOSES' metrics: what they are on themselves, their bounds, and what does not change them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.models.small_molecules import molecules
from tests.molecules.real_molecules import nci_smiles
from unigen.cards import published
from unigen.config import read_yaml
from unigen.errors import UserError
from unigen.eval.molecules.evaluate import evaluate_molecules
from unigen.eval.molecules.moses import compared, viewed
from unigen.eval.molecules.protocol import MOSES

VIEWS = [view for view in (viewed(smiles, MOSES) for smiles in nci_smiles(80)) if view is not None]


def values(samples, reference) -> dict[str, float | None]:
    return {name: metric.value for name, metric in compared(samples, reference, MOSES).items()}


@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_a_set_against_itself_is_the_same_whatever_its_order(seed, size):
    rng = np.random.default_rng(seed)
    chosen = [VIEWS[index] for index in rng.permutation(len(VIEWS))[:size]]
    shuffled = [chosen[index] for index in rng.permutation(size)]
    found = values(shuffled, chosen)
    assert found["snn"] == 1
    assert found["frag"] == pytest.approx(1)
    assert found["scaf"] is None or found["scaf"] == pytest.approx(1)
    assert {found[name] for name in found if name.startswith("w_")} == {0}
    assert found["int_div"] == pytest.approx(values(chosen, VIEWS)["int_div"])


@given(st.integers(0, 2**32 - 1))
def test_bounds_and_symmetry(seed):
    order = np.random.default_rng(seed).permutation(len(VIEWS))
    first, second = ([VIEWS[index] for index in part] for part in (order[:25], order[25:60]))
    one, other = values(first, second), values(second, first)
    for name in ("frag", "scaf", "w_logP", "w_SA", "w_QED", "w_weight"):
        assert one[name] == pytest.approx(other[name])
    assert all(0 <= one[name] <= 1 + 1e-9 for name in ("snn", "int_div", "frag", "scaf") if one[name] is not None)


def test_molecules_that_are_all_the_same_are_not_diverse():
    assert values(VIEWS[:1] * 5, VIEWS)["int_div"] == 0


def test_a_report_has_them_beside_the_references_own(tmp_path):
    (tmp_path / "known.smi").write_text("\n".join(nci_smiles(40)))
    report = evaluate_molecules(list(molecules()), tmp_path / "known.smi", moses=5, workers=1)
    assert report["moses.sound"] == 1
    assert report.metrics["moses.snn"].n <= 5
    assert set(report.sections["moses"].rows["snn"]) == {"samples", "reference"}
    assert json.loads(json.dumps(report.counts))["moses"] == 5


def test_without_a_reference_there_is_nothing_to_compare_with():
    with pytest.raises(UserError, match="reference"):
        evaluate_molecules(list(molecules()), moses=3, workers=1)


def test_the_card_says_what_the_code_does():
    card = read_yaml(published("eval/protocols") / "molecules-moses.yaml")
    stated = MOSES.own_settings() | {"bootstrap": MOSES.bootstrap, "confidence": MOSES.confidence}
    assert card["settings"] == json.loads(json.dumps(stated))
    assert set(card["metrics"]) == {f"moses.{name}" for name in (*values(VIEWS[:5], VIEWS[5:9]), "sound")}
