"""The parts of a plot by the name they were drawn with: what tests of figures read in an SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import numpy as np

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own


def size(svg: str) -> tuple[float, float]:
    root = parsed(svg)
    return float(root.get("width")), float(root.get("height"))


def part(svg: str, name: str) -> list[ET.Element]:
    """All elements in the groups of a name."""
    return [each for group in parsed(svg).iter(f"{SVG}g") if group.get("id") == name for each in group.iter()]


def marks(svg: str, name: str) -> np.ndarray:
    """Where the marks of a name stand, (marks, 2)."""
    uses = [each for each in part(svg, name) if each.tag == f"{SVG}use"]
    return np.array([(float(each.get("x")), float(each.get("y"))) for each in uses]).reshape(-1, 2)


def lines(svg: str, name: str) -> list[np.ndarray]:
    """The corners of every line of a name, (corners, 2) each; the mark that is used again and again is none."""
    drawn = [each.get("d") for each in part(svg, name) if each.tag == f"{SVG}path" and each.get("id") is None]
    return [np.array(re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path), dtype=float) for path in drawn]


def texts(svg: str) -> list[ET.Element]:
    return list(parsed(svg).iter(f"{SVG}text"))


def said(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in texts(svg)]
