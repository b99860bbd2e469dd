"""
==========================================
Missing values: do not fill, do not forget
==========================================

When values are missing, two ways out suggest themselves: drop the rows that have holes, or fill the
holes with the mean of the column. Both change the data. A mixture does not need either: the
probability of a row with a hole is the integral over all that could be in it, and EM maximises the
likelihood of what has been seen.
"""

# %%
# An observer who leaves early
# ----------------------------
# Old Faithful again: how long an eruption lasts, and how long one has to wait for the next. Suppose
# that the observer, after an eruption of more than three minutes, stays for the next one only four
# times in ten. The waiting time is then missing *at random*: whether it is depends on what was
# seen, here the duration, and not on the waiting time itself.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skem import GaussianMixtureEM
from skem.datasets import load_old_faithful
from skem.inspection import MixtureDisplay

complete = load_old_faithful(as_frame=True).data
rng = np.random.default_rng(0)
left = (complete["eruptions"] > 3) & (rng.random(len(complete)) < 0.6)
X = complete.copy()
X.loc[left, "waiting"] = np.nan
print(f"{left.sum()} of {len(X)} waiting times are missing")

# %%
# Three ways
# ----------
# Dropping rows takes a third off the weight of the long eruptions. Filling with the mean puts most
# of them at a waiting time that hardly ever follows a long eruption. Given the rows as they are,
# the mixture is almost that of the complete data.

tables = {
    "complete data": complete,
    "rows with holes dropped": X.dropna(),
    "holes filled with the mean": X.fillna(X.mean()),
    "rows as they are": X,
}
names = ["eruption (minutes)", "waiting time (minutes)"]
fits = {}
figure, axes = plt.subplots(2, 2, figsize=(9, 8), sharex=True, sharey=True, layout="constrained")
for ax, (title, table) in zip(axes.flat, tables.items(), strict=True):
    fits[title] = GaussianMixtureEM(2, tol=1e-6, means_init=[[2, 55], [4, 80]]).fit(table)
    MixtureDisplay.from_estimator(fits[title], table, feature_names=names, ax=ax)
    ax.set(title=title.capitalize())
    ax.label_outer()
plt.show()

# %%
# The log-likelihood of the complete data under each fit, in nats per row, tells how near it comes
# to the fit that has seen them all.

for title, mixture in fits.items():
    mean = mixture.weights_ @ mixture.means_
    print(f"{title:<28} {mixture.score(complete):7.3f}   mean waiting time {mean[1]:.1f} minutes")

# %%
# Filling in, afterwards
# ----------------------
# ``impute`` puts the conditional mean of the mixture into each hole: what to expect, given the rest
# of the row.

from sklearn.metrics import root_mean_squared_error

mixture = fits["rows as they are"]
true = complete["waiting"][left]
for name, filled in (
    ("conditional mean", mixture.impute(X)[left, 1]),
    ("mean of the column", np.full(left.sum(), X["waiting"].mean())),
):
    print(f"{name:<20} root mean square error {root_mean_squared_error(true, filled):.1f} minutes")

# %%
# A conditional mean is one number where there is a distribution. ``conditional`` gives all of it:
# the waiting time after an eruption of two, three and four minutes.

minutes = pd.DataFrame({"waiting": np.linspace(35, 105, 300)})
_, ax = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
for duration, style in ((2.0, "-"), (3.0, "--"), (4.0, "-.")):
    waiting = mixture.conditional({"eruptions": duration})
    density = np.exp(waiting.score_samples(minutes))
    ax.plot(minutes["waiting"], density, style, label=f"{duration:g} minutes")
ax.set(xlabel="waiting time (minutes)", ylabel="density (per minute)", ylim=(0, 0.085))
ax.set_title("How long to wait after a short and after a long eruption")
ax.legend(title="after an eruption of")
plt.show()

# %%
# Summary
# -------
# Give the rows as they are, with NaN for what is missing. That is right where a value is missing at
# random, given the rest of the row. It is not where values are missing because of what they are:
# for example, if the observer leaves when the wait gets long.
