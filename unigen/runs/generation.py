"""A generation run from requests to a folder: what ``unigen generate`` does, whatever is generated."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unigen.cards import Kind
from unigen.crystals.powder.axis import Axis
from unigen.crystals.powder.peaks import PeakList
from unigen.disk import alone_in, sha256_of
from unigen.elements import format_formula, is_organic, parse_formula, reduce_counts
from unigen.errors import UserError
from unigen.models.generator import FollowsParents, Generator, Range, RepeatsKnown
from unigen.parallel import ProgressBar
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.retrieval.parents import Parents
from unigen.runs.folder import Row, RunFolder, was_made
from unigen.runs.tables import SHOWN
from unigen.sample.exchanges import TypeScan
from unigen.sample.generate import iter_samples
from unigen.sample.known import known_file
from unigen.sample.load import load
from unigen.sample.parents import fitted_parents, parent_remarks
from unigen.sample.patterns import asked_patterns, asked_remarks
from unigen.sample.scan import SCAN, Scan, write_scan
from unigen.version import __version__

if TYPE_CHECKING:
    from rich.console import Console

Request = CrystalRequest | MoleculeRequest

_WHERE_GIVEN = ("decoding", "parents", "known", "scans", "wavelength", "axis")
"""Settings of which ``run.yaml`` tells in words of its own, and only where there are any."""


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a run generates; what a kind of structure does not have stays at its default.

    Attributes:
        n: samples a request.
        model: bundled name, model folder, or ``nearest``.
        retrieve_from: dataset that known structures come from; by default the model's own table.
        exclude_formula: known structures of the request's own formula are left out.
        parents: structures of the user, followed first.
        known: datasets or hulls whose formulas count as known, none of which is drawn de novo.
        scans: of the chemical systems or formula types whose compositions are the requests.
        decoding: settings of the model that are given, by name; see ``unigen.sample.load.load``.
        seed: same seed and device, same bytes.
        score: compute each sample's exact log-likelihood.
        batch_size: candidates drawn at once.
        device: of torch.
        wavelength: of the powder patterns that requests name, for models that are asked for their peaks; by default
            what their files say.
        axis: likewise.
    """

    n: int = 1
    model: str = "unigen-crystal-small"
    retrieve_from: str | None = None
    exclude_formula: bool = False
    parents: Parents | None = None
    known: tuple[str, ...] = ()
    scans: Sequence[Scan | TypeScan] = ()
    decoding: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    score: bool = True
    batch_size: int = 512
    device: str = "cpu"
    wavelength: str | None = None
    axis: Axis | None = None

    @property
    def known_formulas(self) -> dict[str, bool]:
        """Of each formula of the scans, whether a structure of it is known."""
        return {each.formula: each.known for scan in self.scans for each in scan.compositions}

    def patterns(self, generator: Generator, requests: Sequence[Request]) -> dict[str, PeakList]:
        """The peaks that the generator is asked for, by the paths that requests name; see `asked_patterns`."""
        return asked_patterns(generator, requests, self.wavelength, self.axis)

    def load(self, makes: Kind | None = None) -> Generator:
        """The generator.

        Args:
            makes: what is wanted of a model that makes both.
        """
        return load(
            self.model,
            device=self.device,
            makes=makes,
            score=self.score,
            retrieve_from=self.retrieve_from,
            exclude_formula=self.exclude_formula,
            parents=self.parents,
            known=self.known,
            **self.decoding,
        )

    def facts(self, generator: Generator, requests: Sequence[Request], folder: RunFolder) -> dict[str, Any]:
        """What determines the samples, for ``run.yaml``: not the batch size, nor which files are written.

        The model goes by the generator's name: its path may be written in many ways.

        Raises:
            UserError: a setting that structures of this kind do not have.
        """
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name not in (*folder.written, *_WHERE_GIVEN, "batch_size") and value != each.default:
                raise UserError(f"a run of {folder.kind} has no setting {each.name!r}", got=value)
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values |= {"model": generator.name, folder.decoding: asdict(generator.settings)}
        return {
            "unigen": __version__,
            **{name: values[name] for name in folder.written},
            **_parent_facts(generator, requests),
            **({"known": _checksums(self.known)} if self.known else {}),
            **({"scans": [scan.facts for scan in self.scans]} if self.scans else {}),
            "version": generator.version,
            "versions": {name: version(name) for name in folder.tools},
            "requests": [request.to_dict() for request in requests],
            **_patterns(requests),
            **_asked(self.patterns(generator, requests)),
        }


def _checksums(known: Sequence[str]) -> dict[str, str]:
    """Of datasets and hulls as they are now: a set that is built anew under its name makes another run."""
    return {name: sha256_of(known_file(name)) for name in known}


def _patterns(requests: Sequence[Request]) -> dict[str, dict[str, str]]:
    """The checksums of the requests' powder patterns: another one under the same path makes another run."""
    paths = {request.pxrd for request in requests if isinstance(request, CrystalRequest) and request.pxrd is not None}
    for path in sorted(paths):
        if not Path(path).is_file():
            raise UserError("no such powder pattern", where=path, next_step="give the path of a file")
    return {"patterns": {path: sha256_of(Path(path)) for path in sorted(paths)}} if paths else {}


def _asked(patterns: Mapping[str, PeakList]) -> dict[str, Any]:
    """What is asked of each pattern: it follows from the file, the wavelength, and how peaks are picked."""
    told = {
        path: {"peaks": len(each), "from": round(each.low, 4), "to": round(each.high, 4), "strongest": _place(each)}
        for path, each in patterns.items()
    }
    return {"asked_by_peaks": told} if told else {}


def _place(peaks: PeakList) -> float:
    """1/d in 1/Angstrom of the strongest peak."""
    return round(float(peaks.inverse_d[int(peaks.intensity.argmax())]), 5)


def run_generation(
    requests: Sequence[CrystalRequest] | Sequence[MoleculeRequest],
    folder: RunFolder,
    settings: RunSettings,
    console: Console | None = None,
) -> list[Row]:
    """Draw what the folder does not hold yet, write all files, print the table; returns one row a sample.

    Args:
        requests: what is wanted.
        folder: of their kind; an interrupted run goes on.
        settings: how.
        console: for remarks, progress and table; silent without.

    Raises:
        UserError: a model that makes something else, the folder holds another run, the disk is full, or every sample
            failed.
    """
    generator = settings.load(folder.kind)
    rows = draw_samples(requests, folder, settings, generator, console)
    if console is not None:
        folder.print_summary(rows, console)
        if not any(isinstance(each, TypeScan) for each in settings.scans):  # of those a seed chooses other compositions
            for line in _seed_remarks(generator, requests, rows):
                console.out(line, highlight=False)
        for line in [*sample_remarks(requests, rows), *_repeat_remarks(requests, rows)]:
            console.out(line, highlight=False)
    return rows


def _seed_remarks(generator: Generator, requests: Sequence[Request], rows: Sequence[Row]) -> list[str]:
    """Which samples another seed would give again: a line, or none where it gives others."""
    if not isinstance(generator, RepeatsKnown):
        return []
    of_formula = [row for row in rows if was_made(row) and requests[row["request_index"]].formula is not None]
    repeated = sum(generator.is_repeated(row["source"]) for row in of_formula if "source" in row)
    if not repeated:
        return []
    said = f"{repeated} of {len(rows)} follow a known structure in a fixed order: another --seed gives them again"
    return [f"{said}, in cells of that size; a larger --n follows farther ones"]


def sample_remarks(requests: Sequence[Request], rows: Sequence[Row]) -> list[str]:
    """What should be known of samples, or of candidates, once they are drawn: a few lines of each kind."""
    kinds = (_group_remarks, _cell_remarks, _open_remarks)
    return [line for remarks_of in kinds for line in remarks_of(requests, rows)[:SHOWN]]


def _group_remarks(requests: Sequence[Request], rows: Sequence[Row]) -> list[str]:
    """A line a request for several space groups, of some of which nothing came: the likeliest were drawn."""
    found: dict[int, set[int]] = defaultdict(set)
    for row in rows:
        if was_made(row) and "space_group" in row:
            found[row["request_index"]].add(row["space_group"])
    lines = []
    for index, request in enumerate(requests):
        if not isinstance(request, CrystalRequest) or len(request.given_groups) < 2:
            continue
        if request.distinct is not None or index not in found:
            continue
        missing = sorted(request.space_groups - found[index])
        if missing:
            name = request.id or request.formula or f"request {index}"
            lines.append(f"{name}: none in {', '.join(map(str, missing))}; --distinct space-group draws each in turn")
    return lines


def _cell_remarks(requests: Sequence[Request], rows: Sequence[Row]) -> list[str]:
    """A line a formula whose cells are no multiples of what was written; of one formula, the sizes of its cells."""
    sizes: dict[int, Counter[int]] = defaultdict(Counter)
    for row in rows:
        if "sites" in row:
            sizes[row["request_index"]][len(row["sites"])] += 1
    lines = []
    for index, found in sorted(sizes.items()):
        request = requests[index]
        if not isinstance(request, CrystalRequest) or request.formula is None:
            continue
        written = parse_formula(request.formula)
        drawn = ", ".join(f"{atoms} ({count})" for atoms, count in sorted(found.items()))
        if any(atoms % sum(written.values()) for atoms in found):
            ratio = format_formula(reduce_counts(written)[0])
            said = f"{request.formula} stands for a ratio: drawn as {ratio}, in cells of {drawn} atoms"
            lines.append(f"{said}; --z counts {ratio}, --n-atoms atoms")
        elif len(requests) == 1 and len(found) > 1:
            lines.append(f"cells of {drawn} atoms; --z or --n-atoms asks for one size")
    return lines


def _repeat_remarks(requests: Sequence[Request], rows: Sequence[Row]) -> list[str]:
    """How many samples are of one composition and structure type with an earlier one of their request."""
    kinds = []
    for row in rows:
        request = requests[row["request_index"]]
        if "template" not in row or "sites" not in row or getattr(request, "template", None) is not None:
            continue
        # a template names the element of every orbit, but of one type may be written in several ways; a name is one
        name = row["checks"].get("prototype")
        elements = tuple(sorted(Counter(site["element"] for site in row["sites"]).items()))
        kinds.append((row["request_index"], row["space_group"], (name, elements) if name else row["template"]))
    repeated = len(kinds) - len(set(kinds))
    if not repeated:
        return []
    said = f"{repeated} of {len(kinds)} have composition and structure type of an earlier one"
    return [f"{said}; with --candidates answers are distinct" if len(requests) == 1 else said]


_MANY_INVALID = 0.25
"""Share of crystals of open composition that are not valid above which another way to ask is named."""


def _open_remarks(requests: Sequence[Request], rows: Sequence[Row]) -> list[str]:
    """What to do where many crystals of given elements, whose composition was open, are poor."""
    made = [row for row in rows if "sites" in row and requests[row["request_index"]].formula is None]
    invalid = sum(not row["checks"]["valid"] for row in made)
    asked = [requests[row["request_index"]] for row in made]
    systems = ["-".join(each.must_contain) for each in asked if isinstance(each, CrystalRequest) and each.must_contain]
    if not systems or invalid <= _MANY_INVALID * len(made):
        return []
    said = f"{invalid} of {len(made)} are not valid: compositions of given elements, written freely, are often poor"
    return [f"{said}; --scan --chemical-system {systems[0]} draws the plausible ones of all these elements"]


def draw_samples(
    requests: Sequence[Request],
    folder: RunFolder,
    settings: RunSettings,
    generator: Generator,
    console: Console | None = None,
) -> list[Row]:
    """The same without the table, by a generator that is open; see `run_generation`."""
    patterns = settings.patterns(generator, requests)
    if console is not None:
        lines = dict.fromkeys(line for request in requests for line in remarks(generator, request))
        for shown in (list(lines), parent_remarks(generator, requests), asked_remarks(patterns)):
            for line in shown[:SHOWN]:
                console.out(line, highlight=False)
            if len(shown) > SHOWN:
                console.out(f"and {len(shown) - SHOWN} more such lines", highlight=False)
    facts = settings.facts(generator, requests, folder)
    tasks = list(product(range(len(requests)), range(settings.n)))
    folder.known = settings.known_formulas
    with alone_in(folder.path):
        folder.claim(facts)
        if settings.scans:
            write_scan(folder.path / SCAN, (each for scan in settings.scans for each in scan.compositions))
        with ProgressBar("generating", len(tasks), done=len(folder.finished), shown=console is not None) as bar:
            batches = iter_samples(
                generator, requests, tasks, settings.seed, settings.batch_size, folder.finished, patterns
            )
            for samples in batches:
                folder.append(samples)
                bar.advance(len(samples))
        rows = folder.finish()
    if not any(map(was_made, rows)):
        # the reason of a failure is a whole error of its own: what, got, wanted, next step
        raise UserError(f"no {folder.noun} was made ({len(rows)} failed): {rows[0]['reason']}")
    return rows


def remarks(generator: Generator, request: Request) -> list[str]:
    """What should be known of a request before it is drawn.

    Returns:
        A line a property: its value and unit beside the range of the training data, a warning outside of it. And one
        for a formula whose crystals are made of molecules.

    Raises:
        UserError: a property that the model does not know.
    """
    ranges = generator.ranges(request.properties)
    told = [_remark(name, request.properties[name], seen) for name, seen in ranges.items()]
    if isinstance(request, CrystalRequest) and request.formula is not None and is_organic(request.formula):
        told.append(
            f"warning: {request.formula} crystallises as molecules, and these models draw atoms of extended solids: "
            "do not trust what comes (of one molecule: unigen generate molecule)"
        )
    return told


def _parent_facts(generator: Generator, requests: Sequence[Request]) -> dict[str, Any]:
    """Parents, and how many requests each fits, for ``run.yaml``; nothing in a run without any."""
    if not isinstance(generator, FollowsParents) or generator.parents is None:
        return {}
    fitted, parents = fitted_parents(generator, requests), generator.parents
    names = [name._asdict() | {"fits": fitted[place]} for place, name in enumerate(parents.names)]
    left_out = [each._asdict() for each in parents.left_out]
    return {"parents": names} | ({"parents_left_out": left_out} if left_out else {})


def _remark(name: str, value: float, known: Range) -> str:
    texts = (f"{name} {value:g}", f"{known.low:.4g} to {known.high:.4g}")
    requested, seen = (f"{text} {known.unit}".rstrip() for text in texts)
    if known.low <= value <= known.high:
        return f"{requested} (training data: {seen})"
    return f"warning: {requested} lies outside of the training data: {seen}"
