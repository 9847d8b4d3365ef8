"""The device that a user names."""

from __future__ import annotations

from unigen.errors import UserError


def check_device(device: str) -> None:
    """Raises UserError where torch has no such device."""
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {device!r} is not there", got=str(error).splitlines()[0], wanted="cpu") from error
