r"""
===============================================
Prediction and generation with a language model
===============================================

A recurrent network reads the Python language reference character by character, and learns to
predict the next one. Its loss corresponds to the number of bits per character, which can be
compared with other methods of text compression. It can also generate text, and show where a text is
unexpected.
"""

# %%
# Training and evaluation
# -----------------------
# The language reference is included in Python. A tenth of its passages is kept for the test, and a
# tenth of the rest for validation.

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
# Two baselines are compared. An n-gram model of order five counts which characters followed the
# preceding four, and interpolates these counts with those after three, two, one and no characters.
# A compressor is applied to the training text with and without the test text: the difference in
# compressed size is attributed to the test.


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
# The network predicts better than the n-gram model, but bz2 compresses better: it reuses repeated
# phrases of the reference, however long, without any training.

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
# Generating text
# ---------------
# ``temperature`` divides the logits. Below 1, probable characters become more probable: the text
# has fewer errors, and is more repetitive. Above 1, it is more varied and less meaningful.

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
# ``top_k`` and ``top_p`` cut off the tail of the distribution, which contains the typing errors:
# here they restrict the draws to the five most probable characters, or to the smallest set that has
# 80 % of the probability. The figure shows the probabilities of the character after "The ex".

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
figure.suptitle("Characters after “The ex” at different temperatures")
plt.show()

# %%
# The surprisal of characters
# ---------------------------
# The surprisal of a character is minus the logarithm of its probability, in nats, that is, minus
# ``score_tokens`` (the last number belongs to the end of the text). It is largest at the beginnings
# of words. If two letters are swapped, it is large there and in the following letters.

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
    ax.set(xlim=(-1, len(nats)), ylabel="surprisal, nats")
    ax.spines[["top", "right"]].set_visible(False)
figure.suptitle("Surprisal of each character, without and with a spelling error")
plt.show()

# %%
# The next figure shows means over words of eight or more letters in the test passages: once a word
# is recognised, its remaining letters have a small surprisal.

places = [[] for _ in range(8)]
for text, log_p in zip(test, model.score_tokens(test), strict=True):
    for word in re.finditer(r"[a-z]{8,}", text):
        for place, value in zip(places, -log_p[word.start() :], strict=False):
            place.append(value)
figure, ax = plt.subplots(figsize=(7.2, 3.4), layout="constrained")
ax.bar(range(1, 9), [np.mean(place) for place in places], color="C0")
ax.set(xlabel="letter of the word", ylabel="mean surprisal, nats")
ax.set_title(f"Mean surprisal by position in the word ({len(places[0])} words)")
plt.show()

# %%
# In summary, ``bits_per_character`` of held-out text measures how good a model is, and can be
# compared with n-gram models and compressors. The text that a small network generates has words and
# phrases, but no meaning.
