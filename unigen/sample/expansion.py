"""Requests that stand for many compositions, made requests for each: scans of elements, and open formula types."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unigen.elements import SPACE_GROUPS
from unigen.errors import UserError
from unigen.models.families import UNLEARNED
from unigen.request import CrystalRequest
from unigen.retrieval.compositions import Formula
from unigen.retrieval.table import TemplateTable
from unigen.sample.exchanges import TypeScan, exchange_elements
from unigen.sample.known import formulas_of, formulas_of_hull
from unigen.sample.requests import FormulaTypeRequest
from unigen.sample.scan import LIMIT, Scan, known_compositions, known_table, scan_each, scan_requests
from unigen.symmetry.space_groups import space_group_number


class Expansion(NamedTuple):
    """What is drawn.

    Attributes:
        requests: each of one composition, or of none.
        n: samples of each.
        scans: where the compositions come from.
    """

    requests: list[CrystalRequest]
    n: int
    scans: Sequence[Scan | TypeScan]


def expand(
    asked: Sequence[CrystalRequest | FormulaTypeRequest],
    n: int,
    model: str | Path,
    retrieve_from: str | Path | None = None,
    *,
    known: Sequence[str | Path] = (),
    hull: str | Path | None = None,
    seed: int = 0,
    scan: bool = False,
    limit: int | None = None,
    distinct: str | None = None,
) -> Expansion:
    """Requests for all compositions that some requests stand for.

    Args:
        asked: what was.
        n: samples: of each request and each composition, but of a formula type one of each of ``n`` compositions.
        model: whose known formulas.
        retrieve_from: dataset of known structures, instead of the model's own.
        known: datasets or hulls whose formulas count as known, too; a scan leaves them out.
        hull: whose formulas count as known, too; a scan has them, since what is new is measured from them.
        seed: of the choice among compositions.
        scan: all plausible compositions of the elements of each request.
        limit: compositions of a subsystem or a formula type, at most, and of each ``n`` samples.
        distinct: given where the samples of each composition of a scan are to have different space groups.

    Raises:
        UserError: as `scan_each`, `exchange_elements` and `formulas_of`; a scan without a composition; samples of one
            composition beside one sample of several; ``known`` where every formula is given.
    """
    types = [each for each in asked if isinstance(each, FormulaTypeRequest)]
    if limit is not None and not (scan or types):
        raise UserError("--scan-limit without --scan, or a formula such as ABX3")
    plain = [each for each in asked if isinstance(each, CrystalRequest)]
    if known and not (scan or types) and all(each.formula is not None for each in plain):
        raise UserError(
            "known: decides nothing, as every formula is given",
            got=", ".join(map(str, known)),
            wanted="elements, a formula type such as ABX3, or nothing asked for",
            next_step="leave it out",
        )
    on_hull = frozenset() if hull is None or not (scan or types) else formulas_of_hull(hull)
    known_to = ("the table", *([] if hull is None else [f"the hull {hull}"]))
    if scan:
        if types:
            raise UserError("a scan is of elements", got=types[0].type.formula, next_step="leave --scan out")
        held = formulas_of(known)
        scans = scan_each(plain, model, retrieve_from, limit or LIMIT, held=held, on_hull=on_hull, known_to=known_to)
        if not any(each.compositions for each in scans):
            raise UserError("no composition to draw", got=scans[0].summary, next_step="allow more elements")
        return Expansion(scan_requests(plain, scans, distinct), n, scans)
    if limit is None and 0 < len(types) < len(asked) and n > 1:
        raise UserError(
            f"--n {n}: of {types[0].type.formula} so many compositions, of other requests so many samples",
            next_step="ask for them in two runs, or say how many compositions by --scan-limit",
        )
    if not types:
        return Expansion(plain, n, ())
    table = None if str(model) in UNLEARNED else known_table(model, retrieve_from)
    compositions = known_compositions(model, retrieve_from) if table is None else table.compositions
    also_known = formulas_of(known) | on_hull
    requests: list[CrystalRequest] = []
    chosen: list[TypeScan] = []
    for each in asked:
        if isinstance(each, CrystalRequest):
            requests.append(each)
            continue
        found = exchange_elements(
            each.type,
            compositions.formulas,
            limit or n,
            seed,
            known=also_known,
            known_to=(*known_to, *map(str, known)),
            first=None if table is None else _as_asked(each, table),
            elements=each.rest.elements,
            must_contain=each.rest.must_contain or (),
        )
        chosen.append(found)
        requests += [each.of(elements) for elements in found.elements]
    return Expansion(requests, n if limit else 1, chosen)


def _as_asked(asked: FormulaTypeRequest, table: TemplateTable) -> frozenset[Formula] | None:
    """Formulas with a known structure in a space group and of a size that are asked for; None where neither is."""
    groups, template, z = asked.rest.space_groups, asked.values.get("template"), asked.values.get("z")
    if template is not None:
        groups &= {space_group_number((template.split() or [""])[0], standard=True)}
    n_atoms = asked.rest.n_atoms if z is None else z * sum(asked.type.counts.values())
    if groups == SPACE_GROUPS and n_atoms is None:
        return None
    fits = np.isin(table.space_group, list(groups)) & ((table.num_atoms == n_atoms) if n_atoms else True)
    return table.select(fits).compositions.formulas
