r"""
========================================
Old Faithful: how far away is the limit?
========================================

EM climbs towards a maximum of the likelihood and never quite arrives. When should it stop? The
usual rule looks at the last gain. But where EM is slow every gain is small, however much is still
to come. Here a mixture of three Gaussians with one covariance is fitted to the eruptions of Old
Faithful, and the usual rule stops 14 nats below the maximum.
"""

# %%
# The usual rule
# --------------
# scikit-learn stops when a step gains less than ``tol=1e-3`` nats per row. It does so after a few
# steps, with two components that lie on each other.

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
# A certificate
# -------------
# Near its limit EM converges linearly: the gains shrink by a constant factor :math:`a`, and what is
# still to come is about :math:`a / (1 - a)` times the last gain. That estimate is
# ``optimality_gap_``, and it is what skem compares with ``tol``. So ``converged_`` means that the
# maximum is estimated to be no farther away than that.

mixture = GaussianMixtureEM(3, covariance_type="tied", tol=1e-9, max_iter=1000, random_state=0)
mixture.fit(X)
print(f"EM maps {mixture.n_iter_}, log-likelihood {mixture.score_samples(X).sum():.3f}")
print(f"estimated distance to the limit {mixture.optimality_gap_:.1e} nats per row")

# %%
# The two fits. Ellipses hold 50 % and 90 % of a component, thin lines 25 % to 99 % of the mixture.
# The colour of a row is that of its component, the greyer the less certain it is.

figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), sharey=True, layout="constrained")
for ax, fitted, title in (
    (axes[0], usual, "stopped by its last gain"),
    (axes[1], mixture, "stopped near its limit"),
):
    MixtureDisplay.from_estimator(fitted, X, density=True, ax=ax)
    ax.set_title(title)
plt.show()

# %%
# The way to the limit
# --------------------
# Three runs from the same start, given as responsibilities. The first two go the same way, up to
# the point where the usual rule ends one of them: on a shoulder, where EM seems to have arrived.
# Past it the distance falls on a straight line, as linear convergence does. Acceleration
# extrapolates along that line, and needs about a quarter of the EM maps to come as near.

from sklearn.base import clone
from sklearn.cluster import KMeans

clusters = KMeans(3, n_init=1, random_state=0).fit_predict(X)
mixture.set_params(init_params=np.eye(3)[clusters])
runs = {
    "plain": clone(mixture).set_params(acceleration=None).fit(X),
    "scikit-learn": usual,
    "accelerated": mixture.fit(X),
}
BoundDisplay.from_estimators(runs, distance_to="best").ax_.grid(alpha=0.3)
plt.show()
