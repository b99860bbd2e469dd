"""scikit-learn's callbacks during the training of a net, and scores of skorch's."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.callback import ProgressBar
from sklearn.metrics import accuracy_score, make_scorer
from skorch.callbacks import BatchScoring, EpochScoring, LRScheduler, PassthroughScoring

from skem import RNNClassifier, RNNLanguageModel, RNNSeq2Seq, RNNTagger, VAETransformer
from skem.deep.training._tasks import EpochTasks

TEXTS = [["a", "b", "c"], ["b", "a"]] * 4

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


class Silent(Epochs):
    """Takes what every estimator tells."""

    def on_fit_task_end(self, estimator, context, **told):
        return None


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


@pytest.mark.parametrize(
    "fit",
    [
        lambda model: model(VAETransformer, 2, hidden_layer_sizes=(4,)).fit(np.eye(9)),
        lambda model: model(RNNLanguageModel, hidden_size=4).fit(TEXTS),
        lambda model: model(RNNClassifier, hidden_size=4).fit(TEXTS, [0, 1] * 4),
        lambda model: model(RNNTagger, hidden_size=4).fit(TEXTS, TEXTS),
        lambda model: model(RNNSeq2Seq, hidden_size=4, n_members=2).fit(TEXTS, TEXTS),
    ],
)
@pytest.mark.filterwarnings("ignore:The posterior has collapsed")
def test_what_was_fitted_with_callbacks_can_be_pickled(fit):
    """The tasks know rows and functions of the fit, and are not kept."""

    def model(kind, *args, **options):
        return kind(*args, max_epochs=2, random_state=0, **options).set_callbacks(Silent())

    fitted = fit(model)
    for copied in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert copied.history_ == fitted.history_
    assert not any(isinstance(c, EpochTasks) for _, c in fitted.net_.callbacks_)


def test_weights_of_the_best_epoch_are_not_kept_twice(factors):
    options = OPTIONS | {"hidden_layer_sizes": (200,), "max_epochs": 3}
    sizes = [
        len(pickle.dumps(VAETransformer(2, early_stopping=stop, **options).fit(factors)))
        for stop in (False, True)
    ]
    assert sizes[1] < 1.2 * sizes[0]


# ---------------------------------------------------------------------- scores of skorch
def zero(net, rows, y=None):
    assert y is None
    return 0.0 * len(rows)


@pytest.mark.parametrize(
    "callback",
    [
        EpochScoring("accuracy"),
        EpochScoring("accuracy", use_caching=False),
        EpochScoring(accuracy_score, use_caching=False),
        EpochScoring(make_scorer(accuracy_score), use_caching=False),
        ("named", EpochScoring(zero)),
        EpochScoring(None, use_caching=False),
        EpochScoring,
        BatchScoring(zero, use_caching=False),
        PassthroughScoring("train_loss"),
    ],
)
def test_scores_of_predictions_are_refused(factors, callback):
    vae = VAETransformer(2, max_epochs=1, callbacks=[LRScheduler(), callback], **OPTIONS)
    message = r"callbacks\[1\], \w*Scoring, .* losses, and no predictions.* use_caching=False"
    with pytest.raises(ValueError, match=message):
        vae.fit(factors)
    assert not hasattr(vae, "net_")


@pytest.mark.parametrize("on_train", [True, False])
def test_scores_of_the_net_are_kept_in_the_history(factors, on_train):
    scoring = EpochScoring(zero, name="zero", on_train=on_train, use_caching=False)
    vae = VAETransformer(2, max_epochs=3, early_stopping=True, callbacks=[scoring], **OPTIONS)
    assert vae.fit(factors).net_.history[:, "zero"] == [0.0] * 3


def test_the_progress_bar_goes_along(factors):
    VAETransformer(2, max_epochs=20, **OPTIONS).set_callbacks(ProgressBar()).fit(factors)
