"""Pictures of the demo: Gaussian and Bernoulli mixtures, and the convergence of EM.

A picture is a function whose name is that of its file, and that returns a figure.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from demo_mixtures import DATA, EXACT, digits, iris_with_holes, plain_and_accelerated
from matplotlib.figure import Figure
from sklearn.datasets import load_digits, load_iris
from sklearn.mixture import GaussianMixture

from skem import GaussianMixtureEM
from skem.inspection import BoundDisplay, MixtureDisplay


def old_faithful() -> Figure:
    """three components with one covariance: at the maximum, and where a small gain stops EM"""
    X = DATA["Old Faithful"]
    figure, axes = plt.subplots(
        1, 2, figsize=(11, 5), sharex=True, sharey=True, layout="constrained"
    )
    for ax, mixture, title in (
        (axes[0], GaussianMixtureEM(3, covariance_type="tied", **EXACT), "skem, at the maximum"),
        (
            axes[1],
            GaussianMixture(3, covariance_type="tied", random_state=0),
            "scikit-learn, at its default tolerance",
        ),
    ):
        mixture.fit(X)
        names = ("eruption (minutes)", "waiting time (minutes)")
        MixtureDisplay.from_estimator(mixture, X, feature_names=names, density=True, ax=ax)
        ax.set_title(f"{title}\nlog L = \N{MINUS SIGN}{-mixture.score_samples(X).sum():.2f} nats")
    return figure


def bound_traces() -> Figure:
    """plain and accelerated EM: distance to the limit over EM maps"""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
    for ax, name, covariance_type in (
        (axes[0], "Old Faithful", "tied"),
        (axes[1], "iris", "full"),
    ):
        fits = plain_and_accelerated(DATA[name], covariance_type, 3)
        BoundDisplay.from_estimators(fits, distance_to="best", ax=ax)
        ax.set_title(f"{name}, 3 components, {covariance_type}")
        ax.grid(alpha=0.3)
    axes[1].set_ylabel("")
    return figure


def digit_prototypes() -> Figure:
    """probability of ink in each pixel, for each of 20 components of a Bernoulli mixture"""
    mixture, component, digit_of, _ = digits(20)
    y = load_digits().target
    figure, axes = plt.subplots(2, 10, figsize=(11, 3), layout="constrained")
    for ax, k in zip(axes.flat, np.argsort(digit_of, kind="stable"), strict=True):
        ax.imshow(mixture.probabilities_[k].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        pure = np.mean(y[component == k] == digit_of[k])
        ax.set_title(f"{digit_of[k]}: {100 * pure:.0f} %", fontsize=10)
        ax.set_axis_off()
    figure.suptitle(
        "A Bernoulli mixture of digits: majority digit of each component, and its share"
    )
    return figure


def imputed_iris() -> Figure:
    """missing lengths and widths of iris: imputed against true values"""
    truth = load_iris()
    X, mixture, _ = iris_with_holes(0)
    filled, missing = mixture.impute(X), np.isnan(X)
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
    for j, (ax, name) in enumerate(zip(axes, truth.feature_names, strict=True)):
        true = truth.data[missing[:, j], j]
        ax.axline((true.mean(), true.mean()), slope=1, color="0.6", linewidth=1, label="truth")
        ax.axhline(np.nanmean(X[:, j]), color="0.6", linestyle="--", linewidth=1, label="mean")
        ax.scatter(true, filled[missing[:, j], j], s=22, alpha=0.7, linewidths=0, label="mixture")
        ax.set_title(name)
        ax.set_xlabel("true value")
    axes[0].set_ylabel("filled in")
    axes[0].legend(loc="upper left")
    return figure


PICTURES = (old_faithful, bound_traces, digit_prototypes, imputed_iris)
