"""What the encoder-decoder computes: probabilities of outputs, and which outputs it finds."""

import itertools
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline

from skem import RNNSeq2Seq
from skem.deep import token_error_rate, token_error_rate_scorer
from skem.deep.modules.beam import mean_of_members
from skem.deep.modules.ensemble import Ensemble

X = ["abc", "cab", "bca", "acb", "ab", "ba", "cc", "bab", "c"] * 6
Y = [x[::-1].upper() for x in X]
NEW = ["aab", "bcb", "ca", "abca", "b", "cbabca"]
FORMS = {
    "default": {},
    "of the texts": {"input_feeding": None, "attention": "dot"},
    "bilinear, of the texts": {"input_feeding": None},
    "fixed context": {"attention": None, "cell": "gru"},
    "state": {"input_feeding": "state", "attention": "dot", "bidirectional": False},
    "two layers": {"n_layers": 2, "dropout_hidden": 0.1, "tie_weights": True},
    "two members": {"n_members": 2, "cell": "rnn_tanh"},
    "one vocabulary": {"share_vocabulary": True},
}
every_form = pytest.mark.parametrize("form", FORMS)


def small(**options):
    chosen = {
        "hidden_size": 12, "embedding_dim": 8, "max_epochs": 4, "learning_rate": 0.02,
        "random_state": 0,
    }  # fmt: skip
    return RNNSeq2Seq(**(chosen | options))


@pytest.fixture(scope="module")
def fits():
    found = {}

    def fit(form):
        if form not in found:
            found[form] = small(**FORMS[form]).fit(X, Y)
        return found[form]

    return fit


def outputs_up_to(n, letters="ABC"):
    return ["".join(y) for k in range(n + 1) for y in itertools.product(letters, repeat=k)]


# ---------------------------------------------------------------------- probabilities
@every_form
def test_probabilities_of_all_outputs_sum_to_one(fits, form):
    """Of those of at most three tokens, and of what goes on after three."""
    model, n = fits(form), 3
    letters = [t for t in model.target_vocabulary_.tokens_ if not t.startswith("<")]
    ys = outputs_up_to(n, letters)
    p = np.exp(model.score_samples(["cab"] * len(ys), ys)).sum()
    longest = [y for y in ys if len(y) == n]
    begins = [np.exp(s[:n].sum()) for s in model.score_tokens(["cab"] * len(longest), longest)]
    ends = [np.exp(s.sum()) for s in model.score_tokens(["cab"] * len(longest), longest)]
    rest = sum(begins) - sum(ends)
    if model.target_vocabulary_.unknown is None:
        assert p + rest == pytest.approx(1, abs=1e-5)
    else:  # what has the unknown token, which outputs never have
        assert 0.2 < p + rest < 1


@every_form
def test_scores_of_tokens_are_those_of_the_next_token_and_sum_to_that_of_the_output(fits, form):
    model, y = fits(form), "BAC"
    (each,) = model.score_tokens(["cab"], [y])
    assert each.shape == (4,)
    assert model.score_samples(["cab"], [y])[0] == pytest.approx(each.sum(), rel=1e-12)
    proba = model.predict_next_proba(["cab"] * 4, [y[:t] for t in range(4)])
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-6)
    ids = [model.target_vocabulary_.id_of(token) for token in [*y, "</s>"]]
    np.testing.assert_allclose(np.log(proba[range(4), ids]), each, rtol=1e-5)


def test_an_ensemble_has_the_mean_of_the_probabilities_of_its_members(fits):
    model = fits("two members")
    alone = []
    for member in model.net_.module_.members:
        one = pickle.loads(pickle.dumps(model))
        one.net_.module_ = Ensemble([member])
        alone.append(one.predict_next_proba(["cab"] * 3, ["", "B", "BA"]))
    together = model.predict_next_proba(["cab"] * 3, ["", "B", "BA"])
    np.testing.assert_allclose(together, np.mean(alone, axis=0), rtol=1e-5)
    assert not np.allclose(alone[0], alone[1])
    two = torch.log(torch.tensor([[0.1, 0.9], [0.5, 0.5]]))
    torch.testing.assert_close(mean_of_members(list(two)).exp(), torch.tensor([0.3, 0.7]))


def test_the_number_of_threads_does_not_matter_to_an_ensemble():
    before = torch.get_num_threads()
    try:
        found = []
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            found.append(small(n_members=3, max_epochs=2).fit(X, Y).transform(NEW))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)


def test_members_are_trained_as_if_each_were_alone():
    """The gradient of one is that of its own loss, and its norm is clipped by itself."""
    torch.manual_seed(0)
    weights = [torch.nn.Linear(3, 1), torch.nn.Linear(3, 1)]

    class Member(torch.nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer
            self.register_buffer("step", torch.zeros(()))

        def forward(self, x):
            loss = (self.layer(x) ** 2).mean()
            return loss, (loss.detach(), torch.tensor(1.0))

    x, found = torch.randn(5, 3), []
    for n_threads in (1, 2):
        both = Ensemble(map(Member, weights), n_threads=n_threads)
        both.zero_grad()
        loss, _ = both(x)
        loss.backward()
        found.append([p.grad.clone() for p in both.parameters()])
    alone = []
    for layer in weights:
        loss = Member(layer)(x)[0]
        alone += torch.autograd.grad(loss, list(layer.parameters()))
    for one in found:
        torch.testing.assert_close(one, alone, rtol=1e-6, atol=1e-7)


# ---------------------------------------------------------------------- outputs
@every_form
def test_a_beam_as_wide_as_all_beginnings_finds_the_best_outputs(fits, form):
    model = clone(fits(form)).set_params(max_length=3, beam_size=40).fit(X[4:7] * 9, Y[4:7] * 9)
    letters = [t for t in model.target_vocabulary_.tokens_ if not t.startswith("<")]
    ys = outputs_up_to(3, letters)
    log_p = model.score_samples(["ab"] * len(ys), ys)
    best = np.argsort(-log_p)[:5]
    (found,) = model.predict_n_best(["ab"], 5)
    np.testing.assert_allclose([p for _, p in found], log_p[best], rtol=1e-4)
    assert [y for y, _ in found] == [ys[i] for i in best]
    assert model.predict(["ab"])[0] == ys[best[0]]


@every_form
def test_a_beam_of_one_takes_the_likeliest_token_at_each_step(fits, form):
    model = pickle.loads(pickle.dumps(fits(form))).set_params(beam_size=1)
    tokens = model.target_vocabulary_.tokens_
    never = [] if model.target_vocabulary_.unknown is None else [model.target_vocabulary_.unknown]
    for x, found in zip(NEW, model.predict(NEW), strict=True):
        y = ""
        while len(y) < 20:
            proba = model.predict_next_proba([x], [y])[0]
            proba[never] = 0
            token = tokens[proba.argmax()]
            if token == "</s>":
                break
            y += token
        assert found == y


@every_form
def test_outputs_do_not_depend_on_the_batch_nor_on_its_order(fits, form):
    model = fits(form)
    together = model.predict_n_best(NEW, 3)
    backwards = model.predict_n_best(NEW[::-1], 3)[::-1]
    twice = model.predict_n_best(NEW * 2, 3)
    assert together == backwards == twice[: len(NEW)] == twice[len(NEW) :]
    for x, some in zip(NEW, together, strict=True):
        (alone,) = model.predict_n_best([x], 3)
        assert [y for y, _ in alone] == [y for y, _ in some]
        np.testing.assert_allclose([p for _, p in alone], [p for _, p in some], rtol=1e-4)
    scores, n = model.score_samples(NEW, NEW[::-1] if form == "one vocabulary" else Y[:6]), len(NEW)
    ys = NEW[::-1] if form == "one vocabulary" else Y[:6]
    alone = [model.score_samples(NEW[i : i + 1], ys[i : i + 1])[0] for i in range(n)]
    np.testing.assert_allclose(scores, alone, rtol=1e-4)


@every_form
def test_scores_of_n_best_outputs_are_their_log_probabilities(fits, form):
    model = fits(form)
    for x, some in zip(NEW, model.predict_n_best(NEW, 4), strict=True):
        assert len({y for y, _ in some}) == 4
        wanted = model.score_samples([x] * 4, [y for y, _ in some])
        np.testing.assert_allclose([p for _, p in some], wanted, rtol=1e-4)
        assert [p for _, p in some] == sorted((p for _, p in some), reverse=True)
    best = [some[0][1] for some in model.predict_n_best(NEW, 1)]
    np.testing.assert_allclose(model.score_samples(NEW), best, rtol=1e-4)


def test_a_penalty_of_length_favours_longer_outputs(fits):
    model = pickle.loads(pickle.dumps(fits("default"))).set_params(beam_size=20)
    lengths = []
    for penalty in (0.0, 1.0, 3.0):
        model.set_params(length_penalty=penalty)
        some = model.predict_n_best(NEW, 5)
        ranks = [[p / (len(y) + 1) ** penalty for y, p in one] for one in some]
        assert all(one == sorted(one, reverse=True) for one in ranks)
        lengths.append(sum(len(one[0][0]) for one in some))
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]


def test_outputs_are_as_long_as_they_may_be():
    model = small(max_length=3).fit(X, Y)
    assert model.max_length_ == 3
    assert max(map(len, model.predict(["abcabcabcabc"]))) <= 3
    longer = small().fit(X, Y)
    assert longer.max_length_ == 6
    # of an x twice as long as any, twice as long
    found = longer.sample(["abcabc"] * 50, temperature=5.0, random_state=0)
    assert 6 < max(map(len, found)) <= 12


def test_draws_follow_the_probabilities(fits):
    model = fits("default")
    n = 4000
    drawn = model.sample(["ab"] * n, random_state=0)
    ys, counts = np.unique(drawn.astype(str), return_counts=True)
    often = counts > 100
    p = np.exp(model.score_samples(["ab"] * often.sum(), ys[often].tolist()))
    assert len(p) >= 3
    np.testing.assert_allclose(counts[often] / n, p, atol=4 * np.sqrt(0.25 / n))
    assert (model.sample(["ab"] * n, random_state=0) == drawn).all()
    assert (model.sample(["ab"] * n, random_state=1) != drawn).any()
    greedy = pickle.loads(pickle.dumps(model)).set_params(beam_size=1)
    assert (model.sample(NEW, top_k=1) == greedy.predict(NEW)).all()
    assert (model.sample(NEW, top_p=1e-9, random_state=0) == greedy.predict(NEW)).all()
    assert (model.sample(NEW, temperature=1e-4, random_state=0) == greedy.predict(NEW)).all()


# ---------------------------------------------------------------------- how many are right
def test_it_learns_to_reverse_and_scores_say_how_well():
    model = small(hidden_size=32, embedding_dim=16, max_epochs=40).fit(X, Y)
    assert model.predict(["cab", "ba"]).tolist() == ["BAC", "AB"]
    assert model.score(X, Y) == 1
    assert model.error_rate(X, Y) == 0
    wrong = ["BAX", "B", "", "CBA"]  # one substituted, two missing, all too many, right
    assert model.score(["cab", "bab", "ba", "abc"], wrong) == 0.25
    assert model.error_rate(["cab", "bab", "abc"], ["BAX", "B", "CBA"]) == pytest.approx(3 / 7)
    weight = [2.0, 0.0, 1.0]
    assert model.error_rate(["cab", "bab", "abc"], ["BAX", "B", "CBA"], weight) == 2 / 9
    assert model.score(["cab", "bab", "abc"], ["BAX", "B", "CBA"], weight) == pytest.approx(1 / 3)
    scorer = token_error_rate_scorer(model, ["cab", "bab", "abc"], ["BAX", "B", "CBA"])
    assert scorer == pytest.approx(-3 / 7)
    words = make_pipeline(small(target_tokenizer="word", max_epochs=1)).fit(
        X, [" ".join(y) for y in Y]
    )
    wanted = -words[-1].error_rate(["cab"], ["A B"])  # of words, as the model has them
    assert token_error_rate_scorer(words, ["cab"], ["A B"]) == wanted


@pytest.mark.parametrize("seed", range(3))
def test_the_error_rate_is_the_edit_distance_by_recursion(seed):
    def distance(a, b):
        if not a or not b:
            return len(a) + len(b)
        return min(
            distance(a[1:], b[1:]) + (a[0] != b[0]),
            distance(a[1:], b) + 1,
            distance(a, b[1:]) + 1,
        )

    rng = np.random.default_rng(seed)
    a, b = ([rng.integers(3, size=rng.integers(6)).tolist() for _ in range(20)] for _ in range(2))
    wanted = sum(map(distance, a, b)) / sum(map(len, b))
    assert token_error_rate(b, a) == pytest.approx(wanted)
    texts = ["".join(map(str, s)) for s in a], ["".join(map(str, s)) for s in b]
    assert token_error_rate(texts[1], texts[0]) == pytest.approx(wanted)
    words = [" ".join(map(str, s)) for s in a], [" ".join(map(str, s)) for s in b]
    assert token_error_rate(words[1], words[0], tokenizer=str.split) == pytest.approx(wanted)


def test_an_error_rate_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no tokens"):
        token_error_rate([[], []], [[1], []])
    with pytest.raises(ValueError, match="y_true has 1 sequences, and y_pred has 2"):
        token_error_rate([[1]], [[1], []])
    with pytest.raises(TypeError, match="of one kind"):
        token_error_rate(["ab"], [["a", "b"]])


# ---------------------------------------------------------------------- attention and states
@every_form
def test_weights_of_attention_sum_to_one_over_x(fits, form):
    model = fits(form)
    if model.attention is None:
        with pytest.raises(ValueError, match="attention=None"):
            model.attention_weights(NEW)
        return
    found = model.attention_weights(NEW)
    for x, y, weights in zip(NEW, model.predict(NEW), found, strict=True):
        assert weights.shape == (len(y) + 1, len(x))
        np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
        (alone,) = model.attention_weights([x], [y])
        np.testing.assert_allclose(weights, alone, atol=1e-5)


def test_attention_finds_what_is_copied():
    """y reverses x, so that step t looks at the token that is as far from the end."""
    model = small(hidden_size=32, embedding_dim=16, max_epochs=40).fit(X, Y)
    (weights,) = model.attention_weights(["cab"], ["BAC"])
    assert weights[:3].argmax(1).tolist() == [2, 1, 0]


def test_states_feed_a_classifier():
    model = small(max_epochs=20)
    kind = np.array(["b" in x for x in X])
    states = model.fit(X, Y).transform(X)
    assert states.shape == (len(X), 12)
    assert LogisticRegression(C=100).fit(states, kind).score(states, kind) > 0.9
    assert model.get_feature_names_out().tolist() == [f"rnnseq2seq{i}" for i in range(12)]


# ---------------------------------------------------------------------- training
def test_the_history_is_the_loss_of_the_model(fits):
    model = small(early_stopping=True, patience=1, max_epochs=6).fit(X, Y, X_val=NEW, y_val=NEW_Y)
    last = min(model.history_, key=lambda row: row["valid_loss"])
    each = model.score_tokens(NEW, NEW_Y)
    wanted = -np.concatenate(each).mean()
    assert last["valid_loss"] == pytest.approx(wanted, rel=1e-5)


NEW_Y = [x[::-1].upper() for x in NEW]


def test_label_smoothing_and_sampled_inputs_change_the_training_only():
    plain, smooth, sampled = (
        small(**options).fit(X, Y)
        for options in (
            {"label_smoothing": 0.0},
            {"label_smoothing": 0.4},
            {"label_smoothing": 0.0, "teacher_forcing": 0.0, "teacher_forcing_steps": 5},
        )
    )
    entropy = [-model.score_samples(X, Y).mean() for model in (plain, smooth, sampled)]
    assert len(set(entropy)) == 3
    assert entropy[0] < entropy[1]


def test_a_weight_of_two_is_a_pair_twice_and_of_zero_none():
    weight = np.tile([2.0, 0.0, 1.0], len(X) // 3)
    rows = np.repeat(np.arange(len(X)), weight.astype(int))
    weighted = small().fit(X, Y, sample_weight=weight)
    repeated = small().fit([X[i] for i in rows], [Y[i] for i in rows])
    np.testing.assert_array_equal(weighted.transform(NEW), repeated.transform(NEW))
    assert weighted.predict_n_best(NEW, 3) == repeated.predict_n_best(NEW, 3)


def test_training_goes_on_from_the_last_weights():
    model = small(warm_start=True, learning_rate_schedule="constant").fit(X, Y)
    before = model.history_[-1]["train_loss"]
    model.set_params(max_epochs=2).fit(X[:12], Y[:12])
    assert model.history_[0]["train_loss"] < before * 1.5
    with pytest.raises(ValueError, match="hidden_size was 12 then"):
        model.set_params(hidden_size=16).fit(X, Y)


def test_it_works_in_pipelines_and_searches():
    pipeline = make_pipeline(small()).fit(X, Y)
    assert pipeline.score(X, Y) == pipeline[-1].score(X, Y)
    search = GridSearchCV(small(), {"hidden_size": [4, 8]}, scoring=token_error_rate_scorer, cv=2)
    assert search.fit(X, Y).best_score_ <= 0
    found = cross_val_predict(small(max_epochs=1), X, Y, cv=2)
    assert found.shape == (len(X),)


def test_the_global_state_of_torch_and_numpy_is_untouched():
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    model = small(n_members=2, teacher_forcing=0.5).fit(X, Y)
    model.predict(NEW)
    model.sample(NEW)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_copies_and_pickles_give_the_same(fits):
    model = fits("two members")
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.transform(NEW), again.transform(NEW))
    np.testing.assert_array_equal(model.transform(NEW), clone(model).fit(X, Y).transform(NEW))
