r"""
===============================================
Maximum-entropy distributions: a shop and a die
===============================================

A shop sells a burger for 1, chicken for 2 and fish for 3, and customers spend 1.75 on average. What
are the shares of the three dishes? One fact does not determine them. Among all distributions that
agree with the fact, the principle of maximum entropy chooses the one that assumes least beyond it.
"""

# %%
# The shop
# --------
# Two equations (the shares sum to one, and the mean is 1.75) leave one of the three shares
# undetermined: any share of chicken from 0 to 0.75 is possible. Each of these solutions has an
# entropy, and :class:`skem.MaxEntDistribution` finds the one with the largest. The facts are the
# ``moments`` of features, here of the first power of the price.

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

from skem import MaxEntDistribution

price = [1, 2, 3]
shop = MaxEntDistribution(1, support=price).fit_moments([1.75])
print("shares:", shop.probabilities_.round(3), "mean:", shop.moments_.round(6))
print(f"entropy {shop.entropy_:.4f} nats")

chicken = np.linspace(0, 0.75, 301)
fish = (0.75 - chicken) / 2
answers = np.stack([1 - chicken - fish, chicken, fish])
best = (shop.probabilities_[1], shop.entropy_)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
left.plot(chicken, stats.entropy(answers), color="0.5")
left.plot(*best, "o", color="C0", markersize=9)
label = f"largest entropy:\nchicken {best[0]:.3f}"
left.annotate(label, best, (0, -16), textcoords="offset points", ha="center", va="top", color="C0")
left.set(xlabel="share of chicken", ylabel="entropy (nats)", title="All answers with mean 1.75")
bars = right.bar(["burger, 1", "chicken, 2", "fish, 3"], shop.probabilities_, color="C0")
right.bar_label(bars, fmt="%.3f", padding=2)
right.set(ylim=(0, 0.55), ylabel="share", title="The solution with the largest entropy")
plt.show()

# %%
# Jaynes's die
# ------------
# A die was thrown many times, and its mean was 4.5 instead of 3.5. This is all we know. The
# solution is a geometric sequence: the ratio of the probabilities of successive faces is constant.

faces = np.arange(1, 7)
die = MaxEntDistribution(1, support=faces).fit_moments([4.5])
print("p =", die.probabilities_.round(4))
print("ratios", (die.probabilities_[1:] / die.probabilities_[:-1]).round(4))

# %%
# The multiplier of a fact is its price: the derivative of the entropy with respect to the mean, in
# nats per unit. Here it is negative, because a larger mean leaves less uncertainty.

further = MaxEntDistribution(1, support=faces).fit_moments([4.51])
print(f"multiplier {die.multipliers_[0]:.3f} nats per unit of the mean")
print(f"from a mean of 4.50 to 4.51: {(further.entropy_ - die.entropy_) / 0.01:.3f}")

# %%
# Suppose that the die was already known to be loaded: a six is three times as probable as any other
# face. ``base`` expresses such prior knowledge. The solution is then the distribution with the
# given mean that is closest to the base in Kullback-Leibler divergence.

fair, load = np.full(6, 1 / 6), np.array([1, 1, 1, 1, 1, 3]) / 8
loaded = MaxEntDistribution(1, support=faces, base=load).fit_moments([4.5])

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
for ax, before, after, title in (
    (axes[0], fair, die, "Nothing known but the mean"),
    (axes[1], load, loaded, "Sixes known to be loaded"),
):
    ax.bar(faces - 0.2, before, width=0.4, color="0.75", label="before the fact")
    ax.bar(faces + 0.2, after.probabilities_, width=0.4, color="C0", label="with mean 4.5")
    ax.set(xlabel="face", title=title, xticks=faces)
axes[0].set_ylabel("probability")
axes[0].legend(loc="upper left")
plt.show()

# %%
# The loaded die already has a mean of 4.125, so a mean of 4.5 is less surprising: the divergence
# from the base is smaller.

print(f"mean before the fact: fair {fair @ faces:.3f}, loaded {load @ faces:.3f}")
surprise = stats.entropy(die.probabilities_, fair)
print(f"divergence: fair {surprise:.4f} nats, loaded {loaded.kl_divergence_:.4f} nats")

# %%
# Densities
# ---------
# If waiting times are not negative and have a mean of 3 minutes, the solution is the exponential
# distribution. If no wait is longer than 10 minutes, the support is an interval; the density is
# flatter, and ends there. On the same interval, a mean of 5 gives the uniform distribution, and
# with a mean of 7 long waits are more probable than short ones.
#
# With a given mean and mean square on the whole line, the solution is the normal density. Two other
# densities with the same mean and variance are drawn in grey; both have a smaller entropy.

minutes = np.linspace(0, 15, 601)[:, None]
waits = MaxEntDistribution(1, support=(0, np.inf)).fit_moments([3])
error = np.linspace(-4, 10, 601)[:, None]
normal = MaxEntDistribution(2).fit_moments([3, 13])  # 13 - 3 ** 2: a variance of 4
print(f"half line: multiplier {waits.multipliers_[0]:.4f}, entropy {waits.entropy_:.4f} nats")
print(f"1 / 3 = {1 / 3:.4f}, 1 + log 3 = {1 + np.log(3):.4f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
left.plot(minutes, np.exp(waits.score_samples(minutes)), "C0")
left.text(0.5, 0.32, "mean 3, no end", color="C0")
inside = minutes[minutes <= 10][:, None]
for mean, color, y in ((3, "C4", 0.03), (5, "C1", 0.1), (7, "C2", 0.28)):
    bounded = MaxEntDistribution(1, support=(0, 10)).fit_moments([mean])
    left.plot(inside, np.exp(bounded.score_samples(inside)), color)
    left.text(10.2, y, f"mean {mean}, to 10", color=color, va="center")
left.set(xlabel="wait (minutes)", ylabel="density (per minute)", title="Waits with a given mean")
left.set_ylim(0, 0.37)

for name, other, style in (
    ("Laplace", stats.laplace(3, np.sqrt(2)), "--"),
    ("uniform", stats.uniform(3 - np.sqrt(12), 2 * np.sqrt(12)), ":"),
):
    label = f"{name}, {other.entropy():.3f} nats"
    right.plot(error, other.pdf(error), color="0.5", linestyle=style, label=label)
label = f"largest entropy, {normal.entropy_:.3f} nats"
right.plot(error, np.exp(normal.score_samples(error)), "C0", label=label)
right.set(xlabel="value", ylabel="density", title="Mean 3 and variance 4", ylim=(0, 0.54))
right.legend(loc="upper left")
plt.show()

# %%
# Constraints without a solution
# ------------------------------
# On the whole line, a mean alone does not determine a distribution of largest entropy: there are
# arbitrarily flat densities with this mean. Other values cannot be the moments of any distribution.
# The error names the constraint, and suggests a remedy.

from textwrap import fill

for question, facts in (
    (MaxEntDistribution(1), [1.0]),
    (MaxEntDistribution(1, support=price), [3.5]),
    (MaxEntDistribution(2, support=(0, 10)), [3.0, 40.0]),
):
    try:
        question.fit_moments(facts)
    except ValueError as failure:
        print(f"support {question.support}, moments {facts}")
        print(fill(str(failure), 90, initial_indent="  ", subsequent_indent="  "), end="\n\n")

# %%
# Summary
# -------
# Given the support, the facts and, optionally, a base, ``fit_moments`` finds the distribution that
# assumes nothing else. ``entropy_`` is the remaining uncertainty, and ``multipliers_`` are the
# prices of the facts. Facts without a solution raise an error.
