"""What a decoder's outputs say of a row: log p(x|z), summed over the columns, in nats.

Conventions:
    x.shape = (n, d)             rows; real columns in units of their own, see `Gaussian`
    out.shape = (..., n, m)      outputs of the decoder, m = ``n_outputs``

``encode`` makes of x what the encoder sees, of ``n_inputs`` numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from skem.deep.modules import draws

Columns = slice | list[int]

MIN_LOG_VARIANCE = math.log(1e-6)
"""Least log of a variance that is learned, in units of the columns: columns that do not vary would
have an infinite density."""

_FASTER = 10
"""Learning rate of log variances, in that of weights: Adam moves all numbers alike, and variances
have a longer way than weights."""

_RARE = 1e-3
"""Least chance to start from."""

_BLOCK = 1 << 18
"""Numbers of rows that are averaged at once."""

_ALL = slice(None)


def average(
    function: Callable[[Tensor], Tensor], x: Tensor, weight: Tensor, columns: Columns
) -> Tensor:
    """Sum of w_i f(x_i), of those columns of the rows x_i: a block of rows at a time."""
    step = max(1, _BLOCK // x.shape[1])
    blocks = zip(x.split(step), weight.split(step), strict=True)
    return torch.stack([w @ function(rows[:, columns]) for rows, w in blocks]).sum(0)


class Likelihood(nn.Module):
    """Base of all; d columns."""

    n_inputs: int
    n_outputs: int

    def encode(self, x: Tensor) -> Tensor:
        """Rows as the encoder sees them."""
        return x

    def draw(self, x: Tensor) -> Tensor:
        """The rows of one batch of the training, which may be drawn from what is given."""
        return x

    def start(self, x: Tensor, weight: Tensor, columns: Columns = _ALL) -> Tensor:
        """Outputs, (n_outputs,), that say how the columns are distributed, whatever z is.

        Its own columns are those of x. A training that starts there learns at once how columns go
        together. Weights sum to one.
        """
        raise NotImplementedError

    def log_prob(self, out: Tensor, x: Tensor) -> Tensor:
        """Log p(x|z), (..., n)."""
        raise NotImplementedError

    def total(self, out: Tensor, x: Tensor, weight: Tensor | None) -> Tensor:
        """Sum of log p(x|z) over the rows, each with its weight."""
        rows = self.log_prob(out, x)
        return rows.sum() if weight is None else weight @ rows

    def mean(self, out: Tensor) -> Tensor:
        """E[x|z], (..., n, d)."""
        raise NotImplementedError

    def sample(self, out: Tensor) -> Tensor:
        """A draw from p(x|z), (..., n, d)."""
        raise NotImplementedError


class Gaussian(Likelihood):
    """Normal columns, independent given z.

    Parameters
    ----------
    log_scale : Tensor of shape (d,)
        Log of one unit of the columns in the user's units. Densities are in the user's.
    variance : {'columns', 'shared', 'decoder'} or float
        One learned variance a column, one for all (in units of the columns), outputs of the
        decoder, or that number, in the user's units squared.
    """

    log_scale: Tensor

    def __init__(self, log_scale: Tensor, variance: str | float = "columns"):
        super().__init__()
        d = len(log_scale)
        self.register_buffer("log_scale", log_scale)
        self.variance = variance
        self.n_inputs = d
        self.n_outputs = 2 * d if variance == "decoder" else d
        if variance in ("columns", "shared"):
            self.log_variance_tenth = nn.Parameter(torch.zeros(d if variance == "columns" else 1))

    @property
    def log_variance(self) -> Tensor:
        """Learned, in units of the columns."""
        return _FASTER * self.log_variance_tenth

    def _moments(self, out: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance, in units of the columns."""
        if self.variance == "decoder":
            mean, log_variance = out.chunk(2, dim=-1)
        elif isinstance(self.variance, str):
            mean, log_variance = out, self.log_variance
        else:
            return out, math.log(self.variance) - 2 * self.log_scale
        return mean, log_variance.clamp(min=MIN_LOG_VARIANCE)

    def start(self, x: Tensor, weight: Tensor, columns: Columns = _ALL) -> Tensor:
        """Learned variances start at those of the columns, too, or at 1 where that is more.

        Smaller ones would blow up the first steps, for networks begin with numbers about 1.
        """
        mean = average(lambda rows: rows, x, weight, columns)
        variance = average(lambda rows: (rows - mean).square(), x, weight, columns)
        log_variance = torch.log(variance.clamp(min=1))
        if self.variance == "decoder":
            return torch.cat([mean, log_variance])
        if isinstance(self.variance, str):
            own = log_variance if self.variance == "columns" else log_variance.exp().mean().log()
            with torch.no_grad():
                self.log_variance_tenth.copy_(own / _FASTER)
        return mean

    def log_prob(self, out: Tensor, x: Tensor) -> Tensor:
        mean, log_variance = self._moments(out)
        squares = (x - mean).square()
        constant = math.log(2 * math.pi) + 2 * self.log_scale
        if self.variance == "decoder":
            return -0.5 * (squares * torch.exp(-log_variance) + log_variance + constant).sum(-1)
        log_variance = log_variance.expand_as(constant)
        return -0.5 * (squares @ torch.exp(-log_variance) + (log_variance + constant).sum())

    def mean(self, out: Tensor) -> Tensor:
        return self._moments(out)[0]

    def sample(self, out: Tensor) -> Tensor:
        mean, log_variance = self._moments(out)
        return mean + draws.normal(tuple(mean.shape), mean) * torch.exp(0.5 * log_variance)


class Bernoulli(Likelihood):
    """Columns of zeros and ones, or chances of ones.

    Parameters
    ----------
    d : int
    dynamic : bool, default=False
        Draw zeros and ones anew each time that a row is met in training.
    """

    def __init__(self, d: int, *, dynamic: bool = False):
        super().__init__()
        self.n_inputs = self.n_outputs = d
        self.dynamic = dynamic

    def draw(self, x: Tensor) -> Tensor:
        return draws.bernoulli(x) if self.dynamic else x

    def start(self, x: Tensor, weight: Tensor, columns: Columns = _ALL) -> Tensor:
        return torch.logit(average(lambda rows: rows, x, weight, columns), eps=_RARE)

    def log_prob(self, out: Tensor, x: Tensor) -> Tensor:
        x = x.expand_as(out)
        return -functional.binary_cross_entropy_with_logits(out, x, reduction="none").sum(-1)

    def total(self, out: Tensor, x: Tensor, weight: Tensor | None) -> Tensor:
        if weight is not None:
            return super().total(out, x, weight)
        return -functional.binary_cross_entropy_with_logits(out, x, reduction="sum")

    def mean(self, out: Tensor) -> Tensor:
        return torch.sigmoid(out)

    def sample(self, out: Tensor) -> Tensor:
        return draws.bernoulli(torch.sigmoid(out))


class Multinomial(Likelihood):
    """Counts: each of the tokens of a row is drawn from the same chances. No coefficient."""

    def __init__(self, d: int):
        super().__init__()
        self.n_inputs = self.n_outputs = d

    def encode(self, x: Tensor) -> Tensor:
        return torch.log1p(x)

    def start(self, x: Tensor, weight: Tensor, columns: Columns = _ALL) -> Tensor:
        def shares(rows: Tensor) -> Tensor:
            return rows / rows.sum(1, keepdim=True).clamp(min=1)

        return torch.log(average(shares, x, weight, columns).clamp(min=_RARE))

    def log_prob(self, out: Tensor, x: Tensor) -> Tensor:
        return (x * torch.log_softmax(out, dim=-1)).sum(-1)

    def mean(self, out: Tensor) -> Tensor:
        """Chances of the columns, which sum to one."""
        return torch.softmax(out, dim=-1)

    def sample(self, out: Tensor) -> Tensor:
        """One token each."""
        drawn = draws.choice(torch.softmax(out, dim=-1))
        return functional.one_hot(drawn, out.shape[-1]).to(out.dtype)


class Categorical(Likelihood):
    """One column of codes 0, 1, ..., n_categories - 1."""

    def __init__(self, n_categories: int):
        super().__init__()
        self.n_inputs = self.n_outputs = n_categories

    def encode(self, x: Tensor) -> Tensor:
        return functional.one_hot(x[..., 0].long(), self.n_outputs).to(x.dtype)

    def start(self, x: Tensor, weight: Tensor, columns: Columns = _ALL) -> Tensor:
        return torch.log(average(self.encode, x, weight, columns).clamp(min=_RARE))

    def log_prob(self, out: Tensor, x: Tensor) -> Tensor:
        return (self.encode(x) * torch.log_softmax(out, dim=-1)).sum(-1)

    def mean(self, out: Tensor) -> Tensor:
        """The likeliest code."""
        return out.argmax(dim=-1, keepdim=True).to(out.dtype)

    def sample(self, out: Tensor) -> Tensor:
        drawn = draws.choice(torch.softmax(out, dim=-1))
        return drawn[..., None].to(out.dtype)


class Mixed(Likelihood):
    """Columns of several kinds.

    Parameters
    ----------
    parts : sequence of (Likelihood, columns)
        With the numbers of the columns that each has.
    """

    def __init__(self, parts: Sequence[tuple[Likelihood, Sequence[int]]]):
        super().__init__()
        self.parts = nn.ModuleList([part for part, _ in parts])
        self.columns = [list(columns) for _, columns in parts]
        self.n_inputs = sum(part.n_inputs for part, _ in parts)
        self.n_outputs = sum(part.n_outputs for part, _ in parts)
        self.widths = [part.n_outputs for part, _ in parts]

    def encode(self, x: Tensor) -> Tensor:
        pairs = zip(self._kinds, self.columns, strict=True)
        return torch.cat([part.encode(x[..., columns]) for part, columns in pairs], dim=-1)

    def start(self, x: Tensor, weight: Tensor, columns: Columns = _ALL) -> Tensor:
        pairs = zip(self._kinds, self.columns, strict=True)
        return torch.cat([part.start(x, weight, own) for part, own in pairs])

    def log_prob(self, out: Tensor, x: Tensor) -> Tensor:
        pairs = zip(self._outputs(out), self.columns, strict=True)
        terms = [part.log_prob(own, x[..., columns]) for (part, own), columns in pairs]
        return torch.stack(terms).sum(0)

    def mean(self, out: Tensor) -> Tensor:
        return self._gathered([p.mean(o) for p, o in self._outputs(out)])

    def sample(self, out: Tensor) -> Tensor:
        return self._gathered([p.sample(o) for p, o in self._outputs(out)])

    def _outputs(self, out: Tensor) -> list[tuple[Likelihood, Tensor]]:
        return list(zip(self._kinds, out.split(self.widths, dim=-1), strict=True))

    @property
    def _kinds(self) -> list[Likelihood]:
        return list(self.parts)  # type: ignore[arg-type]

    def _gathered(self, values: list[Tensor]) -> Tensor:
        """Columns back in their places."""
        order = torch.tensor([c for columns in self.columns for c in columns])
        return torch.cat(values, dim=-1)[..., torch.argsort(order)]
