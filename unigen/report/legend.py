"""The legend of an evaluation: what each of its numbers is, in which unit, and by which protocol, as the cards say."""

from __future__ import annotations

import re
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


def metrics_legend(report: Report) -> Table:
    """A row a metric of the report: name, unit, protocol, and what it is."""
    rows = [(name.replace("_", " "), *_said_of(name, report)) for name in report.metrics]
    return Table("What these metrics are", ("metric", "unit", "protocol", "what it is"), rows, folded=True)


def unit_of_metric(name: str, report: Report) -> str:
    """To be written behind its value; empty of a share, whose value has its per cent, and of what has no unit."""
    unit = _said_of(name, report)[0]
    return "" if unit in (SHARE, NO_UNIT) else unit


def protocols_of(report: Report) -> dict[str, dict[str, Any]]:
    """The cards of the protocols that a report was made by, by how a page names them."""
    names = report.protocol.split(", ")
    cards = {f"{name} {version}": _card(name) for name, version in zip(names, report.version.split(", "), strict=True)}
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
    return read_yaml(published("eval/protocols") / f"{name}.yaml")


def _said_of(name: str, report: Report) -> tuple[str, str, str]:
    """Unit, protocol and meaning of a metric; those of ``match_rate.k20`` and ``mae.gap`` stand before the dot."""
    base, _, suffix = name.partition(".")
    for protocol, card in protocols_of(report).items():
        told = card["metrics"] | card.get("validity", {})  # beside what it compares, csp says how valid samples are
        for entry in (name, base):
            if entry in told:
                whose = _of_suffix(suffix) if entry != name else ""
                about = told[entry] + (f" Here: {whose}." if whose else "")
                return _unit(entry, suffix, card), protocol, about
    return (SHARE if is_share(name) else NO_UNIT), report.protocol, "see the protocol"


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
