r"""
=============================
The savings of accelerated EM
=============================

Near its limit, each EM map reduces the remaining distance by a constant fraction. Where components
overlap, this fraction is small, and EM may take a thousand maps. An acceleration extrapolates from
the last maps. Here plain EM, SQUAREM and the quasi-Newton method, which is the default, run from
the same starts. The slower EM is, the more they save; where EM is fast they save little.
"""

# %%
# Three problems, one start each
# ------------------------------
# Each problem has three components. On all four columns of iris they are well separated, on the two
# columns of the sepals they are not. The eruptions of Old Faithful are in between.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.metrics import pairwise_distances_argmin
from sklearn.preprocessing import scale

from skem import GaussianMixtureEM
from skem.datasets import load_old_faithful
from skem.inspection import BoundDisplay, MixtureDisplay

iris, faithful = load_iris().data, load_old_faithful().data
accelerations = {"plain EM": None, "SQUAREM": "squarem", "quasi-Newton": "quasi-newton"}


def fits_from(X, covariance_type, part, tol=1e-10):
    """Fits by name, all from the same partition of the rows."""
    start = np.eye(3)[part]
    fits = {}
    for name, acceleration in accelerations.items():
        mixture = GaussianMixtureEM(
            3,
            covariance_type=covariance_type,
            init_params=start,
            acceleration=acceleration,
            tol=tol,
            max_iter=20_000,
        )
        fits[name] = mixture.fit(X)
    return fits


def maps_to(fits, distance):
    """EM maps of each fit until its bound is that near to its limit, in nats per row."""
    bounds = [np.asarray(fit.lower_bounds_) for fit in fits.values()]
    return [int(np.argmax(b >= b[-1] - distance)) for b in bounds]


problems = {
    "iris, four columns": (iris, "full"),
    "Old Faithful": (faithful, "tied"),
    "iris, sepals": (iris[:, :2], "tied"),
}
runs = {}
print(f"{'EM maps to within ... of the limit':<36}" + "".join(f"{n:>14}" for n in accelerations))
for title, (X, covariance_type) in problems.items():
    part = KMeans(3, n_init=1, random_state=0).fit_predict(scale(X))
    runs[title] = fits_from(X, covariance_type, part)
    for distance in (1e-3, 1e-6, 1e-9):
        counts = "".join(f"{count:14}" for count in maps_to(runs[title], distance))
        print(f"{title + f', {distance:g} nats per row':<36}" + counts)

# %%
# Down to a distance of 0.001 nats, plain EM is hardly slower. From there on, it needs two maps for
# each further digit on iris, ten on Old Faithful, and about five hundred on the sepals. The
# quasi-Newton method needs few maps on all of them. Both axes are logarithmic.

figure, axes = plt.subplots(1, 3, figsize=(9.6, 4), sharex=True, sharey=True, layout="constrained")
for ax, (title, fits) in zip(axes, runs.items(), strict=True):
    BoundDisplay.from_estimators(fits, distance_to="best", ax=ax)
    ax.get_legend().remove()
    ax.set(title=title, xscale="log", xlim=(1, 4000), ylim=(1e-9, 1))
    ax.grid(alpha=0.3)
for ax in axes[1:]:
    ax.set_ylabel("")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()

# %%
# Why EM is slow
# --------------
# The distance shrinks by a constant factor per map. This factor is the square of the fraction of
# the information that is missing because the components of the rows are unknown, in the direction
# of the parameters in which this fraction is largest. The greyer a row, the less certain is its
# component.

for title, fits in runs.items():
    limit = fits["quasi-Newton"].lower_bound_
    distance = limit - np.array(fits["plain EM"].lower_bounds_)
    near = np.flatnonzero((distance < 1e-6) & (distance > 1e-8))
    factor = (distance[near[-1]] / distance[near[0]]) ** (1 / (near[-1] - near[0]))
    print(f"{title:<20} factor {factor:.3f}, missing information {100 * np.sqrt(factor):.1f} %")

figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), sharex=True, sharey=True, layout="constrained")
for ax, title in zip(axes, ("iris, four columns", "iris, sepals"), strict=True):
    X, names = problems[title][0], load_iris().feature_names
    MixtureDisplay.from_estimator(
        runs[title]["quasi-Newton"], X, feature_names=names[: X.shape[1]], ax=ax
    )
    ax.set(title=title, ylim=(1.9, 5.2))
axes[1].set_ylabel("")
plt.show()

# %%
# Many starts
# -----------
# The figure shows six problems with three components, with twelve random starts each: a start
# assigns each row to the nearest of three rows drawn by k-means++. Points below the line need fewer
# maps than plain EM.

tumours, patients = load_breast_cancer().data, load_diabetes(scaled=False).data
problems = {
    "iris, four columns, full": (iris, "full"),
    "iris, four columns, tied": (iris, "tied"),
    "iris, sepals, diag": (iris[:, :2], "diag"),
    "Old Faithful, tied": (faithful, "tied"),
    "tumours, radius and texture, full": (tumours[:, :2], "full"),
    "patients, mass and pressure, full": (patients[:, 2:4], "full"),
}
counts, ends = {}, []
print(f"{'median of 12 starts':<36}" + "".join(f"{name:>14}" for name in accelerations))
for title, (X, covariance_type) in problems.items():
    Z, counts[title] = scale(X), []
    for seed in range(12):
        seeds, _ = kmeans_plusplus(Z, 3, random_state=seed)
        fits = fits_from(X, covariance_type, pairwise_distances_argmin(Z, seeds), tol=1e-8)
        counts[title].append(maps_to(fits, 1e-6))
        ends.append([fit.lower_bound_ for fit in fits.values()])
    print(f"{title:<36}" + "".join(f"{count:14g}" for count in np.median(counts[title], axis=0)))

# %%
maps, ends = np.concatenate(list(counts.values())), np.array(ends)
_, ax = plt.subplots(figsize=(7, 5), layout="constrained")
ax.axline((10, 10), slope=1, color="C0", label="plain EM")
for j, (name, marker) in enumerate((("SQUAREM", "o"), ("quasi-Newton", "^")), start=1):
    ax.plot(maps[:, 0], maps[:, j], marker, color=f"C{j}", label=name, alpha=0.7)
    more = np.sum(maps[:, j] > maps[:, 0])
    higher = np.sum(ends[:, j] > ends[:, 0] + 1e-6)
    lower = np.sum(ends[:, j] < ends[:, 0] - 1e-6)
    print(f"{name}, {len(maps)} starts: {more} take more maps than plain EM,")
    print(f"    {higher} end at a higher maximum, {lower} at a lower one")
ax.set(xscale="log", yscale="log", ylim=(4, 1000))
ax.set(xlabel="EM maps of plain EM", ylabel="EM maps when accelerated")
ax.set_title("EM maps to within 1e-6 nats per row of the limit")
ax.grid(alpha=0.3)
ax.legend()
plt.show()

# %%
# Summary
# -------
# * The slower plain EM is, the more an acceleration saves: about a third of 20 maps, and three
#   quarters (SQUAREM) or nine tenths (quasi-Newton) of 400.
# * For a density or for clusters, a thousandth of a nat is accurate enough, and there is little to
#   save. For information criteria, likelihood ratios and standard errors there is much.
# * From the same start, an acceleration may end at a different maximum than plain EM, higher or
#   lower. It does not replace multiple starts.
# * With or without it, a fit stops when its estimated distance to the limit is at most ``tol``
#   (:ref:`sphx_glr_auto_examples_mixtures_plot_old_faithful.py`).
