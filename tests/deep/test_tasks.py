"""scikit-learn's callbacks during the training of a net."""

import numpy as np
import pytest
import torch
from sklearn.callback import ProgressBar

from skem import VAETransformer

OPTIONS = {"hidden_layer_sizes": (8,), "learning_rate": 0.01, "random_state": 0}


class Epochs:
    """Records what it is told, and stops the fit after ``stop`` epochs."""

    def __init__(self, stop=None):
        self.stop, self.scores, self.seen = stop, [], []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X, metadata, fitted_estimator):
        if context.task_name != "iteration":
            return None
        torch.randn(3)  # draws of a callback are its own
        self.seen.append((X, metadata))
        self.scores.append(fitted_estimator.score(X))
        return len(self.scores) == self.stop


@pytest.fixture(scope="module")
def plain(factors):
    return VAETransformer(2, max_epochs=20, **OPTIONS).fit(factors)


def test_each_epoch_is_a_task_that_sees_the_model_so_far(factors, plain):
    epochs = Epochs()
    vae = VAETransformer(2, max_epochs=20, **OPTIONS).set_callbacks(epochs)
    weight = np.ones(len(factors))
    vae.fit(factors, sample_weight=weight)
    assert len(epochs.scores) == 20
    assert epochs.scores[-1] == pytest.approx(vae.score(factors))
    assert epochs.scores[-1] > epochs.scores[0]
    X, metadata = epochs.seen[0]
    assert X is factors
    assert metadata["sample_weight"] is weight


def test_callbacks_change_nothing_in_the_fit(factors, plain):
    vae = VAETransformer(2, max_epochs=20, **OPTIONS).set_callbacks(Epochs()).fit(factors)
    np.testing.assert_array_equal(vae.transform(factors), plain.transform(factors))


def test_a_callback_ends_the_fit(factors):
    vae = VAETransformer(2, max_epochs=30, **OPTIONS).set_callbacks(Epochs(stop=12)).fit(factors)
    assert vae.n_iter_ == len(vae.history_) == 12


def test_the_progress_bar_goes_along(factors):
    VAETransformer(2, max_epochs=20, **OPTIONS).set_callbacks(ProgressBar()).fit(factors)
