"""
==================================================
Maximum entropy: what a classifier has to agree on
==================================================

Logistic regression can be told without a line that divides classes. Ask that the model agrees with
the data on some expectations, and take the distribution that assumes nothing beyond them: the one
of largest entropy. A penalty then says how exactly it has to agree.
"""

# %%
# The more it has to agree on, the less it is in doubt
# ----------------------------------------------------
# Wines from three growers, with columns in the units of the laboratory; there is no need to scale
# them. One after the other, the mean of a column over the wines of each grower has to be right.
# ``entropy_`` is what remains open about the grower of a wine, in nats; without a column it would
# be the entropy of their shares.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import entropy
from sklearn.datasets import load_wine

from skem import MaxEntClassifier
from skem.inspection import ExpectationsDisplay, WeightsDisplay

wine = load_wine(as_frame=True)
X = wine.data.rename(columns={"od280/od315_of_diluted_wines": "dilution"})
y = np.array(["grower A", "grower B", "grower C"])[wine.target]
columns = ["magnesium", "alcohol", "hue", "ash"]
entropies = {"no column": entropy(np.bincount(wine.target) / len(y))}
for j, column in enumerate(columns, start=1):
    fit = MaxEntClassifier(C=np.inf).fit(X[columns[:j]], y)
    entropies[f"+ {column}"] = fit.entropy_

figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
bars = ax.barh(list(entropies), entropies.values(), color=["0.75"] + 4 * ["C0"])
ax.bar_label(bars, fmt="%.3f", padding=3)
ax.invert_yaxis()
ax.set(xlim=(0, 1.2), xlabel="entropy of the grower of a wine (nats)")
ax.set_title("What remains open as the columns come in")
plt.show()

# %%
# All thirteen columns leave no doubt at all: a plane divides the growers, the entropy goes to zero,
# and the weights to infinity. ``separable_`` says so. Exact agreement with a sample is too much to
# ask for.
#
# A tolerance
# -----------
# ``expectation_box`` is a tolerance for each column, here a twentieth of its standard deviation.
# Below, the mean of a column over the wines of a grower, times the grower's share: in the data, and
# under the model. With the four columns of above and no tolerance the points are on the diagonal.
# With all columns and the tolerance they are near it, and the farthest have names.

box = MaxEntClassifier(C=np.inf, expectation_box=X.std() / 20).fit(X, y)
figure, axes = plt.subplots(1, 2, figsize=(10, 5.3), layout="constrained")
for ax, fitted, title in (
    (axes[0], fit, "four columns, exactly"),
    (axes[1], box, "all columns, with a tolerance"),
):
    ExpectationsDisplay.from_estimator(fitted, ax=ax)
    ax.set_title(title)
figure.suptitle("Expectations under the model and in the data")
plt.show()

# %%
# In standard deviations no expectation is off by more than the twentieth. Those that are within it
# have a weight of zero: the model need not know them.

off = (box.feature_expectations_["model"] - box.feature_expectations_["empirical"]) / X.std().values
print(f"largest difference: {np.abs(off).max():.4f} standard deviations")
print(f"weights that are not zero: {np.count_nonzero(box.coef_)} of {box.coef_.size}")
print(f"entropy: {box.entropy_:.3f} nats, accuracy: {box.score(X, y):.3f}")

# %%
# The weights
# -----------
# What remains. A weight is the price of a constraint: how much entropy a little more tolerance
# would give. Weights of columns in different units compare once they are given per standard
# deviation, which is what ``scale`` is for.

display = WeightsDisplay.from_estimator(box, scale=X.std(), n_weights=4)
for ax in display.axes_:
    ax.set_xlabel("weight per standard deviation")
display.figure_.suptitle("Weights that are not zero")
plt.show()

# %%
# What to take home
# -----------------
# Logistic regression agrees with the data on the expectations of its columns, and says nothing
# else. A tolerance on them keeps the weights finite, and says for each column whether it is needed.
