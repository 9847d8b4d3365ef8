"""Which twin of a kernel runs: the Triton one on a CUDA device, the plain torch one elsewhere."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from torch import Tensor


@cache
def _triton_is_there() -> bool:
    """PyTorch for CUDA brings it; for a CPU it is only of use to its interpreter, which tests run."""
    return find_spec("triton") is not None


def by_triton(*tensors: Tensor) -> bool:
    """Whether Triton computes with these: all on a CUDA device, none of 64 bits.

    Such numbers are asked for where every digit counts, and a GPU has little to win by them.
    """
    return all(tensor.is_cuda and tensor.element_size() < 8 for tensor in tensors) and _triton_is_there()
