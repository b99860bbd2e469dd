r"""
=========================================
Three coins, and what one toss cannot say
=========================================

Coin A is thrown; heads, with probability :math:`\pi`, choose coin B, tails choose coin C. The coin
chosen is tossed, and only the outcome of that toss is written down. It is heads with probability
:math:`p` for B and :math:`q` for C. What are :math:`\pi`, :math:`p` and :math:`q`?

This is the textbook's first example of EM. It is also an example of a question that the data cannot
answer, and the estimator says so.
"""

# %%
# The two runs of the textbook
# ----------------------------
# Ten outcomes, and two starts of EM: two answers.

import numpy as np

from skem import ThreeCoinMixture

outcomes = np.array([1, 1, 0, 1, 0, 0, 1, 0, 1, 1]).reshape(-1, 1)
for init in ((0.5, 0.5, 0.5), (0.4, 0.6, 0.7)):
    coins = ThreeCoinMixture(init).fit(outcomes)
    print(f"EM maps: {coins.n_iter_}, nats per row: {coins.lower_bound_:.6f}")
    print(coins.history_.round(4))

# %%
# Both are maxima, equally high: the probability of heads is :math:`\pi p + (1 - \pi) q = 0.6` in
# both, and one toss a row depends on nothing else. One number cannot determine three. The Fisher
# information of :math:`(\pi, p, q)` has rank 1 in place of 3, so the model is not identifiable.

print(coins.pi_ * coins.p_ + (1 - coins.pi_) * coins.q_)
print(coins.information_rank_, coins.identifiable_)

# %%
# Three tosses
# ------------
# Let the coin that was chosen be tossed three times. How often heads come in threes then tells how
# different the coins are.

truth = ThreeCoinMixture((0.4, 0.3, 0.8), max_iter=0, random_state=0).fit([[0, 0, 0], [1, 1, 1]])
throws, _ = truth.sample(2000)
coins = ThreeCoinMixture(random_state=0).fit(throws)
print(coins.pi_, coins.p_, coins.q_)
print(coins.information_rank_, coins.identifiable_)

# %%
# Plateau and peaks
# -----------------
# The likelihood of :math:`(p, q)` at its best :math:`\pi`, and the way that EM takes from six
# starts to its end (a star). With one toss there are two plateaus, one the mirror image of the
# other: wherever one coin is below 0.6 and the other above, some :math:`\pi` makes the data as
# likely as can be. EM needs one step onto a plateau, and stays where it lands. With three tosses
# there is one maximum, but for the names of the coins, and every start comes to it.

import matplotlib.pyplot as plt
from matplotlib.colors import BoundaryNorm
from scipy.stats import binom

grid = np.linspace(0.02, 0.98, 97)


def profile(rows):
    """Log-likelihood per row of (q, p) at the best of 99 values of pi, less its maximum."""
    n_tosses = rows.shape[1]
    share = np.bincount(rows.sum(axis=1).astype(int), minlength=n_tosses + 1) / len(rows)
    pi = np.linspace(0.01, 0.99, 99)[:, None, None, None]
    of_coin = binom.pmf(np.arange(n_tosses + 1)[:, None], n_tosses, grid)
    density = pi * of_coin[:, None, :] + (1 - pi) * of_coin[:, :, None]
    best = np.einsum("ashw,s->ahw", np.log(density), share).max(axis=0)
    return best - best.max()


levels = [-1, -0.3, -0.1, -0.03, -0.01, -0.003, -0.001, -1e-4, 0]
colors = {"cmap": "YlGnBu", "norm": BoundaryNorm(levels, 330), "extend": "min"}
starts = [(0.5, 0.1, 0.2), (0.5, 0.3, 0.1), (0.5, 0.9, 0.8)]
starts += [(0.4, 0.7, 0.9), (0.6, 0.45, 0.55), (0.4, 0.6, 0.5)]
figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), sharey=True, layout="constrained")
for ax, rows, title in zip(axes, (outcomes, throws), ("1 toss", "3 tosses"), strict=True):
    filled = ax.contourf(grid, grid, profile(rows), levels=levels, **colors)
    for init in starts:
        path = ThreeCoinMixture(init, acceleration=None).fit(rows).history_
        ax.plot(path[:, 1], path[:, 2], "o-", color="#D55E00", markersize=3, linewidth=1)
        ax.plot(*path[-1, 1:], "*", color="white", markeredgecolor="black", markersize=12)
    ax.set(xlabel="p (coin B)", title=f"{title} a row", aspect="equal")
axes[0].set_ylabel("q (coin C)")
figure.colorbar(filled, ax=axes, format="%g", label="log-likelihood per row, less its maximum")
plt.show()
