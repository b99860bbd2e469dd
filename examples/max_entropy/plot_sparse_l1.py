r"""
=================================
Feature selection with an L1 path
=================================

An L1 penalty sets weights to zero. It is equivalent to a tolerance: the model has to agree with the
data on the expectation of each feature, but only up to the width of a box, and a feature whose
expectation is already inside its box has a weight of zero. This example shows which features
distinguish benign from malignant tumours as the box becomes smaller.
"""

# %%
# The path of the weights
# -----------------------
# The data are thirty measurements of cell nuclei, and whether the tumour is benign. The columns are
# scaled, so that the same penalty is appropriate for all of them. A larger ``C`` is a weaker
# penalty. The features are shown from top to bottom in the order in which they enter the model.
# Some leave it again, when other features carry the same information better.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skem import MaxEntClassifier

cancer = load_breast_cancer()
X, y, names = scale(cancer.data), cancer.target, cancer.feature_names
Cs = np.logspace(-2.25, 0.75, 19)
fits = [MaxEntClassifier(C, l1_ratio=1.0).fit(X, y) for C in Cs]
path = np.array([fit.coef_[0] for fit in fits])
print(f"largest optimality gap on the path: {max(fit.optimality_gap_ for fit in fits):.0e}")

entry = np.where(path.any(axis=0), (path != 0).argmax(axis=0), len(Cs))
order = np.lexsort((-np.abs(path).sum(axis=0), entry))
shades = [(0, "#D55E00"), (0.5, "#FBE6D8"), (0.5, "#D5E6F2"), (1, "#0072B2")]
colors = LinearSegmentedColormap.from_list("signs", shades)
shown = np.ma.masked_equal(path[:, order].T, 0)

figure, ax = plt.subplots(figsize=(7.5, 6.4), layout="constrained")
mesh = ax.pcolormesh(Cs, np.arange(30), shown, cmap=colors, vmin=-2, vmax=2)
ax.set_yticks(np.arange(30), names[order], fontsize="small")
ax.set(xscale="log", xlabel="C", ylim=(29.5, -0.5))
ax.set_title("Weights as the penalty gets weaker (white: not in the model)")
figure.colorbar(mesh, extend="both", label="weight (positive: benign)", aspect=40)
plt.show()

# %%
# Prediction and the number of features
# -------------------------------------
# The figure shows the held-out log loss in ten folds. L2 keeps all thirty features. At their best
# values of ``C``, both penalties predict equally well: L1 is not better, but needs about half of
# the features. With fewer than that, its loss increases with each feature that is left out.

folds = StratifiedKFold(10, shuffle=True, random_state=0)
losses = {}
for name, l1_ratio in (("L1", 1.0), ("L2", 0.0)):
    losses[name] = []
    for C in Cs:
        model = make_pipeline(StandardScaler(), MaxEntClassifier(C, l1_ratio=l1_ratio))
        scores = cross_val_score(model, cancer.data, y, scoring="neg_log_loss", cv=folds)
        losses[name].append(-scores.mean())
    best = np.argmin(losses[name])
    print(f"{name}: {losses[name][best]:.4f} nats per row at the best C, {Cs[best]:.2f}")

n_features = np.count_nonzero(path, axis=1)
figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
ax.plot(Cs, losses["L1"], "C0.-", label="L1, with the number of features")
ax.plot(Cs, losses["L2"], "C1.--", label="L2, all 30 features")
for i in range(0, len(Cs), 2):
    side, ha = (3, "left") if i <= np.argmin(losses["L1"]) else (-3, "right")
    place = {"xytext": (side, 5), "textcoords": "offset points", "ha": ha}
    ax.annotate(f"{n_features[i]}", (Cs[i], losses["L1"][i]), color="C0", **place)
ax.set(xscale="log", xlabel="C", ylabel="held-out log loss (nats per row)", ylim=(0, 0.68))
ax.set_title("Prediction as the penalty gets weaker")
ax.legend()
plt.show()

# %%
# The box of an L1 penalty
# ------------------------
# With :math:`n` rows, the box of an L1 penalty has a width of :math:`1 / (C n)`. The figure
# compares the expectation of each feature in the data and under the model: its mean over the benign
# tumours, times their share. Features with a non-zero weight are at the edge of the box, all others
# inside. With L2 there is no box: the difference is proportional to the weight, and no weight is
# zero.

C = 0.1
figure, axes = plt.subplots(1, 2, figsize=(9.5, 6.2), sharey=True, layout="constrained")
for ax, l1_ratio, title in ((axes[0], 1.0, "L1: a box"), (axes[1], 0.0, "L2: a price")):
    fit = MaxEntClassifier(C, l1_ratio=l1_ratio, tol=1e-10).fit(X, y)
    means = fit.feature_expectations_
    off = 1000 * np.abs(means["empirical"] - means["model"])[1, order]
    used = fit.coef_[0][order] != 0
    for some, color in ((used, "C0"), (~used, "0.5")):
        ax.hlines(np.flatnonzero(some), 0, off[some], color=color, linewidth=1)
        ax.plot(off[some], np.flatnonzero(some), "o", color=color, markersize=5)
    ax.set(title=f"{title}, {used.sum()} features with a weight", xlim=(0, None))
    ax.set_xlabel(r"$|E_\mathrm{data} - E_\mathrm{model}|$ (standard deviations / 1000)")
axes[0].axvline(1000 / (C * len(y)), color="C4", linewidth=1.5, zorder=0)
axes[0].text(17.2, 11.5, "edge of the box", color="C4", ha="right", va="center")
axes[0].set(yticks=range(30), ylim=(29.5, -0.5))
axes[0].set_yticklabels(names[order], fontsize="small")
plt.show()

# %%
# Boxes in the units of the columns
# ---------------------------------
# In the form of tolerances, the penalty does not need scaled columns. ``expectation_box`` accepts a
# width for each column, in its own unit. If all widths are the same fraction of the standard
# deviation, the weights per standard deviation are those of the previous section.

deviation = cancer.data.std(axis=0)
sparse = MaxEntClassifier(C, l1_ratio=1.0, tol=1e-10).fit(X, y)
box = MaxEntClassifier(np.inf, expectation_box=deviation / (C * len(y)), tol=1e-10)
box.fit(cancer.data, y)
print(f"largest difference of a weight: {np.abs(box.coef_ * deviation - sparse.coef_).max():.0e}")
for j in np.flatnonzero(box.coef_[0]):
    print(f"{names[j]:22} within {deviation[j] / (C * len(y)):.5f}")

# %%
# Summary
# -------
# An L1 path shows how many features are needed for a given loss, and which of them suffice. Among
# columns that are nearly redundant (radius, perimeter, area), other choices are possible. If only
# prediction matters, L2 is as good.
