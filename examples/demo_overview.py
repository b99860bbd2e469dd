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
SENTENCE = "The class is executed."
# Large for its size, so that it can be read where a page is 360 pixels wide, as on a phone.
STYLE = {"font.size": 12, "axes.titlesize": 12, "axes.titleweight": "bold"}


def overview() -> Figure:
    """four models: a mixture, an autoencoder, maximum entropy, a language model"""
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(6.6, 6.6), layout="constrained")
        for number, draw in enumerate((_mixture, _manifold, _entropy, _surprise), 1):
            draw(figure.add_subplot(2, 2, number))
    return figure


def _mixture(ax: Axes) -> None:
    X = DATA["Old Faithful"]
    mixture = GaussianMixtureEM(3, covariance_type="tied", **EXACT).fit(X)
    names = ("eruption (min)", "waiting (min)")
    display = MixtureDisplay.from_estimator(mixture, X, feature_names=names, density=True, ax=ax)
    display.legend_.remove()  # each component has its number
    ax.set_title("GaussianMixtureEM")


def _manifold(ax: Axes) -> None:
    ManifoldDisplay.from_estimator(plane(), image_shape=(8, 8), n=9, ax=ax)
    ax.set_title("VAETransformer")


def _entropy(ax: Axes) -> None:
    faces = np.arange(1.0, 7.0)
    for shift, mean, color in ((-0.27, 2.5, GREEN), (0, 3.5, ORANGE), (0.27, 4.5, BLUE)):
        die = MaxEntDistribution(1, support=faces).fit_moments([mean])
        ax.bar(faces + shift, die.probabilities_, 0.26, color=color, label=f"mean {mean}")
    ax.set(xlabel="face of a die", ylabel="probability", ylim=(0, 0.6), xticks=faces)
    ax.legend(loc="upper center", fontsize="small", handlelength=1)
    ax.set_title("MaxEntDistribution")


def _surprise(ax: Axes) -> None:
    model = fitted_language_model()
    nats = -model.score_tokens([SENTENCE])[0][: len(SENTENCE)]  # without the end
    ax.bar(range(len(nats)), nats, color=BLUE)
    ax.set_xticks(range(len(nats)), SENTENCE.replace(" ", "\N{OPEN BOX}"), family="monospace")
    ax.tick_params(axis="x", labelsize=11, length=0, pad=2)
    ax.set(xlim=(-1, len(nats)), xlabel="text", ylabel="surprise (nats)")
    ax.set_title("RNNLanguageModel")


PICTURES = (overview,)
