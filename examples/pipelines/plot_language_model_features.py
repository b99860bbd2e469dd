r"""
==============================
Features from a language model
==============================

A language model needs no labels, and its state after a text can be used as features for a
classifier. With few labels, this may be better than n-gram counts, or much worse, depending on the
task. This example shows one task of each kind, on Python code.
"""

# %%
# Unlabelled code
# ---------------
# The language model is trained on modules of the standard library, character by character.

import importlib
import inspect
import io
import keyword
import tokenize

import matplotlib.pyplot as plt
import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skem import MaxEntClassifier, RNNClassifier, RNNLanguageModel
from skem.inspection import LatentSpaceDisplay


def sources(modules):
    return {name: inspect.getsource(importlib.import_module(name)) for name in modules.split()}


library = sources("calendar configparser dataclasses datetime difflib functools")
pieces = [text[i : i + 400] for text in library.values() for i in range(0, len(text), 400)]
model = RNNLanguageModel(
    hidden_size=128, dropout=0.1, learning_rate=0.02, max_epochs=3, random_state=0
).fit(pieces)
print(f"{sum(map(len, pieces)) / 1000:.0f} 000 characters")

# %%
# Two tasks
# ---------
# *What comes next?* Given 80 characters of code, of what kind is the next token: a name, a keyword,
# an operator, a number, a string, or a comment? Python's tokenizer provides the labels. The test
# uses other modules.
#
# *Where is it from?* Given 100 characters of code, which of the six modules are they from?

KINDS = {
    tokenize.NAME: "name",
    tokenize.NUMBER: "number",
    tokenize.STRING: "string",
    tokenize.OP: "operator",
    tokenize.COMMENT: "comment",
}


def next_tokens(texts, n_characters=80):
    """What is before each token, and the kind of the token."""
    for text in texts.values():
        starts = np.cumsum([0, *map(len, text.splitlines(keepends=True))])
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            end = starts[token.start[0] - 1] + token.start[1]
            if token.type in KINDS and end >= n_characters:
                kind = "keyword" if keyword.iskeyword(token.string) else KINDS[token.type]
                yield text[end - n_characters : end], kind


def some(pairs, n, seed=0):
    """As X and y, n of the pairs in random order."""
    pairs = list(pairs)
    chosen = np.random.default_rng(seed).permutation(len(pairs))[:n]
    X, y = zip(*(pairs[i] for i in chosen), strict=True)
    return list(X), np.array(y)


N_TEST, SIZES = 1000, (50, 100, 200, 500)
others = sources("csv fractions gzip heapq random shlex statistics string tempfile textwrap")
X, y = some(next_tokens(library), SIZES[-1])
X_test, y_test = some(next_tokens(others), N_TEST)

parts = [
    (text[i : i + 100], name) for name, text in library.items() for i in range(0, len(text), 100)
]
Z, module = some(parts, SIZES[-1] + N_TEST)
tasks = {
    "What comes next?": ("last", X, y, X_test, y_test),
    "Where is it from?": ("mean", Z[N_TEST:], module[N_TEST:], Z[:N_TEST], module[:N_TEST]),
}
print(repr(X[0][-30:]), "is followed by:", y[0])

# %%
# Three classifiers
# -----------------
# ``FrozenEstimator`` prevents a pipeline from refitting the language model. For the first task, the
# features are the state after the last character; for the second, the mean of all states. They are
# compared with tf-idf of character n-grams of length one to four, and with a recurrent classifier
# without pretraining. All of them learn from the same labels. For the first task, tf-idf is also
# applied to the last eight characters alone, with a marker at their end, because a bag of n-grams
# from eighty characters contains little information about order.


def tf_idf(preprocessor=None):
    vectorizer = TfidfVectorizer(
        analyzer="char",
        ngram_range=(1, 4),
        lowercase=False,
        sublinear_tf=True,
        preprocessor=preprocessor,
    )
    return make_pipeline(vectorizer, MaxEntClassifier(C=10))


def last_eight(text):
    return text[-8:] + "|end|"


scores = {}
for question, (representation, X_train, y_train, X_other, y_other) in tasks.items():
    model.set_params(representation=representation)
    classifiers = {
        "language model": make_pipeline(
            FrozenEstimator(model), StandardScaler(), MaxEntClassifier(C=0.01)
        ),
        "tf-idf": tf_idf(),
        "RNNClassifier": RNNClassifier(
            tokenizer="char",
            embedding_dim=32,
            hidden_size=64,
            pooling=representation,
            bidirectional=False,
            random_state=0,
        ),
    }
    if representation == "last":
        classifiers["tf-idf, last eight"] = tf_idf(last_eight)
    for name, classifier in classifiers.items():
        scores[question, name] = [
            classifier.fit(X_train[:n], y_train[:n]).score(X_other, y_other) for n in SIZES
        ]

styles = {
    "language model": {"color": "C0"},
    "RNNClassifier": {"color": "C1"},
    "tf-idf, last eight": {"color": "0.5", "linestyle": "--"},
    "tf-idf": {"color": "0.5"},
}
figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
for (question, name), right in scores.items():
    ax = axes[list(tasks).index(question)]
    ax.semilogx(SIZES, 100 * np.array(right), marker="o", label=name, **styles[name])
for ax, question in zip(axes, tasks, strict=True):
    ax.set_xticks(SIZES, SIZES)
    ax.minorticks_off()
    ax.set(title=question, xlabel="labelled texts")
    ax.grid(alpha=0.3)
axes[0].set_ylabel("right on the test, %")
handles, names = axes[0].get_legend_handles_labels()
figure.legend(handles, names, loc="outside lower center", ncols=4)
figure.suptitle("The features of a language model help with one task, but not with the other")
plt.show()

# %%
# To predict the next character, the model has to predict the kind of the next token. Its state
# therefore contains much of the answer, and a hundred labels are enough to extract it. The module
# of a text, on the other hand, depends on its words, which the state does not preserve as counts
# do.
#
# The states
# ----------
# The figure shows states after code from the held-out modules, projected on the two directions that
# separate the kinds best. The directions are estimated from the 500 labelled texts.

model.set_params(representation="last")
plane = make_pipeline(FrozenEstimator(model), LinearDiscriminantAnalysis(n_components=2)).fit(X, y)
display = LatentSpaceDisplay.from_estimator(plane, X_test, labels=y_test)
display.ax_.set(
    title="States of the language model, by the kind of the next token",
    xlabel="first direction",
    ylabel="second direction",
)
plt.show()

# %%
# In summary, try tf-idf first. Use the states of a language model if the order of the last tokens
# matters, and labels are few.
