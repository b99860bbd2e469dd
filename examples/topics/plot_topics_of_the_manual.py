r"""
===============================
Topics of the manual of Python
===============================

What is a text about that nobody has sorted? A topic model finds groups of words that occur together
and tells each document's share of them. Here it reads the reference manual of Python, which is on
every machine that has Python: which topics are there, which chapters have them, and which topic
each word of a passage is read by.
"""

# %%
# Words that go together
# ----------------------
# The manual comes in passages of about 120 words. All that the model sees is how often each word
# is in each passage. To :class:`skem.LatentDirichletAllocationVB` a passage has a mixture of topics
# of its own, and takes each word from one of them. :class:`skem.PLSA` could stand in its place.

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
figure.suptitle("The likeliest words of each topic, and the share of the topic")
plt.show()
colors = [bars[0].get_facecolor()[:3] for bars in display.bars_]

# %%
# The topics were given no names. From here on each goes by its two likeliest words.
#
# Chapters
# --------
# Nor does the model know the chapters. Their passages have the topics that one would expect, and a
# chapter of many things, such as the one on types, has many.

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
# A passage is no single topic. Given its mixture :math:`p(z | d)`, each word has a posterior
# :math:`p(z | d, w) \propto p(w | z) \, p(z | d)`. Words have the colour of their most probable
# topic, the stronger the more probable it is; those in grey are not in the vocabulary.

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
ax.set_title("A passage, and the topic that each word is read by")
plt.show()

# %%
# A question
# ----------
# New text is folded in: its mixture is found with the topics as they are. So a question can be put
# beside the passage of the manual that has the most similar mixture. That finds the subject, which
# need not be the answer.

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
# Counts of words are enough to find what a text is about, to compare chapters, and to read a
# passage or a question word by word. Look at the words of the topics and at some documents before
# you trust them; :ref:`sphx_glr_auto_examples_topics_plot_how_many_topics.py` says how many to ask
# for.
