"""What NumPy would take for numbers without a word: masks, dates; and numbers that are NumPy's."""

import datetime

import numpy as np
import pandas as pd
import pytest

import skem
from skem import (
    PLSA,
    BernoulliMixtureEM,
    GaussianMixtureEM,
    LatentDirichletAllocationVB,
    MaxEntClassifier,
    MaxEntDistribution,
    RNNClassifier,
    RNNLanguageModel,
    RNNSeq2Seq,
    RNNTagger,
    ThreeCoinMixture,
    VAETransformer,
)
from skem._sklearn import _own

r = np.random.default_rng(0)
X = r.normal(size=(40, 3))
y = (X[:, 0] > 0).astype(int)
counts = r.poisson(0.8, (40, 12))
tokens = r.integers(1, 4, (40, 5))
weight = np.ones(40)

# Estimators, their rows, and what else fit takes.
CASES = {
    "gaussian": (GaussianMixtureEM(2), X, ("sample_weight", "labels")),
    "bernoulli": (BernoulliMixtureEM(2, binarize=0.0), X, ("sample_weight",)),
    "coins": (ThreeCoinMixture(), (X > 0).astype(float), ("sample_weight",)),
    "plsa": (PLSA(2), counts, ("sample_weight",)),
    "lda": (LatentDirichletAllocationVB(2), counts, ("sample_weight",)),
    "classifier": (MaxEntClassifier(), X, ("y", "sample_weight")),
    "joint": (
        MaxEntClassifier(feature_function=lambda X, c: np.asarray(X) * c),
        X,
        ("y", "sample_weight"),
    ),
    "distribution": (MaxEntDistribution(), X, ("sample_weight",)),
    "vae": (VAETransformer(1, max_epochs=1, prior="class"), X, ("sample_weight", "labels")),
    "lm": (RNNLanguageModel(hidden_size=4, max_epochs=1), tokens, ()),
    "rnn": (RNNClassifier(hidden_size=4, max_epochs=1), tokens, ("y", "sample_weight")),
    "tagger": (RNNTagger(hidden_size=4, max_epochs=1), tokens, ("y",)),
    "seq2seq": (RNNSeq2Seq(hidden_size=4, max_epochs=1), tokens, ("y", "sample_weight")),
}
GOOD = {"sample_weight": weight, "labels": y, "y": y}


def fit(name, **changed):
    estimator, rows, others = CASES[name]
    given = {other: argument(name, other) for other in others}
    given |= {"X": rows} | changed
    return clone_of(estimator).fit(**given)


def clone_of(estimator):
    params = estimator.get_params()
    return type(estimator)(**params | ({"random_state": 0} if "random_state" in params else {}))


def argument(name, parameter):
    if parameter == "X":
        return CASES[name][1]
    return tokens if name == "tagger" else GOOD[parameter]


PAIRS = [(name, p) for name, (_, _, others) in CASES.items() for p in ("X", *others)]


@pytest.mark.parametrize(("name", "parameter"), PAIRS)
def test_a_mask_is_refused_by_name(name, parameter):
    if (name, parameter) == ("joint", "X"):
        pytest.skip("X is whatever feature_function takes")
    masked = np.ma.masked_array(argument(name, parameter))
    masked[0] = np.ma.masked
    n = masked[0].size
    with pytest.raises(ValueError, match=rf"^{parameter} is a masked array, {n} of whose entries"):
        fit(name, **{parameter: masked})
    if masked.ndim == 2:
        with pytest.raises(ValueError, match=rf"^{parameter} is a masked array, {n} of whose"):
            fit(name, **{parameter: list(masked)})


@pytest.mark.parametrize("name", ["gaussian", "plsa", "classifier", "vae"])
def test_a_mask_that_masks_nothing_changes_nothing(name):
    rows = np.ma.masked_array(CASES[name][1])
    assert np.isfinite(getattr(fit(name, X=rows), "n_iter_", 1))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["gaussian", "bernoulli", "plsa", "lda", "classifier", "vae"])
def test_what_is_masked_is_refused_after_the_fit_too(name):
    rows = CASES[name][1]
    estimator, masked = fit(name), np.ma.masked_array(rows, mask=rows == rows[0, 0])
    method = estimator.transform if hasattr(estimator, "transform") else estimator.predict_proba
    with pytest.raises(ValueError, match="X is a masked array"):
        method(masked)


DAYS = np.datetime64("2024-01-01") + np.arange(40)
DATES = {
    "datetime64": DAYS,
    "timedelta64": DAYS - DAYS[0],
    "list of datetime64": list(DAYS),
    "objects": np.array(DAYS.tolist(), dtype=object),
    "list of date": DAYS.tolist(),
    "Series": pd.Series(DAYS),
    "with time zone": pd.Series(DAYS).dt.tz_localize("UTC"),
    "period": pd.Series(DAYS).dt.to_period("D"),
}


@pytest.mark.parametrize("kind", DATES)
def test_dates_are_no_weights_and_no_labels(kind):
    dates = DATES[kind]
    for name in ("gaussian", "plsa", "classifier", "distribution", "vae", "rnn", "seq2seq"):
        with pytest.raises(ValueError, match=r"^sample_weight holds dates or times"):
            fit(name, sample_weight=dates)
    with pytest.raises(ValueError, match=r"^labels holds dates or times"):
        fit("gaussian", labels=dates)


@pytest.mark.parametrize("kind", DATES)
@pytest.mark.parametrize("name", ["gaussian", "bernoulli", "plsa", "classifier", "vae", "lm"])
def test_dates_are_no_rows(name, kind):
    if isinstance(DATES[kind], list):
        table = [[day, day] for day in DATES[kind]]
    elif isinstance(DATES[kind], pd.Series):
        table = pd.DataFrame({"when": DATES[kind], "x": np.arange(40.0)})
    else:
        table = np.column_stack([DATES[kind]] * 2)
    if name == "lm" and kind != "datetime64":
        pytest.skip("lists and objects are tokens")
    with pytest.raises(ValueError, match=r"^X holds dates or times"):
        fit(name, X=table)


def test_columns_of_dates_are_named():
    frame = pd.DataFrame({"a": np.arange(40.0), "when": DAYS, "what": [datetime.time(3)] * 40})
    with pytest.raises(ValueError, match="column 'when', column 'what'"):
        fit("gaussian", X=frame)


def test_dates_may_be_names_of_classes():
    classifier = fit("classifier", y=DAYS[y])
    assert classifier.classes_.tolist() == DAYS[:2].tolist()


def test_numbers_of_facts_are_neither_masked_nor_dates():
    masked = np.ma.masked_array([0.5], mask=[True])
    with pytest.raises(ValueError, match=r"^moments is a masked array"):
        MaxEntDistribution(1, support=(0, 1)).fit_moments(masked)
    with pytest.raises(ValueError, match=r"^upper holds dates"):
        MaxEntDistribution(1, support=(0, 1)).fit_moments(upper=DAYS[:1])
    means = np.ma.masked_array(np.zeros((2, 3)), mask=np.eye(2, 3))
    with pytest.raises(ValueError, match="means_init is a masked array"):
        GaussianMixtureEM(2, means_init=means).fit(X)


# ---------------------------------------------------------------------- numbers of NumPy
SIZES = {
    "gaussian": ["n_components", "max_iter", "n_init", "n_jobs", "random_state"],
    "bernoulli": ["n_components", "max_iter", "n_init", "n_jobs", "random_state"],
    "coins": ["max_iter", "n_init"],
    "plsa": ["n_components", "max_iter", "n_jobs"],
    "lda": ["n_components", "max_iter", "n_jobs"],
    "classifier": ["max_iter", "n_jobs", "random_state"],
    "distribution": ["max_iter"],
    "vae": ["n_components", "batch_size", "max_epochs", "patience"],
    "lm": ["hidden_size", "embedding_dim", "bptt", "batch_size", "max_vocabulary"],
    "rnn": ["hidden_size", "embedding_dim", "n_layers", "batch_size"],
    "tagger": ["hidden_size", "embedding_dim", "character_features", "batch_size"],
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_integers_of_numpy_are_integers(name, kind):
    estimator, _, _ = CASES[name]
    values = dict.fromkeys(SIZES[name], 2) | {"random_state": 0}
    values = {key: value for key, value in values.items() if key in estimator.get_params()}
    given = {key: kind(value) for key, value in values.items()}
    others = {key: argument(name, key) for key in CASES[name][2]}
    rows = CASES[name][1]
    expected = clone_of(estimator).set_params(**values).fit(rows, **others)
    fitted = clone_of(estimator).set_params(**given).fit(rows, **others)
    for key, value in given.items():
        assert getattr(fitted, key) is value  # as scikit-learn's clone wants
    of = (rows, others["y"]) if "y" in others else (rows,)
    assert fitted.score(*of) == expected.score(*of)


def test_a_failed_fit_has_its_parameters_back():
    n = np.int64(2)
    mixture = GaussianMixtureEM(n)
    with pytest.raises(ValueError, match="infinity"):
        mixture.fit(np.full((5, 2), np.inf))
    assert mixture.n_components is n


def test_only_numbers_are_made_pythons_own():
    array, text = np.arange(2), ["a"]
    assert _own(array) is array
    assert _own(text) is text
    assert _own((np.int64(1), 2.0)) == (1, 2.0)
    assert type(_own(np.float32(0.5))) is float
    assert type(_own(np.bool_(True))) is bool


# ---------------------------------------------------------------------- callbacks
@pytest.mark.parametrize("wrong", [2, "EarlyStopping", ("name", 2), (1, 2, 3), object, None])
@pytest.mark.parametrize("name", ["vae", "lm", "rnn", "tagger"])
def test_what_is_no_callback_is_refused_by_name(name, wrong):
    estimator, rows, others = CASES[name]
    given = {other: argument(name, other) for other in others}
    with pytest.raises(TypeError, match=r"^callbacks\[0\] must be a callback of skorch"):
        clone_of(estimator).set_params(callbacks=[wrong]).fit(rows, **given)


def test_every_estimator_is_among_the_cases():
    kinds = {type(estimator).__name__ for estimator, _, _ in CASES.values()}
    assert kinds == {name for name in skem.__all__ if name[0].isupper()}


@pytest.mark.parametrize("missing", [None, float("nan"), np.datetime64("NaT")])
@pytest.mark.parametrize("name", ["classifier", "joint", "rnn"])
def test_missing_classes_are_named(name, missing):
    classes = np.array([["a", "b"][i] for i in y], dtype=object)
    classes[3] = missing
    with pytest.raises(ValueError, match=r"contains (NaN|missing values)"):
        fit(name, y=classes)


@pytest.mark.parametrize("kind", ["M8[D]", "m8[D]"])
@pytest.mark.parametrize("name", ["classifier", "rnn"])
def test_dates_may_be_classes_and_missing_dates_may_not(name, kind):
    classes = np.where(np.asarray(y) == np.asarray(y)[0], 1, 2).astype(kind)
    fit(name, y=classes)
    classes[3] = "NaT"
    with pytest.raises(ValueError, match="contains missing values"):
        fit(name, y=classes)
