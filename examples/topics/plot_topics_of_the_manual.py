r"""
=======================================
Topics of the Python language reference
=======================================

A topic model finds groups of words that occur together, and their proportions in each document,
without any labels. In this example, it is fitted to the Python language reference, which is
installed with Python. The figures show the topics, the chapters that contain them, and the topic of
each word of a passage.
"""

# %%
# The words of the topics
# -----------------------
# The reference is divided into passages of about 120 words. The model uses only the number of
# occurrences of each word in each passage. In :class:`skem.LatentDirichletAllocationVB`, each
# passage has its own topic proportions, and each of its words comes from one topic.
# :class:`skem.PLSA` could be used instead.

import re
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline

from skem import LatentDirichletAllocationVB
from skem.datasets import load_python_reference
from skem.inspection import DocumentTopicsDisplay, TopicsDisplay

manual = load_python_reference()
counter = CountVectorizer(stop_words="english", min_df=3, token_pattern="[a-zA-Z_]{3,}")
lda = LatentDirichletAllocationVB(7, random_state=0)
model = make_pipeline(counter, lda).fit(manual.data)
print(f"{len(manual.data)} passages, {lda.n_features_in_} words, converged: {lda.converged_}")

figure, axes = plt.subplots(2, 4, figsize=(10, 5), sharex=True, layout="constrained")
axes[1, 3].set_axis_off()
for ax in axes.flat:
    ax.xaxis.set_tick_params(labelbottom=True)
display = TopicsDisplay.from_estimator(model, n_words=8, axes=axes.flat[:7])
figure.suptitle("The most probable words of each topic, and its share")
plt.show()
colors = [bars[0].get_facecolor()[:3] for bars in display.bars_]

# %%
# The model does not name the topics. In the following, each is identified by its two most probable
# words.
#
# Chapters
# --------
# The model does not know the chapters either. Their passages have the expected topics, and a
# chapter on many subjects, such as the one on types, has many topics.

words = counter.get_feature_names_out()
names = [" / ".join(words[row.argsort()[:-3:-1]]) for row in lda.components_]
chapters = np.array(manual.target_names)[manual.target]
longest = np.isin(manual.target, np.argsort(-np.bincount(manual.target))[:12])
passages = [text for text, long in zip(manual.data, longest, strict=True) if long]

figure, ax = plt.subplots(figsize=(8.5, 4.6), layout="constrained")
DocumentTopicsDisplay.from_estimator(
    model, passages, by=chapters[longest], topic_names=names, ax=ax
)
ax.set_title("Topics of the twelve longest chapters")
plt.show()

# %%
# One passage
# -----------
# A passage may have several topics. Given its topic proportions :math:`p(z | d)`, each word has a
# posterior :math:`p(z | d, w) \propto p(w | z) \, p(z | d)`. Words have the colour of their most
# probable topic, with an intensity that increases with its probability; words in grey are not in
# the vocabulary.

passage = manual.data[manual.names.index("class 0")]
mixture = model.transform([passage])[0]
figure, ax = plt.subplots(figsize=(7.2, 6.2), layout="constrained")
ax.set_axis_off()
style = {"family": "monospace", "fontsize": 10, "va": "top"}
readings = set()
for number, line in enumerate(passage.splitlines()):
    for word in re.finditer(r"[a-zA-Z_]+|[^\sa-zA-Z_]+", line):
        column = counter.vocabulary_.get(word[0].lower())
        color, box = "0.5", None
        if column is not None:
            posterior = lda.components_[:, column] * mixture
            topic, p = posterior.argmax(), posterior.max() / posterior.sum()
            readings.add(topic)
            tint = (*colors[topic], 0.6 * p)
            color, box = "black", {"facecolor": tint, "linewidth": 0, "pad": 1}
        place = (6.02 * word.start(), -14 * number)  # points
        ax.annotate(
            word[0], (0, 1), place, "axes fraction", "offset points", color=color, bbox=box, **style
        )
patches = [Patch(color=colors[z], alpha=0.6, label=names[z]) for z in sorted(readings)]
figure.legend(handles=patches, loc="outside lower center", ncols=4, columnspacing=1)
ax.set_title("A passage, and the topic of each word")
plt.show()

# %%
# New text
# --------
# For new text, ``transform`` infers the topic proportions with fixed topics (folding-in). A
# question can then be matched with the passage of the reference whose proportions are most similar.
# This finds the subject, but not necessarily the answer.

questions = [
    "How do I catch an exception and run a finally clause?",
    "Can a list be the key of a dictionary?",
    "Which method is called when an instance of a subclass is created?",
    "How do I print a number as a decimal string with two digits?",
]
asked, known = model.transform(questions), model.transform(manual.data)
nearest = (np.sqrt(asked) @ np.sqrt(known).T).argmax(axis=1)  # least Hellinger distance
for question, passage in zip(questions, nearest, strict=True):
    print(f"{question}\n    {manual.names[passage]}")

figure, ax = plt.subplots(figsize=(9.5, 3), layout="constrained")
wrapped = [fill(question, 36) for question in questions]
DocumentTopicsDisplay.from_estimator(model, questions, names=wrapped, topic_names=names, ax=ax)
ax.set_title("Topics of four questions")
plt.show()

# %%
# Summary
# -------
# Word counts are enough to find the subjects of a text, to compare chapters, and to assign topics
# to the words of a passage or a question. Inspect the words of the topics and some documents before
# relying on them; :ref:`sphx_glr_auto_examples_topics_plot_how_many_topics.py` discusses the number
# of topics.
