"""
======================================
Semi-supervised learning with mixtures
======================================

Labels are often expensive, while unlabelled rows are not. A mixture learns from both: labelled rows
show where the classes are, and all other rows show their shapes. With two labelled wines per
grower, the mixture identifies the growers. Two other data sets follow: one for which it needs more
labels, and one for which labels help little, because its components do not correspond to the
classes.
"""

# %%
# Six labels
# ----------
# The data are wines from three growers, in thirteen columns. Suppose that the grower of two wines
# of each is known. ``labels`` contains the component of each row, or -1 where it is not known. The
# labels thus also determine the order of the components: component 0 is grower 0.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from skem import GaussianMixtureEM
from skem.inspection import MixtureDisplay


def some_labels(y, per_class, rng):
    """The labels of that many rows of each class, -1 for all others."""
    labels = np.full(len(y), -1)
    for k in np.unique(y):
        known = rng.choice(np.flatnonzero(y == k), per_class, replace=False)
        labels[known] = k
    return labels


wine = load_wine(as_frame=True)
X, y = wine.data, wine.target.to_numpy()
labels = some_labels(y, 2, np.random.default_rng(0))
mixture = GaussianMixtureEM(3, covariance_type="tied", tol=1e-6, max_iter=1000, random_state=0)
mixture.fit(X, labels=labels)
unknown = labels < 0
right = mixture.predict(X)[unknown] == y[unknown]
print(f"{right.sum()} of the {unknown.sum()} other wines are given to their grower")

# %%
# The figure shows two of the thirteen columns, with the given labels on the left and the fitted
# components on the right. The fit uses all columns, so it can separate wines that overlap in these
# two.

columns = ["flavanoids", "color_intensity"]
figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), sharex=True, sharey=True, layout="constrained")
axes[0].scatter(*X.loc[unknown, columns].to_numpy().T, s=16, c="0.75", label="not known")
for k in range(3):
    known = X.loc[labels == k, columns].to_numpy()
    axes[0].scatter(*known.T, s=70, c=f"C{k}", edgecolors="black", label=f"grower {k}")
axes[0].set(xlabel=columns[0], ylabel=columns[1], title="Wines, six of them labelled")
axes[0].legend()
MixtureDisplay.from_estimator(mixture, X, columns=columns, ax=axes[1])
axes[1].set(ylabel="", title="Fitted components")
plt.show()

# %%
# The number of labels
# --------------------
# Half of the rows are held out. In the other half, a few rows have labels, at least one per class.
# Three methods are compared: the mixture, which uses all rows of this half; logistic regression,
# which uses only the labelled rows; and label spreading, which uses all rows and propagates labels
# to neighbours. The fourth result is that of the mixture without labels, with its components
# optimally matched to the classes, which shows what the clusters alone achieve.
#
# The data sets are the wines; handwritten digits, as 16 principal components of their pixels; and
# benign and malignant tumours. The accuracy is the mean over six random splits.

from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading

problems = {
    "wine, 3 growers": (load_wine, StandardScaler(), "tied", [1, 2, 4, 8, 16]),
    "digits, 10 classes": (load_digits, PCA(16, random_state=0), "full", [1, 2, 4, 8, 16, 32]),
    "tumours, 2 classes": (load_breast_cancer, StandardScaler(), "full", [1, 2, 4, 8, 16, 32, 64]),
}
n_divisions = 6


def accuracies(load, columns, covariance_type, sizes):
    """Accuracy on held-out rows by name, of shape (n_divisions, n_sizes)."""
    X, y = load(return_X_y=True)
    mixture = GaussianMixtureEM(
        y.max() + 1, covariance_type=covariance_type, max_iter=1000, random_state=0
    )
    logistic = LogisticRegression(max_iter=1000)
    spreading = LabelSpreading(kernel="knn", n_neighbors=7)
    names = ("mixture", "mixture without labels", "label spreading", "logistic regression")
    found = {name: np.zeros((n_divisions, len(sizes))) for name in names}
    for i in range(n_divisions):
        train, test, y_train, y_test = train_test_split(X, y, train_size=0.5, random_state=i)
        train, test = columns.fit_transform(train), columns.transform(test)
        table = confusion_matrix(y_test, mixture.fit(train).predict(test))
        best = linear_sum_assignment(table, maximize=True)
        found["mixture without labels"][i] = table[best].sum() / len(test)
        for j, size in enumerate(sizes):
            labels = some_labels(y_train, size, np.random.default_rng(i))
            known = labels >= 0
            mixture.fit(train, labels=labels)
            found["mixture"][i, j] = np.mean(mixture.predict(test) == y_test)
            with np.errstate(invalid="ignore"):  # for rows that no label reaches
                found["label spreading"][i, j] = spreading.fit(train, labels).score(test, y_test)
            logistic.fit(train[known], labels[known])
            found["logistic regression"][i, j] = logistic.score(test, y_test)
    return found


results = {title: accuracies(*problem) for title, problem in problems.items()}
for title, found in results.items():
    sizes = problems[title][-1]
    print(f"{title + ', labels per class':<38}" + "".join(f"{size:6}" for size in sizes))
    for name, values in found.items():
        print(f"    {name:<34}" + "".join(f"{v:6.2f}" for v in values.mean(axis=0)))

# %%
# The shaded band extends from the mixture's lowest to its highest accuracy in the six splits.

styles = {
    "mixture": {"color": "C0", "marker": "o", "linewidth": 2},
    "mixture without labels": {"color": "C0", "linestyle": ":"},
    "label spreading": {"color": "0.5", "marker": "^", "linestyle": "--"},
    "logistic regression": {"color": "0.5", "marker": "s", "markersize": 4},
}
figure, axes = plt.subplots(1, 3, figsize=(9.6, 4), sharey=True, layout="constrained")
for ax, (title, found) in zip(axes, results.items(), strict=True):
    sizes = problems[title][-1]
    for name, values in found.items():
        ax.plot(sizes, values.mean(axis=0), label=name, **styles[name])
    low, high = found["mixture"].min(axis=0), found["mixture"].max(axis=0)
    ax.fill_between(sizes, low, high, color="C0", alpha=0.15, linewidth=0)
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, sizes)
    ax.set(title=title, xlabel="labelled rows per class")
axes[0].set_ylabel("accuracy on held-out rows")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
plt.show()

# %%
# Summary
# -------
# * Wine: the clusters correspond to the growers, and the mixture finds them without labels. Labels
#   only identify them, for which one per grower is enough.
# * Digits: without labels, a quarter of the rows is misclassified. With eight labels per class, the
#   mixture is as good as logistic regression with 32. From two labels per class on, label spreading
#   is slightly better, because digits resemble their neighbours, and the classes are not quite
#   elliptical.
# * Tumours: the classes are not normally distributed. The mixture has an accuracy of 0.9 with few
#   labels, but does not exceed 0.94, because the many unlabelled rows outweigh the labelled ones.
#   With 64 labels per class, logistic regression is better.
#
# So a mixture is a good first choice with few labels. Compare it with a model of the labelled rows
# alone as soon as there are enough of them to hold some out.
