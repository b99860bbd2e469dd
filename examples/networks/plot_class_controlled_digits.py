r"""
==============================
Class-conditional autoencoders
==============================

With labels, a variational autoencoder can draw rows of a given class, and its latent space
represents the remaining variation: the style in which a digit is written. So one can change the
digit and keep its style.
"""

# %%
# Class-dependent prior means
# ---------------------------
# With ``prior="class"``, the prior has a separate mean for each class, learned together with the
# other parameters. The classes move apart; the digits in the figure mark the prior means.

# sphinx_gallery_thumbnail_number = 3
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skem import MaxEntClassifier, VAETransformer
from skem.inspection import LatentSpaceDisplay, ManifoldDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)
common = {
    "likelihood": "bernoulli",
    "learning_rate": 0.005,
    "max_epochs": 100,
    "random_state": 0,
}
plane = VAETransformer(2, prior="class", **common).fit(X_train, labels=y_train)
display = LatentSpaceDisplay.from_estimator(plane, X_test, labels=y_test)
display.ax_.set_title("Held-out digits, and the prior mean of each class")
plt.show()

# %%
# The encoder does not use the labels of these digits.
#
# Sampling from a class
# ---------------------
# A new digit of class c is obtained by decoding a normal draw around the prior mean of c. Eight
# latent dimensions can represent more variation than two. Within each row of the figure, the noise
# is the same for all ten digits.

vae = VAETransformer(8, prior="class", **common).fit(X_train, labels=y_train)
noise = np.random.default_rng(0).standard_normal((100, 1, 8))
drawn = vae.inverse_transform((vae.class_means_ + noise).reshape(-1, 8))


def show_by_class(images, title, classes):
    """Images of shape (n_rows, n_columns, 64), the names of classes below them."""
    n_rows, n_columns, _ = images.shape
    _, ax = plt.subplots(figsize=(7.2, 0.68 * n_rows + 0.9), layout="constrained")
    ManifoldDisplay(decoded=images[::-1], image_shape=(8, 8)).plot(ax)
    ax.set_xticks(range(n_columns), classes)
    ax.set_yticks([])
    ax.set(xlabel="class", ylabel="", title=title)
    return ax


show_by_class(drawn.reshape(100, 10, 64)[:7], "New digits of each class", vae.classes_)
plt.show()

# %%
# A classifier that was trained on real digits checks whether the draws have the requested class.

judge = MaxEntClassifier().fit(X_train, y_train)
right = judge.predict(drawn) == np.tile(vae.classes_, 100)
print(f"real digits, held out: {judge.score(X_test, y_test):.1%} are read as their class")
print(f"drawn digits:          {right.mean():.1%} are read as the class asked for")

# %%
# Changing the digit and keeping the style
# ----------------------------------------
# Encode a digit, subtract the mean of its class, add the mean of another class, and decode.

style = vae.transform(X_test) - vae.class_means_[y_test]
changed = vae.inverse_transform((style[:, None] + vae.class_means_).reshape(-1, 8))
changed = changed.reshape(-1, 10, 64)

# %%
# What is preserved? Some properties of a digit can be computed from its pixels, for example its
# slant. The figure shows six digits of the test set, ordered by their slant relative to their
# class, from left to right:

row, column = np.mgrid[:8, :8].reshape(2, -1)


def properties(images):
    """Moments of the places that have ink, of images of shape (..., 64)."""
    ink = images / images.sum(axis=-1, keepdims=True)
    x, y = ink @ column, ink @ row
    dx, dy = column - x[..., None], y[..., None] - row
    return {
        "place, across": x,
        "place, up and down": y,
        "slant": (ink * dx * dy).sum(-1) / (ink * dy**2).sum(-1),
        "width": (ink * dx**2).sum(-1) ** 0.5,
        "height": (ink * dy**2).sum(-1) ** 0.5,
        "amount of ink": images.sum(-1),
    }


given, became = properties(X_test), properties(changed)
slant = given["slant"] - [given["slant"][y_test == c].mean() for c in y_test]
rows = np.argsort(slant)[np.linspace(0, len(slant) - 1, 6).astype(int)]
images = np.concatenate([X_test[rows, None], changed[rows]], axis=1)
title = "Digits of the test set (left), rewritten as others"
ax = show_by_class(images, title, ["given", *vae.classes_])
ax.axvline(0.5, color="C4", linewidth=2)
plt.show()

# %%
# The next lines correlate each property of the original digits with that of the transformed ones.
# Correlations are computed within each pair of classes, so that differences between classes (a one
# is narrower than a zero) do not contribute.

correlation = {
    name: np.mean(
        [
            np.corrcoef(values[y_test == c], became[name][y_test == c, other])[0, 1]
            for c in range(10)
            for other in range(10)
            if c != other
        ]
    )
    for name, values in given.items()
}
figure, ax = plt.subplots(figsize=(7.2, 3), layout="constrained")
bars = ax.barh(list(correlation), list(correlation.values()), color="C0")
ax.bar_label(bars, fmt="%.2f", padding=3)
ax.invert_yaxis()
ax.set(xlim=(0, 1), xlabel="correlation of the given digit with the rewritten one")
ax.set_title("Place and slant are kept, the amount of ink is not")
plt.show()

# %%
# Two dimensions of style
# -----------------------
# With ``conditional=True``, the label is an input of the encoder and the decoder. The two
# dimensions can then represent the variation that the label does not explain. The first dimension
# changes the slant in all three classes.

styles = VAETransformer(2, conditional=True, **common).fit(X_train, labels=y_train)
figure, axes = plt.subplots(1, 3, figsize=(9, 3.6), layout="constrained")
for ax, label in zip(axes, (2, 7, 9), strict=True):
    ManifoldDisplay.from_estimator(styles, label=label, n=5, image_shape=(8, 8), ax=ax)
    ax.set_title(f"label {label}")
figure.suptitle("The same two latent dimensions, for three classes")
plt.show()

# %%
# Nearly all of its draws have the requested class. But every call needs labels, including
# ``transform``. In summary:

asked = np.tile(styles.classes_, 100)
drawn = styles.inverse_transform(noise[..., :2].repeat(10, axis=1).reshape(-1, 2), labels=asked)
print(f"drawn digits: {np.mean(judge.predict(drawn) == asked):.1%} are read as the class asked for")

# %%
# * use ``prior="class"`` if the classes should be separated in the latent space, and if rows
#   without labels are to be encoded;
# * use ``conditional=True`` if labels are always known, and z should represent only the remaining
#   variation.
