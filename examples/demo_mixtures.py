"""Sections of the demo: the three coins, Bernoulli and Gaussian mixtures.

A section is a function whose docstring is its heading and that yields rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from demo_table import Row, timed
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.impute import KNNImputer
from sklearn.metrics.cluster import contingency_matrix
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, StandardScaler

from skem import BernoulliMixtureEM, GaussianMixtureEM, ThreeCoinMixture
from skem.datasets import load_old_faithful
from skem.mixture import select_gaussian_mixture

DATA = {"iris": load_iris().data, "Old Faithful": load_old_faithful().data}

# Accurate maximum likelihood: nothing is added to the variances, and tol is small.
EXACT: dict[str, Any] = {"reg_covar": 0, "tol": 1e-9, "max_iter": 1000, "random_state": 0}


def prepare() -> None:
    """Load or compile the kernels, so that no row includes this time."""
    X = DATA["iris"]
    GaussianMixtureEM(2).fit(X)
    GaussianMixtureEM(2).fit(np.where(X > 5, np.nan, X))
    BernoulliMixtureEM(2, binarize=3).fit(X)


def _size(name: str, X: np.ndarray) -> str:
    return f"{name} {len(X)} x {X.shape[1]}"


# ------------------------------------------------------------------ coins
def three_coins() -> Iterator[Row]:
    """Three coins: (pi, p, q), and whether the data determine it"""
    throws = np.array([1, 1, 0, 1, 0, 0, 1, 0, 1, 1]).reshape(-1, 1)
    for init, printed in (
        ((0.5, 0.5, 0.5), "0.5    0.6    0.6    (textbook)"),
        ((0.4, 0.6, 0.7), "0.4064 0.5368 0.6432 (textbook)"),
    ):
        coins, seconds = timed(ThreeCoinMixture(init).fit, throws)
        title = f"ThreeCoinMixture from {init}"
        yield Row(title, "10 throws of 1 toss", _coins(coins), printed, seconds)
    yield _rank(coins)

    truth = ThreeCoinMixture((0.4, 0.3, 0.8), max_iter=0, random_state=0).fit(np.zeros((2, 3)))
    throws, _ = truth.sample(2000)
    coins, seconds = timed(ThreeCoinMixture((0.5, 0.4, 0.6)).fit, throws)
    drawn = "2000 throws of 3 tosses"
    yield Row("ThreeCoinMixture", drawn, _coins(coins), "0.4    0.3    0.8    (truth)", seconds)
    yield _rank(coins)


def _coins(coins: ThreeCoinMixture) -> str:
    return f"{coins.pi_:.4f} {coins.p_:.4f} {coins.q_:.4f}"


def _rank(coins: ThreeCoinMixture) -> Row:
    rank = f"{coins.information_rank_} of 3"
    return Row("  rank of the information matrix", "", rank, "3, or not identifiable")


# ------------------------------------------------------------------ maxima
def published_maxima() -> Iterator[Row]:
    """Maxima of the likelihood: log L in nats, summed over the rows"""
    for name, covariance_type, k, maximum in (
        ("iris", "full", 2, "-214.354704 (known maximum)"),
        ("iris", "full", 3, "-180.185477 (known maximum)"),
        ("iris", "tied", 3, "-256.354043 (known maximum)"),
        ("Old Faithful", "tied", 3, "-1126.315928 (known maximum)"),
    ):
        mixture = GaussianMixtureEM(k, covariance_type=covariance_type, n_init=10, **EXACT)
        yield _log_likelihood(f"GaussianMixtureEM {covariance_type}, {k}", mixture, name, maximum)
    mixture = GaussianMixtureEM(3, covariance_type="tied", random_state=0)
    yield _log_likelihood("  the same at its default tol", mixture, name, maximum)
    peer = GaussianMixture(3, covariance_type="tied", random_state=0)
    yield _log_likelihood("  scikit-learn's at its default tol", peer, name, maximum)


def _log_likelihood(title: str, mixture: Any, name: str, reference: str) -> Row:
    X = DATA[name]
    _, seconds = timed(mixture.fit, X)
    return Row(title, _size(name, X), f"{mixture.score_samples(X).sum():.6f}", reference, seconds)


# ------------------------------------------------------------------ acceleration
def acceleration() -> Iterator[Row]:
    """Acceleration: EM maps to an estimated distance of 1e-9 nats per row from the maximum"""
    for name, covariance_type in (("iris", "full"), ("iris", "tied"), ("Old Faithful", "tied")):
        X = DATA[name]
        fits = plain_and_accelerated(X, covariance_type, 3)
        mixture, seconds = timed(fits["accelerated"].fit, X)
        title = f"GaussianMixtureEM {covariance_type}, 3"
        reference = f"{fits['plain'].n_iter_} (plain EM, same start)"
        yield Row(title, _size(name, X), f"{mixture.n_iter_}", reference, seconds)


def plain_and_accelerated(X: np.ndarray, covariance_type: str, k: int) -> dict[str, Any]:
    """Plain and accelerated EM from the same start until convergence."""
    mixture = GaussianMixtureEM(k, covariance_type=covariance_type, **EXACT)
    return {
        "plain": clone(mixture).set_params(acceleration=None).fit(X),
        "accelerated": mixture.fit(X),
    }


# ------------------------------------------------------------------ missing values, labels, weights
@cache
def iris_with_holes(seed: int) -> tuple[np.ndarray, GaussianMixtureEM, float]:
    """Iris with a fifth of its entries missing, a mixture fitted to it, and the seconds."""
    X = DATA["iris"].copy()
    X[np.random.default_rng(seed).random(X.shape) < 0.2] = np.nan
    mixture = GaussianMixtureEM(3, tol=1e-6, max_iter=500, random_state=0)
    return X, *timed(mixture.fit, X)


def missing_values() -> Iterator[Row]:
    """Missing values: root mean square error of imputed values in cm, mean of 5 draws"""
    errors, total = [], 0.0
    for seed in range(5):
        X, mixture, seconds = iris_with_holes(seed)
        missing = np.isnan(X)
        mean = np.where(missing, np.nanmean(X, axis=0), X)
        filled = (mixture.impute(X), mean, KNNImputer().fit_transform(X))
        truth = DATA["iris"][missing]
        errors.append([np.sqrt(np.mean((values[missing] - truth) ** 2)) for values in filled])
        total += seconds
    ours, mean, neighbours = np.mean(errors, axis=0)
    reference = f"{mean:.3f} mean, {neighbours:.3f} KNNImputer"
    title = "GaussianMixtureEM full, 3: impute"
    yield Row(title, "iris, 20 % missing", f"{ours:.3f}", reference, total)


def labelled_rows() -> Iterator[Row]:
    """Two labelled rows per class: accuracy on all other rows, mean of 5 draws"""
    for name, load in (("iris", load_iris), ("wine", load_wine)):
        X, y = load(return_X_y=True)
        X = StandardScaler().fit_transform(X)
        mixture = GaussianMixtureEM(3, covariance_type="tied", random_state=0)
        supervised = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        ours, theirs, total = [], [], 0.0
        for seed in range(5):
            rng = np.random.default_rng(seed)
            known = np.concatenate(
                [rng.choice(np.flatnonzero(y == c), 2, replace=False) for c in range(3)]
            )
            labels = np.full(len(y), -1)
            labels[known] = y[known]
            _, seconds = timed(mixture.fit, X, labels=labels)
            total += seconds
            supervised.fit(X[known], y[known])
            others = labels == -1
            ours.append(np.mean(mixture.predict(X[others]) == y[others]))
            theirs.append(supervised.score(X[others], y[others]))
        yield Row(
            "GaussianMixtureEM tied, 3: labels",
            _size(name, X),
            f"{np.mean(ours):.3f}",
            f"{np.mean(theirs):.3f} (LDA of labelled rows)",
            total,
        )


def weights() -> Iterator[Row]:
    """Weights: largest relative difference from the parameters for repeated rows"""
    X = DATA["Old Faithful"]
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    start = {"weights_init": [0.5, 0.5], "means_init": [[2, 55], [4, 80]]}
    start["precisions_init"] = np.linalg.inv(np.cov(X.T))[None].repeat(2, axis=0)
    weighted = GaussianMixtureEM(2, **EXACT, **start)
    _, seconds = timed(weighted.fit, X, sample_weight=weight)
    repeated = GaussianMixtureEM(2, **EXACT, **start).fit(X.repeat(weight, axis=0))
    difference = max(
        np.abs(getattr(weighted, name) / getattr(repeated, name) - 1).max()
        for name in ("weights_", "means_", "covariances_")
    )
    yield Row(
        "GaussianMixtureEM full, 2: weights",
        _size("Old Faithful", X),
        f"{difference:.0e}",
        "0 (rows repeated 0 to 3 times)",
        seconds,
    )


# ------------------------------------------------------------------ model selection
def model_selection() -> Iterator[Row]:
    """Choice among 1 to 4 components and six covariance types (BIC: lower is better)"""
    pipeline = make_pipeline(
        StandardScaler(), GaussianMixtureEM(reg_covar=1e-3, max_iter=500, random_state=0)
    )
    types = ["full", "tied", "diag", "spherical", "tied_diag", "tied_spherical"]
    search = GridSearchCV(
        pipeline,
        {
            "gaussianmixtureem__n_components": [1, 2, 3, 4],
            "gaussianmixtureem__covariance_type": types,
        },
        cv=KFold(5, shuffle=True, random_state=0),
    )
    X = DATA["iris"]
    _, seconds = timed(search.fit, X)
    best = search.best_estimator_[-1]
    result = f"{best.covariance_type}, {best.n_components}"
    yield Row(
        "GridSearchCV of a Pipeline, held out", _size("iris", X), result, "3 species", seconds
    )
    for name, reference in (
        ("iris", "574.018 full, 2 (mclust)"),
        ("Old Faithful", "2314.316 tied, 3 (mclust)"),
    ):
        X = DATA[name]
        selection, seconds = timed(
            select_gaussian_mixture, X, n_components=range(1, 5), random_state=0
        )
        best = selection.best_estimator_
        result = f"{best.bic(X):.3f} {best.covariance_type}, {best.n_components}"
        yield Row("select_gaussian_mixture, BIC", _size(name, X), result, reference, seconds)


# ------------------------------------------------------------------ digits
@cache
def digits(k: int) -> tuple[BernoulliMixtureEM, np.ndarray, np.ndarray, float]:
    """A mixture of binarised digits, each row's component, each component's digit, seconds."""
    X, y = load_digits(return_X_y=True)
    pipeline = make_pipeline(Binarizer(threshold=7), BernoulliMixtureEM(k, random_state=0))
    component, seconds = timed(pipeline.fit_predict, X)
    return pipeline[-1], component, contingency_matrix(y, component).argmax(axis=0), seconds


def clustered_digits() -> Iterator[Row]:
    """Clustering of binarised digits: accuracy if each component stands for its majority digit"""
    X, y = load_digits(return_X_y=True)
    for k in (10, 20):
        _, component, digit_of, seconds = digits(k)
        peer = KMeans(k, n_init=4, random_state=0).fit_predict(X > 7)
        theirs = contingency_matrix(y, peer).max(axis=0).sum() / len(y)
        yield Row(
            f"Pipeline: BernoulliMixtureEM {k}",
            _size("digits", X),
            f"{np.mean(digit_of[component] == y):.3f}",
            f"{theirs:.3f} (KMeans {k})",
            seconds,
        )


SECTIONS = (
    three_coins,
    published_maxima,
    acceleration,
    missing_values,
    labelled_rows,
    weights,
    model_selection,
    clustered_digits,
)
