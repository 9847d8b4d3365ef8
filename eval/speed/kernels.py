"""Triton kernels on a GPU, paired with their plain twins and, where it is installed, with flash-linear-attention's ops.

python eval/speed/kernels.py        (needs a CUDA device; fla-core is optional)

Milliseconds of a call, the least of all turns; a ratio is the median of the turns' own. The scan: forward and backward
of 64 sequences of a length, 8 heads of 32 with states of 64. The sampler: 14 steps of a head with the width and blocks
of the bundled crystal model's, by slots drawn at once.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from importlib.util import find_spec

import torch
from measurement import circumstances, write

from unigen.errors import UserError
from unigen.nn.heads.vectors import VectorHead
from unigen.nn.kernels.packed_scan import packed_scan, packed_scan_reference
from unigen.nn.kernels.vector_sampler import sample_vectors, sample_vectors_reference
from unigen.nn.process.gaussian import GaussianProcess
from unigen.nn.process.solvers import karras_levels

TURNS, SEQUENCES, HEADS, WIDTH, STATE = 7, 64, 8, 32, 64
LENGTHS, SLOTS = (64, 256, 1024, 4096), (256, 1024, 4096)
HIDDEN, BLOCKS, STEPS = 192, 3, 14


def milliseconds(work: Callable[[], object]) -> float:
    """Of one call, by the device's own clock."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    work()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end)


def compared(name: str, ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Every way in turns; the first is ours."""
    for way in ways.values():  # compiled, and the device warm
        way()
        way()
    turns = [{label: milliseconds(way) for label, way in ways.items()} for _ in range(TURNS)]
    ours = next(iter(ways))
    row = {f"{label}_ms": round(min(turn[label] for turn in turns), 3) for label in ways}
    for label in list(ways)[1:]:
        row[f"{label}_over_{ours}"] = round(statistics.median(turn[label] / turn[ours] for turn in turns), 2)
    print(f"{name:28}", row, flush=True)
    return row


def scans(length: int) -> dict[str, Callable[[], object]]:
    """Forward and backward of one batch of sequences, three ways."""
    tokens = SEQUENCES * length
    q, k = (torch.randn(tokens, 1, STATE, device="cuda", requires_grad=True) for _ in range(2))
    v = torch.randn(tokens, HEADS, WIDTH, device="cuda", requires_grad=True)
    log_decay = (-torch.rand(tokens, HEADS, device="cuda")).requires_grad_()
    boundaries = torch.arange(0, tokens + 1, length, device="cuda")

    def learned(scan: Callable[..., tuple[torch.Tensor, torch.Tensor]]) -> Callable[[], object]:
        return lambda: scan(q, k, v, log_decay, boundaries)[0].square().sum().backward()

    ways = {"triton": learned(packed_scan), "torch": learned(packed_scan_reference)}
    if find_spec("fla"):
        from fla.ops.simple_gla import chunk_simple_gla

        def library() -> None:
            by_head = [x.expand(-1, HEADS, -1)[None] for x in (q, k)]
            y, _ = chunk_simple_gla(*by_head, v[None], log_decay[None], scale=1.0, cu_seqlens=boundaries)
            y.square().sum().backward()

        ways["fla"] = library
    return ways


def samplers(slots: int) -> dict[str, Callable[[], object]]:
    """All steps of one slot of so many structures, two ways."""
    process = GaussianProcess()
    head = VectorHead(process, 3, HIDDEN, HIDDEN, BLOCKS).cuda().eval()
    levels = karras_levels(STEPS, process.sigma_min, process.sigma_max).cuda()
    x = torch.randn(slots, 3, device="cuda") * levels[0]
    with torch.no_grad():
        context = head.context(torch.randn(slots, HIDDEN, device="cuda"))

    def plain() -> object:
        with torch.no_grad():
            return sample_vectors_reference(head, x, levels, context)

    return {"triton": lambda: sample_vectors(head, x, levels, context), "torch": plain}


def main() -> None:
    """Measure, print and write."""
    if not torch.cuda.is_available():
        raise UserError(
            "no CUDA device", next_step="the kernels are compared with their twins by tests/nn/test_kernels.py"
        )
    facts = circumstances(threads=None) | {"device": torch.cuda.get_device_name(), "turns": TURNS}
    rows = {f"scan, {length} tokens": compared(f"scan, {length} tokens", scans(length)) for length in LENGTHS}
    rows |= {f"sampler, {slots} slots": compared(f"sampler, {slots} slots", samplers(slots)) for slots in SLOTS}
    write("kernels", facts | {"cases": rows})


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
