"""Equal rows and weights: training goes by how many rows there are, not by how many differ."""

import numpy as np
import pytest

from skem import RNNClassifier, VAETransformer
from skem.deep.training._distinct import distinct, repeated


def test_rows_come_as_often_as_they_weigh():
    rows, weight = repeated(np.array([3.0, 1.0, 2.0]), 6)
    assert rows.tolist() == [0, 0, 0, 1, 2, 2]
    assert weight is None
    assert repeated(None, 4) == (None, None)


def test_what_is_left_of_a_weight_weighs_each_time():
    given = np.array([2.6, 0.2, 1.4])
    rows, weight = repeated(given, 3)
    assert rows.tolist() == [0, 0, 0, 1, 2]
    sums = np.bincount(rows, weights=weight[rows])
    np.testing.assert_allclose(sums / sums.sum(), given / given.sum())
    assert weight[rows].mean() == pytest.approx(1)


@pytest.mark.parametrize("factor", [1e-6, 0.3])
def test_small_weights_are_a_row_each(factor):
    rows, weight = repeated(factor * np.array([1.0, 2.0]), 2)
    assert rows is None
    np.testing.assert_allclose(weight, [2 / 3, 4 / 3])


def test_weights_that_are_no_counts_are_said_to_be():
    with pytest.warns(UserWarning, match="an epoch has 5000 of them, and X has 5"):
        repeated(np.full(5, 1000.0), 5)
    with pytest.raises(ValueError, match="by their mean"):
        repeated(np.full(5, 1e12), 5)


def two_equal_columns(n=450):
    return np.column_stack([np.tile(np.arange(3), n // 3)] * 2)


def test_a_table_of_few_different_rows_is_trained():
    """Nine different rows would be one batch an epoch."""
    model = VAETransformer(2, likelihood=["categorical"] * 2, random_state=0)
    drawn = model.fit(two_equal_columns()).sample(3000)
    assert np.mean(drawn[:, 0] == drawn[:, 1]) > 0.7  # a third by chance


@pytest.mark.filterwarnings("ignore:The posterior has collapsed")  # after so few epochs
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_weight_of_two_is_a_row_twice(early_stopping):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, (60, 3)).astype(float)
    times = rng.integers(1, 4, 60)
    settings = {"likelihood": ["categorical"] * 3, "max_epochs": 4, "batch_size": 16}
    settings |= {"random_state": 0, "early_stopping": early_stopping}
    a = VAETransformer(2, **settings).fit(X, sample_weight=times)
    b = VAETransformer(2, **settings).fit(np.repeat(X, times, axis=0))
    np.testing.assert_array_equal(a.transform(X), b.transform(X))


@pytest.mark.parametrize("seed", range(4))
def test_a_heavy_sequence_is_not_held_out_whole(seed):
    """More than half of the rows are one; held out, its class would never be learned."""
    texts = ["ok"] * 110 + [f"w{i} bad" for i in range(90)]
    y = ["good"] * 110 + ["poor"] * 90
    model = RNNClassifier(
        hidden_size=8, embedding_dim=8, early_stopping=True, max_epochs=8, random_state=seed
    )
    model.fit(texts, y)
    assert model.predict(["ok"]).tolist() == ["good"]


def test_sequences_with_weights_are_sequences_so_many_times():
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 4, (40, 5)), rng.integers(0, 2, 40)
    times = rng.integers(1, 4, 40)
    for class_weight in (None, {0: 1.0, 1: 3.0}):
        settings = {"hidden_size": 4, "embedding_dim": 4, "max_epochs": 2, "random_state": 0}
        settings["class_weight"] = class_weight
        a = RNNClassifier(**settings).fit(X, y, sample_weight=times)
        b = RNNClassifier(**settings).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
        np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), atol=1e-6)


def test_epochs_count_rows():
    X = two_equal_columns().astype(np.float32)
    rows, weight = distinct(X, None, None)
    times, each = repeated(weight, len(X))
    assert (len(rows), len(times), each) == (3, 450, None)


@pytest.mark.parametrize("far", [-9999.0, 1e6, 1e20, 3e38])
@pytest.mark.parametrize("posterior", ["diag", "planar", "iaf"])
def test_rows_far_out_have_a_score_and_a_place(far, posterior):
    """exp of a log variance that no row of the training had must not meet a product with zero."""
    rng = np.random.default_rng(0)
    X = rng.normal(20, 0.05, (400, 4)).astype(np.float32)
    model = VAETransformer(2, posterior=posterior, max_epochs=10, random_state=0).fit(X)
    rows = np.repeat(X[:4], 4, axis=0)
    rows[np.arange(16), np.arange(16) % 4] = far
    assert np.isfinite(model.transform(rows)).all()
    scores = model.score_samples(rows)
    assert not np.isnan(scores).any()
    assert (scores < model.score_samples(X[:4]).min()).all()
