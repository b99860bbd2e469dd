"""The picture at the top of the README: one panel for each kind of model."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from demo_mixtures import DATA, EXACT
from demo_rnn import fitted_language_model
from demo_vae import plane
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skem import GaussianMixtureEM, MaxEntDistribution
from skem.inspection import ManifoldDisplay, MixtureDisplay

BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
SENTENCE = "The class definition is an executable statement."


def overview() -> Figure:
    """four models: a mixture, an autoencoder, maximum entropy, a language model"""
    figure = plt.figure(figsize=(11.5, 8.4), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(1.25, 1))
    _mixture(figure.add_subplot(grid[0, 0]))
    _manifold(figure.add_subplot(grid[0, 1]))
    _entropy(figure.add_subplot(grid[1, 0]))
    _surprise(figure.add_subplot(grid[1, 1]))
    for ax in figure.axes:
        ax.title.set(fontweight="bold", fontsize=11.5)
    return figure


def _mixture(ax: Axes) -> None:
    X = DATA["Old Faithful"]
    mixture = GaussianMixtureEM(3, covariance_type="tied", **EXACT).fit(X)
    names = ("eruption (minutes)", "waiting time (minutes)")
    MixtureDisplay.from_estimator(mixture, X, feature_names=names, density=True, ax=ax)
    ax.set_title("GaussianMixtureEM: eruptions of Old Faithful")


def _manifold(ax: Axes) -> None:
    ManifoldDisplay.from_estimator(plane(), image_shape=(8, 8), ax=ax)
    ax.set_title("VAETransformer: digits out of two numbers")


def _entropy(ax: Axes) -> None:
    faces = np.arange(1.0, 7.0)
    for shift, mean, color in ((-0.27, 2.5, GREEN), (0, 3.5, ORANGE), (0.27, 4.5, BLUE)):
        die = MaxEntDistribution(1, support=faces).fit_moments([mean])
        label = f"mean {mean}: entropy {die.entropy_:.2f} nats"
        ax.bar(faces + shift, die.probabilities_, 0.26, color=color, label=label)
    ax.set(xlabel="face of a die", ylabel="probability", ylim=(0, 0.5))
    ax.legend(loc="upper center", fontsize="small")
    ax.set_title("MaxEntDistribution: dice of a given mean")


def _surprise(ax: Axes) -> None:
    model = fitted_language_model()
    nats = -model.score_tokens([SENTENCE])[0][: len(SENTENCE)]  # without the end
    ax.bar(range(len(nats)), nats, color=BLUE)
    ax.set_xticks(range(len(nats)), SENTENCE.replace(" ", "\N{OPEN BOX}"), family="monospace")
    ax.tick_params(axis="x", labelsize=8, length=0)
    ax.set(xlim=(-1, len(nats)), ylabel="surprise (nats)")
    ax.set_title("RNNLanguageModel: surprise at each character")


PICTURES = (overview,)
