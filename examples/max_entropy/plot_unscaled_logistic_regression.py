r"""
===============================================
Logistic regression without scaling the columns
===============================================

If the columns have different units, scikit-learn often warns that "lbfgs failed to converge", and
suggests more iterations or scaled data. This example shows how far such a fit is from the optimum,
how to verify that a fit has converged, and what scaling achieves.
"""

# %%
# The warning
# -----------
# In the wine data, acids are close to 2, while proline is up to 1680. ``LogisticRegression()``
# stops after its default of 100 iterations.

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
# :class:`skem.MaxEntClassifier` has the same objective: mean loss plus penalty, in nats per row. It
# fits the unscaled columns, and computes ``optimality_gap_``, a proven bound: no weights have an
# objective that is lower by more than this. So we know how far the other fit is from the optimum.


def objective(model, X, y):
    """Mean loss plus L2 penalty with C = 1, in nats per row."""
    return log_loss(y, model.predict_proba(X)) + np.sum(model.coef_**2) / (2 * len(y))


classifier = MaxEntClassifier().fit(X, y)
print(f"skem: objective {classifier.objective_:.6f}, gap {classifier.optimality_gap_:.0e}")
print(f"scikit-learn: objective {objective(stopped, X, y):.6f}")

# %%
# With enough iterations and a smaller ``tol``, scikit-learn reaches the same optimum, with the same
# probabilities for each wine.

patient = LogisticRegression(tol=1e-6, max_iter=100_000).fit(X, y)
difference = np.abs(patient.predict_proba(X) - classifier.predict_proba(X)).max()
print(f"scikit-learn after {patient.n_iter_[0]} iterations: {objective(patient, X, y):.6f}")
print(f"largest difference of a probability: {difference:.0e}")

# %%
# Convergence to the optimum
# --------------------------
# The figure shows fits that are stopped after increasing numbers of iterations. First-order methods
# (lbfgs, saga) converge slowly, because the variances of the columns differ by a factor of
# millions. Newton's method is not affected. scikit-learn also has a Newton solver,
# ``newton-cholesky``, which is as good as skem here, but it is not the default.
#
# A ring marks a fit that ended without a warning. The one of saga is far from the optimum.


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
    ax.set(xscale="log", yscale="log", xlabel="maximum number of iterations (max_iter)")
axes[0].set(ylabel="distance to the optimum (nats per row)", title="Wine, unscaled")
axes[1].set_title("Breast cancer, unscaled")
axes[0].legend(loc="lower right")
figure.suptitle("Convergence to the optimum")
plt.show()

# %%
# The cost of an iteration differs between methods. These are the times of whole fits to the wine
# data, the best of three:

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
# In scikit-learn, ``tol`` is a limit on a gradient (lbfgs) or on the change between two iterations
# (saga). The distance to the optimum that this implies depends on the units of the columns. In
# skem, ``tol`` is a limit on the duality gap, in nats per row, so no converged fit is above the
# line where the distance equals ``tol``.

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
figure.suptitle("Distance to the optimum against tol")
plt.show()

# %%
# Is scaling necessary?
# ---------------------
# Scaling is not necessary for convergence. But the L2 penalty applies to weights in the units of
# the columns, so scaling changes the model, often for the better. The same model can be specified
# without scaling, by a prior variance for each weight that is the inverse of the variance of its
# column.

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
# Summary
# -------
# The warning is right: such a fit is not at the optimum, and predicts worse in this example.
# Thousands of iterations help, and so does ``newton-cholesky``. :class:`skem.MaxEntClassifier`
# accepts columns in any units, and ``optimality_gap_`` is a proven bound on the distance of a fit
# from the optimum. Scale the columns, or specify a prior, for the sake of the model and not of the
# solver.
