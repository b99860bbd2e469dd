"""Sections and pictures of the demo: the variational autoencoder on digits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
from demo_table import Row, timed
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from skem import BernoulliMixtureEM, MaxEntClassifier, VAETransformer
from skem.inspection import LatentSpaceDisplay, LossDisplay, ManifoldDisplay

GREY, DIGIT = load_digits(return_X_y=True)
GREY = GREY / 16
FAST = {"learning_rate": 0.005, "random_state": 0}


def prepare() -> None:
    """Load torch and its kernels, so that no row includes this time."""
    VAETransformer(likelihood="bernoulli", max_epochs=1, **FAST).fit(GREY[:200])


# ------------------------------------------------------------------ densities
def densities() -> Iterator[Row]:
    """Binary digits: bound on the log density of a held-out quarter, nats per row"""
    train, test = train_test_split((GREY >= 0.5).astype(np.float32), random_state=0)
    mixture = BernoulliMixtureEM(20, random_state=0).fit(train)
    reference = f"{mixture.score(test):.2f} (mixture of 20)"
    data = f"digits {len(train)} x {train.shape[1]}"
    for title, options in (
        ("VAETransformer, 8 dimensions", {}),
        ("  importance weighted, k=5", {"n_importance_samples": 5}),
    ):
        vae = VAETransformer(8, likelihood="bernoulli", max_epochs=50, **options, **FAST)
        vae, seconds = timed(vae.fit, train)
        yield Row(title, data, f"{vae.score(test):.2f}", reference, seconds)


def linear() -> Iterator[Row]:
    """No hidden layers (probabilistic PCA): log density of a held-out quarter, nats per row"""
    train, test = train_test_split(GREY, random_state=0)
    exact = f"{PCA(8).fit(train).score(test):.2f} (scikit-learn's PCA)"
    vae = VAETransformer(
        8, hidden_layer_sizes=(), variance="shared", standardize=False, learning_rate=0.02,
        max_epochs=60, random_state=0,
    )  # fmt: skip
    vae, seconds = timed(vae.fit, train)
    data = f"digits {len(train)} x {train.shape[1]}"
    yield Row("VAETransformer, linear", data, f"{vae.score(test):.2f}", exact, seconds)


def search() -> Iterator[Row]:
    """Class of a digit: MinMaxScaler, 8 dimensions, MaxEntClassifier in GridSearchCV"""
    vae = VAETransformer(
        8, likelihood="bernoulli", learning_rate=0.01, max_epochs=25, random_state=0
    )
    ours, seconds = timed(_search(vae, {"reduce__kl_weight": [1.0, 0.1]}).fit, GREY, DIGIT)
    peer, theirs = timed(_search(PCA(8), {}).fit, GREY, DIGIT)
    result = f"{ours.best_score_:.3f}, kl_weight={ours.best_params_['reduce__kl_weight']:g}"
    reference = f"{peer.best_score_:.3f} (PCA, {theirs:.1f} s)"
    yield Row("GridSearchCV", f"digits {len(GREY)} x {GREY.shape[1]}", result, reference, seconds)


def _search(reduce: VAETransformer | PCA, grid: dict[str, list[float]]) -> GridSearchCV:
    steps = [
        ("scale", MinMaxScaler(clip=True)),
        ("reduce", reduce),
        ("classify", MaxEntClassifier()),
    ]
    return GridSearchCV(Pipeline(steps), grid, cv=3)


# ------------------------------------------------------------------ pictures
@cache
def plane() -> VAETransformer:
    """Digits in two dimensions."""
    vae = VAETransformer(
        likelihood="bernoulli", early_stopping=True, max_epochs=80, random_state=0,
        learning_rate=0.005,
    )  # fmt: skip
    return vae.fit(GREY)


def latent_space() -> Figure:
    """digits in the two latent dimensions of a variational autoencoder"""
    figure = LatentSpaceDisplay.from_estimator(plane(), GREY, labels=DIGIT).figure_
    figure.suptitle("Posterior means of digits; the fit does not use their labels")
    return figure


def manifold() -> Figure:
    """the same two dimensions, decoded"""
    figure = ManifoldDisplay.from_estimator(plane(), image_shape=(8, 8)).figure_
    figure.suptitle("Decoded points of the latent space, at quantiles of the prior")
    return figure


def losses() -> Figure:
    """reconstruction error against KL, over the epochs"""
    return LossDisplay.from_estimator(plane()).figure_


def digits_by_class() -> Figure:
    """new digits of each class: normal draws around its prior mean"""
    vae = VAETransformer(8, prior="class", likelihood="bernoulli", max_epochs=60, **FAST)
    vae.fit(GREY, labels=DIGIT)
    noise = np.random.default_rng(0).standard_normal((12, 1, 8))
    drawn = vae.inverse_transform((vae.class_means_ + noise).reshape(-1, 8))
    figure, ax = plt.subplots(figsize=(7.2, 8), layout="constrained")
    ManifoldDisplay(decoded=drawn.reshape(12, 10, 64), image_shape=(8, 8)).plot(ax)
    ax.set_xticks(range(10), vae.classes_)
    ax.set_yticks([])
    ax.set_xlabel("class")
    ax.set_ylabel("")
    ax.set_title("Draws from the prior of each class, decoded")
    return figure


SECTIONS = (densities, linear, search)
PICTURES = (latent_space, manifold, losses, digits_by_class)
