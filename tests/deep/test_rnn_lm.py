"""What a recurrent language model computes: probabilities, states, draws."""

import itertools

import numpy as np
import pytest
import torch

from skem import RNNLanguageModel

TEXT = "the cat sat on the mat. the dog sat on the log. " * 20
LINES = ["the cat sat", "on the mat", "a dog", "the dog sat on the log", "a"] * 6
POEMS = ["床前明月光，疑是地上霜。", "举头望明月，低头思故乡。", "白日依山尽，黄河入海流。"] * 5
WORDS = [line.split() for line in LINES]
IDS = [[3, 1, 4, 1, 5], [9, 2, 6], [5, 3, 5, 8, 9, 7, 9]] * 5
TABLE = np.random.default_rng(0).integers(0, 4, (30, 6))
KINDS = {"one text": TEXT, "texts": LINES, "Chinese": POEMS, "words": WORDS, "ids": IDS}
CELLS = ["lstm", "gru", "rnn_tanh", "rnn_relu"]


def small(**options):
    chosen = {"hidden_size": 12, "max_epochs": 3, "learning_rate": 0.02, "random_state": 0}
    return RNNLanguageModel(**(chosen | options))


@pytest.fixture(scope="module")
def lm():
    """One that has learned its text."""
    return small(hidden_size=32, max_epochs=20).fit(TEXT)


# ---------------------------------------------------------------------- probabilities
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", [{}, {"n_layers": 2, "embedding_dim": 5}, {"cutoffs": [2, 4]}])
def test_probabilities_of_all_sequences_of_length_three_sum_to_one(cell, options):
    X = np.random.default_rng(0).integers(0, 5, (20, 3))
    model = small(cell=cell, unknown_token=False, **options).fit(X)
    everything = np.array(list(itertools.product(range(5), repeat=3)))
    assert np.exp(model.score_samples(everything)).sum() == pytest.approx(1, abs=1e-5)


def test_with_an_end_the_probabilities_of_shorter_sequences_are_counted_too():
    X = [[0, 1], [1], [0, 0, 1], [1, 1, 1, 0]] * 5
    model = small(unknown_token=False).fit(X)
    shorter = [s for n in (1, 2, 3) for s in itertools.product(range(2), repeat=n)]
    vocabulary = model.vocabulary_
    empty = model.predict_proba([[]])[0, vocabulary.end]
    contexts = [list(s) for s in itertools.product(range(2), repeat=3)]
    ends = model.predict_proba(contexts)[:, vocabulary.end]
    whole = np.exp(model.score_samples(contexts))
    longer = (whole / ends * (1 - ends)).sum()
    total = np.exp(model.score_samples([list(s) for s in shorter])).sum()
    assert empty + total + longer == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_score_samples_is_the_product_of_predict_proba(kind):
    X = KINDS[kind]
    model = small().fit(X)
    documents = [X[:40]] if isinstance(X, str) else X[:3]
    vocabulary = model.vocabulary_
    scores = model.score_samples(documents), model.score_tokens(documents)
    for document, log_p, of_tokens in zip(documents, *scores, strict=True):
        ids = vocabulary.encode([document])[0].tolist()
        if vocabulary.end is not None:
            ids.append(vocabulary.end)
        contexts = [document[:t] for t in range(len(ids))]
        p = model.predict_proba(contexts)[np.arange(len(ids)), ids]
        assert log_p == pytest.approx(np.log(p.astype(float)).sum(), rel=1e-4)
        np.testing.assert_allclose(of_tokens, np.log(p), rtol=1e-4, atol=1e-4)


def test_probabilities_sum_to_one_and_no_start_is_ever_predicted():
    model = small().fit(LINES)
    p = model.predict_proba(["", "the", "the cat"])
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    assert (p[:, model.vocabulary_.start] == 0).all()
    for optimizer in ("adam", "nt-asgd"):
        model = small(optimizer=optimizer, weight_decay=0.1, averaging_patience=1).fit(LINES)
        assert (model.predict_proba([""])[:, model.vocabulary_.start] == 0).all()


def test_score_is_the_mean_over_tokens_of_all_documents_with_their_ends():
    model = small().fit(LINES)
    n = sum(map(len, LINES)) + len(LINES)
    score = model.score(LINES)
    assert score == pytest.approx(model.score_samples(LINES).sum() / n, rel=1e-6)
    assert model.perplexity(LINES) == pytest.approx(np.exp(-score), rel=1e-9)
    bits = -score * n / np.log(2) / sum(map(len, LINES))
    assert model.bits_per_character(LINES) == pytest.approx(bits, rel=1e-9)


def test_the_history_is_the_score_of_the_model():
    """Without dropout the loss on held-out documents is that of `score`."""
    model = small(max_epochs=2, end_token=False).fit(LINES[:4], X_val=["the cat", "on a dog"])
    loss = model.history_[-1]["valid_loss"]
    assert loss == pytest.approx(-model.score(["the cat", "on a dog"]), rel=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_that_is_carried_gives_the_same_as_one_long_pass(cell, monkeypatch):
    model = small(cell=cell, n_layers=2).fit(LINES)
    documents = [TEXT[:150], "the cat", TEXT[20:100], "a"]
    long = model.score_samples(documents), model.transform(documents)
    monkeypatch.setattr("skem.deep.recurrent._base._STEPS", 7)
    parts = model.score_samples(documents), model.transform(documents)
    for a, b in zip(long, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    monkeypatch.setattr("skem.deep.recurrent._base._VALUES", 1)
    for i, document in enumerate(documents):
        assert model.score_samples([document])[0] == pytest.approx(long[0][i], rel=1e-5)


def test_an_lstm_that_has_learned_a_text_knows_how_it_goes_on(lm):
    assert lm.score(TEXT) > -0.15
    assert lm.predict(["the cat sa", "the dog sat on the l"]).tolist() == ["t", "o"]
    assert lm.perplexity(TEXT) < 1.2


# ---------------------------------------------------------------------- states
def test_last_states_are_those_that_predict_and_means_are_over_tokens():
    model = small().fit(LINES)
    module, vocabulary = model.net_.module_, model.vocabulary_
    ids = vocabulary.encode(["the cat"])[0]
    with torch.inference_mode():
        tokens = torch.tensor([vocabulary.start, *ids])[:, None]
        outputs = module.encode(tokens)[0][:, 0].numpy()
    np.testing.assert_allclose(model.transform(["a", "the cat"])[1], outputs[-1], atol=1e-6)
    model.set_params(representation="mean")
    mean = outputs[1:].mean(0)
    np.testing.assert_allclose(model.transform(["the cat", "on a"])[0], mean, atol=1e-6)


# ---------------------------------------------------------------------- draws
def test_a_text_is_that_of_its_seed(lm):
    texts = [lm.generate("the", 60, random_state=seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0]) == 60
    assert set(texts[0]) <= set(TEXT)
    assert lm.generate(n_tokens=5) == lm.generate("", 5)
    assert "".join(lm.generate("the", 60, random_state=1, stream=True)) == texts[0]


def test_among_one_token_the_likeliest_is_drawn(lm):
    drawn, text = lm.generate("the c", 12, top_k=1), "the c"
    for _ in range(12):
        text += lm.predict([text])[0]
    assert "the c" + drawn == text
    assert lm.generate("the c", 12, top_p=1e-9, random_state=5) == drawn
    assert lm.generate("the c", 12, temperature=1e-3, random_state=5) == drawn


def test_draws_have_the_chances_of_the_model():
    model = small(max_epochs=1).fit(TEXT)
    n = 3000
    p = model.predict_proba(["the "])[0]
    firsts = [model.generate("the ", 1, random_state=seed) for seed in range(n)]
    p[model.vocabulary_.special] = 0
    p /= p.sum()
    for token, chance in zip(model.vocabulary_.tokens_, p, strict=True):
        deviation = (chance * (1 - chance) / n) ** 0.5
        assert abs(firsts.count(token) / n - chance) < 4.5 * deviation + 1e-9


def test_documents_end_where_the_model_says_so():
    model = small(max_epochs=200, hidden_size=24).fit(["ab", "abc", "abcd"])
    drawn = {model.generate("a", 50, random_state=seed) for seed in range(30)}
    assert drawn <= {"b", "bc", "bcd"}


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_of_the_kind_of_the_documents(kind):
    X = KINDS[kind]
    model = small().fit(X)
    prompt = X[:3] if isinstance(X, str) else X[0][:2]
    whole = model.generate(prompt, 9, random_state=3)
    pieces = list(model.generate(prompt, 9, random_state=3, stream=True))
    if isinstance(prompt, str):
        assert "".join(pieces) == whole
    else:
        assert pieces == whole
        assert {type(token) for token in whole} <= {type(prompt[0])}


def test_words_are_drawn_with_blanks_between_them():
    model = small(tokenizer="word", max_epochs=30).fit(TEXT)
    assert model.generate("the cat sat on", 2, top_k=1, random_state=0).startswith("the ")
    pieces = list(model.generate("the cat", 8, random_state=0, stream=True))
    assert "".join(pieces) == model.generate("the cat", 8, random_state=0)


def test_teacher_forcing_random_truncation_and_averaging_train_too():
    start = -small(max_epochs=1, learning_rate=1e-9).fit(TEXT).score(TEXT)
    for options in (
        {"teacher_forcing": 0.7, "teacher_forcing_steps": 10},
        {"truncation": "random", "bptt": 16},
        {"truncation": "none", "max_epochs": 40},
        {"optimizer": "nt-asgd", "learning_rate": 4.0, "max_epochs": 20},
        {"dropout": 0.2, "dropout_input": 0.1, "dropout_embedding": 0.1, "dropout_weights": 0.2},
        {"hidden_size": (16, 12), "n_layers": 2, "dropout_hidden": 0.1},
        {"activation_regularization": 0.1, "temporal_activation_regularization": 0.1},
    ):
        assert -small(**({"max_epochs": 6} | options)).fit(TEXT).score(TEXT) < start - 0.2
