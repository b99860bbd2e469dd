r"""
========================
Digits in two dimensions
========================

A variational autoencoder puts each row somewhere in a space of few dimensions, and makes a row of
each point of that space. Here two numbers stand for the 64 pixels of a digit. With labels the same
model draws new digits of the class that one asks for.
"""

# %%
# Two numbers for 64 pixels
# -------------------------
# Pixels are between 0 and 1 and are taken for chances of ink (``likelihood="bernoulli"``). The
# model sees no labels; they only colour the points.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skem import VAETransformer
from skem.inspection import (
    LatentSpaceDisplay,
    LossDisplay,
    ManifoldDisplay,
    ReconstructionDisplay,
)

X, y = load_digits(return_X_y=True)
X = X / 16
vae = VAETransformer(
    2,
    likelihood="bernoulli",
    learning_rate=0.005,
    early_stopping=True,
    max_epochs=100,
    random_state=0,
).fit(X)
LatentSpaceDisplay.from_estimator(vae, X, labels=y)
plt.show()

# %%
# What is in between? Points of a grid, decoded. The grid is at quantiles of the prior, a standard
# normal distribution.

ManifoldDisplay.from_estimator(vae, image_shape=(8, 8))
plt.show()

# %%
# Two losses
# ----------
# The loss has two parts, in nats per row: how badly a row can be told from its point
# (reconstruction), and how much the point tells about the row (KL). They work against each other.
# First KL is close to zero, and all digits are decoded alike; then the decoder learns to use the
# latent space. The dashed lines are those of a tenth of the rows, which is held out.

LossDisplay.from_estimator(vae)
plt.show()

# %%
# Two dimensions are few: a digit comes back as the typical one of its neighbourhood. Eight
# dimensions keep more of it.

eight = VAETransformer(
    8, likelihood="bernoulli", learning_rate=0.005, max_epochs=60, random_state=0
).fit(X)
figure, axes = plt.subplots(2, 1, figsize=(7.2, 4), layout="constrained")
for ax, model in zip(axes, (vae, eight), strict=True):
    ReconstructionDisplay.from_estimator(model, X, image_shape=(8, 8), labels=y, ax=ax)
    ax.set_title(f"{model.n_components} dimensions: bound {model.score(X):.2f} nats per row")
plt.show()

# %%
# Digits of a class
# -----------------
# With ``prior="class"`` each class has a mean of its own in the prior, learned with all the rest.
# Classes move apart; their numbers are drawn where the prior means are.

by_class = VAETransformer(
    2, prior="class", likelihood="bernoulli", learning_rate=0.005, max_epochs=100, random_state=0
).fit(X, labels=y)
LatentSpaceDisplay.from_estimator(by_class, X, labels=y)
plt.show()

# %%
# A new digit of class c is a normal draw around the mean of c, decoded. In eight dimensions there
# is room for all ten. Each column is a class.

by_class.set_params(n_components=8).fit(X, labels=y)
noise = np.random.default_rng(0).standard_normal((8, 1, 8))
drawn = by_class.inverse_transform((by_class.class_means_ + noise).reshape(-1, 8))
figure, ax = plt.subplots(figsize=(7.2, 5.8), layout="constrained")
ManifoldDisplay(decoded=drawn.reshape(8, 10, 64), image_shape=(8, 8)).plot(ax)
ax.set_xticks(range(10), by_class.classes_)
ax.set_yticks([])
ax.set(xlabel="class", ylabel="")
plt.show()
