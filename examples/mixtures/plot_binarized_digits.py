r"""
========================================
Bernoulli mixtures: prototypes of digits
========================================

A mixture of Bernoulli variables describes binary rows by a few prototypes. A prototype contains the
probability of a one for every column, so a prototype of images is an image. This example finds
prototypes of digits without labels, chooses their number in two ways, and uses them to complete
digits of which half is hidden.
"""

# %%
# Twenty prototypes
# -----------------
# The data are handwritten digits of 8 by 8 pixels with values from 0 to 16. ``binarize`` is a
# threshold: values above it, here 7.5, become ones (ink), and all others zeros. A third of the
# digits is held out. The Beta prior keeps the probabilities away from 0 and 1, as if each prototype
# had half a one and half a zero more in each pixel.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.impute import KNNImputer
from sklearn.model_selection import train_test_split

from skem import BernoulliMixtureEM

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=1 / 3, random_state=0)
mixture = BernoulliMixtureEM(20, binarize=7.5, beta_prior=(1.5, 1.5), random_state=0)
mixture.fit(X_train)

# %%
# The labels are used only afterwards. They show the majority digit of the rows of each prototype,
# and its share.

component = mixture.predict(X_train)
counts = np.array([np.bincount(y_train[component == k], minlength=10) for k in range(20)])
digit_of, purity = counts.argmax(axis=1), counts.max(axis=1) / counts.sum(axis=1)
figure, axes = plt.subplots(2, 10, figsize=(9.6, 2.9), layout="constrained")
for ax, k in zip(axes.flat, np.argsort(digit_of, kind="stable"), strict=True):
    image = ax.imshow(mixture.probabilities_[k].reshape(8, 8), cmap="viridis", vmin=0, vmax=1)
    ax.set_title(f"{digit_of[k]}: {100 * purity[k]:.0f} %", fontsize=10)
    ax.set_axis_off()
figure.colorbar(image, ax=axes, label="probability of ink", shrink=0.9)
figure.suptitle("Prototypes with their majority digit and its share")
plt.show()

right = digit_of[mixture.predict(X_test)] == y_test
print(f"held-out digits whose prototype is of their kind: {100 * right.mean():.0f} %")

# %%
# Choosing the number of prototypes
# ---------------------------------
# BIC penalises the likelihood for each parameter, here 65 per prototype. The log-density of
# held-out digits measures directly how well the mixture describes new digits. BIC selects ten
# prototypes. With the prior, the held-out log-density increases up to forty prototypes, and little
# after that. Without the prior, it falls beyond 20: if a pixel never has ink in the rows of a
# prototype, ink in this pixel almost excludes the prototype.

sizes = [1, 2, 5, 10, 15, 20, 30, 40, 60, 80]
priors = {"no prior": (1, 1), "Beta(1.5, 1.5) prior": (1.5, 1.5)}
bic, held_out = {}, {}
for name, prior in priors.items():
    fits = [
        BernoulliMixtureEM(k, binarize=7.5, beta_prior=prior, random_state=0).fit(X_train)
        for k in sizes
    ]
    bic[name] = [fit.bic(X_train) / 1000 for fit in fits]
    held_out[name] = [fit.score(X_test) for fit in fits]
    print(
        f"{name:<22} BIC chooses {sizes[np.argmin(bic[name])]}, "
        f"held-out digits {sizes[np.argmax(held_out[name])]} ({max(held_out[name]):.2f} nats)"
    )

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for name, color, style in (("no prior", "C1", "s--"), ("Beta(1.5, 1.5) prior", "C0", "o-")):
    axes[0].plot(sizes, bic[name], style, color=color, label=name)
    axes[1].plot(sizes, held_out[name], style, color=color, label=name)
axes[0].set(title="BIC (lower is better)", ylabel="BIC (thousands)")
axes[1].set(title="Held-out digits (higher is better)", ylabel="log-density (nats per digit)")
for ax in axes:
    ax.set_xlabel("number of prototypes")
axes[0].legend()
plt.show()

# %%
# Completing digits
# -----------------
# The lower half of each held-out digit is hidden: its pixels are NaN. ``predict_proba`` computes
# the probabilities of the prototypes from the observed half, and they determine the probability of
# ink in each hidden pixel. If an upper half could belong to several digits, its completion is a
# mixture of them.

model = BernoulliMixtureEM(40, binarize=7.5, beta_prior=(1.5, 1.5), random_state=0).fit(X_train)
covered = np.arange(64) >= 32
ink = (X_test > 7.5).astype(float)
seen = np.where(covered, np.nan, X_test)
chance = model.predict_proba(seen) @ model.probabilities_

first = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
figure, axes = plt.subplots(3, 10, figsize=(9.6, 3.4), layout="constrained")
colors = plt.get_cmap("viridis").with_extremes(bad="0.85")
shown = {
    "digit": ink,
    "seen": np.where(covered, np.nan, ink),
    "completed": np.where(covered, chance, ink),
}
for row, (name, images) in zip(axes, shown.items(), strict=True):
    for ax, i in zip(row, first, strict=True):
        ax.imshow(images[i].reshape(8, 8), cmap=colors, vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name)
figure.suptitle("Held-out digits, their upper halves, and their completions")
plt.show()

# %%
# The next lines count the wrong pixels if ink is predicted where its probability is above one half.
# The nearest neighbours among the training digits are as good. But the mixture also gives a
# density: the difference of two log-densities is the conditional log-probability of the lower half
# given the upper one.

fitted_ink = (X_train > 7.5).astype(float)
neighbours = KNNImputer(n_neighbors=10).fit(fitted_ink).transform(shown["seen"])
guesses = {
    "mixture": chance,
    "10 nearest digits": neighbours,
    "mean digit": fitted_ink.mean(axis=0),
}
for name, guess in guesses.items():
    wrong = np.mean(((guess > 0.5) != ink)[:, covered])
    print(f"{name:<18} {100 * wrong:.1f} % of covered pixels are wrong")

independent = BernoulliMixtureEM(1, binarize=7.5, beta_prior=(1.5, 1.5)).fit(X_train)
for name, fit in (("mixture", model), ("one prototype", independent)):
    half = fit.score(seen) - fit.score(X_test)
    print(f"{name:<18} a lower half costs {half:.1f} nats")

# %%
# Summary
# -------
# * Prototypes are found without labels. Many represent one digit, some several digits that look
#   alike.
# * For prototypes that are to be inspected, BIC selects a small number. For a density, choose the
#   number by held-out rows, and set ``beta_prior``.
# * Missing values need no separate step: rows may contain NaN.
