r"""
====================================
Anomaly detection with log-densities
====================================

A model of ordinary rows assigns a log-density, in nats, to each new row: the lower it is, the more
unusual the row. In this example, a mixture is fitted to nine digits and scores the tenth, and is
then fitted to benign tumours and scores malignant ones. For digits it is far better than an
isolation forest, for tumours it is not.
"""

# %%
# A digit that was not in the training data
# -----------------------------------------
# The data are handwritten digits, as 16 principal components of their pixels. The mixture is fitted
# to all digits except 8, without their labels. A third of these ordinary digits is held out.

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import entr
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skem import GaussianMixtureEM, VAETransformer

X, y = load_digits(return_X_y=True)
X = X / 16


def all_but(digit):
    """Rows to fit, ordinary rows held out, rows of the digit."""
    fitted, held_out = train_test_split(X[y != digit], test_size=1 / 3, random_state=0)
    return fitted, held_out, X[y == digit]


mixture = make_pipeline(
    PCA(16, random_state=0), GaussianMixtureEM(15, max_iter=1000, random_state=0)
)
fitted, held_out, eights = all_but(8)
mixture.fit(fitted)
scores = [mixture.score_samples(rows) for rows in (fitted, held_out, eights)]
names = ["in the fit", "held out", "digit 8"]
colors = ["0.75", "C0", "C4"]

_, ax = plt.subplots(figsize=(7.2, 4), layout="constrained")
edges = np.arange(-66, 25, 1.5)
for score, name, color in zip(scores, names, colors, strict=True):
    ax.hist(score, edges, density=True, color=color, alpha=0.6, label=name)
    print(f"{name:<12} median {np.median(score):6.1f} nats, lowest {score.min():6.1f}")
ax.set(xlabel="log-density (nats per row)", ylabel="share of rows per nat")
ax.set_title("Log-densities of digits (fitted without the digit 8)")
ax.legend(loc="upper left")
plt.show()

# %%
# Choosing a threshold
# --------------------
# Training rows have a higher density than new rows of the same kind, because the mixture was fitted
# to them. A threshold at the lowest 5 % of the training scores would therefore flag far more than 5
# % of ordinary digits. The threshold must be chosen on held-out rows.

for name, score in zip(names[:2], scores[:2], strict=True):
    line = np.quantile(score, 0.05)
    print(f"alarm below {line:.1f} nats, the lowest 5 % of rows {name}:")
    print(f"    {100 * np.mean(scores[1] < line):.0f} % of ordinary digits that are held out")
    print(f"    {100 * np.mean(scores[2] < line):.0f} % of eights")

# %%
# The upper row shows the ordinary digits with the lowest log-densities, the lower row the eights
# with the highest.

figure = plt.figure(figsize=(8.4, 3.8), layout="constrained")
for part, title, rows, score, sign in zip(
    figure.subfigures(2),
    ("Ordinary digits, held out: the lowest log-densities", "Eights: the highest log-densities"),
    (held_out, eights),
    scores[1:],
    (1, -1),
    strict=True,
):
    part.suptitle(title)
    for ax, i in zip(part.subplots(1, 8), np.argsort(sign * score)[:8], strict=True):
        ax.imshow(rows[i].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set_title(f"{score[i]:.0f}".replace("-", "\N{MINUS SIGN}"), fontsize=10)
        ax.set_axis_off()
plt.show()

# %%
# Each digit in turn
# ------------------
# The area under the ROC curve is the probability that a row of the new digit has a lower score than
# an ordinary one. The mixture is compared with scikit-learn's isolation forest and local outlier
# factor, and with the importance-weighted bound on the log-density of a variational autoencoder.

models = {
    "mixture": mixture,
    "variational autoencoder": VAETransformer(
        8, likelihood="bernoulli", learning_rate=0.005, max_epochs=20, random_state=0
    ),
    "local outlier factor": LocalOutlierFactor(novelty=True),
    "isolation forest": IsolationForest(random_state=0),
}
area = {name: [] for name in models}
for digit in range(10):
    fitted, held_out, new = all_but(digit)
    is_new = np.repeat([0, 1], [len(held_out), len(new)])
    rows = np.concatenate([held_out, new])
    for name, model in models.items():
        area[name].append(roc_auc_score(is_new, -model.fit(fitted).score_samples(rows)))
for name, values in area.items():
    print(f"{name:<24} mean {np.mean(values):.3f}, lowest {np.min(values):.3f}")

# %%

styles = {
    "mixture": {"color": "C0", "marker": "o"},
    "variational autoencoder": {"color": "C1", "marker": "D"},
    "local outlier factor": {"color": "0.5", "marker": "^"},
    "isolation forest": {"color": "0.5", "marker": "s", "markerfacecolor": "white"},
}
_, ax = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
ax.axhline(0.5, color="0.8", linewidth=1)
for name, values in area.items():
    ax.plot(values, linestyle=":", label=name, **styles[name])
ax.set_xticks(range(10))
ax.set(xlabel="digit left out of the fit", ylabel="area under the ROC curve", ylim=(0.27, 1.03))
ax.set_title("Detection of the digit that was left out")
ax.legend(loc="lower center", ncols=2)
plt.show()

# %%
# For the digit 1, the autoencoder is no better than chance. Its likelihood treats a pixel as a
# probability of ink, so a grey pixel lowers the score however well it is predicted, and the digit 1
# has the fewest grey pixels. Densities are high for simple rows, which are not always ordinary
# ones.

grey = (entr(X) + entr(1 - X)).sum(axis=1)
for digit in (0, 1, 8):
    print(f"grey pixels of a {digit}: {grey[y == digit].mean():.1f} nats")

# %%
# Tumours
# -------
# The models are fitted to thirty columns of benign tumours, and then score malignant ones. In the
# second column of the table, a fifth of all values is missing, both in training and in testing; all
# these models accept missing values. The areas are means over four random splits.

X, y = load_breast_cancer(return_X_y=True)
models = {
    "one normal distribution": make_pipeline(StandardScaler(), GaussianMixtureEM(1)),
    "mixture of two, tied": make_pipeline(
        StandardScaler(), GaussianMixtureEM(2, covariance_type="tied", random_state=0)
    ),
    "isolation forest": IsolationForest(random_state=0),
}
print(f"{'missing values':<26}  none   20 %")
for name, model in models.items():
    areas = np.zeros((4, 2))
    for i in range(4):
        holes = np.random.default_rng(i).random(X.shape) < 0.2
        for j, rows in enumerate((X, np.where(holes, np.nan, X))):
            fitted, held_out = train_test_split(rows[y == 1], test_size=1 / 3, random_state=i)
            is_new = np.repeat([0, 1], [len(held_out), np.sum(y == 0)])
            new = np.concatenate([held_out, rows[y == 0]])
            areas[i, j] = roc_auc_score(is_new, -model.fit(fitted).score_samples(new))
    print(f"{name:<26}" + "".join(f"{area:7.3f}" for area in areas.mean(axis=0)))

# %%
# Rows with many missing values
# -----------------------------
# The density of a row with missing columns is a density of fewer variables, on another scale. A
# threshold that was set for complete rows (here the lowest tenth of the held-out benign ones)
# misses most tumours of which only five columns are known. The tail probability, which is the
# probability that a row drawn from the mixture and observed in the same columns has no higher
# density, is on the same scale for all rows.

fitted, held_out = train_test_split(X[y == 1], test_size=1 / 3, random_state=0)
units = StandardScaler().fit(fitted)
normal = GaussianMixtureEM(1).fit(units.transform(fitted))
line = np.quantile(normal.score_samples(units.transform(held_out)), 0.1)
tail_line = np.quantile(normal.tail_probability(units.transform(held_out), random_state=0), 0.1)
print("alarms, in %    by log-density     by tail probability")
print("columns known   benign malignant   benign malignant")
for known in (30, 10, 5):
    shares = []
    for rows in (held_out, X[y == 0]):
        hidden = np.random.default_rng(0).random(rows.shape).argsort(axis=1) >= known
        rows = units.transform(np.where(hidden, np.nan, rows))
        tail = normal.tail_probability(rows, random_state=0)
        shares.append([np.mean(normal.score_samples(rows) < line), np.mean(tail < tail_line)])
    (a, b), (c, d) = 100 * np.array(shares)
    print(f"{known:<16}{a:6.0f}{c:10.0f}{b:9.0f}{d:10.0f}")

# %%
# Summary
# -------
# * If ordinary rows form several clusters, as digits do, a mixture recognises rows between the
#   clusters; a forest that splits one column at a time does not. Benign tumours form a single
#   cluster: one normal distribution is as good as the mixture, and the forest is as good as either.
# * The local outlier factor is almost as good on digits, but does not accept missing values.
# * If rows have different missing columns, compare tail probabilities, not log densities.
# * Choose the threshold on held-out rows, and evaluate a score on some anomalies of the kind that
#   it has to find.
