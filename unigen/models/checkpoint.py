"""A model as a folder: ``config.yaml`` and ``weights.safetensors`` (and a card). Nothing in it can run code."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from unigen import config as configuration
from unigen.cards import find_cards, published
from unigen.disk import durable
from unigen.errors import UserError
from unigen.models.families import UNLEARNED, ModelConfig, build_like, meta_model
from unigen.models.interface import Network

FORMAT = "unigen-1"
WEIGHTS, CONFIG = "weights.safetensors", "config.yaml"


def save_model(model: Network, folder: Path, dtype: Literal["fp32", "bf16"] = "fp32") -> None:
    """Write config and weights, the same bytes for the same model; bf16 halves the file and is widened on loading."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = {"fp32": torch.float32, "bf16": torch.bfloat16}[dtype]
    buffers = {name for name, _ in model.named_buffers()}  # means, ranges and counts of the data: never rounded
    weights = {
        name: tensor.detach().cpu().to(tensor.dtype if name in buffers else stored).contiguous()
        for name, tensor in model.state_dict().items()
    }
    configuration.write_yaml(folder / CONFIG, model.config)
    content = save(weights, metadata={"format": FORMAT})  # one key: safetensors writes several in random order
    with durable(folder / WEIGHTS) as partial:
        partial.write_bytes(content)  # by Python, which says why a disk does not take it


def copy_model(source: Path, folder: Path) -> None:
    """The same config and weights in another folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, WEIGHTS):
        with durable(folder / name) as partial:
            shutil.copyfile(source / name, partial)


def load_model(folder: Path, device: str = "cpu") -> Network:
    """Read a model folder.

    Raises:
        UserError: files missing or truncated, weights of another version or another config.
    """
    path = folder / WEIGHTS
    for file in (folder / CONFIG, path):
        if not file.exists():
            raise UserError("model file missing", where=str(file), next_step="see: unigen models list")
    config = configuration.load_union(ModelConfig, folder / CONFIG)
    # shapes first: a config of another size may be of a network that no memory holds
    without_numbers = meta_model(config)
    weights = _read_weights(path, without_numbers.state_dict())
    model = build_like(without_numbers, config)
    model.load_state_dict({name: weights[name].to(tensor.dtype) for name, tensor in model.state_dict().items()})
    return model.to(device).eval()


def begin_with(model: Network, folder: Path) -> None:
    """Give a fresh model the weights of a trained one; parts that the trained one lacks stay fresh.

    Raises:
        UserError: files missing or truncated, parts that the fresh model lacks or that differ in size.
    """
    trained = load_model(folder).state_dict()
    expected = model.state_dict()
    state = model.beginning(trained)
    wrong = [name for name, begun in state.items() if name not in expected or expected[name].shape != begun.shape]
    if wrong:
        raise UserError(
            f"start_from: {len(wrong)} tensors do not fit the model of this config, first {wrong[0]}",
            where=str(folder),
            next_step="take the sizes of its config.yaml",
        )
    model.load_state_dict(state)


def model_folder(model: str | Path) -> Path:
    """The folder of a bundled model, or the given one; raises UserError naming the models there are."""
    bundled = find_cards("models")
    if str(model) in bundled:
        return bundled[str(model)].parent
    if Path(model).is_dir():
        return Path(model)
    raise UserError(
        f"no model {str(model)!r}",
        wanted=f"one of {', '.join([*bundled, *UNLEARNED])}, or a model folder",
        next_step=f"bundled models lie in {published('models').name}/",
    )


def _read_weights(path: Path, expected: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a file, once their names, shapes and types are found to be those expected."""
    try:
        with safe_open(path, framework="pt") as file:
            version = (file.metadata() or {}).get("format")
            if version != FORMAT:
                raise UserError("weights of another version", where=str(path), got=version, wanted=FORMAT)
            names = set(file.keys())
            wrong = sorted(names ^ set(expected)) or [
                name for name, tensor in expected.items() if file.get_slice(name).get_shape() != list(tensor.shape)
            ]
            if wrong:
                raise UserError(
                    f"weights do not fit {CONFIG}: {len(wrong)} tensors differ, first {wrong[0]}",
                    where=str(path),
                    next_step="use the config.yaml that was written with these weights",
                )
            weights = {name: file.get_tensor(name) for name in expected}
    except (SafetensorError, OSError) as error:
        raise UserError("weights missing or truncated", where=str(path), got=str(error)) from error
    for name, tensor in weights.items():
        if tensor.is_floating_point() != expected[name].is_floating_point():
            raise UserError(f"weights are no numbers of their kind: {name}", where=str(path), got=tensor.dtype)
        if not torch.isfinite(tensor).all():
            raise UserError(f"weights are not finite: {name}", where=str(path), next_step="train or fetch it again")
    return weights
