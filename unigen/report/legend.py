"""The legend of an evaluation: what each of its numbers is, in which unit, and by which protocol, as the cards say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unigen.cards import published
from unigen.config import read_yaml
from unigen.eval.molecules.protocol import unit_of as unit_of_property
from unigen.eval.report import Report
from unigen.eval.tables import is_share
from unigen.report.page import Table

STABILITY = "denovo-sun-chgnet"
"""The card of what is counted on top of another protocol where crystals are relaxed."""

SHARE, NO_UNIT = "% of samples", "none"


@dataclass(frozen=True)
class Term:
    """What is to be said of a metric.

    Attributes:
        unit: of its value; SHARE and NO_UNIT where it has none.
        protocol: name and version.
        about: what it is.
    """

    unit: str
    protocol: str
    about: str

    def written(self, value: str) -> str:
        """A value with its unit behind it; a share has its per cent already."""
        return value if self.unit in (SHARE, NO_UNIT) else f"{value} {self.unit}"


def terms_of(report: Report) -> dict[str, Term]:
    """By the name of each metric, what the cards of its protocols say."""
    protocols = protocols_of(report)
    return {name: _term(name, protocols) or _unknown(name, report) for name in report.metrics}


def legend_of(terms: Mapping[str, Term]) -> Table:
    """A row a metric."""
    rows = [(name.replace("_", " "), term.unit, term.protocol, term.about) for name, term in terms.items()]
    return Table("What these metrics are", ("metric", "unit", "protocol", "what it is"), rows, folded=True)


def protocols_of(report: Report) -> dict[str, dict[str, Any]]:
    """The cards of the protocols that a report was made by, by how a page names them; empty ones of a user's own."""
    names = zip(report.protocol.split(", "), report.version.split(", "), strict=True)
    cards = {f"{name} {version}": _card(name) for name, version in names}
    if potential := potential_of(report):
        card = _card(STABILITY)
        by = "" if potential["name"] == card["settings"]["potential"] else f", with {potential['name']}"
        cards[f"{card['name']} {card['version']}{by}"] = card
    return cards


def potential_of(report: Report) -> dict[str, str]:
    """Name, scheme and version of the potential that relaxed crystals; empty where none did."""
    judged: Any = report.settings.get("stability", {})
    return judged.get("potential", {})


def _card(name: str) -> dict[str, Any]:
    path = published("eval/protocols") / f"{name}.yaml"
    return read_yaml(path) if path.exists() else {}


def _term(name: str, protocols: Mapping[str, dict[str, Any]]) -> Term | None:
    """Of the first protocol that knows it; ``match_rate.k20`` and ``mae.gap`` by what stands before the dot."""
    base, _, suffix = name.partition(".")
    for protocol, card in protocols.items():
        # beside what it compares, csp says how valid samples are
        told = card.get("metrics", {}) | card.get("validity", {})
        if name in told:
            return Term(_unit(name, "", card), protocol, told[name])
        if base in told:
            return Term(_unit(base, suffix, card), protocol, f"{told[base]} Here: {_of_suffix(suffix)}.")
    return None


def _unknown(name: str, report: Report) -> Term:
    """Of a protocol that has no card among ours."""
    return Term(SHARE if is_share(name) else NO_UNIT, f"{report.protocol} {report.version}", "as this protocol has it")


def _unit(entry: str, suffix: str, card: dict[str, Any]) -> str:
    if is_share(entry):
        return SHARE
    unit = card["metric_units"][entry]
    return unit_of_property(suffix).name or "of the dataset" if unit == "of the property" else unit


def _of_suffix(suffix: str) -> str:
    """Which samples, or which property, a metric is of."""
    if match := re.fullmatch(r"k(\d+)", suffix):
        return "the first sample of each reference" if match[1] == "1" else f"the best of the first {match[1]} samples"
    if match := re.fullmatch(r"best_of_(\d+)", suffix):
        return f"of the first {match[1]} samples the one with the highest score"
    return f"the property {suffix}"
