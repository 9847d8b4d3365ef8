"""Which candidate has the properties that were asked for: by a predictor, or exactly where a property is computed.

The merit is minus the largest ``|predicted - asked| / spread`` over the properties that were asked for. Errors are
divided by the spread of each property in the generator's training data, since hartree and debye cannot be compared;
the largest counts and not the mean, since a candidate is wanted that has all of the properties, and a mean takes one
that misses one property by far for another that is hit to the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.elements import SMALLEST_DISTANCE
from unigen.errors import UserError
from unigen.models.generator import Range, Sample
from unigen.molecules.geometry_check import fault_of
from unigen.molecules.molecule import Molecule
from unigen.parallel import Workers
from unigen.ranking.ranker import Rating, unrated
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.shapes import Float


@runtime_checkable
class PropertyPredictor(Protocol):
    """A function from structures of one kind to their properties; it may be anybody's.

    Attributes:
        name: for messages and reports.
        version: such as a checksum.
        trained_on: which data it has seen, in a sentence.
        properties: what it predicts, in the order of its columns.
    """

    name: str
    version: str
    trained_on: str

    @property
    def properties(self) -> tuple[str, ...]: ...  # noqa: D102 - said above

    def __call__(self, structures: Sequence[Any], /) -> Float[np.ndarray, "structures properties"]:
        """Every property of every structure, in the units of requests.

        Raises:
            UserError: a structure that it cannot tell the properties of.
        """
        ...


@runtime_checkable
class TellsErrors(Protocol):
    """A `PropertyPredictor` that also knows how far off its values may be."""

    def error_bars(self, structures: Sequence[Any], /) -> Float[np.ndarray, "structures properties"]:
        """Nine errors of ten are smaller, on structures like those of its training; NaN where it does not say."""
        ...


class ComputedDensity:
    """The density of crystals, g/cm^3: computed from cell and atoms, and so known exactly."""

    name, version = "computed density", ""
    trained_on = "nothing: it follows from cell and atoms"
    properties = ("density",)

    def __call__(self, structures: Sequence[Crystal]) -> Float[np.ndarray, "crystals 1"]:
        """See PropertyPredictor."""
        return np.array([[crystal.density] for crystal in structures], dtype=np.float64).reshape(-1, 1)


_Told = tuple[Float[np.ndarray, "properties"], Float[np.ndarray, "properties"]]
"""All properties of a structure, and how far off they may be; NaN where nobody says."""


class PropertyRanker:
    """Ranks by the distance of predicted properties from those that were asked for; see Ranker.

    Args:
        predictor: a trained one for molecules; `ComputedDensity` for crystals.
        ranges: of the properties in the generator's training data, with their spreads and units. A property that is
            not among them counts in its own unit, which does no harm where it is the only one.

    Example:
        >>> ranker = PropertyRanker(ComputedDensity())
    """

    name = "property"
    quantity, unit = "off_by", "standard deviations"
    lower_is_better = True

    def __init__(self, predictor: PropertyPredictor, ranges: Mapping[str, Range] | None = None) -> None:
        self.predictor, self.ranges = predictor, dict(ranges or {})
        self.trained_on = f"{predictor.name}: {predictor.trained_on}"

    def check(self, requests: Sequence[CrystalRequest | MoleculeRequest]) -> None:
        """See Ranker.

        Raises:
            UserError: a request that asks for no property, or for one that the predictor does not know.
        """
        for request in requests:
            if not request.properties:
                raise UserError(
                    "ranking by property: a request asks for none",
                    got=str(request.to_dict() or "nothing asked for"),
                    next_step="ask for one, such as --property gap=0.25, or rank otherwise",
                )
            for name in request.properties:
                if name not in self.predictor.properties:
                    raise UserError(
                        f"nothing predicts the property {name!r}, so that it cannot rank",
                        got=f"predictor {self.predictor.name}",
                        wanted=f"one of {', '.join(self.predictor.properties)}",
                        next_step="draw with --property alone, or rank otherwise",
                    )

    def facts(self) -> dict[str, object]:
        """See Ranker."""
        return {"predictor": {"name": self.predictor.name, "version": self.predictor.version}}

    def rate(
        self, groups: Sequence[Sequence[Sample]], workers: Workers, folder: Path | None = None
    ) -> list[list[Rating]]:
        """See Ranker.

        Raises:
            UserError: see `check`.
        """
        del workers, folder  # a millisecond a molecule, in batches: processes would take longer to start
        samples = [sample for group in groups for sample in group]
        self.check([sample.request for sample in samples])
        reasons = [_fault(sample) for sample in samples]
        sound = [sample.structure for sample, reason in zip(samples, reasons, strict=True) if not reason]
        predicted = iter(self._predict(sound))
        ratings = iter(
            [
                unrated(sample, reason) if reason else self._rating(sample, next(predicted))
                for sample, reason in zip(samples, reasons, strict=True)
            ]
        )
        return [[next(ratings) for _ in group] for group in groups]

    def _predict(self, structures: Sequence[Any]) -> list[_Told | str]:
        """What is told of each, or why nothing is: one that cannot be told does not spoil the others."""
        try:
            values = self.predictor(structures)
            errors = np.full_like(values, np.nan)
            if isinstance(self.predictor, TellsErrors):
                errors = self.predictor.error_bars(structures)
            return list(zip(values, errors, strict=True))
        except UserError as error:
            if len(structures) == 1:
                return [str(error)]
            return [each for structure in structures for each in self._predict([structure])]

    def _rating(self, sample: Sample, predicted: _Told | str) -> Rating:
        if isinstance(predicted, str):
            return unrated(sample, predicted)
        found, errors = predicted
        columns = self.predictor.properties
        values = {name: float(found[columns.index(name)]) for name in sample.request.properties}
        distances = {name: values[name] - asked for name, asked in sample.request.properties.items()}
        farthest = max(abs(off) / self._range(name).spread for name, off in distances.items())
        if not np.isfinite(farthest):
            return unrated(sample, f"{self.predictor.name} gives no number")
        facts: dict[str, str | int | float] = {}
        for name, asked in sample.request.properties.items():
            unit = f" ({self._range(name).unit})" if self._range(name).unit else ""
            facts |= {
                f"{name}_predicted{unit}": round(values[name], _DIGITS),
                f"{name}_asked{unit}": asked,
                f"{name}_off_by{unit}": round(distances[name], _DIGITS),
            }
            if np.isfinite(error := errors[columns.index(name)]):
                facts[f"{name}_error{unit}"] = round(float(error), _DIGITS)
        return Rating(merit=-farthest, value=round(farthest, _DIGITS), structure=sample.structure, facts=facts)

    def _range(self, name: str) -> Range:
        return self.ranges.get(name, _UNTOLD)


_UNTOLD = Range(float("-inf"), float("inf"), "", 1.0)
"""Of a property that the generator was not trained with."""

_DIGITS = 6
"""Written: a micro-hartree is 0.03 meV, far below what any predictor resolves. The merit itself is not rounded."""


def _fault(sample: Sample) -> str:
    """Why a candidate is no structure to predict properties of; empty for a sound one.

    Predictors know sound molecules alone, and give broken ones values that mean nothing, or the very value asked for.
    Whether a molecule without any bonds holds together is not known.
    """
    structure = sample.structure
    if structure is None:
        return sample.reason or "not made"
    if isinstance(structure, Molecule):
        fault = fault_of(structure) if len(structure.bonds) else ""
        return f"broken; got {fault}" if fault else ""
    closest = structure.smallest_distance()
    return f"atoms {closest:.2f} Angstrom apart" if closest < SMALLEST_DISTANCE else ""
