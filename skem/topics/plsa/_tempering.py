"""Tempered EM with held-out tokens (Hofmann 1999, sec. 3.6)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from skem.em import EMRun
from skem.topics._counts import CountBlocks, Counts
from skem.topics._split import split_tokens
from skem.topics.plsa._model import PLSAModel, PLSAParams

_FACTOR, _TEMPERATURES = 0.9, 131
"""Each temperature is the previous one divided by the factor; the last of so many is 1e6."""

_STEPS = 5
"""EM maps between two scores of the held-out tokens."""

_GAIN = 1e-4
"""Nats per token by which a temperature must raise the score of the held-out tokens."""


def held_out_temperature(
    make_model: Callable[[float], PLSAModel],
    counts: Counts,
    weight: NDArray | None,
    start: PLSAParams,
    *,
    hidden_share: float,
    tol: float,
    max_iter: int,
    rng: np.random.RandomState,
    n_jobs: int | None,
) -> tuple[float, PLSAParams, int]:
    """The temperature at which held-out tokens are most likely.

    Words that occur only among held-out tokens are left out: they have probability zero at each
    temperature.

    At each temperature, EM starts from the best parameters so far, and runs until the held-out
    tokens become less likely; the first temperature that does not make them more likely is the
    last.

    Returns
    -------
    temperature : float
    params : PLSAParams
        The best parameters that were found.
    n_iter : int
        EM maps at the best temperature until then, at least one (unless ``max_iter`` is zero).
    """
    seen, hidden = split_tokens(counts, hidden_share, rng)
    known = np.bincount(seen.indices, minlength=seen.n_features) > 0
    hidden = hidden.kept(np.where(known[hidden.indices], hidden.data, 0))
    sizes = hidden.sizes()
    if not sizes.any():
        raise ValueError(
            "temperature='held-out' needs documents of at least two tokens, to hold some out; X "
            "has none. Give a number."
        )
    best, best_params, best_temperature, n_best = -np.inf, start, 1.0, min(1, max_iter)
    temperature = 1.0
    with CountBlocks(seen, weight, n_jobs) as blocks:
        for _ in range(_TEMPERATURES):
            model = make_model(temperature)
            run = EMRun(model, blocks, best_params, tol=tol)
            improved, last = False, -np.inf
            while not run.finished and run.state.n_iter < max_iter:
                run.run(min(run.state.n_iter + _STEPS, max_iter))
                value = _held_out(hidden, run.state.params, weight, sizes)
                if value > best + _GAIN * (not improved):
                    best, best_params, improved = value, run.state.params, True
                    best_temperature, n_best = temperature, run.state.n_iter
                if value <= last:
                    break
                last = value
            if not improved:
                break
            temperature /= _FACTOR
    return best_temperature, best_params, n_best


def _held_out(hidden: Counts, params: PLSAParams, weight: NDArray | None, sizes: NDArray) -> float:
    """Log-likelihood of held-out tokens, nats per token."""
    from skem.topics._kernels import log_likelihoods

    values = np.empty(hidden.shape[0])
    log_likelihoods(*hidden.arrays, params.topics, params.mixtures, values)
    w = np.ones(len(values)) if weight is None else weight
    return float((w @ values) / (w @ sizes))
