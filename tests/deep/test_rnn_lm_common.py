"""What the recurrent language model does as a member of scikit-learn's family."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator
from skorch.callbacks import Callback

from skem import MaxEntClassifier, RNNLanguageModel
from tests.deep.test_rnn_lm import IDS, KINDS, LINES, TABLE, TEXT, small

VARIANTS = {
    "plain": {},
    "early stopping": {"early_stopping": True},
    "random truncation": {"truncation": "random", "bptt": 4, "representation": "mean"},
    "averaged": {"optimizer": "nt-asgd", "cell": "gru", "averaging_patience": 1},
    "two layers": {"n_layers": 2, "dropout_hidden": 0.2, "embedding_dim": 3, "cell": "rnn_tanh"},
}
MORE_CHECKS = [
    "check_param_validation",
    "check_dataframe_column_names_consistency",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def outputs(model, X):
    drawn = model.generate(n_tokens=5, random_state=0)
    return [model.transform(X), model.score_samples(X), model.predict_proba(X), drawn]


def assert_same_outputs(a, b, X):
    for x, y in zip(outputs(a, X), outputs(b, X), strict=True):
        np.testing.assert_array_equal(x, y)


# ---------------------------------------------------------------------- scikit-learn's own checks
@every_variant
def test_check_estimator_passes_with_no_exception(variant):
    estimator = RNNLanguageModel(hidden_size=6, max_epochs=2, **VARIANTS[variant])
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    # Array API input is checked only where the environment had SCIPY_ARRAY_API=1 before scipy
    # was imported; the estimator does not claim to support it.
    not_passed = {r["check_name"] for r in results if r["status"] != "passed"}
    assert not_passed <= {"check_array_api_input"}, [repr(r["exception"]) for r in results]
    assert len(results) == 47


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")  # checks fit so
@pytest.mark.parametrize("name", MORE_CHECKS)
def test_the_checks_that_check_estimator_leaves_out(name):
    estimator = RNNLanguageModel(hidden_size=6, max_epochs=2)
    getattr(estimator_checks, name)("RNNLanguageModel", estimator)


# ---------------------------------------------------------------------- copies
@every_variant
@pytest.mark.parametrize("kind", ["texts", "ids"])
def test_copies_give_the_same_and_train_on(variant, kind):
    X = KINDS[kind]
    fitted = small(**VARIANTS[variant]).fit(X)
    copies = [pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)]
    for copied in copies:
        assert_same_outputs(copied, fitted, X)
        assert copied.history_ == fitted.history_
    for resume in (lambda m: m.partial_fit(X), lambda m: m.set_params(warm_start=True).fit(X)):
        resumed = [resume(m).transform(X) for m in [*copies, fitted]]
        for Z in resumed[:-1]:
            np.testing.assert_array_equal(Z, resumed[-1])
    blank = clone(fitted)
    assert set(vars(blank)) == set(blank.get_params())


def test_a_pickle_holds_no_text():
    text = "".join(np.random.default_rng(0).choice(list("abcdefgh "), 100_000))
    model = small(max_epochs=1, early_stopping=True).fit(text)
    weights = sum(p.nbytes for p in model.net_.module_.parameters())
    assert len(pickle.dumps(model)) < 3 * weights + 60_000


# ---------------------------------------------------------------------- randomness
@every_variant
def test_a_fit_is_that_of_its_seed_and_leaves_global_random_states_alone(variant):
    model = small(**VARIANTS[variant])
    first = clone(model).fit(LINES)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    second = clone(model).fit(LINES).partial_fit(LINES)
    assert_same_outputs(first.partial_fit(LINES), second, LINES)
    for _ in second.generate("the", 3, stream=True):
        assert torch.equal(torch.get_rng_state(), states[0])
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002


# ---------------------------------------------------------------------- going on
def test_partial_fits_learn_with_the_vocabulary_of_the_first():
    model = small()
    losses = []
    for _ in range(15):
        losses.append(-model.partial_fit(LINES).score(LINES))
    assert losses[-1] < losses[0] - 0.5
    assert [row["epoch"] for row in model.history_] == list(range(1, 16))
    tokens = model.vocabulary_.tokens_
    model.partial_fit(["new signs: #?", "the end"])
    assert model.vocabulary_.tokens_ == tokens


def test_a_warm_start_goes_on_from_the_weights():
    model = small(warm_start=True).fit(LINES)
    before = -model.score(LINES)
    model.fit(LINES)
    assert model.history_[0]["train_loss"] < before + 0.1
    model.set_params(hidden_size=7)
    with pytest.raises(ValueError, match="hidden_size was 12 then, and is 7 now"):
        model.fit(LINES)


def test_early_stopping_takes_the_weights_of_the_best_epoch():
    model = small(early_stopping=True, patience=2, learning_rate=0.05, max_epochs=60).fit(
        TEXT[:400]
    )
    losses = [row["valid_loss"] for row in model.history_]
    assert len(losses) - 1 - int(np.argmin(losses)) <= 2
    model = small(early_stopping=True, patience=1, max_epochs=50, learning_rate=0.1)
    model.set_params(unknown_score="symbol")  # of 'z'
    model.fit(LINES[:4] * 2, X_val=["zzz", "ccc"])
    best = min(row["valid_loss"] for row in model.history_)
    assert best == pytest.approx(-model.score(["zzz", "ccc"]), rel=1e-4)


class Weights(Callback):
    """The weights that were trained last and their averages, at the end of the training."""

    def on_train_end(self, net, **kwargs):
        optimizer, module = net.optimizer_, net.module_
        assert optimizer.averages
        optimizer.train()
        self.trained_ = [p.detach().clone() for p in module.parameters()]
        optimizer.eval()
        self.averages_ = [p.detach().clone() for p in module.parameters()]


def test_averages_are_what_is_used_once_the_loss_has_stopped_to_fall():
    options = {"optimizer": "nt-asgd", "learning_rate": 4.0, "averaging_patience": 1}
    weights = Weights()
    model = small(**options, max_epochs=40, gradient_clip=0.25, callbacks=[weights]).fit(LINES)
    used = list(model.net_.module_.parameters())
    assert all(map(torch.equal, weights.averages_, used))
    assert not all(map(torch.equal, weights.trained_, used))


# ---------------------------------------------------------------------- input
def test_kinds_of_input_give_the_same():
    pd = pytest.importorskip("pandas")
    model = small().fit(LINES)
    for other in (np.array(LINES), np.array(LINES, dtype=object), pd.Series(LINES), tuple(LINES)):
        assert_same_outputs(small().fit(other), model, LINES)
    characters = [list(line) for line in LINES]
    np.testing.assert_array_equal(small().fit(characters).score_samples(characters),
                                  model.score_samples(LINES))  # fmt: skip
    rows = small(end_token=True).fit(TABLE)
    assert rows.n_features_in_ == 6
    for other in (TABLE.tolist(), list(TABLE), TABLE.astype(float), pd.DataFrame(TABLE)):
        given = small(end_token=True).fit(other)
        np.testing.assert_array_equal(given.score_samples(other), rows.score_samples(TABLE))
    text = small().fit(TEXT)
    np.testing.assert_array_equal(small().fit([TEXT]).transform([TEXT]), text.transform(TEXT))
    assert not hasattr(text, "n_features_in_")


def test_negative_numbers_pad_rows():
    padded = np.full((len(IDS), 7), -1)
    for row, sequence in zip(padded, IDS, strict=True):
        row[: len(sequence)] = sequence
    a, b = small().fit(IDS), small().fit(padded)
    np.testing.assert_array_equal(a.score_samples(IDS), b.score_samples(padded))


def test_predictions_are_tokens():
    assert small().fit(IDS).predict(IDS).dtype.kind == "i"
    assert small().fit(LINES).predict(["the"])[0] in set("".join(LINES))


def test_states_feed_a_classifier():
    y = np.array(["cat" in line or "dog" in line for line in LINES])
    pipeline = make_pipeline(
        small(max_epochs=40, hidden_size=32, representation="mean"), MaxEntClassifier()
    )
    assert pipeline.fit(LINES, y).score(LINES, y) > 0.9


def test_a_search_needs_no_scorer():
    search = GridSearchCV(small(max_epochs=10), {"hidden_size": [1, 24]}, cv=2).fit(LINES)
    assert search.best_params_ == {"hidden_size": 24}


# ---------------------------------------------------------------------- errors
BAD_FITS = [
    ({}, ["", ""], "every document is empty"),
    ({}, [], "no documents"),
    ({"end_token": False}, ["ab", ""], "Sequence 1 of X has no tokens"),
    ({}, "aaaa", "vocabulary of one token, 'a'"),
    ({}, ["a", "b"], "Sequence 0 of X has 1 token"),
    ({}, np.ones((5, 1), int), "at least two tokens"),
    ({"tokenizer": None}, LINES, "tokenizer=None"),
    ({"min_frequency": 100}, LINES[:3], "min_frequency=100"),
    ({}, np.array([[0.5, 1.0], [1.0, 2.0]]), "integer token ids"),
    ({"hidden_size": (3, 4)}, LINES, "hidden_size"),
    ({"hidden_size": (3, -4), "n_layers": 2}, LINES, "hidden_size"),
    ({"cutoffs": [5, 3]}, LINES, "cutoffs must be rising"),
    ({"cutoffs": [5, 1000]}, LINES, "cutoffs must be rising"),
    ({"bptt": 1, "truncation": "random"}, LINES, "bptt"),
    ({"teacher_forcing_steps": 9}, LINES, "teacher_forcing_steps"),
    ({"early_stopping": True, "validation_fraction": 0.9}, "abc", "validation_fraction"),
    ({"device": "nonsense"}, LINES, "device='nonsense'"),
]


@pytest.mark.parametrize(("options", "X", "message"), BAD_FITS)
def test_bad_input_is_named_and_leaves_the_estimator_as_it_was(options, X, message):
    model = small(max_epochs=1).fit(LINES)
    before = vars(model.set_params(**options)).copy()
    score = model.score(LINES)
    for method in (model.fit, model.set_params().fit):
        with pytest.raises(ValueError, match=message):
            method(X)
    assert vars(model) == before
    assert model.score(LINES) == score


def test_bad_use_is_named():
    model = small(max_epochs=1, unknown_token=False).fit(TABLE)
    with pytest.raises(ValueError, match="X has 5 features, but RNNLanguageModel is expecting 6"):
        model.score_samples(TABLE[:, :5])
    with pytest.raises(ValueError, match="not in the vocabulary of 5: 9"):
        model.score_samples([[0, 1, 9]])
    with pytest.raises(ValueError, match=r"negative|not in the vocabulary"):
        model.score_samples([[0, -1, 2]])
    model = small(max_epochs=1).fit(LINES)
    with pytest.raises(TypeError, match="has integers, and tokens were strings"):
        model.score_samples([[1, 2]])
    with pytest.raises(TypeError, match="prompt must be one document"):
        model.generate(["the", ["cat"]])
    for options, message in (
        ({"temperature": 0}, "temperature must be"),
        ({"top_k": 0}, "top_k must be"),
        ({"top_p": 1.5}, "top_p must be"),
        ({"n_tokens": 0}, "n_tokens must be"),
    ):
        with pytest.raises(ValueError, match=message):
            model.generate("the", **options)
    with pytest.raises(ValueError, match="bits_per_character needs documents that are strings"):
        small(max_epochs=1).fit(IDS).bits_per_character(IDS)


def test_unknown_tokens_have_a_chance_of_their_own():
    model = small().fit(LINES)
    assert np.isfinite(model.score_samples(["the # cat"])).all()
    assert model.predict_proba(["the % cat"]) == pytest.approx(model.predict_proba(["the # cat"]))
