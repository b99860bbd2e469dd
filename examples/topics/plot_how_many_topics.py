r"""
=============================
Choosing the number of topics
=============================

The number of topics is a parameter of a topic model. How many should it be? This example computes
four measures for the Python language reference: how well the model predicts words, how many topics
it uses, whether the words of a topic occur together, and whether another fit finds the same topics.
They do not agree, because they answer different questions.
"""

# %%
# Four measures
# -------------
# *Prediction* is document completion: the topic proportions of a held-out passage are inferred from
# one half of its tokens, and the other half is scored, in nats per token. *Use* is the effective
# number of topics: the number of equally frequent topics with the same entropy. *Coherence* is
# NPMI: 1 for words that always occur in the same passages, 0 for independent words. *Stability*
# compares fits to random subsets of the passages: 1 if they find the same topics.
#
# :func:`~skem.topics.completion_score` and :class:`~skem.topics.StabilityScorer` are scorers in the
# sense of scikit-learn, for `cross_validate` and `GridSearchCV`. The others can easily be written
# as scorers.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import entropy
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import KFold, cross_validate

from skem import PLSA, LatentDirichletAllocationVB
from skem.datasets import load_python_reference
from skem.topics import StabilityScorer, completion_score, topic_coherence, topic_stability

manual = load_python_reference()
counter = CountVectorizer(stop_words="english", min_df=3, token_pattern="[a-zA-Z_]{3,}")
X = counter.fit_transform(manual.data)
words = counter.get_feature_names_out()


def seen(model, rows, y=None):
    """Mean log-likelihood of tokens that the mixtures are fitted to."""
    return -np.log(model.perplexity(rows))


def used(model, rows, y=None):
    shares = np.asarray(rows.sum(axis=1)).ravel() @ model.transform(rows)
    return np.exp(entropy(shares))


def coherence(model, rows, y=None):
    return topic_coherence(model, X).mean()


numbers = np.array([2, 4, 7, 10, 15, 20, 30, 40, 60])
models = {
    "PLSA": PLSA(topic_word_prior=1.05, random_state=0),
    "LDA": LatentDirichletAllocationVB(random_state=0),
}
scorers = {"prediction": completion_score, "seen": seen, "use": used, "coherence": coherence}
folds = KFold(3, shuffle=True, random_state=0)
stability = StabilityScorer(n_fits=3, random_state=0)
scores = {}
for name, model in models.items():
    results = []
    for n_topics in numbers:
        model.set_params(n_components=n_topics)
        result = cross_validate(model, X, scoring=scorers, cv=folds, return_train_score=True)
        results.append(result | {"stability": [stability(model, X)]})
    scores[name] = {key: np.array([result[key] for result in results]) for key in results[0]}

# %%
# The error bars are standard errors of the means over three folds.

panels = (
    ("test_prediction", "nats per token", "Prediction (dashed: of tokens that are seen)"),
    ("train_use", "topics", "Use (grey: number of topics)"),
    ("train_coherence", "NPMI", "Coherence of the ten most probable words"),
    ("stability", "similarity", "Stability"),
)
figure, axes = plt.subplots(2, 2, figsize=(9, 7), sharex=True, layout="constrained")
axes[0, 1].plot(numbers, numbers, color="0.7", linewidth=1)
for ax, (key, unit, title) in zip(axes.flat, panels, strict=True):
    for color, (name, measured) in zip(("C1", "C0"), scores.items(), strict=True):
        values = measured[key]
        error = values.std(axis=1) / np.sqrt(max(1, values.shape[1] - 1))
        ax.errorbar(numbers, values.mean(axis=1), error, fmt=".-", color=color, label=name)
        if key == "test_prediction":
            ax.plot(numbers, measured["train_seen"].mean(axis=1), "--", color=color)
    ax.set(xscale="log", ylabel=unit, title=title)
for ax in axes[1]:
    ax.set_xlabel("number of topics")
    ax.set_xticks(numbers, numbers)
    ax.minorticks_off()
axes[0, 1].legend()
plt.show()

# %%
# Results
# -------
# PLSA predicts observed tokens better with every additional topic, which says nothing about new
# text. The *prediction* of unobserved tokens improves less and less: PLSA still improves slightly
# at the largest number, LDA hardly at all beyond thirty.

for name, measured in scores.items():
    gains = np.diff(measured["test_prediction"].mean(axis=1))
    print(f"{name}: from 4 to 7 topics {gains[1]:+.3f} nats per token,", end=" ")
    print(f"from 30 to 40 {gains[-2]:+.3f}, from 40 to 60 {gains[-1]:+.3f}")

# %%
# *Use*: LDA learns the prior of the topic proportions, so topics may remain empty. Of sixty topics,
# it uses fewer than forty, while PLSA uses nearly all. *Coherence* rises up to ten or fifteen
# topics, and not beyond.
#
# *Stability* falls for PLSA: many topics can be divided in many ways. That it rises for LDA is not
# a good sign. Topics with few tokens are determined mainly by the prior, which is the same for all
# of them. Any two topics of two fits then become similar, whether they match or not:

for n_topics in (20, 60):
    lda = models["LDA"].set_params(n_components=n_topics)
    one, two = (lda.set_params(random_state=seed).fit(X).components_ for seed in (0, 1))
    similarities = 1 - np.sqrt(np.maximum(1 - np.sqrt(one) @ np.sqrt(two).T, 0))
    print(f"{n_topics} topics: mean similarity of any two {similarities.mean():.2f}")

# %%
# Topic by topic
# --------------
# An overall number hides that some topics are stable and others are not.
# :func:`~skem.topics.topic_stability` fits the model from several seeds, and reports how well the
# other fits reproduce each topic of the most typical fit.

model = LatentDirichletAllocationVB(10)
result = topic_stability(model, X, n_fits=6, random_state=0)
order = result.topic_similarities.argsort()
typical = result.best_estimator_.components_
labels = [", ".join(words[typical[z].argsort()[:-5:-1]]) for z in order]

figure, ax = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
bars = ax.barh(labels, result.topic_similarities[order], color="C0")
ax.bar_label(bars, fmt="%.2f", padding=3)
ax.set(xlim=(0, 1), xlabel="similarity to the topic's match in other fits (1: the same)")
ax.set_title("Ten topics of LDA, and their stability")
plt.show()

# %%
# Summary
# -------
# For features or for prediction, use document completion, which suggests thirty topics or more in
# this example. For topics that people read, use fewer: the number at which coherence stops rising,
# here ten or fifteen, and rely on the stable ones. No measure has a peak that would indicate a true
# number.
