r"""
============================
Tagging names in Python code
============================

Which words of Python code, without punctuation and indentation, are variables, arguments,
attributes or classes? A recurrent tagger learns this from modules of the standard library. In other
modules, it can predict the tags even of words that did not occur in training, from their letters
and their context.
"""

# %%
# Words and their tags
# --------------------
# Python's parser determines what each name is, so the modules of the standard library provide
# labelled text. A document is a function, including everything inside it.

# sphinx_gallery_thumbnail_number = 3
import ast
import builtins
import importlib
import inspect
import io
import keyword
import tokenize
from collections import Counter, defaultdict
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction import DictVectorizer
from sklearn.metrics import ConfusionMatrixDisplay

from skem import MaxEntClassifier, RNNTagger

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def kind_of_name(name, module):
    """What a name that is not an argument refers to."""
    value = getattr(module, name, getattr(builtins, name, None))
    if inspect.ismodule(value) or inspect.isclass(value):
        return "module" if inspect.ismodule(value) else "class"
    return "function" if callable(value) else "variable"


def kinds(node, module, bound):
    """Line, column and kind of each name below a node of the syntax tree."""
    if isinstance(node, (*FUNCTIONS, ast.Lambda)):
        own = [child for child in ast.walk(node.args) if isinstance(child, ast.arg)]
        bound = bound | {child.arg: "argument" for child in own}
    if isinstance(node, ast.Name):
        kind = bound.get(node.id) or kind_of_name(node.id, module)
        yield node.lineno, node.col_offset, kind
    elif isinstance(node, (ast.arg, ast.keyword)):
        yield node.lineno, node.col_offset, "argument"
    elif isinstance(node, ast.Attribute):
        yield node.end_lineno, node.end_col_offset - len(node.attr), "attribute"
    elif isinstance(node, ast.Import):
        yield from ((alias.lineno, alias.col_offset, "module") for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from kinds(child, module, bound)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        called = node.func
        yield called.end_lineno, called.end_col_offset - len(called.attr), "method"


def read(name):
    """Functions of a module: for each of them (word, kind, line, column) of its names."""
    module = importlib.import_module(name)
    source = inspect.getsource(module)
    tree = ast.parse(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    bound = {alias.asname or alias.name: "module" for node in imports for alias in node.names}
    kind = {(line, column): kind for line, column, kind in kinds(tree, module, bound)}
    outer = [node for node in tree.body if isinstance(node, FUNCTIONS)]
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            outer += [child for child in node.body if isinstance(child, FUNCTIONS)]
    tokens = [
        token
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.NAME
    ]
    after = {"def": "function", "class": "class"}
    for before, token in pairwise(tokens):
        if before.string in after:
            kind[token.start] = after[before.string]
    kind |= {token.start: "keyword" for token in tokens if keyword.iskeyword(token.string)}
    for function in outer:
        yield [
            (token.string, kind[token.start], *token.start)
            for token in tokens
            if function.lineno <= token.start[0] <= function.end_lineno and token.start in kind
        ]


def words_and_kinds(modules):
    """X and y: lists of lists of words, and of their kinds."""
    functions = [function for name in modules.split() for function in read(name)]
    X = [[word for word, *_ in function] for function in functions]
    return X, [[kind for _, kind, *_ in function] for function in functions]


X, y = words_and_kinds(
    "argparse ast cmd code codecs collections configparser contextlib copy dataclasses datetime "
    "difflib dis doctest enum functools glob inspect ipaddress locale mailbox numbers optparse os "
    "pickle pprint shelve shutil socket subprocess tarfile threading tokenize traceback types "
    "typing urllib.parse uuid warnings weakref zipfile"
)
held_out = "calendar csv fractions gzip heapq random shlex statistics string tempfile textwrap"
X_test, y_test = words_and_kinds(held_out)
print(f"{len(X)} functions, {sum(map(len, X))} words")
print(f"held out: {len(X_test)} functions, {sum(map(len, X_test))} words")
print(" ".join(X_test[8][:20]))

# %%
# Four taggers
# ------------
# The simplest one predicts the most frequent tag of each word. A maximum-entropy classifier uses
# the word, its prefixes and suffixes, and two words on either side. The recurrent tagger reads the
# whole function in both directions, in one version with the letters of words, and in one without.


def window(words):
    """Features of each word of a function."""
    for i, word in enumerate(words):
        around = {f"{j:+d}": words[i + j] for j in range(-2, 3) if 0 <= i + j < len(words)}
        yield around | {"start": word[:3], "end": word[-3:]}


def flat(lists):
    return np.array([item for items in lists for item in items])


truth, words = flat(y_test), flat(X_test)
counts = defaultdict(Counter)
for word, kind in zip(flat(X).tolist(), flat(y).tolist(), strict=True):
    counts[word][kind] += 1
everywhere = Counter(kind for kind in flat(y).tolist() if kind != "keyword")
predicted = {
    "most frequent kind of the word": np.array(
        [(counts.get(word, everywhere)).most_common(1)[0][0] for word in words.tolist()]
    )
}

vectorizer = DictVectorizer()
features = vectorizer.fit_transform([row for function in X for row in window(function)])
is_name = flat(y) != "keyword"
classifier = MaxEntClassifier().fit(features[is_name], flat(y)[is_name])
test_features = vectorizer.transform([row for function in X_test for row in window(function)])
predicted["MaxEntClassifier, five words"] = classifier.predict(test_features)

common = {"hidden_size": 64, "dropout": 0.3, "dropout_input": 0.1, "learning_rate": 0.006}
tagger = RNNTagger(max_epochs=5, random_state=0, **common)
for name, characters in (("RNNTagger, without letters", None), ("RNNTagger", "cnn")):
    tagger.set_params(characters=characters).fit(X, y)
    predicted[name] = flat(tagger.predict(X_test))

# %%
# Keywords are excluded from the accuracy. Almost a third of the other words do not occur in the
# training modules. For these, letters help the recurrent tagger, above all to recognise names in
# CamelCase as classes. For words that occur in training, letters do not help.

name = truth != "keyword"
seen = np.array([word in counts for word in words.tolist()])
groups = {
    "all": name,
    "seen in training": name & seen,
    "never seen": name & ~seen,
    "classes, never seen": (truth == "class") & ~seen,
}
figure, ax = plt.subplots(figsize=(8, 4.4), layout="constrained")
for number, ((model, kind), color) in enumerate(
    zip(predicted.items(), ("0.5", "C2", "C5", "C0"), strict=True)
):
    right = [100 * np.mean((kind == truth)[rows]) for rows in groups.values()]
    places = np.arange(4) + 0.2 * (number - 1.5)
    bars = ax.bar(places, right, 0.18, color=color, label=model)
    ax.bar_label(bars, fmt="%.0f", padding=2)
ticks = [f"{label}\n{rows.sum()} words" for label, rows in groups.items()]
ax.set_xticks(range(4), ticks)
ax.set(ylabel="accuracy (% of words)", ylim=(0, 110))
ax.set_title("Names in held-out modules")
ax.legend(ncols=2, loc="upper center")
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Which tags are confused? A name that is bound in the function is a variable, unless it is in the
# list of arguments, which may be far away.

order = ["argument", "variable", "attribute", "method", "function", "class", "module"]
figure, ax = plt.subplots(figsize=(7.2, 6), layout="constrained")
ConfusionMatrixDisplay.from_predictions(
    truth[name],
    predicted["RNNTagger"][name],
    labels=order,
    normalize="true",
    values_format=".2f",
    cmap="viridis",
    xticks_rotation=30,
    ax=ax,
)
ax.set(xlabel="predicted tag", ylabel="true tag")
ax.set_title("Confusion matrix of the tagger (shares of each tag)")
plt.show()

# %%
# A tagged function
# -----------------
# The figure shows a held-out function, with its words coloured by their predicted tags. Punctuation
# and strings, which the tagger does not see, are pale. Wrong predictions are underlined.

(function,) = (f for f in read("shlex") if f[1][0] == "push_source")
tags = tagger.predict([[word for word, *_ in function]])[0]
lines, first = inspect.getsourcelines(importlib.import_module("shlex").shlex.push_source)
lines = [line.rstrip() for line in lines]
colors = dict(zip(order, ("C0", "C1", "C2", "C3", "C4", "C5", "k"), strict=True))
of_place = {}
underlined = []
for (word, kind, line, column), tag in zip(function, tags, strict=True):
    of_place |= {(line - first, column + i): colors.get(tag, "0.4") for i in range(len(word))}
    if tag != kind:
        underlined.append((line - first + 0.45, column - 0.5, column + len(word) - 0.5))
figure, ax = plt.subplots(figsize=(9, 0.28 * len(lines) + 1), layout="constrained")
for i, line in enumerate(lines):
    for j, character in enumerate(line):
        in_name = (i, j) in of_place
        ax.text(
            j,
            i,
            character,
            color=of_place.get((i, j), "0.7"),
            weight="bold" if in_name else "normal",
            family="monospace",
            ha="center",
            va="center",
        )
for row, left, right in underlined:
    ax.hlines(row, left, right, color="r")
ax.set(xlim=(3, max(map(len, lines))), ylim=(len(lines), -1))
ax.axis("off")
ax.set_title("A held-out function, shlex.push_source, with predicted tags")
handles = [plt.Line2D([], [], color=color, lw=5, label=kind) for kind, color in colors.items()]
figure.legend(handles=handles, loc="outside lower center", ncols=7, columnspacing=1)
plt.show()

# %%
# In summary, a recurrent tagger can use context outside a fixed window of words. ``characters``
# helps with tokens that did not occur in training.
