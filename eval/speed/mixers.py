"""CPU time and memory of token mixers by length, paired against attention and a scan in a Python loop in the same run.

python eval/speed/mixers.py

One thread, CPU time, width 256, 8 heads. Forward and backward of so many sequences of a length as make 2,048 tokens
(one sequence of 4,096): milliseconds a thousand tokens. One cached step of 16 sequences that are so long already.
Measurements take turns over the mixers; a ratio is the median of the turns' own.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from measurement import circumstances, write

from unigen.batch import Layout
from unigen.nn.mixers.backbone import build_mixer
from unigen.nn.mixers.interface import TokenMixer
from unigen.nn.mixers.pattern import DeltaProductLayer, Mixer

WIDTH, HEADS, TOKENS, STEPPED, TURNS = 256, 8, 2048, 16, 5
LENGTHS = (32, 64, 128, 256, 512, 1024, 2048, 4096)
MIXERS: dict[str, str | Mixer] = {
    "attention": "attention",
    "ssd": "ssd",
    "delta_product": "delta_product",
    "delta_product, 2 reflections": DeltaProductLayer(reflections=2),
    "lightnet": "lightnet",
    "s5": "s5",
    "para_rnn": "para_rnn",
}
LOOP = "ssd in a Python loop"


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU-milliseconds of one call."""
    started = time.process_time()
    work()
    return 1000.0 * (time.process_time() - started)


def learn(mixer: TokenMixer, x: torch.Tensor) -> None:
    """Forward and backward."""
    mixer(x, Layout.padded(torch.full((len(x),), x.shape[1]), x.shape[1])).square().sum().backward()


def learn_by_steps(mixer: TokenMixer, x: torch.Tensor) -> None:
    """The same, a token after the other."""
    state, total = mixer.init_state(len(x), x.shape[1], x), torch.zeros(())
    for position in range(x.shape[1]):
        y, state = mixer.step(x[:, position], torch.full((len(x),), position), state)
        total = total + y.square().sum()
    total.backward()


def kept_mib(mixer: TokenMixer, x: torch.Tensor) -> float:
    """Memory that forward keeps for backward."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = mixer(x, Layout.padded(torch.full((len(x),), x.shape[1]), x.shape[1]))
    assert y.requires_grad
    return sum(kept.values()) / 2**20


def one_step(mixer: TokenMixer, length: int) -> Callable[[], object]:
    """A step of sequences of a length; the state is filled with what it holds after such a prefix."""
    x = torch.randn(STEPPED, WIDTH)
    with torch.no_grad():
        state = mixer.init_state(STEPPED, length + 1, x)
        state = {name: torch.randn_like(tensor) for name, tensor in state.items()}
    position = torch.full((STEPPED,), length)

    def step() -> None:
        with torch.inference_mode():
            mixer.step(x, position, state)

    return step


def state_kib(mixer: TokenMixer, length: int) -> float:
    """What one sequence of a length is remembered by."""
    state = mixer.init_state(1, length, torch.zeros(1, WIDTH))
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values()) / 2**10


def rows(times: dict[str, list[float]], per: float) -> dict[str, dict[str, float]]:
    """Least time and ratio to attention, by mixer."""
    found = {}
    for name, turns in times.items():
        ratio = statistics.median(one / other for one, other in zip(turns, times["attention"], strict=True))
        found[name] = {"ms": round(min(turns) / per, 4), "ratio": round(ratio, 3)}
    return found


def crossing(table: dict[str, dict[str, dict[str, float]]], name: str) -> int | None:
    """The length from which on a mixer takes no longer than attention; None: at none of these."""
    faster = [length for length in LENGTHS if table[str(length)][name]["ratio"] <= 1.0]
    lasting = [length for length in faster if all(later in faster for later in LENGTHS if later >= length)]
    return min(lasting, default=None)


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    mixers = {name: build_mixer(layer, WIDTH, HEADS) for name, layer in MIXERS.items()}
    facts = circumstances(threads=1) | {"width": WIDTH, "heads": HEADS, "turns": TURNS}
    facts["parameters"] = {name: sum(p.numel() for p in mixer.parameters()) for name, mixer in mixers.items()}
    learned, stepped, memory = {}, {}, {}
    for length in LENGTHS:
        x = torch.randn(max(TOKENS // length, 1), length, WIDTH, requires_grad=True)
        learning: dict[str, list[float]] = {name: [] for name in (*mixers, LOOP)}
        stepping: dict[str, list[float]] = {name: [] for name in mixers}
        steps = {name: one_step(mixer, length) for name, mixer in mixers.items()}
        for mixer in mixers.values():  # what is done once is not measured
            learn(mixer, x)
        for turn in range(TURNS):
            for name, mixer in mixers.items():
                learning[name].append(cpu_ms(lambda mixer=mixer, x=x: learn(mixer, x)))
            # a loop over thousands of tokens takes seconds: once
            first = turn == 0 or length <= LENGTHS[2]
            learning[LOOP].append(cpu_ms(lambda x=x: learn_by_steps(mixers["ssd"], x)) if first else learning[LOOP][0])
            for name, step in steps.items():
                stepping[name].append(cpu_ms(lambda step=step: [step() for _ in range(20)]) / 20)
        learned[str(length)] = rows(learning, len(x) * length / 1000)
        stepped[str(length)] = rows(stepping, 1)
        memory[str(length)] = {
            name: {
                "kept_mib_per_1000_tokens": round(kept_mib(mixer, x) / (len(x) * length / 1000), 2),
                "state_kib": round(state_kib(mixer, length), 1),
            }
            for name, mixer in mixers.items()
        }
        print(length, {name: row["ratio"] for name, row in learned[str(length)].items()}, flush=True)
        print("  step", {name: row["ms"] for name, row in stepped[str(length)].items()}, flush=True)
    names = [name for name in mixers if name != "attention"]
    write(
        "mixers",
        facts
        | {
            "unit": "CPU-milliseconds, least of all turns: of learning 1,000 tokens, of a step of 16 sequences; "
            "ratio: to attention, median of turns",
            "no_slower_than_attention_from": {
                "learning": {name: crossing(learned, name) for name in names},
                "step": {name: crossing(stepped, name) for name in names},
            },
            "learning": learned,
            "step": stepped,
            "memory": memory,
        },
    )


if __name__ == "__main__":
    main()
