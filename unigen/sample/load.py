"""From a name to a generator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.device import check_device
from unigen.disk import sha256_of
from unigen.errors import UserError
from unigen.models.checkpoint import WEIGHTS, load_model, model_folder
from unigen.models.families import UNLEARNED, family_of
from unigen.models.generator import Generator, OpenedModel, refuse_retrieval
from unigen.retrieval.parents import Parents, read_parents
from unigen.sample.known import formulas_of


def load(
    model: str | Path = "unigen-crystal-small",
    *,
    device: str = "cpu",
    makes: Kind | None = None,
    score: bool = True,
    retrieve_from: str | Path | None = None,
    exclude_formula: bool = False,
    parents: Parents | Crystal | str | Path | Sequence[Crystal | str | Path] | None = None,
    known: str | Path | Sequence[str | Path] = (),
    **settings: Any,
) -> Generator:
    """A generator by bundled name, by model folder, or ``"nearest"``.

    Args:
        model: name or path.
        device: of torch.
        makes: what is wanted of it; by default what it makes, crystals where it makes both.
        score: compute the exact likelihood of every sample of a network of crystals.
        retrieve_from: dataset of known structures, for models that look these up: ``nearest`` copies from it, a wyckoff
            model follows them (by default those of the table that lies beside its weights), an octree model that was
            trained with ``neighbours`` reads them before it draws.
        exclude_formula: use no structure of the request's own formula (for benchmarks).
        parents: structures of yours, or files and folders of them: a wyckoff model follows them, in every request that
            they fit, before any known one.
        known: datasets or hulls whose formulas count as known, besides those of the known structures; where any is
            given, no known formula is drawn de novo.
        settings: how to draw, such as ``temperature=1.0``: the fields of the settings in the ``settings.py`` of the
            model's family; the others are as by default.

    Raises:
        UserError: no such model, weights missing, truncated or of another version, a device that is not there, a
            setting that the model does not have.

    Example:
        >>> load("unigen-crystal-small", temperature=1.0, within=0.2).settings.within
        0.2
    """
    network, folder, name, version = None, None, str(model), ""
    family = UNLEARNED.get(name)
    if family is None:
        folder = model_folder(model)
        check_device(device)
        network = load_model(folder, device)
        name, version = folder.name, sha256_of(folder / WEIGHTS)
        family = family_of(network.config)
    where = str(model)  # as it was said: of a bundled name the folder tells nothing
    if family.generator is None:
        raise UserError(
            "this model predicts properties and generates nothing",
            where=where,
            next_step="give it to: unigen evaluate conditional --predictor",
        )
    wanted = next(iter(family.settings)) if makes is None else makes
    if wanted not in family.settings:
        raise UserError(f"this model makes {' and '.join(family.settings)}, not {wanted}", where=where)
    if not family.retrieves:
        refuse_retrieval(retrieve_from, where, exclude_formula=exclude_formula)
    sources = [known] if isinstance(known, str | Path) else list(known)
    if sources and not family.follows_parents:
        raise UserError("this model draws from no known formulas", where=where, next_step="use a wyckoff model")
    if parents is not None and not family.follows_parents:
        raise UserError("this model follows no parents", where=where, next_step="use a wyckoff model")
    return family.generator(
        OpenedModel(
            network=network,
            folder=folder,
            name=name,
            version=version,
            makes=wanted,
            settings=family.settings_from(wanted, settings, where),
            score=score,
            retrieve_from=retrieve_from,
            exclude_formula=exclude_formula,
            parents=parents if isinstance(parents, Parents | None) else read_parents(parents),
            known=formulas_of(sources) if sources else None,
        )
    )
