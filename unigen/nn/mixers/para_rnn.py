"""A gated recurrent unit whose recurrent weights are diagonal, solved for all tokens at once by Newton's method.

    z = sigmoid(Z x_t + u_z h), r = sigmoid(R x_t + u_r h), c = tanh(C x_t + u_c r h)       h = h_(t-1)
    h_t = f(h_(t-1), x_t) = (1 - z) h + z c

Cho et al. 2014 with diagonal u. Newton's step on ``h_t - f(h_(t-1), x_t) = 0`` for all t is a linear scan,
``h_t = J_t h_(t-1) + f_t - J_t g_(t-1)`` at a guess g with J = df/dh: Danieli et al. 2025, "ParaRNN", equation 4. It
gains the first wrong token at least and converges quadratically. A last step with J held fixed has the value of the
solution and, by the implicit function theorem, its gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unigen.batch import Layout
from unigen.nn.mixers.interface import State, TokenMixer, precise
from unigen.nn.mixers.linear_scan import linear_scan
from unigen.shapes import Float, Int


class ParaRNN(TokenMixer):
    """See the module's docstring.

    The state holds h, (batch, width).

    Args:
        width: of the layer.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_gates = nn.Linear(width, 3 * width)
        self.recurrent = nn.Parameter(torch.empty(3, width))
        nn.init.uniform_(self.recurrent, -1.0, 1.0)  # a number of h alone enters a gate: it must be heard beside x
        with torch.no_grad():
            # half of z near 0.1 and less: memories of ten tokens and more beside short ones
            self.to_gates.bias[:width].copy_(torch.linspace(-4.0, 0.0, width))
        self.to_out = nn.Linear(width, width, bias=False)

    def mix(self, x: Float[Tensor, "batch tokens width"], layout: Layout, state: State | None) -> Tensor:
        """See TokenMixer."""
        gates = self.to_gates(x)
        with torch.autocast(x.device.type, enabled=False):
            hidden = self.solve(*precise(gates))
        if state is not None:
            state["hidden"] = hidden[torch.arange(len(x), device=x.device), layout.lengths - 1]
        return self.output(x, hidden[..., None])

    def solve(self, gates: Float[Tensor, "batch tokens gates"]) -> Float[Tensor, "batch tokens width"]:
        """The states of all tokens."""
        with torch.no_grad():
            hidden = self.newton_step(gates, torch.zeros_like(gates[..., : gates.shape[-1] // 3]))
            # what is left after a step is the square of its length: the last one, below, ends at rounding
            enough = torch.finfo(gates.dtype).eps ** 0.5
            for _ in range(gates.shape[1]):  # one would do for each token; four or five do for hundreds
                guess, hidden = hidden, self.newton_step(gates, hidden)
                if float((hidden - guess).abs().max()) <= enough:
                    break
            before = _before(hidden)
            slope = self._slope(gates, before)
        return linear_scan(slope, self._unit(gates, before)[0] - slope * before)

    def newton_step(
        self, gates: Float[Tensor, "batch tokens gates"], guess: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """A better guess; a mean of numbers that tanh gives lies between -1 and 1, so guesses stay there."""
        before = _before(guess)
        slope = self._slope(gates, before)
        return linear_scan(slope, self._unit(gates, before)[0] - slope * before).clamp(-1.0, 1.0)

    def step(
        self, x: Float[Tensor, "batch width"], position: Int[Tensor, "batch"], state: State
    ) -> tuple[Float[Tensor, "batch width"], State]:
        """See TokenMixer."""
        del position
        (gates,) = precise(self.to_gates(x))
        hidden = self._unit(gates, state["hidden"])[0]
        return self.output(x, hidden[..., None]), {"hidden": hidden}

    def init_state(self, batch: int, max_len: int, like: Tensor) -> State:
        """See TokenMixer."""
        del max_len
        return {"hidden": precise(like.new_zeros(batch, like.shape[-1]))[0]}

    def values(self, x: Float[Tensor, "batch tokens width"], layout: Layout) -> Tensor:
        """See TokenMixer: z c, a head for every number of the state."""
        del layout
        (gates,) = precise(self.to_gates(x))
        _, z, _, c = self._unit(gates, _before(self.solve(gates)))
        return (z * c).transpose(1, 2)[..., None]

    def operator(self, x: Float[Tensor, "batch tokens width"], layout: Layout) -> Tensor:
        """See TokenMixer: at the solution the layer is linear in its values, with products of 1 - z."""
        del layout
        (gates,) = precise(self.to_gates(x))
        _, z, _, _ = self._unit(gates, _before(self.solve(gates)))
        # a sigmoid may round to one, which has no logarithm
        total = torch.log1p(-z.clamp(max=1.0 - torch.finfo(z.dtype).eps)).cumsum(1).transpose(1, 2)
        return (total[..., :, None] - total[..., None, :]).tril().exp().tril()

    def output(self, x: Float[Tensor, "*batch width"], mixed: Tensor) -> Float[Tensor, "*batch width"]:
        """See TokenMixer: no gate but those of the unit."""
        return self.to_out(mixed[..., 0].to(x.dtype))

    def _unit(self, gates: Tensor, before: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """f, z, r and c."""
        of_z, of_r, of_c = gates.chunk(3, -1)
        z = torch.sigmoid(of_z + self.recurrent[0] * before)
        r = torch.sigmoid(of_r + self.recurrent[1] * before)
        c = torch.tanh(of_c + self.recurrent[2] * r * before)
        return torch.lerp(before, c, z), z, r, c

    def _slope(self, gates: Tensor, before: Tensor) -> Tensor:
        """Df / dh."""
        _, z, r, c = self._unit(gates, before)
        of_z, of_r, of_c = self.recurrent
        candidate = (1.0 - c * c) * of_c * r * (1.0 + (1.0 - r) * of_r * before)
        return 1.0 - z + z * (1.0 - z) * of_z * (c - before) + z * candidate


def _before(hidden: Tensor) -> Tensor:
    """The states that tokens begin with."""
    return functional.pad(hidden[:, :-1], (0, 0, 1, 0))
