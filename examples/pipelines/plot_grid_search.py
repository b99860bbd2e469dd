r"""
============================================
Grid searches over different kinds of models
============================================

All models of skem are scikit-learn estimators, so a grid search can choose between models in the
same way as between parameters. In this example, it first chooses the step before a classifier from
five kinds, each with its own parameters, and then a density from mixtures and autoencoders, without
labels.
"""

# %%
# Choosing features
# -----------------
# A linear classifier recognises digits. Between the pixels and the classifier, there may be a step
# that computes features without using the labels. Topic models and autoencoders are already
# transformers. A mixture becomes one if the posterior probabilities of its components are used as
# features.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import TransformerMixin
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, train_test_split
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skem import PLSA, GaussianMixtureEM, MaxEntClassifier, VAETransformer


class MixtureFeatures(TransformerMixin, GaussianMixtureEM):
    """The probabilities of the components as features."""

    def transform(self, X):
        return self.predict_proba(X)


X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0, stratify=y)

mixture = MixtureFeatures(covariance_type="tied_spherical", max_iter=500, random_state=0)
vae = VAETransformer(
    likelihood="bernoulli", kl_weight=0.1, learning_rate=0.005, max_epochs=30, random_state=0
)
both = FeatureUnion([("pixels", "passthrough"), ("mixture", mixture)])
kinds = {
    "pixels": ("passthrough", {}),
    "PCA": (PCA(), {"n_components": [8, 16, 32]}),
    "PLSA": (PLSA(random_state=0), {"n_components": [20, 40]}),
    "autoencoder": (vae, {"n_components": [8, 16]}),
    "mixture": (mixture, {"n_components": [40, 160]}),
    "pixels and mixture": (both, {"mixture__n_components": [40, 160]}),
}

# %%
# A step is a parameter of its pipeline, and a grid may be a list of grids. The scores are held-out
# log losses in three folds, in nats per row.

pipeline = Pipeline([("features", "passthrough"), ("classify", MaxEntClassifier())])
grid = [
    {"features": [step], "classify__C": [10, 100]}
    | {f"features__{name}": values for name, values in parameters.items()}
    for step, parameters in kinds.values()
]
folds = StratifiedKFold(3, shuffle=True, random_state=0)
search = GridSearchCV(pipeline, grid, scoring="neg_log_loss", cv=folds).fit(X_train, y_train)
print(len(search.cv_results_["params"]), "candidates")

loss = -search.cv_results_["mean_test_score"]
error = search.cv_results_["std_test_score"] / np.sqrt(folds.n_splits)
candidates = search.cv_results_["params"]
figure, ax = plt.subplots(figsize=(8.5, 4.4), layout="constrained")
for row, (kind, (step, _)) in enumerate(kinds.items()):
    mine = [i for i, candidate in enumerate(candidates) if candidate["features"] == step]
    best = min(mine, key=lambda i: loss[i])
    color = "0.5" if kind in ("pixels", "PCA") else "C0"
    ax.plot(loss[mine], [row] * len(mine), "o", color=color, fillstyle="none")
    ax.errorbar(loss[best], row, xerr=error[best], fmt="o", color=color)
    sizes = [str(value) for name, value in candidates[best].items() if "n_comp" in name]
    label = ", ".join([*sizes, f"C={candidates[best]['classify__C']}"])
    ax.annotate(label, (loss[best], row), (0, 7), textcoords="offset points", color=color)
ax.set_yticks(range(len(kinds)), kinds)
ax.set(xscale="log", ylim=(len(kinds) - 0.5, -0.7), xlabel="held-out log loss (nats per row)")
ax.set_xticks([0.1, 0.2, 0.4], ["0.1", "0.2", "0.4"])
ax.xaxis.set_minor_formatter("")
ax.set_title("Candidates by kind, the best of each filled")
plt.show()

# %%
# The numbers in the figure are the numbers of components, topics or dimensions of the best model of
# each kind. By themselves, no features are better than the pixels. But added to the pixels, the
# components of a mixture help, with all parameters in the grid. They represent ways to write a
# digit, which a linear function of the pixels cannot.
#
# The digits that were set aside show how good the choice is. The predicted probabilities are
# better; the number of correctly classified digits is about the same.

plain = make_pipeline(MaxEntClassifier(C=10)).fit(X_train, y_train)
for name, model in (("pixels alone", plain), ("best", search)):
    probabilities = model.predict_proba(X_test)
    accuracy = np.mean(model.classes_[probabilities.argmax(axis=1)] == y_test)
    print(f"{name:13} accuracy {accuracy:.3f}, log loss {log_loss(y_test, probabilities):.3f}")

# %%
# Choosing a density
# ------------------
# Without labels, ``score`` is the mean log density of held-out rows, in nats per row, which allows
# comparisons of different density models on the same rows. For an autoencoder it is a lower bound.
# The wine data set is small: it has 178 rows of 13 columns, and a full covariance has 91 parameters
# for each component. The columns are scaled to a standard deviation of one, and ``reg_covar`` adds
# a variance of 0.01.

wine = load_wine().data
density = Pipeline([("scale", StandardScaler()), ("density", GaussianMixtureEM())])
shapes = ["full", "tied", "diag", "spherical"]
grid = [
    {
        "density": [GaussianMixtureEM(reg_covar=0.01, max_iter=500, random_state=0)],
        "density__n_components": [1, 2, 3, 4, 5, 6, 8],
        "density__covariance_type": shapes,
    },
    {
        "density": [VAETransformer(learning_rate=0.005, random_state=0)],
        "density__n_components": [2, 4, 8],
        "density__max_epochs": [60],
    },
]
search = GridSearchCV(density, grid, cv=KFold(5, shuffle=True, random_state=0)).fit(wine)

figure, ax = plt.subplots(figsize=(8, 4.6), layout="constrained")
results = search.cv_results_
for shape, color in zip([*shapes, None], ("C0", "C1", "C2", "C3", "C4"), strict=True):
    mine = [
        i
        for i, candidate in enumerate(results["params"])
        if candidate.get("density__covariance_type") == shape
    ]
    sizes = [results["params"][i]["density__n_components"] for i in mine]
    error = results["std_test_score"][mine] / np.sqrt(5)
    label = f"mixture, {shape}" if shape else "autoencoder (bound)"
    ax.errorbar(
        sizes, results["mean_test_score"][mine], error,
        fmt=".-" if shape else ".--", color=color, label=label, elinewidth=0.8,
    )  # fmt: skip
ax.set(xlabel="components, or dimensions of the latent space", ylim=(-19.5, -13.6))
ax.set(ylabel="held-out log density (nats per row)", title="Densities of wines")
ax.legend()
plt.show()

for parameters, score in zip(results["params"], results["mean_test_score"], strict=True):
    if score > search.best_score_ - 0.25:
        kind = parameters.get("density__covariance_type", "autoencoder")
        print(f"{kind:12} {parameters['density__n_components']}   {score:.2f} nats per row")

# %%
# The list contains all models within a quarter of a nat of the best. The best mixture has three
# components, as there are three growers, which the fit does not know. The best autoencoder is as
# good. The error bars are standard errors over five folds; the data do not decide between the
# kinds. The score of eight components with full covariances (839 parameters fitted to 142 rows) is
# below the plotted range.
#
# Summary
# -------
# A step of a pipeline is a parameter like any other, and a list of grids gives each kind of step
# its own parameters. With labels, use a proper score to compare features; without labels, ``score``
# compares densities. Set rows aside to evaluate the choice, and look at the standard errors before
# relying on it.
