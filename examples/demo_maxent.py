"""Section and picture of the demo: distributions of largest entropy."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
from demo_table import Row, timed
from matplotlib.figure import Figure

from skem import MaxEntDistribution
from skem.datasets import load_old_faithful

WAITING = load_old_faithful().data[:, 1:]
MINUTES = (40.0, 100.0)


def largest_entropy() -> Iterator[Row]:
    """Maximum entropy under constraints on expectations: entropies in nats"""
    die = MaxEntDistribution(1, support=[1, 2, 3, 4, 5, 6])
    _, seconds = timed(die.fit_moments, [4.5])
    yield Row(
        "MaxEntDistribution on points", "a die, mean 4.5", f"{die.entropy_:.10f}",
        "1.6135810982 (Jaynes' die)", seconds,
    )  # fmt: skip
    normal = MaxEntDistribution(2, support=(-2.5, 2.5))
    _, seconds = timed(normal.fit_moments, [0, 1])
    yield Row(
        "MaxEntDistribution on an interval", "mean 0, variance 1", f"{normal.entropy_:.10f}",
        "1.4036540286 (truncated normal)", seconds,
    )  # fmt: skip
    bounded = MaxEntDistribution(2, support=(0, np.inf))
    _, seconds = timed(bounded.fit_moments, [1, np.nan], upper=[np.inf, 5])
    yield Row(
        "  a bound that does not decide", "mean 1, E[x^2] <= 5", f"{bounded.entropy_:.10f}",
        "1.0000000000 (exponential)", seconds,
    )  # fmt: skip
    for m in (2, 4, 8):
        fitted, seconds = timed(MaxEntDistribution(m, support=MINUTES).fit, WAITING)
        yield Row(
            f"MaxEntDistribution, {m} powers", "Old Faithful, waiting", f"{fitted.entropy_:.6f}",
            f"{-fitted.score(WAITING):.6f} (minus mean log p)", seconds,
        )  # fmt: skip


def powers_of_waiting_times() -> Figure:
    """waiting times of Old Faithful: maximum-entropy densities with the same first moments"""
    figure, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
    ax.hist(WAITING[:, 0], bins=30, range=MINUTES, density=True, color="0.85", label="272 waits")
    x = np.linspace(*MINUTES, 601)
    for m in (1, 2, 4, 8):
        fitted = MaxEntDistribution(m, support=MINUTES).fit(WAITING)
        label = f"{m} moment{'s' if m > 1 else ''}: {fitted.entropy_:.3f} nats"
        ax.plot(x, np.exp(fitted.score_samples(x[:, None])), label=label)
    ax.set_xlabel("waiting time (minutes)")
    ax.set_ylabel("density")
    ax.legend()
    return figure


SECTIONS = (largest_entropy,)
PICTURES = (powers_of_waiting_times,)
