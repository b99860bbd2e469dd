r"""
================================
From Hangul to the Latin letters
================================

A Korean syllable such as 한 consists of two or three letters, and its Unicode name, HANGUL SYLLABLE
HAN, is a transcription. A recurrent encoder–decoder learns from words to transcribe letters in
syllables that did not occur in training, and in the other direction, where one transcription may
have several readings. Its attention shows which letters belong together.
"""

# %%
# Words and their transcriptions
# ------------------------------
# There are 11 172 syllables, and all of them are in Python's module ``unicodedata``. A decomposed
# syllable is a sequence of its letters: an initial consonant, a vowel, and often a final consonant,
# each with a character of its own. Words are one to three random syllables. Those of training have
# 2000 syllables, those of the test the others.

# sphinx_gallery_thumbnail_number = 2
import unicodedata

import matplotlib.pyplot as plt
import numpy as np

from skem import RNNSeq2Seq
from skem.inspection import AttentionDisplay

rng = np.random.default_rng(0)
syllables = np.array([chr(code) for code in rng.permutation(np.arange(0xAC00, 0xD7A4))])
latin = {syllable: unicodedata.name(syllable).split()[-1].lower() for syllable in syllables}


def words(syllables, n_words, lengths=(1, 2, 3)):
    """X and y: the letters of random words, and their transcriptions."""
    some = ["".join(rng.choice(syllables, rng.choice(lengths))) for _ in range(n_words)]
    X = [unicodedata.normalize("NFD", word) for word in some]
    return X, ["".join(latin[syllable] for syllable in word) for word in some]


def names(letters):
    """Names of letters, those of final consonants in brackets."""
    for letter in letters:
        _, kind, name = unicodedata.name(letter).lower().split()
        yield f"({name})" if kind == "jongseong" else name


X, y = words(syllables[:2000], 2000)
X_test, y_test = words(syllables[2000:], 500)
print(f"{sum(map(len, X))} letters, {sum(map(len, y))} Latin letters in {len(X)} words, such as")
for letters, transcription in zip(X[:3], y[:3], strict=True):
    print(f"    {', '.join(names(letters))}: {transcription}")

# %%
# With and without attention
# --------------------------
# With ``attention=None`` the decoder sees one vector of the whole word. ``score`` is the share of
# words whose transcription is right as a whole; ``error_rate`` counts insertions, deletions and
# substitutions, and divides them by the number of letters of the true transcriptions.

common = {
    "hidden_size": 64,
    "embedding_dim": 32,
    "dropout": 0.1,
    "dropout_input": 0.1,
    "word_dropout": 0.0,
    "label_smoothing": 0.0,
    "learning_rate": 0.01,
    "batch_size": 32,
    "max_epochs": 8,
    "random_state": 0,
}
models = {
    "with attention": RNNSeq2Seq(**common).fit(X, y),
    "without attention": RNNSeq2Seq(attention=None, **common).fit(X, y),
}
for name, model in models.items():
    right, rate = model.score(X_test, y_test), model.error_rate(X_test, y_test)
    print(f"{name}: {100 * right:.0f} % of words right, {100 * rate:.1f} % errors per letter")

# %%
# After this short training, the model without attention transcribes single syllables only. With
# attention, almost all words with up to three syllables are right, although none of their syllables
# occurred in training. Both models fail with words that are longer than those of training.

lengths = np.arange(1, 6)
tests = [words(syllables[2000:], 100, (length,)) for length in lengths]
figure, ax = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
for shift, color, (name, model) in zip((-0.2, 0.2), ("C0", "0.6"), models.items(), strict=True):
    right = [100 * model.score(*test) for test in tests]
    bars = ax.bar(lengths + shift, right, 0.38, color=color, label=name)
    ax.bar_label(bars, fmt="%.0f", padding=2)
ax.axvspan(3.5, 5.5, color="0.95", zorder=0)
ax.text(4.5, 60, "longer than in training", ha="center")
ax.set(xlabel="syllables of the word", ylabel="words that are right (%)", xlim=(0.5, 5.5))
ax.set(ylim=(0, 112), title="Words of syllables that did not occur in training")
ax.legend()
plt.show()

# %%
# Which letter is transcribed?
# ----------------------------
# The figure shows a word of the test. Each row is a step of the decoder, with the weights by which
# it averages the states of the encoder. Each Latin letter looks at the letter that it belongs to,
# and where this has several Latin letters, all of them look at it. The training words do not say
# which letters correspond. (``x_names`` provides the names of the letters because not every
# computer has a font for the letters themselves.)

word = max(X_test, key=len)
attentive = models["with attention"]
display = AttentionDisplay.from_estimator(attentive, word, x_names=list(names(word)))
display.ax_.set_title("Attention of each letter of the transcription")
plt.show()

# %%
# Several readings
# ----------------
# In the other direction, there may be more than one solution. In *hangug*, *ng* may be the final
# consonant of the first syllable (항욱, *hang-ug*), or *n* its final consonant and *g* the initial
# of the second syllable (한국, *han-gug*, Korea). ``predict_n_best`` returns the most probable
# outputs with their log p in nats. With label smoothing, probabilities would be too uniform; here
# it is 0. Outputs that are readings of the word have most of the probability.

back = RNNSeq2Seq(**common).fit(y, X)
print(f"{100 * back.score(y_test, X_test):.0f} % of words right")
for transcription in ("hangug", "gangib", "gaggag"):
    (outputs,) = back.predict_n_best([transcription], 5)
    for letters, log_p in outputs:
        word = unicodedata.normalize("NFC", letters)
        cut = "-".join(latin.get(syllable, "?") for syllable in word)
        mark = "" if cut.replace("-", "") == transcription else " (wrong)"
        print(
            f"{transcription}: {word} {cut:9} log p = {log_p:5.2f}, p = {np.exp(log_p):.2f}{mark}"
        )

# %%
# If y is given, the display shows the attention for this output. In both readings of *hangug* the
# third letter looks at *n*, and the fourth at *g*. In the second reading they are the final *ng*,
# whose Korean name is *ieung*, and the same letter as an initial, where it is silent.

figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
for ax, word in zip(axes, ("한국", "항욱"), strict=True):
    letters = unicodedata.normalize("NFD", word)
    AttentionDisplay.from_estimator(
        back, "hangug", letters, y_names=list(names(letters)), ax=ax, colorbar=word == "항욱"
    )
    log_p = back.score_samples(["hangug"], [letters])[0]
    ax.set_title(f"{'-'.join(latin[syllable] for syllable in word)}, p = {np.exp(log_p):.2f}")
figure.suptitle("Two readings of “hangug”")
plt.show()

# %%
# In summary, an encoder–decoder learns from pairs of sequences alone which of their parts
# correspond. Attention makes this visible, and here it needs less training than one vector for the
# whole input. ``predict_n_best`` and ``score_samples`` give the probabilities of several solutions.
