"""
============================
Mixtures with missing values
============================

Two common ways to handle missing values are to drop incomplete rows, and to replace missing values
by the mean of the column. Both distort the data. A mixture needs neither: the density of an
incomplete row is the integral over its missing values, and EM maximises the likelihood of the
observed values.
"""

# %%
# An observer who leaves early
# ----------------------------
# The data are the eruptions of Old Faithful: how long an eruption lasts, and how long the wait for
# the next one is. Suppose that after an eruption of more than three minutes, the observer stays for
# the next one only four times in ten. The waiting time is then missing *at random*: whether it is
# missing depends on an observed value, the duration, and not on the waiting time itself.

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
# Dropping, filling, and neither
# ------------------------------
# Dropping rows reduces the weight of the long eruptions by a third. Filling in the mean gives most
# of them a waiting time that hardly ever follows a long eruption. Fitted to the incomplete rows,
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
# The log-likelihood of the complete data under each fit, in nats per row, shows how close it is to
# the fit to the complete data.

for title, mixture in fits.items():
    mean = mixture.weights_ @ mixture.means_
    print(f"{title:<28} {mixture.score(complete):7.3f}   mean waiting time {mean[1]:.1f} minutes")

# %%
# Imputation
# ----------
# ``impute`` replaces each missing value by its conditional mean under the mixture, given the rest
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
# A conditional mean is a single number. ``conditional`` gives the whole conditional distribution,
# here of the waiting time after an eruption of two, three and four minutes.

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
# Pass incomplete rows as they are, with NaN for missing values. This is correct if values are
# missing at random, given the rest of the row. It is not if their absence depends on the values
# themselves, for example if the observer leaves when the wait becomes long.
