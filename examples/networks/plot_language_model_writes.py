r"""
============================
A language model that writes
============================

A recurrent network reads the reference of the Python language character by character, and learns
to say which one comes next. Its loss is then the number of bits that a character takes, which
compares with other ways to pack text. It can also write, and say where a text surprises it.
"""

# %%
# Reading
# -------
# The reference comes with Python. A tenth of its passages is kept for the test, and a tenth of the
# rest for the curve of validation.

# sphinx_gallery_thumbnail_number = 3
import bz2
import lzma
import re
import textwrap
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np

from skem import RNNLanguageModel
from skem.datasets import load_python_reference

texts = [" ".join(text.split()) for text in load_python_reference().data]
train, test = [text for i, text in enumerate(texts) if i % 10], texts[::10]
model = RNNLanguageModel(
    hidden_size=128,
    dropout=0.1,
    learning_rate=0.02,
    max_epochs=8,
    early_stopping=True,
    random_state=0,
).fit(train)
print(f"{sum(map(len, train)) / 1000:.0f} 000 characters, {len(model.vocabulary_.tokens_)} kinds")

# %%
# Two other ways. A model of order five counts what followed the four characters before, and mixes
# that with the counts after three, two, one, and none. And a compressor is given the training text
# before the test: the bytes by which the packed text then grows are those of the test.


def five_grams(train, test, prior=5):
    """Bits per character of the test."""
    counts, totals, n_kinds = Counter(), Counter(), len(set("".join(texts)))
    for text in train:
        for i in range(len(text)):
            for before in (text[j:i] for j in range(max(i - 4, 0), i + 1)):
                counts[before, text[i]] += 1
                totals[before] += 1
    bits = 0.0
    for text in test:
        for i in range(len(text)):
            p = 1 / n_kinds
            for before in (text[j:i] for j in range(i, max(i - 4, 0) - 1, -1)):
                p = (counts[before, text[i]] + prior * p) / (totals[before] + prior)
            bits -= np.log2(p)
    return bits / sum(map(len, test))


def compressed(compress, train, test):
    """Bits per character of the test, after the training text."""
    before, both = (" ".join(some).encode() for some in (train, train + test))
    return 8 * (len(compress(both)) - len(compress(before))) / sum(map(len, test))


others = {
    "five-grams": five_grams(train, test),
    "lzma": compressed(lzma.compress, train, test),
    "bz2": compressed(bz2.compress, train, test),
}
ours = model.bits_per_character(test)
print(f"recurrent network: {ours:.2f} bits per character of the test")
print(", ".join(f"{name}: {bits:.2f}" for name, bits in others.items()))

# %%
# The network predicts better than counts, but bz2 packs better: it finds again the phrases that the
# reference repeats, however long, and has to learn nothing.

epochs = range(1, model.n_iter_ + 1)
figure, ax = plt.subplots(figsize=(7.2, 4), layout="constrained")
for kind, style in (("train", "-"), ("valid", "--")):
    bits = [epoch[f"{kind}_loss"] / np.log(2) for epoch in model.history_]
    label = {"train": "network, training (with dropout)", "valid": "network, validation"}[kind]
    ax.plot(epochs, bits, style, color="C0", label=label)
ax.plot([model.n_iter_], [ours], "o", color="C0", label="network, test")
for (name, bits), style in zip(others.items(), (":", "--", "-"), strict=True):
    ax.axhline(bits, color="0.5", linestyle=style, linewidth=1, label=f"{name}, test")
ax.set(xlabel="epoch", ylabel="bits per character", title="Fewer bits with every epoch")
ax.legend()
plt.show()

# %%
# Writing
# -------
# ``temperature`` divides the logits. Below 1 likely characters become likelier: the text is safer,
# and repeats itself. Above 1 it has more variety and less sense.

prompt = "A class "
for options in (
    {"temperature": 0.4},
    {"temperature": 0.8},
    {"temperature": 1.2},
    {"temperature": 1.2, "top_k": 5},
    {"temperature": 1.2, "top_p": 0.8},
):
    written = prompt + model.generate(prompt, 230, random_state=0, **options)
    print(", ".join(f"{name}={value}" for name, value in options.items()))
    print(textwrap.indent(textwrap.fill(written, 76), "    "))

# %%
# ``top_k`` and ``top_p`` cut the tail off, where the typing errors are: they draw among the five
# likeliest characters, or among the fewest that have 80 % of the probability. Here are the chances
# of what follows "The ex".

(chances,) = model.predict_proba(["The ex"])
likeliest = np.argsort(chances)[::-1][:10]
names = [model.vocabulary_.tokens_[i].replace(" ", "␣") for i in likeliest]
figure, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True, layout="constrained")
for ax, temperature in zip(axes, (0.4, 0.8, 1.2), strict=True):
    p = chances ** (1 / temperature)
    p = p[likeliest] / p.sum()
    ax.bar(names, p, color="C0")
    ax.axvline(4.5, color="C4", linewidth=1)
    ax.set(title=f"temperature {temperature}", xlabel="next character")
axes[0].set_ylabel("probability")
axes[0].text(4.6, 0.95, "top_k=5", color="C4", transform=axes[0].get_xaxis_transform(), va="top")
figure.suptitle("What follows “The ex”: the higher the temperature, the more even")
plt.show()

# %%
# Surprise
# --------
# The surprise of a character is minus the log of its chance, in nats: ``score_tokens`` with the
# other sign (the last number is that of the end of the text). Most of it is where a word begins.
# Swap two letters, and it is there and in the letters after them.

sentences = [
    f"The exception is {word} when the iterator has no more items." for word in ("raised", "riased")
]
figure, axes = plt.subplots(2, 1, figsize=(9, 4), sharey=True, layout="constrained")
for ax, sentence, log_p in zip(axes, sentences, model.score_tokens(sentences), strict=True):
    nats = -log_p[: len(sentence)]
    colors = ["C0" if a == b else "C4" for a, b in zip(*sentences, strict=True)]
    ax.bar(range(len(nats)), nats, width=0.9, color=colors)
    ax.set_xticks(range(len(nats)), sentence, family="monospace", fontsize=11)
    ax.tick_params(axis="x", length=0)
    ax.set(xlim=(-1, len(nats)), ylabel="surprise, nats")
    ax.spines[["top", "right"]].set_visible(False)
figure.suptitle("How surprising each character is, without and with an error of spelling")
plt.show()

# %%
# The same over words of eight letters or more in the test passages: once a word is recognised, its
# other letters cost little.

places = [[] for _ in range(8)]
for text, log_p in zip(test, model.score_tokens(test), strict=True):
    for word in re.finditer(r"[a-z]{8,}", text):
        for place, value in zip(places, -log_p[word.start() :], strict=False):
            place.append(value)
figure, ax = plt.subplots(figsize=(7.2, 3.4), layout="constrained")
ax.bar(range(1, 9), [np.mean(place) for place in places], color="C0")
ax.set(xlabel="letter of the word", ylabel="mean surprise, nats")
ax.set_title(f"The first letters of a word cost most ({len(places[0])} words)")
plt.show()

# %%
# To take home: ``bits_per_character`` of held-out text says how good a model is, and it compares
# with counts and with compressors. What a small network writes has words and phrases, but no sense.
