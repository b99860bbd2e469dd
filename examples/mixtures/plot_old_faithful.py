r"""
=================================
Convergence of EM on Old Faithful
=================================

EM approaches a maximum of the likelihood but never reaches it exactly. When should it stop? The
usual rule looks at the last gain. But where EM is slow, every gain is small, even far from the
maximum. In this example, a mixture of three Gaussians with a common covariance is fitted to the
eruptions of Old Faithful, and the usual rule stops 14 nats below the maximum.
"""

# %%
# The usual stopping rule
# -----------------------
# scikit-learn stops when a step gains less than ``tol=1e-3`` nats per row. Here this happens after
# a few steps, with two components that nearly coincide.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.mixture import GaussianMixture

from skem import GaussianMixtureEM
from skem.datasets import load_old_faithful
from skem.inspection import BoundDisplay, MixtureDisplay

X = load_old_faithful(as_frame=True).data
usual = GaussianMixture(3, covariance_type="tied", random_state=0).fit(X)
print(f"EM maps {usual.n_iter_}, log-likelihood {usual.score_samples(X).sum():.3f}")
print(f"last gain {np.diff(usual.lower_bounds_)[-1]:.1e} nats per row")

# %%
# The estimated distance to the limit
# -----------------------------------
# Near its limit, EM converges linearly: the gains shrink by a constant factor :math:`a`, and the
# sum of all future gains is about :math:`a / (1 - a)` times the last gain. This estimate is
# ``optimality_gap_``, which skem compares with ``tol``. So ``converged_`` means that the estimated
# distance to the maximum is at most ``tol``.

mixture = GaussianMixtureEM(3, covariance_type="tied", tol=1e-9, max_iter=1000, random_state=0)
mixture.fit(X)
print(f"EM maps {mixture.n_iter_}, log-likelihood {mixture.score_samples(X).sum():.3f}")
print(f"estimated distance to the limit {mixture.optimality_gap_:.1e} nats per row")

# %%
# The figure shows the two fits. Thin contours enclose 25 % to 99 % of the mixture. A row has the
# colour of its component, and is greyer if this is less certain.

names = ["eruption (minutes)", "waiting time (minutes)"]
figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), sharex=True, sharey=True, layout="constrained")
for ax, fitted, colors, title in (
    (axes[0], usual, ("C1", "C0", "C2"), "Stopped by its last gain"),
    (axes[1], mixture, ("C0", "C1", "C2"), "Stopped near its limit"),
):
    MixtureDisplay.from_estimator(
        fitted, X, feature_names=names, density=True, colors=colors, ax=ax
    )
    ax.set_title(title)
axes[1].set_ylabel("")
plt.show()

# %%
# Convergence to the limit
# ------------------------
# Three runs begin at the same start, given as responsibilities. The run of scikit-learn follows the
# path of plain EM, until the usual rule stops it on a plateau, where EM seems to have converged.
# After the plateau, the distance decreases linearly on the logarithmic scale, as expected.
# Acceleration, which is the default, needs about a quarter of the EM maps for the same accuracy
# (:ref:`sphx_glr_auto_examples_mixtures_plot_em_acceleration.py`).

from sklearn.base import clone
from sklearn.cluster import KMeans

clusters = KMeans(3, n_init=1, random_state=0).fit_predict(X)
mixture.set_params(init_params=np.eye(3)[clusters])
runs = {
    "plain EM": clone(mixture).set_params(acceleration=None).fit(X),
    "accelerated": mixture.fit(X),
    "scikit-learn": usual,
}
_, ax = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
display = BoundDisplay.from_estimators(runs, distance_to="best", ax=ax)
display.lines_[2].set(color="0.5", linestyle="-", linewidth=5, markersize=0, alpha=0.7)
ax.set(ylim=(1e-10, 3), title="Convergence to the maximum")
end = display.lines_[2].get_xydata()[-1]
ax.annotate("the usual rule stops here", end, (20, 0.4), arrowprops={"arrowstyle": "->"})
ax.legend()
ax.grid(alpha=0.3)
plt.show()

# %%
# Summary
# -------
# A small gain does not imply that the maximum is close. Check ``converged_`` and
# ``optimality_gap_``. If an information criterion or a test depends on the likelihood, use a small
# ``tol`` and a sufficient ``max_iter``.
