r"""
========================
Digits in two dimensions
========================

A variational autoencoder puts each row somewhere in a space of few dimensions, and makes a row of
each point of that space. Here two numbers stand for the 64 pixels of a digit. The two parts of its
loss tell whether training went well, and what it looks like when it did not.
"""

# %%
# Two numbers for 64 pixels
# -------------------------
# Pixels are between 0 and 1 and are taken for chances of ink (``likelihood="bernoulli"``). The
# model sees no labels; they only colour the points.

# sphinx_gallery_thumbnail_number = 2
import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skem import VAETransformer
from skem.inspection import (
    LatentSpaceDisplay,
    LossDisplay,
    ManifoldDisplay,
    ReconstructionDisplay,
)

X, y = load_digits(return_X_y=True)
X = X / 16
common = {"likelihood": "bernoulli", "learning_rate": 0.005, "random_state": 0}
vae = VAETransformer(2, early_stopping=True, max_epochs=100, **common).fit(X)
display = LatentSpaceDisplay.from_estimator(vae, X, labels=y)
display.ax_.set_title("1797 digits where the encoder puts them")
plt.show()

# %%
# What is in between? Points of a grid, decoded. The grid is at quantiles of the prior, a standard
# normal distribution, so that each image stands for the same share of it. Digits go over into each
# other: the decoder is a continuous function.

display = ManifoldDisplay.from_estimator(vae, image_shape=(8, 8))
display.ax_.set_title("What points of the plane are decoded to")
plt.show()

# %%
# Two losses
# ----------
# The loss has two parts, in nats per row: how badly a row can be told from its point
# (reconstruction), and how much the point tells about the row (KL). They work against each other.
# First KL is close to zero, and all digits are decoded alike; then the decoder learns to use the
# latent space. The dashed lines are those of a tenth of the rows, which is held out: they go with
# the others, so nothing is learned by heart.

display = LossDisplay.from_estimator(vae)
display.figure_.suptitle("As the error falls, the plane tells more about the digits")
plt.show()

# %%
# What a collapse looks like
# --------------------------
# Both parts are sums, of 64 pixels and of 2 dimensions. A loss that takes the mean over pixels
# instead weighs KL 64 times too much. Then it is cheapest to say nothing: the posterior of every
# row is the prior. KL goes to zero and stays there, ``active_units_`` counts no dimension that
# tells rows apart, and the fit warns.

summed = VAETransformer(2, max_epochs=40, **common).fit(X)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", ConvergenceWarning)
    averaged = VAETransformer(2, kl_weight=64, max_epochs=40, **common).fit(X)
print(caught[0].message)
print(f"active units {summed.active_units_} and {averaged.active_units_}")

# %%
# The decoder now sees noise, and gives every row the mean of all rows.

figure, (ax, lower) = plt.subplots(
    2, 1, figsize=(7.2, 5.4), height_ratios=(3, 2), layout="constrained"
)
for model, color, name in (
    (summed, "C0", "sum over pixels"),
    (averaged, "C4", "mean over pixels (kl_weight=64)"),
):
    kl = [epoch["train_kl"] for epoch in model.history_]
    ax.plot(range(1, len(kl) + 1), kl, color=color)
    ax.annotate(name, (20, kl[19]), (0, -12 if color == "C0" else 6), textcoords="offset points",
                va="top" if color == "C0" else "bottom", color=color)  # fmt: skip
ax.set(xlabel="epoch", ylabel="nats per row", title="KL grows, or goes to zero: a collapse")
ReconstructionDisplay.from_estimator(averaged, X, image_shape=(8, 8), labels=y, ax=lower)
lower.set_title("The collapsed model decodes every digit alike")
plt.show()

# %%
# More dimensions
# ---------------
# Two dimensions are few: a digit comes back as the typical one of its neighbourhood. Eight
# dimensions keep more of it. Not all of them are used: a dimension that costs more KL than it
# explains is switched off, which is no fault.

eight = VAETransformer(8, max_epochs=60, **common).fit(X)
figure, axes = plt.subplots(2, 1, figsize=(7.2, 4), layout="constrained")
for ax, model in zip(axes, (vae, eight), strict=True):
    ReconstructionDisplay.from_estimator(model, X, image_shape=(8, 8), labels=y, ax=ax)
    ax.set_title(
        f"{model.n_components} dimensions, {model.active_units_} active: "
        f"bound {model.score(X):.2f} nats per row"
    )
plt.show()

# %%
# To take home: look at the KL first. It should rise after the first epochs and level out; near
# zero the model has learned nothing but the mean of the rows.
