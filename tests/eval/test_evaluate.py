"""Scoring end to end: denominators, k, pairing, workers, reports, and what bad input says."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from pymatgen.analysis.structure_matcher import StructureMatcher

from tests.eval.known_samples import caesium_chloride, crystal, elements, mp20_test, prototypes, rock_salt, shaken
from unigen.data.readers.record import Row
from unigen.errors import UserError
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.eval.crystals.pairing import pair
from unigen.eval.crystals.protocol import CSP, DENOVO, find_protocol
from unigen.eval.crystals.samples import CrystalEntry
from unigen.eval.samples import split_name
from unigen.version import require

REFERENCES = [CrystalEntry(f"ref-{n}", each) for n, each in enumerate(prototypes()[:12])]


def _samples(k: int, size: float = 0.4, seed: int = 0) -> list[CrystalEntry]:
    rng = np.random.default_rng(seed)
    samples = [(each, index) for each in REFERENCES for index in range(k)]
    return [CrystalEntry(each.id, shaken(each.crystal, rng, size), index=index) for each, index in samples]


def test_a_set_against_itself():
    report = evaluate_crystals(REFERENCES, REFERENCES)
    assert report.protocol == "csp"
    assert report["match_rate.k1"] == 1
    assert report["metre.k1"] == 1
    assert report["rmse.k1"] == pytest.approx(0, abs=1e-6)
    assert report["match_rate_filtered.k1"] == report["composition_valid_cdvae"]


def test_rates_are_those_of_a_direct_computation():
    samples = _samples(1, size=0.6)
    report = evaluate_crystals(samples, REFERENCES)
    matcher = StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10)
    found = [
        matcher.get_rms_dist(sample.crystal.to_pymatgen(), reference.crystal.to_pymatgen())
        for sample, reference in zip(samples, REFERENCES, strict=True)
    ]
    distances = [each[0] for each in found if each is not None]
    assert 0 < len(distances) < len(REFERENCES)
    assert report["match_rate.k1"] == pytest.approx(len(distances) / len(REFERENCES))
    assert report["rmse.k1"] == pytest.approx(np.mean(distances))
    unmatched = len(REFERENCES) - len(distances)
    assert report["crmse.k1"] == pytest.approx((sum(distances) + 0.5 * unmatched) / len(REFERENCES))


def test_more_samples_never_score_worse():
    report = evaluate_crystals(_samples(4, size=0.6), REFERENCES)
    assert report.settings["k"] == 4
    for name in ("match_rate", "match_rate_filtered", "metre"):
        assert report[f"{name}.k4"] >= report[f"{name}.k1"]
    assert report["crmse.k4"] <= report["crmse.k1"]
    assert report["metre.k4"] >= report["match_rate.k4"]


def test_k_takes_the_first_samples():
    samples = _samples(4, size=0.6)
    first = [each for each in samples if each.index < 2]
    limited, alone = evaluate_crystals(samples, REFERENCES, k=2), evaluate_crystals(first, REFERENCES)
    for name in ("match_rate.k1", "match_rate.k2", "rmse.k2"):
        assert limited[name] == alone[name]


def test_what_is_dropped_is_counted_by_reason_and_listed_so_far():
    failed = [
        CrystalEntry(REFERENCES[0].id, None, index=n, reason=f"file line {n}: no atoms", where=f"file line {n}")
        for n in range(150)
    ]
    content = evaluate_crystals([*failed, REFERENCES[1]], REFERENCES).to_dict()
    assert content["dropped_by_reason"] == {"no atoms": 150}
    assert len(content["dropped"]) == 100


def test_the_best_scored_of_k_is_one_sample_and_its_rank_is_its_score():
    samples = _samples(4, size=0.6)
    scores = {(each.id, each.index): float(hash((each.id, each.index)) % 97) for each in samples}
    scored = [replace(each, score=scores[each.id, each.index]) for each in samples]
    chosen = [max((s for s in scored if s.id == each.id), key=lambda s: s.score) for each in REFERENCES]
    report = evaluate_crystals(scored, REFERENCES)
    alone = evaluate_crystals([replace(each, index=0) for each in chosen], REFERENCES)
    for name in ("match_rate", "rmse", "match_rate_filtered", "rmse_filtered"):
        assert report[f"{name}.best_of_4"] == alone[f"{name}.k1"]
    assert "match_rate.best_of_4" not in evaluate_crystals(samples, REFERENCES).metrics


def test_the_best_scored_is_never_a_failure():
    reference = [CrystalEntry("a", rock_salt())]
    failed, made = (
        CrystalEntry("a", crystal, index=index, score=score)
        for index, (crystal, score) in enumerate([(None, 9.0), (rock_salt(), 1.0)])
    )
    assert evaluate_crystals([failed, made], reference)["match_rate.best_of_2"] == 1


def test_failures_stay_in_the_denominator():
    samples = [CrystalEntry(each.id, each.crystal) for each in REFERENCES]
    failed = [CrystalEntry(samples[0].id, None, reason="unreadable"), *samples[1:-1]]  # the last was never made
    report = evaluate_crystals(failed, REFERENCES)
    assert report["match_rate.k1"] == pytest.approx(1 - 2 / len(REFERENCES))
    assert report["structure_valid"] == pytest.approx(1 - 1 / len(failed))
    assert report.counts["failed"] == 1
    assert report.counts["references_without_samples"] == 1
    assert report.dropped[0]["reason"] == "unreadable"
    sampled = evaluate_crystals(failed, REFERENCES, only_sampled=True)
    assert sampled["match_rate.k1"] == pytest.approx(1 - 1 / (len(REFERENCES) - 1))


def test_a_failed_first_sample_is_a_failure_at_k_1():
    reference = [CrystalEntry("a", rock_salt())]
    report = evaluate_crystals([CrystalEntry("a", None, index=0), CrystalEntry("a", rock_salt(), index=1)], reference)
    assert (report["match_rate.k1"], report["match_rate.k2"]) == (0, 1)


def test_metre_lets_polymorphs_swap():
    reference = [CrystalEntry("rock-salt", rock_salt()), CrystalEntry("caesium-chloride", caesium_chloride())]
    swapped = [CrystalEntry("rock-salt", caesium_chloride()), CrystalEntry("caesium-chloride", rock_salt())]
    report = evaluate_crystals(swapped, reference)
    assert (report["match_rate.k1"], report["metre.k1"]) == (0, 1)


def test_metre_tries_the_nearest_and_counts_what_it_leaves():
    rng = np.random.default_rng(4)
    crowd = [crystal("C C", [[0, 0, 0], rng.random(3)], rng.uniform(2, 6, 3) * np.eye(3)) for _ in range(6)]
    reference = [CrystalEntry(f"ref-{n}", each) for n, each in enumerate(crowd)]
    turned = [CrystalEntry(f"ref-{n}", each) for n, each in enumerate(crowd[1:] + crowd[:1])]
    full, few = (evaluate_crystals(turned, reference, each) for each in (CSP, replace(CSP, max_metre_candidates=1)))
    assert full["metre.k1"] == few["metre.k1"] == 1  # the nearest is its own copy, given to another reference
    assert full["match_rate.k1"] < 1
    assert full.counts["metre_bounded.k1"] == few.counts["metre_bounded.k1"] == 0


def test_filtered_rates_ask_for_valid_samples():
    invalid = crystal("Na Cl Cl", [[0, 0, 0], [1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]], 4.0)
    report = evaluate_crystals([CrystalEntry("a", invalid)], [CrystalEntry("a", invalid)])
    assert (report["match_rate.k1"], report["match_rate_filtered.k1"]) == (1, 0)
    assert report["rmse_filtered.k1"] is None


def test_the_number_of_workers_changes_nothing():
    samples = _samples(2, size=0.5)
    one, two = (evaluate_crystals(samples, REFERENCES, workers=workers) for workers in (1, 2))
    assert one.metrics == two.metrics
    assert one.rows == two.rows


@pytest.mark.parametrize(
    ("name", "expected"), [("mp-5__3", ("mp-5", 3)), ("mp-5_3", ("mp-5", 3)), ("mp-5", None), ("a_b_12", ("a_b", 12))]
)
def test_numbered_names(name, expected):
    assert split_name(name) == expected


def test_pairing_by_id_by_number_and_by_composition():
    salt, iron = rock_salt(), elements()[0]
    references = [CrystalEntry("mp-1", salt), CrystalEntry("mp-1_2", salt), CrystalEntry("x", iron)]
    samples = [
        CrystalEntry("mp-1__1", salt),
        CrystalEntry("mp-1_2", salt),  # a whole name comes before a numbered one
        CrystalEntry("unnamed", iron),
        CrystalEntry("stranger", caesium_chloride(symbols="Cs I")),
        CrystalEntry("mp-1__1", salt),
    ]
    found = pair(samples, references)
    assert found.of_reference == ({0: 0}, {0: 1}, {0: 2})
    assert found.by_composition == (2,)
    assert found.unpaired == (3,)
    assert found.repeated == (4,)


def test_rows_as_read_carry_id_index_and_seed():
    rows = [Row("s-1", rock_salt(), info={"id": "a", "index": 0, "seed": 5}), Row("s-2", None, "bad", info={"id": "a"})]
    report = evaluate_crystals(rows, [Row("a", rock_salt())])
    assert report.protocol == "csp"
    assert report.seeds == [5]
    assert report["match_rate.k2"] == 1


def test_uniqueness_and_novelty_are_those_of_all_pairs():
    rng = np.random.default_rng(2)
    known = [*prototypes()[:8], *elements()[:6], rock_salt(), caesium_chloride()]
    samples = [shaken(known[n], rng, size) for n in rng.integers(0, len(known), 24) for size in (0.1,)]
    reference = known[::3]
    matcher = StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10)
    kept: list = []
    for sample in samples:
        structure = sample.to_pymatgen()
        if not any(matcher.fit(structure, other) for other in kept):
            kept.append(structure)
    novel = [not any(matcher.fit(s.to_pymatgen(), r.to_pymatgen()) for r in reference) for s in samples]
    report = evaluate_crystals(samples, reference, "denovo")
    assert report["unique"] == pytest.approx(len(kept) / len(samples))
    assert 0 < report["novel"] < 1
    assert [row.novel for row in report.rows] == novel


def test_a_crowded_formula_is_searched_nearest_first_and_counted():
    rng = np.random.default_rng(0)
    crowd = [crystal("C C", [[0, 0, 0], rng.random(3)], rng.uniform(2, 5, 3) * np.eye(3)) for _ in range(12)]
    tight = replace(DENOVO, max_candidates=1)
    full, bounded = (evaluate_crystals([*crowd, *crowd], crowd, protocol) for protocol in ("denovo", tight))
    assert full["novel"] == bounded["novel"] == 0  # each finds its own copy first
    assert bounded["unique"] >= full["unique"]
    assert bounded.counts["unique_bounded"] > 0
    assert full.counts["unique_bounded"] == 0


def test_distances_of_distributions():
    report = evaluate_crystals([rock_salt(), rock_salt()], [rock_salt(), elements()[0]], "denovo")
    densities = rock_salt().density, elements()[0].density
    assert report["w_density"] == pytest.approx(abs(densities[0] - densities[1]) / 2)
    assert report["w_elements"] == pytest.approx(0.5)


def test_denovo_without_a_reference_has_no_novelty():
    report = evaluate_crystals([rock_salt(), CrystalEntry("lost", None, reason="bad file")])
    assert report.protocol == "denovo-cdvae"
    assert report["unique"] == 0.5
    assert "novel" not in report.metrics


def test_a_report_on_disk(tmp_path):
    report = evaluate_crystals(_samples(2), REFERENCES)
    written, table = report.write(tmp_path / "new" / "report.json")
    content = json.loads(written.read_text())
    assert content["protocol"] == "csp"
    assert content["metrics"]["match_rate.k1"]["n"] == len(REFERENCES)
    assert content["counts"]["generated"] == 2 * len(REFERENCES)
    assert {"pymatgen", "smact"} <= set(content["versions"])
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 2 * len(REFERENCES)
    assert rows[0]["reference"] == "ref-0"
    assert rows[0]["matched"] in ("true", "false")
    assert report.table().row_count == len(report.metrics) + len(report.counts)


def test_intervals_hold_their_rate_and_their_seed():
    report = evaluate_crystals(_samples(1, size=0.6), REFERENCES, seed=3)
    again = evaluate_crystals(_samples(1, size=0.6), REFERENCES, seed=3)
    assert report.metrics == again.metrics
    for name in ("match_rate.k1", "rmse.k1", "crmse.k1"):
        metric = report.metrics[name]
        assert metric.low <= metric.value <= metric.high
    assert report.metrics["match_rate.k1"].low < report.metrics["match_rate.k1"].high


@pytest.mark.parametrize("protocol", [CSP, DENOVO], ids=lambda each: each.name)
def test_cards_say_what_the_code_does(protocol):
    card = yaml.safe_load((Path(__file__).parents[2] / "eval" / "protocols" / f"{protocol.name}.yaml").read_text())
    settings = asdict(protocol)
    assert (card["name"], card["version"]) == (settings.pop("name"), settings.pop("version"))
    assert card["settings"] == settings
    report = evaluate_crystals(REFERENCES[:2], REFERENCES[:2], protocol)
    described = set(card["metrics"]) | set(card.get("validity", {})) | {"valid", "valid_cdvae"}
    assert {name.partition(".")[0] for name in report.metrics} <= described


def test_one_bad_cif_among_many_is_counted_and_listed(tmp_path):
    for entry in REFERENCES[:5]:
        entry.crystal.to_pymatgen().to_file(str(tmp_path / f"{entry.id}.cif"))
    (tmp_path / "ref-9.cif").write_text("data_broken\n_cell_length_a nonsense\n")
    report = evaluate_crystals(tmp_path, REFERENCES)
    assert report.counts["failed"] == 1
    assert report.counts["paired"] == 6
    assert report["match_rate.k1"] == pytest.approx(5 / len(REFERENCES))
    assert "ref-9" in report.dropped[0]["where"]


def test_what_bad_input_says(tmp_path, monkeypatch):
    (tmp_path / "bad.cif").write_text("nothing here")
    with pytest.raises(UserError, match="no readable structure"):
        evaluate_crystals(tmp_path)
    with pytest.raises(UserError, match="no readable structure"):
        evaluate_crystals([])
    with pytest.raises(UserError, match="coverage compares with a reference"):
        evaluate_crystals([rock_salt()], coverage=True)
    with pytest.raises(UserError, match="needs a reference"):
        evaluate_crystals([rock_salt()], protocol="csp")
    with pytest.raises(UserError, match="belongs to any reference"):
        evaluate_crystals([caesium_chloride(symbols="Cs I")], REFERENCES, "csp")
    with pytest.raises(UserError, match="no protocol 'cps'"):
        find_protocol("cps")
    with pytest.raises(UserError, match="k: not a positive count"):
        evaluate_crystals([rock_salt()], k=0)
    with pytest.raises(UserError, match="is not built"):
        evaluate_crystals([rock_salt()], "no-such-dataset")
    monkeypatch.setitem(__import__("sys").modules, "smact", None)
    with pytest.raises(UserError, match=r"unigen-matter\[smact\]"):
        require("smact", "smact", "composition validity needs")


def test_mp20_against_itself():
    entries = [CrystalEntry(name, each) for name, each in mp20_test(60)]
    report = evaluate_crystals(entries, entries)
    assert report["match_rate.k1"] == 1
    assert report["rmse.k1"] == pytest.approx(0, abs=1e-6)
    assert 0.8 < report["match_rate_filtered.k1"] < 1


@pytest.mark.parametrize("name", ["mine.json", "mine.csv", "mine.html"])
def test_a_file_that_is_no_report_is_never_written_over(unigen, refused, tmp_path, name):
    (tmp_path / "cell.cif").write_text(prototypes(1)[0].to_cif())
    (tmp_path / name).write_text("formula,energy\nNaCl,-2\n")
    said = refused("evaluate", "crystals", "cell.cif", "--out", "mine.json", "--workers", 1)
    assert said.startswith(f"{name}: a file that is no report of ours has this name")
    assert (tmp_path / name).read_text() == "formula,energy\nNaCl,-2\n"
    (tmp_path / name).unlink()
    for _ in range(2):  # a report is made again
        assert unigen("evaluate", "crystals", "cell.cif", "--out", "mine.json", "--workers", 1)[0] == 0
    assert "the report is JSON" in refused("evaluate", "crystals", "cell.cif", "--out", "mine.csv")
