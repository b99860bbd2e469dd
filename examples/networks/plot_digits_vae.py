r"""
===================================
A variational autoencoder of digits
===================================

A variational autoencoder maps each row to a point in a space of few dimensions, and each point of
this space to a row. Here two numbers represent the 64 pixels of a digit. The two parts of the loss
show whether training succeeded, and how failures look.
"""

# %%
# Two latent dimensions
# ---------------------
# Pixels are between 0 and 1 and are treated as probabilities of ink (``likelihood="bernoulli"``).
# The model does not use the labels; they only colour the points.

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
display.ax_.set_title("Posterior means of 1797 digits")
plt.show()

# %%
# The next figure shows the decoded points of a grid. The grid consists of quantiles of the prior, a
# standard normal distribution, so that each image represents the same share of it. Digits change
# gradually into each other, because the decoder is a continuous function.

display = ManifoldDisplay.from_estimator(vae, image_shape=(8, 8))
display.ax_.set_title("Decoded points of the latent space")
plt.show()

# %%
# The two parts of the loss
# -------------------------
# The loss has two parts, in nats per row: how badly the decoder predicts a row from its point
# (reconstruction), and how much information the point has about the row (KL). There is a trade-off
# between them. At first KL is close to zero, and all points are decoded to the same image; then the
# decoder learns to use the latent space. The dashed lines are for the tenth of the rows that is
# held out: they follow the solid lines, so there is no overfitting.

display = LossDisplay.from_estimator(vae)
display.figure_.suptitle("Reconstruction error and KL over the epochs")
plt.show()

# %%
# Posterior collapse
# ------------------
# Both parts are sums, over 64 pixels and over 2 dimensions. A loss that averages over the pixels
# instead gives KL 64 times too much weight. The optimum is then to encode nothing: the posterior of
# every row is the prior. KL tends to zero and stays there, ``active_units_`` is zero, and the fit
# issues a warning.

summed = VAETransformer(2, max_epochs=40, **common).fit(X)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", ConvergenceWarning)
    averaged = VAETransformer(2, kl_weight=64, max_epochs=40, **common).fit(X)
print(caught[0].message)
print(f"active units {summed.active_units_} and {averaged.active_units_}")

# %%
# The input of the decoder is now noise, and it decodes every row to the mean of all rows.

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
ax.set(xlabel="epoch", ylabel="nats per row", title="KL grows, or tends to zero (collapse)")
ReconstructionDisplay.from_estimator(averaged, X, image_shape=(8, 8), labels=y, ax=lower)
lower.set_title("The collapsed model decodes every digit to the mean")
plt.show()

# %%
# More dimensions
# ---------------
# With only two dimensions, a digit is reconstructed as a typical one of its neighbourhood. Eight
# dimensions preserve more detail. Not all of them are used: a dimension that increases KL by more
# than it reduces the reconstruction loss becomes inactive, which is not a failure.

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
# In summary, check KL first. It should rise after the first epochs and then level off; if it stays
# close to zero, the model has learned only the mean of the rows.
