r"""
===================================================
Three coins: identifiable and unidentifiable models
===================================================

Coin A is tossed; heads, with probability :math:`\pi`, selects coin B, and tails selects coin C. The
selected coin is tossed, and only the outcome of this toss is recorded. It is heads with probability
:math:`p` for B and :math:`q` for C. What are :math:`\pi`, :math:`p` and :math:`q`?

This is a textbook example of EM. It is also an example of a model that is not identifiable, which
the estimator reports.
"""

# %%
# One EM step by hand
# -------------------
# There are ten outcomes, with 1 for heads. EM begins with a guess of the three probabilities, here
# 0.4, 0.6 and 0.7. The E step computes, for each outcome, the probability that coin B was tossed.
# The M step estimates the parameters from counts weighted by these probabilities.

import matplotlib.pyplot as plt
import numpy as np

from skem import ThreeCoinMixture

outcomes = np.array([1, 1, 0, 1, 0, 0, 1, 0, 1, 1])
pi, p, q = 0.4, 0.6, 0.7
of_b = pi * np.where(outcomes == 1, p, 1 - p)
of_c = (1 - pi) * np.where(outcomes == 1, q, 1 - q)
mu = of_b / (of_b + of_c)
print(f"E step: coin B after heads {mu[0]:.4f}, after tails {mu[2]:.4f}")
pi = mu.mean()
p = np.sum(mu * outcomes) / np.sum(mu)
q = np.sum((1 - mu) * outcomes) / np.sum(1 - mu)
print(f"M step: pi {pi:.4f}, p {p:.4f}, q {q:.4f}")

# %%
# The two runs of the textbook
# ----------------------------
# ``history_`` contains the start and the parameters after each EM map (an E step followed by an M
# step). The textbook has two starts: (0.5, 0.5, 0.5), and the one used above. Both runs converge
# after one map: the second map changes nothing.

one_toss = outcomes.reshape(-1, 1)
runs = {}
for init in ((0.5, 0.5, 0.5), (0.4, 0.6, 0.7)):
    coins = runs[init] = ThreeCoinMixture(init, acceleration=None).fit(one_toss)
    print("EM maps      pi       p       q    pi p + (1 - pi) q")
    for step, (pi, p, q) in enumerate(coins.history_):
        print(f"{step:7}  {pi:.4f}  {p:.4f}  {q:.4f}    {pi * p + (1 - pi) * q:.4f}")
    print(f"log-likelihood {coins.lower_bound_:.6f} nats per row")

# %%
# Both runs reach the same probability of heads, :math:`\pi p + (1 - \pi) q = 0.6`, which is the
# share of heads among the outcomes, but with different parameters.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
for ax, (init, run) in zip(axes, runs.items(), strict=True):
    pi, p, q = run.history_.T
    heads = pi * p + (1 - pi) * q
    ax.plot(heads, "D:", color="black", label=r"heads, $\pi p + (1 - \pi) q$")
    for values, style, name in ((pi, "o-", r"$\pi$"), (p, "s-", "$p$"), (q, "^--", "$q$")):
        ax.plot(values, style, label=name)
    ax.set(title=f"Start {init}", xlabel="EM maps", xticks=range(len(pi)), ylim=(0.38, 0.72))
axes[0].annotate("$p = q$", (1.5, 0.61), ha="center", va="bottom")
axes[0].set_ylabel("probability of heads")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
plt.show()

# %%
# Both solutions are maxima of equal likelihood: with one toss per row, the likelihood depends only
# on the probability of heads. One number cannot determine three. The Fisher information of
# :math:`(\pi, p, q)` has rank 1 instead of 3, so the model is not identifiable, and the estimator
# reports this.

print(f"rank of the information {coins.information_rank_}, identifiable: {coins.identifiable_}")

# %%
# Three tosses
# ------------
# Now let the selected coin be tossed three times. The frequency of three heads then depends on how
# different the coins are. The true parameters are :math:`\pi = 0.4, p = 0.3, q = 0.8`; in the fit,
# B and C are exchanged, which is the same model.

truth = ThreeCoinMixture((0.4, 0.3, 0.8), max_iter=0, random_state=0).fit([[0, 0, 0], [1, 1, 1]])
three_tosses, _ = truth.sample(2000)
coins = ThreeCoinMixture(random_state=0).fit(three_tosses)
print(f"pi {coins.pi_:.3f}, p {coins.p_:.3f}, q {coins.q_:.3f}")
print(f"rank of the information {coins.information_rank_}, identifiable: {coins.identifiable_}")

# %%
# The likelihood surface
# ----------------------
# The figure shows the profile likelihood of :math:`(p, q)`, maximised over :math:`\pi`, and the
# paths of EM from six starts (rings) to their ends (stars). With one toss there are two plateaus,
# each the mirror image of the other: whenever one of :math:`p` and :math:`q` is below 0.6 and the
# other above, some :math:`\pi` attains the maximum. EM reaches a plateau in one map, and stays
# there. With three tosses there is one maximum, up to the order of the coins, and all six starts
# reach it.

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
# sphinx_gallery_thumbnail_number = 2
figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), sharey=True, layout="constrained")
for ax, rows, title in (
    (axes[0], one_toss, "1 toss a row: two plateaus"),
    (axes[1], three_tosses, "3 tosses a row: one maximum, twice"),
):
    filled = ax.contourf(grid, grid, profile(rows), levels=levels, **colors)
    for init in starts:
        path = ThreeCoinMixture(init, acceleration=None).fit(rows).history_
        ax.plot(path[:, 1], path[:, 2], "o-", color="C4", markersize=3, linewidth=1)
        ax.plot(*path[0, 1:], "o", color="white", markeredgecolor="C4", markersize=7)
        ax.plot(*path[-1, 1:], "*", color="white", markeredgecolor="black", markersize=12)
    ax.set(xlabel="$p$, heads of coin B", title=title, aspect="equal")
axes[0].set_ylabel("$q$, heads of coin C")
figure.colorbar(filled, ax=axes, format="%g", label="log-likelihood below its best (nats per row)")
plt.show()

# %%
# Summary
# -------
# EM finds a maximum near its start. Whether this is the only one depends on the model, and more
# rows of the same kind do not help: more tosses per row do.
