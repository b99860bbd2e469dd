"""
===================================================
Logistic regression as a maximum-entropy classifier
===================================================

Logistic regression can be derived without a line that separates classes. Require that the model
agrees with the data on some expectations, and choose the distribution that assumes nothing else:
the one with the largest entropy. A penalty then determines how exactly the model has to agree.
"""

# %%
# More constraints, less uncertainty
# ----------------------------------
# The data are wines from three growers, with columns in the units of the laboratory; there is no
# need to scale them. The columns are added one after another: the model must reproduce the mean of
# each column over the wines of each grower. ``entropy_`` is the remaining uncertainty about the
# grower of a wine, in nats; without any column it would be the entropy of the class frequencies.

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
ax.set_title("Remaining uncertainty as columns are added")
plt.show()

# %%
# With all thirteen columns, no uncertainty remains: planes separate the growers, the entropy tends
# to zero, and the weights diverge. ``separable_`` reports this. Exact agreement with a sample is
# too strict a requirement.
#
# A tolerance
# -----------
# ``expectation_box`` is a tolerance for each column, here a twentieth of its standard deviation.
# The figure shows the mean of each column over the wines of a grower, times the grower's share, in
# the data and under the model. With the four columns used above and no tolerance, the points are on
# the diagonal. With all columns and the tolerance, they are close to it; the farthest are labelled.

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
# In units of the standard deviation, no expectation differs by more than a twentieth. Those that
# differ by less have a weight of zero: the model does not need them.

off = (box.feature_expectations_["model"] - box.feature_expectations_["empirical"]) / X.std().values
print(f"largest difference: {np.abs(off).max():.4f} standard deviations")
print(f"weights that are not zero: {np.count_nonzero(box.coef_)} of {box.coef_.size}")
print(f"entropy: {box.entropy_:.3f} nats, accuracy: {box.score(X, y):.3f}")

# %%
# The weights
# -----------
# A weight is the price of a constraint: the entropy that would be gained per unit of additional
# tolerance. Weights of columns in different units can be compared if they are expressed per
# standard deviation, which is the purpose of ``scale``.

display = WeightsDisplay.from_estimator(box, scale=X.std(), n_weights=4)
for ax in display.axes_:
    ax.set_xlabel("weight per standard deviation")
display.figure_.suptitle("Weights that are not zero")
plt.show()

# %%
# Summary
# -------
# Logistic regression agrees with the data on the expectations of its columns, and assumes nothing
# else. A tolerance on them keeps the weights finite, and shows which columns are needed.
