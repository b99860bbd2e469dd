"""Flows: z0 ~ N(mu, sigma^2) pushed through invertible maps makes a richer posterior.

Each flow is called with z (..., n, d) and a context (n, c) of the row, and returns the new z and
log |det dz'/dz| (..., n).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_STD = 0.01
"""Of the weights that give u, w and b before training: a flow begins nearly alike for all rows."""

_STD_OF_W = 0.1
"""Of the intercepts of w before training: at w = 0 there would be no gradient of u."""

_NO_DIVISION_BY_ZERO = 1e-8
"""Added to |w|^2, so that w / |w|^2 is finite also at w = 0."""

_OPEN = 2.0
"""Intercepts of the gates before training: gates that are nearly open leave z nearly as it is."""


class Planar(nn.Module):
    """z + u tanh(w'z + b), with u, w, b given by the row (Rezende and Mohamed 2015, eqs. 10-12).

    u is moved so that w'u > -1, which makes the map invertible.
    """

    def __init__(self, d: int, context: int):
        super().__init__()
        self.d = d
        self.given = nn.Linear(context, 2 * d + 1)
        nn.init.normal_(self.given.weight, std=_STD)
        nn.init.zeros_(self.given.bias)
        with torch.no_grad():
            self.given.bias[d : 2 * d].normal_(std=_STD_OF_W)

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        u, w, b = self.given(context).split([self.d, self.d, 1], dim=-1)
        along = (w * u).sum(-1, keepdim=True)
        norm = w.square().sum(-1, keepdim=True) + _NO_DIVISION_BY_ZERO
        u = u + (functional.softplus(along) - 1 - along) * w / norm
        h = torch.tanh((z * w).sum(-1, keepdim=True) + b)
        slope = (1 - h.square()) * (w * u).sum(-1, keepdim=True)
        return z + u * h, torch.log1p(slope.squeeze(-1))


class MaskedLinear(nn.Linear):
    """A linear layer some of whose weights stay zero."""

    mask: Tensor

    def __init__(self, mask: Tensor):
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight * self.mask, self.bias)


class InverseAutoregressive(nn.Module):
    """s z + (1 - s) m, s and m of each dimension by those before it (Kingma et al. 2016, alg. 1).

    Dimensions are turned round after each, so that the next flow sees them the other way.
    """

    def __init__(self, d: int, context: int, hidden: int = 64):
        super().__init__()
        inner = torch.arange(hidden) % max(d - 1, 1) + 1
        outer = torch.arange(1, d + 1)
        self.first = MaskedLinear((inner[:, None] >= outer).float())
        self.context = nn.Linear(context, hidden, bias=False)
        self.second = MaskedLinear((outer[:, None] > inner).float().repeat(2, 1))
        with torch.no_grad():
            self.second.bias[d:] = _OPEN

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        h = functional.elu(self.first(z) + self.context(context))
        m, s = self.second(h).chunk(2, dim=-1)
        gate = torch.sigmoid(s)
        z = gate * z + (1 - gate) * m
        return z.flip(-1), functional.logsigmoid(s).sum(-1)


FLOWS = {"planar": Planar, "iaf": InverseAutoregressive}
