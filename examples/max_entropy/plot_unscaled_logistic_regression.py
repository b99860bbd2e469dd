r"""
===============================================
Logistic regression without scaling the columns
===============================================

Where columns have different units, scikit-learn warns that "lbfgs failed to converge", and says to
allow more iterations or to scale the data. This example shows how far such a fit is from the
optimum, how one knows that a fit has arrived, and what scaling is good for.
"""

# %%
# The warning
# -----------
# The wine data hold acids near 2 and proline up to 1680. ``LogisticRegression()`` stops after the
# 100 iterations that it has by default.

import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skem import MaxEntClassifier

X, y = load_wine(return_X_y=True)
variances = X.var(axis=0)
print(f"variances of the columns: from {variances.min():.2g} to {variances.max():.2g}")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    stopped = LogisticRegression().fit(X, y)
print(str(caught[0].message).splitlines()[0])

# %%
# :class:`skem.MaxEntClassifier` has the same objective: mean loss plus penalty, in nats per row.
# It fits the columns as they are, and ends with ``optimality_gap_``, a proof: no weights whatever
# have an objective that is lower by more than this. So we know how far below the other fit the
# optimum is.


def objective(model, X, y):
    """Mean loss plus L2 penalty with C = 1, in nats per row."""
    return log_loss(y, model.predict_proba(X)) + np.sum(model.coef_**2) / (2 * len(y))


classifier = MaxEntClassifier().fit(X, y)
print(f"skem: objective {classifier.objective_:.6f}, gap {classifier.optimality_gap_:.0e}")
print(f"scikit-learn: objective {objective(stopped, X, y):.6f}")

# %%
# Given enough iterations and a smaller ``tol``, scikit-learn arrives at the same optimum, and gives
# each wine the same probabilities.

patient = LogisticRegression(tol=1e-6, max_iter=100_000).fit(X, y)
difference = np.abs(patient.predict_proba(X) - classifier.predict_proba(X)).max()
print(f"scikit-learn after {patient.n_iter_[0]} iterations: {objective(patient, X, y):.6f}")
print(f"largest difference of a probability: {difference:.0e}")

# %%
# The way to the optimum
# ----------------------
# Fits that are cut off after more and more iterations. Methods that go by gradients (lbfgs, saga)
# crawl, for the variances of the columns differ by a factor of millions. Newton's method does not
# mind. scikit-learn has it too, as ``newton-cholesky``, and that does as well as skem here; but it
# is not the default.
#
# A ring marks a fit that ended without a warning. That of saga is far away from the optimum.


def trace(model, X, y, iterations):
    """Objectives for growing max_iter, up to a fit without a warning; whether there was one."""
    objectives = []
    for max_iter in iterations:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            objectives.append(objective(model.set_params(max_iter=max_iter).fit(X, y), X, y))
        if not caught:
            break
    return np.array(objectives), not caught


few, many = range(1, 12), [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000]
runs = {
    "lbfgs, the default": (LogisticRegression(), many, "0.5", "-"),
    "saga": (LogisticRegression(solver="saga", random_state=0), many, "0.5", ":"),
    "newton-cholesky": (LogisticRegression(solver="newton-cholesky"), few, "0.5", "--"),
    "MaxEntClassifier": (MaxEntClassifier(), few, "C0", "-"),
}
figure, axes = plt.subplots(1, 2, figsize=(10, 4.7), sharey=True, layout="constrained")
for ax, load in zip(axes, (load_wine, load_breast_cancer), strict=True):
    data = load(return_X_y=True)
    best = MaxEntClassifier(tol=1e-12).fit(*data).objective_
    for name, (model, iterations, color, style) in runs.items():
        objectives, ended = trace(model, *data, iterations)
        distance = np.maximum(objectives - best, 1e-11)
        ran = iterations[: len(distance)]
        ax.plot(ran, distance, style, color=color, marker=".", label=name)
        if ended:
            ax.plot(ran[-1], distance[-1], "o", color=color, markersize=11, fillstyle="none")
    ax.set(xscale="log", yscale="log", xlabel="iterations at most (max_iter)")
axes[0].set(ylabel="distance to the optimum (nats per row)", title="Wine, unscaled")
axes[1].set_title("Breast cancer, unscaled")
axes[0].legend(loc="lower right")
figure.suptitle("The way to the optimum")
plt.show()

# %%
# Iterations of different methods cost different amounts. The time of whole fits to wine, the best
# of three:

for name, (model, *_) in runs.items():
    times = []
    for _ in range(3):
        start = time.perf_counter()
        model.set_params(max_iter=100_000).fit(X, y)
        times.append(time.perf_counter() - start)
    print(f"{name:18} {1000 * min(times):6.1f} ms")

# %%
# What ``tol`` means
# ------------------
# In scikit-learn ``tol`` bounds a gradient (lbfgs) or a change between two iterations (saga). What
# that says about the distance to the optimum depends on the units of the columns. In skem ``tol``
# bounds the gap, in nats per row, and a fit is never above the line where the distance is ``tol``.

tols = 10.0 ** -np.arange(1, 6)
figure, axes = plt.subplots(1, 2, figsize=(10, 4.7), sharey=True, layout="constrained")
for ax, rows, title in ((axes[0], X, "Wine, unscaled"), (axes[1], scale(X), "Wine, scaled")):
    best = MaxEntClassifier(tol=1e-12).fit(rows, y).objective_
    for name, (model, _, color, style) in runs.items():
        objectives = [objective(model.set_params(tol=t).fit(rows, y), rows, y) for t in tols]
        distance = np.maximum(np.array(objectives) - best, 1e-11)
        ax.plot(tols, distance, style, color=color, marker=".", label=name)
    ax.plot(tols, tols, color="C4", linewidth=1, label="distance = tol")
    ax.set(xscale="log", yscale="log", xlabel="tol", title=title)
    ax.invert_xaxis()
axes[0].set_ylabel("distance to the optimum (nats per row)")
axes[1].legend(loc="lower left")
figure.suptitle("How near a fit comes for its tol")
plt.show()

# %%
# Does one have to scale?
# -----------------------
# Not to get a fit. But the L2 penalty is on weights in the units of the columns, and so scaling
# changes the model, often for the better. The same can be said without it: a prior variance for
# each weight of one over the variance of its column.

scaled = make_pipeline(StandardScaler(), MaxEntClassifier()).fit(X, y)
prior = MaxEntClassifier(prior_variance=1 / X.var(axis=0)).fit(X, y)
difference = np.abs(scaled.predict_proba(X) - prior.predict_proba(X)).max()
print(f"largest difference of a probability: {difference:.0e}\n")

warnings.filterwarnings("ignore", message="lbfgs failed to converge")
for name, model in (
    ("LogisticRegression(), stopped", LogisticRegression()),
    ("MaxEntClassifier()", MaxEntClassifier()),
    ("the same, columns scaled", scaled),
):
    scores = cross_validate(model, X, y, cv=10, scoring=("accuracy", "neg_log_loss"))
    accuracy, loss = scores["test_accuracy"].mean(), -scores["test_neg_log_loss"].mean()
    print(f"{name:30} accuracy {accuracy:.3f}, log loss {loss:.3f} nats per row")

# %%
# What to take home
# -----------------
# The warning is right: such a fit is not at the optimum, and predicts worse here. Thousands of
# iterations help, and so does ``newton-cholesky``. :class:`skem.MaxEntClassifier` takes columns in
# any units, and ``optimality_gap_`` proves how near the optimum a fit is. Scale the columns, or
# give a prior, for the sake of the model and not of the solver.
