"""Ctrl-C at any moment: the best so far is kept and said to be so, or nothing has changed.

Inside a compiled kernel the KeyboardInterrupt becomes the cause of a SystemError.
"""

import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from skem import (
    PLSA,
    BernoulliMixtureEM,
    GaussianMixtureEM,
    LatentDirichletAllocationVB,
    MaxEntClassifier,
    VAETransformer,
)
from skem._interrupts import interrupts_later, interrupts_noted, is_interrupt, plain_interrupts
from skem.em import EMRun
from skem.em._rows import BlockMap, RowBlocks
from skem.maxent.classifier.solvers._objective import Objective
from skem.mixture.bernoulli._model import BernoulliModel
from skem.mixture.gaussian.model._model import GaussianModel
from skem.topics.lda._model import CVB0Model, VBModel
from skem.topics.plsa._model import PLSAModel
from tests.em.toy_models import MixtureParams, UnitNormals, normal_rows

r = np.random.default_rng(0)
X = np.concatenate([r.normal(size=(150, 4)), r.normal(1.0, 2.0, size=(150, 4))])
y = (X @ [1.0, -1.0, 0.5, 0.0] + r.logistic(size=300) > 0) + 1 * (X[:, 3] > 1)
counts = sp.csr_matrix(r.poisson(0.3, (60, 80)))


def as_from_a_kernel():
    """Raise what numba raises when the signal comes while a kernel runs."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as error:
        raise SystemError("a kernel returned a result with an exception set") from error


def interrupt(monkeypatch, cls, method, call):
    """Ctrl-C inside a kernel, in the call of a method with that number."""
    calls, original = iter(range(1, 10_000)), getattr(cls, method)

    def interrupted(self, *args):
        if next(calls) == call:
            as_from_a_kernel()
        return original(self, *args)

    monkeypatch.setattr(cls, method, interrupted)


# ---------------------------------------------------------------------- what counts as one
def raised(function):
    try:
        function()
    except BaseException as error:
        return error
    return None


def hidden():
    try:
        as_from_a_kernel()
    except SystemError:
        raise ValueError("wrapped") from None


def in_a_group():
    raise ExceptionGroup("two", [ValueError("one"), raised(as_from_a_kernel)])


@pytest.mark.parametrize("function", [as_from_a_kernel, hidden, in_a_group])
def test_an_exception_that_an_interrupt_has_led_to_is_one(function):
    assert is_interrupt(raised(function))
    with pytest.raises(KeyboardInterrupt), plain_interrupts():
        function()


def test_an_interrupt_that_was_there_before_is_none_of_ours():
    """A fit in the handler of an interrupt has it in the chain of all that it raises."""
    mixture = GaussianMixtureEM(3)
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        with pytest.raises(ValueError, match="infinity"):
            mixture.fit(np.full((9, 2), np.inf))
        with pytest.raises(ValueError, match="NaN"):
            MaxEntClassifier().fit(np.full((9, 2), np.nan), np.arange(9) % 2)
    assert not hasattr(mixture, "means_")


# ---------------------------------------------------------------------- mixtures and topics
EM_FITS = {
    "gaussian": (lambda: GaussianMixtureEM(3, covariance_type="full"), X, GaussianModel),
    "diagonal": (lambda: GaussianMixtureEM(3, covariance_type="diag"), X, GaussianModel),
    "bernoulli": (lambda: BernoulliMixtureEM(2), X > 0, BernoulliModel),
    "plsa": (lambda: PLSA(3), counts, PLSAModel),
    "cvb0": (lambda: LatentDirichletAllocationVB(3), counts, CVB0Model),
    "vb": (lambda: LatentDirichletAllocationVB(3, inference="vb"), counts, VBModel),
}


def fit_of(name, **params):
    make, data, _ = EM_FITS[name]
    return make().set_params(random_state=0, n_jobs=1, tol=0, max_iter=60, **params), data


@pytest.mark.parametrize("name", EM_FITS)
@pytest.mark.parametrize("method", ["expected_statistics", "maximize"])
def test_a_fit_by_em_keeps_the_best_parameters(monkeypatch, name, method):
    estimator, data = fit_of(name)
    monkeypatch.setattr(GaussianModel, "several_maps", lambda self, *args: None)
    interrupt(monkeypatch, EM_FITS[name][2], method, 35)
    with pytest.warns(ConvergenceWarning, match=r"interrupted after \d+ EM iterations"):
        estimator.fit(data)
    monkeypatch.undo()
    assert not estimator.converged_
    assert len(estimator.lower_bounds_) <= estimator.n_iter_ < 60
    assert np.isfinite(estimator.score(data))
    if "mixture" in type(estimator).__module__:
        assert estimator.score(data) >= estimator.lower_bound_ - 1e-3


@pytest.mark.parametrize("name", EM_FITS)
def test_before_the_first_map_nothing_has_changed(monkeypatch, name):
    estimator, data = fit_of(name)
    interrupt(monkeypatch, EM_FITS[name][2], "expected_statistics", 1)
    monkeypatch.setattr(GaussianModel, "several_maps", lambda self, *args: None)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(data)
    assert set(vars(estimator)) == set(estimator.get_params())


def test_a_run_goes_back_to_the_last_whole_map(monkeypatch):
    """Bounds and parameters belong together, wherever in a map the interrupt came."""
    start = MixtureParams(0.3, np.array([0.0, 2.0]))
    for method in ("expected_statistics", "bound", "maximize", "to_vector"):
        model = UnitNormals()
        with RowBlocks(normal_rows()) as rows, monkeypatch.context() as patch:
            run = EMRun(model, rows, start, tol=0, acceleration="squarem", keep_path=True)
            run.run(7)
            kept = run.state.params, list(run.state.bounds), run.state.n_iter, len(run.state.path)
            interrupt(patch, UnitNormals, method, 1)
            state = run.run(50)
        assert state.interrupted
        assert (state.params, state.bounds, state.n_iter, len(state.path)) == kept


def test_an_interrupt_in_a_prediction_is_one():
    mixture = GaussianMixtureEM(2, random_state=0).fit(X)
    mixture._log_joint = lambda block: as_from_a_kernel()
    with pytest.raises(KeyboardInterrupt):
        mixture.predict_proba(X)


def test_blocks_of_an_interrupted_call_end_before_the_next_call():
    """They write to arrays that the next call writes to as well."""
    gate = threading.Event()

    def slow(block):
        return block == 0 or gate.wait(60)

    with BlockMap(2, 4) as block_map:
        if block_map.n_threads == 1:
            pytest.skip("one thread")
        results = iter(block_map(slow, range(4)))
        assert next(results)
        threading.Timer(0.01, gate.set).start()
        assert list(block_map(lambda block: gate.is_set(), range(4))) == [True] * 4


# ---------------------------------------------------------------------- the classifier
SOLVERS = {
    "newton-cholesky": {},
    "block-lbfgs": {},
    "diagonal-lbfgs": {},
    "row-space": {},
    "gis": {},
    "iis": {},
    "coordinate-descent": {"l1_ratio": 0.5},
    "split-lbfgs": {"l1_ratio": 0.5},
}


def rows_for(solver):
    if solver == "row-space":  # a few passes of its own before it solves
        wide = np.random.default_rng(1).normal(size=(40, 60))
        return wide, np.arange(40) % 3
    return (np.abs(X) if solver in ("gis", "iis") else X), y


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("classes", [2, 3])
def test_every_solver_keeps_its_best_weights_with_a_valid_proof(monkeypatch, solver, classes):
    data, labels = rows_for(solver)
    settings = {"C": 3.0, "n_jobs": 1, "random_state": 0, **SOLVERS[solver]}
    labels = np.minimum(labels, classes - 1)
    best = MaxEntClassifier(tol=1e-10, **settings).fit(data, labels)
    lowest = best.objective_ - best.optimality_gap_
    classifier = MaxEntClassifier(solver=solver, tol=0, **settings)
    interrupt(monkeypatch, Objective, "smooth", 5)
    with pytest.warns(ConvergenceWarning, match=r"interrupted after \d+ steps; .* best weights"):
        classifier.fit(data, labels)
    monkeypatch.undo()
    objectives = classifier.objectives_
    assert classifier.objective_ <= min(objectives) * (1 + 1e-9)
    assert len(objectives) == classifier.n_iter_ + 1
    assert classifier.objective_ < objectives[0]
    assert classifier.objective_ - classifier.optimality_gap_ <= best.objective_ + 1e-12
    assert classifier.objective_ >= lowest - 1e-12
    # It is the objective of these weights: a fit that starts there begins with it.
    classifier.set_params(warm_start=True, solver="auto", max_iter=200, tol=1e-9)
    classifier.fit(data, labels)
    assert classifier.objectives_[0] <= objectives[-1] * (1 + 1e-9)
    assert classifier.converged_


@pytest.mark.parametrize("settings", [{}, {"l1_ratio": 1.0}])
def test_before_the_first_step_the_classifier_is_as_it_was(monkeypatch, settings):
    classifier = MaxEntClassifier(**settings)
    interrupt(monkeypatch, Objective, "smooth", 1)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, y)
    assert set(vars(classifier)) == set(classifier.get_params())


def test_an_interrupt_ends_the_search_for_separation(monkeypatch):
    """The weights are there already; that they are separable has not been proven."""
    monkeypatch.setattr(
        "skem.maxent.classifier.solvers._separable._overlap_is_proven", lambda *args: False
    )
    monkeypatch.setattr(
        "skem.maxent.classifier.solvers._separable._programme", lambda *args: as_from_a_kernel()
    )
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        classifier = MaxEntClassifier(C=np.inf).fit(X, y)
    assert not classifier.separable_
    assert np.isfinite(classifier.objective_)


# ---------------------------------------------------------------------- signals
@pytest.fixture
def press():
    """Send the process SIGINT after a while, and run a function meanwhile."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals are handled in the main thread")
    arrived = threading.Event()

    def handler(number, frame):
        arrived.set()
        raise KeyboardInterrupt

    def run(function, delay):
        arrived.clear()
        timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
        try:
            try:
                timer.start()
                function()
            finally:
                while not arrived.is_set():
                    time.sleep(1e-3)
        except KeyboardInterrupt:
            pass
        timer.join()

    before = signal.signal(signal.SIGINT, handler)
    yield run
    signal.signal(signal.SIGINT, before)


SIGNALLED = {
    "gaussian": (lambda: fit_of("gaussian", n_init=2)[0], lambda e: e.fit(X)),
    "plsa": (lambda: fit_of("plsa")[0], lambda e: e.fit(counts)),
    "lda": (lambda: fit_of("cvb0")[0], lambda e: e.fit(counts)),
    "l1": (lambda: MaxEntClassifier(C=1, l1_ratio=1.0, tol=0), lambda e: e.fit(X, y)),
    "l2": (lambda: MaxEntClassifier(C=100, tol=0), lambda e: e.fit(X, y)),
    "vae": (lambda: VAETransformer(1, max_epochs=8, random_state=0), lambda e: e.fit(X)),
}


# A signal within a callback of the garbage collector is lost, and pytest would warn of it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", SIGNALLED)
def test_at_any_moment_there_is_a_result_or_nothing(press, name):
    make, fit = SIGNALLED[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = time.perf_counter()
        fit(make())
        seconds = min(time.perf_counter() - start, 0.5)
        for share in np.random.default_rng(0).uniform(size=4):
            estimator = make()
            press(lambda estimator=estimator: fit(estimator), share * seconds)
            if set(vars(estimator)) == set(estimator.get_params()):
                continue
            assert np.isfinite(
                estimator.score(
                    *(
                        (X, y)
                        if name in ("l1", "l2")
                        else (counts if name in ("plsa", "lda") else X,)
                    )
                )
            )
    assert signal.getsignal(signal.SIGINT).__name__ == "handler"


def test_ctrl_c_may_have_to_wait(press):
    """The work is done, and whoever has asked for that hears of the signal."""
    before, done = signal.getsignal(signal.SIGINT), False
    with interrupts_later() as noted:
        signal.raise_signal(signal.SIGINT)
        done = True
    assert done
    assert noted.pressed
    assert signal.getsignal(signal.SIGINT) is before


def test_noting_changes_nothing_else(press):
    with pytest.raises(KeyboardInterrupt), interrupts_noted() as noted:
        signal.raise_signal(signal.SIGINT)
    assert noted.pressed
    seen = []
    thread = threading.Thread(target=lambda: seen.append(interrupts_noted().__enter__().pressed))
    thread.start()
    thread.join()
    assert seen == [False]


# ---------------------------------------------------------------------- networks
class Pressed:
    """Ctrl-C in a batch of the training."""

    def __init__(self, monkeypatch, call):
        from skem.deep.training._net import Net

        calls, original = iter(range(1, 10_000)), Net._train_batch

        def interrupted(net, batch):
            if next(calls) == call:
                as_from_a_kernel()
            return original(net, batch)

        monkeypatch.setattr(Net, "_train_batch", interrupted)


def vae(**params):
    return VAETransformer(
        1, batch_size=100, learning_rate_schedule="constant", random_state=0
    ).set_params(**params)


@pytest.mark.parametrize("call", [13, 14, 15])
def test_a_network_says_that_it_was_interrupted_and_has_whole_epochs(monkeypatch, call):
    """Three batches an epoch: the fifth is not whole, and the weights are those of the fourth."""
    reference = vae(max_epochs=4).fit(X)
    Pressed(monkeypatch, call)
    with pytest.warns(ConvergenceWarning, match="interrupted after 4 of 9 epochs; .* of epoch 4"):
        stopped = vae(max_epochs=9).fit(X)
    assert stopped.n_iter_ == len(stopped.history_) == 4
    np.testing.assert_array_equal(stopped.transform(X), reference.transform(X))


def test_in_the_first_epoch_a_network_is_as_it_was(monkeypatch):
    for early_stopping in (False, True):
        with monkeypatch.context() as patch:
            Pressed(patch, 2)
            network = vae(max_epochs=3, early_stopping=early_stopping)
            with pytest.raises(KeyboardInterrupt):
                network.fit(X)
            assert set(vars(network)) == set(network.get_params())


def test_a_callback_that_ends_the_training_is_no_interrupt(press):
    from skorch.callbacks import Callback

    class Enough(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    class SignalInside(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                signal.raise_signal(signal.SIGINT)

    assert vae(max_epochs=5, callbacks=[Enough()]).fit(X).n_iter_ == 2
    with pytest.warns(ConvergenceWarning, match="interrupted after 2 of 5 epochs"):
        vae(max_epochs=5, callbacks=[SignalInside()]).fit(X)
