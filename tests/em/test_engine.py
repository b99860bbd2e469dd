"""The loop: its trace, its gate, its stop, and the models that it must serve."""

import numpy as np
import pytest

from skem.em import (
    ACCELERATIONS,
    BoundDecreasedError,
    DegenerateFitError,
    EMRun,
    Geometry,
    QuasiNewton,
    RowBlocks,
    Rows,
    StepwiseEM,
    fit_from_starts,
    total,
)
from skem.em._geometry import Map
from tests.em.toy_models import PLSA, MixtureParams, PLSAParams, UnitNormals, normal_rows

START = MixtureParams(0.5, np.array([-0.5, 0.5]))


def run(model, rows, start=START, **kwargs):
    options = {"tol": 1e-12} | kwargs
    return EMRun(model, rows, start, **options).run(20_000)


@pytest.fixture
def rows():
    with RowBlocks(normal_rows()) as blocks:
        yield blocks


@pytest.mark.parametrize("acceleration", [None, "squarem"])
def test_the_bound_never_falls_and_ends_where_the_gradient_is_zero(rows, acceleration):
    model = UnitNormals()
    state = run(model, rows, acceleration=acceleration)
    assert state.converged
    assert len(state.bounds) == state.n_iter
    assert (np.diff(state.bounds) >= 0).all()
    again = model.maximize(
        rows.reduce(lambda block: model.expected_statistics(state.params, block)), state.params
    )
    np.testing.assert_allclose(model.to_vector(again), model.to_vector(state.params), atol=1e-5)


def test_acceleration_ends_at_the_same_maximum_in_fewer_maps(rows):
    plain, fast = (run(UnitNormals(), rows, acceleration=a) for a in (None, "squarem"))
    assert fast.bound == pytest.approx(plain.bound, abs=1e-11)
    assert fast.n_iter < plain.n_iter / 2


def test_the_gap_is_the_distance_to_the_limit(rows):
    limit = run(UnitNormals(), rows, tol=1e-14).bound
    for tol in (1e-3, 1e-5, 1e-7):
        state = run(UnitNormals(), rows, tol=tol)
        true_gap = limit - state.bound
        assert state.gap <= tol
        assert true_gap <= 1.1 * tol
    assert true_gap / 1.1 <= state.gap <= 4 * true_gap  # the slow direction is alone by now


def test_the_last_gain_would_stop_too_early():
    """A gain below tol says little: the limit is many such gains away."""
    tol = 1e-5
    with RowBlocks(normal_rows(gap=1.0)) as rows:
        state = run(UnitNormals(), rows, tol=1e-14)
    first_small_gain = int(np.argmax(np.diff(state.bounds) < tol))
    assert state.bound - state.bounds[first_small_gain] > 10 * tol


def test_max_iter_counts_every_e_step(rows):
    model = UnitNormals()
    calls = []

    class Counting(UnitNormals):
        def expected_statistics(self, params, block):
            calls.append(block.start)
            return model.expected_statistics(params, block)

    state = EMRun(Counting(), rows, START, tol=0.0, acceleration="squarem").run(17)
    assert state.n_iter == 17
    assert len(calls) == 17 * len(rows.blocks)


class BadJumps:
    """An acceleration that always proposes a point far off."""

    gap = None
    n_rejected = 0

    def observe(self, em_map):
        self.image = em_map.image

    def propose(self):
        return self.image + np.array([0.0, 50.0, 50.0])

    def rejected(self):
        BadJumps.n_rejected += 1


def test_a_step_that_lowers_the_bound_is_undone(rows, monkeypatch):
    monkeypatch.setitem(ACCELERATIONS, "bad", BadJumps)
    BadJumps.n_rejected = 0
    state = run(UnitNormals(), rows, acceleration="bad", tol=1e-9)
    assert state.converged
    assert BadJumps.n_rejected > 10
    assert (np.diff(state.bounds) >= 0).all()
    assert state.bound == pytest.approx(run(UnitNormals(), rows).bound, abs=1e-8)


def test_an_em_step_that_lowers_the_bound_is_a_bug(rows):
    class Wrong(UnitNormals):
        def maximize(self, statistics, params):
            right = super().maximize(statistics, params)
            return right._replace(means=right.means + 0.3)

    with pytest.raises(BoundDecreasedError, match="lowered the bound of Wrong"):
        run(Wrong(), rows)


def test_not_a_number_raises(rows):
    class Broken(UnitNormals):
        def bound(self, statistics, params):
            return float("nan")

    with pytest.raises(FloatingPointError, match="not a number"):
        run(Broken(), rows)


def test_ctrl_c_keeps_the_best_parameters():
    class Interrupted(UnitNormals):
        n_calls = 0

        def expected_statistics(self, params, block):
            self.n_calls += 1
            if self.n_calls == 6:
                raise KeyboardInterrupt
            return super().expected_statistics(params, block)

    with RowBlocks(normal_rows()) as rows:
        state = run(Interrupted(), rows)
        reference = EMRun(UnitNormals(), rows, START, tol=0).run(5)
    assert state.interrupted
    assert not state.converged
    assert state.n_iter == 5
    np.testing.assert_allclose(state.params.means, reference.params.means)


def test_ctrl_c_before_the_first_map_is_passed_on(rows):
    class Interrupted(UnitNormals):
        def expected_statistics(self, params, block):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Interrupted(), rows)


def test_repair_begins_a_new_trace(rows):
    class Mended(UnitNormals):
        done = False

        def repair(self, state):
            if self.done or state.n_iter < 5:
                return None
            self.done = True
            return MixtureParams(0.5, np.array([-9.0, 9.0]))

    state = run(Mended(), rows, acceleration="squarem")
    assert state.converged
    assert len(state.bounds) == state.n_iter - 5
    assert (np.diff(state.bounds) >= 0).all()


def test_an_m_step_that_fails_can_be_mended(rows):
    """The model sees the parameters that entered the map, and which components failed."""
    entered = MixtureParams(0.5, np.array([-9.0, 9.0]))

    class Fragile(UnitNormals):
        def maximize(self, statistics, params):
            if params.means[0] < -5:
                raise DegenerateFitError("collapsed", components=[0])
            return super().maximize(statistics, params)

        def repair(self, state):
            if state.failure is None:
                return None
            assert state.failure.components == (0,)
            assert state.params is entered
            return START

    state = run(Fragile(), rows, entered)
    assert state.converged
    assert state.n_repairs == 1
    assert state.failure is None
    assert state.bound == pytest.approx(run(UnitNormals(), rows).bound, abs=1e-11)


def test_an_m_step_that_fails_unmended_raises(rows):
    class Hopeless(UnitNormals):
        def maximize(self, statistics, params):
            raise DegenerateFitError("collapsed")

        def repair(self, state):
            return None

    with pytest.raises(DegenerateFitError, match="collapsed"):
        run(Hopeless(), rows)


def test_each_run_counts_its_own_repairs(rows):
    class Mended(UnitNormals):
        def repair(self, state):
            counts.append(state.n_repairs)
            return START if state.n_repairs < 2 else None

    counts: list[int] = []
    fit_from_starts(Mended(), rows, [START, START, START], tol=1e-9, max_iter=1)
    assert counts == [0, 0, 0]
    state = fit_from_starts(Mended(), rows, [START, START], tol=1e-9, max_iter=5000)
    assert state.n_repairs == 2


def test_an_observer_sees_each_map_and_can_stop(rows):
    class Watcher:
        begun = ended = 0

        def begin(self, state):
            self.begun += 1
            assert state.n_iter == self.ended

        def end(self, state):
            self.ended += 1
            return self.ended == 4

    watcher = Watcher()
    state = run(UnitNormals(), rows, observer=watcher)
    assert (watcher.begun, watcher.ended, state.n_iter) == (4, 4, 4)
    assert state.stopped
    assert not state.converged


def test_the_path_holds_the_parameters_of_each_map(rows):
    model = UnitNormals()
    state = run(model, rows, tol=1e-6, keep_path=True, acceleration="squarem")
    assert len(state.path) == len(state.bounds)
    for params, bound in zip(state.path, state.bounds, strict=True):
        statistics = rows.reduce(lambda block, p=params: model.expected_statistics(p, block))
        assert model.bound(statistics, params) == pytest.approx(bound, abs=1e-12)


def test_only_the_best_starts_go_on(rows):
    model = UnitNormals()
    good = MixtureParams(0.3, np.array([0.0, 2.0]))
    flat = MixtureParams(0.5, np.array([1.0, 1.0]))  # a saddle: EM never leaves it
    seen = {}

    class Watcher:
        def __init__(self, number):
            self.number = number

        def begin(self, state):
            seen[self.number] = state.n_iter + 1

        def end(self, state):
            return False

    state = fit_from_starts(
        model, rows, [flat, flat, flat, good], tol=1e-12, max_iter=5000, observe=Watcher
    )
    assert state.bound == pytest.approx(run(model, rows, good).bound, abs=1e-11)
    assert all(seen[number] <= 10 for number in range(3))


def test_a_start_that_collapses_is_dropped(rows):
    class Fragile(UnitNormals):
        def maximize(self, statistics, params):
            if params.means[0] < -5:
                raise DegenerateFitError("collapsed")
            return super().maximize(statistics, params)

    bad = MixtureParams(0.5, np.array([-9.0, 9.0]))
    state = fit_from_starts(Fragile(), rows, [bad, START], tol=1e-9, max_iter=5000)
    assert state.converged
    with pytest.raises(DegenerateFitError, match="collapsed"):
        fit_from_starts(Fragile(), rows, [bad, bad], tol=1e-9, max_iter=5000)


@pytest.fixture
def counts():
    rng = np.random.default_rng(3)
    truth = rng.dirichlet(np.full(12, 0.4), 3)
    return rng.poisson(40 * rng.dirichlet(np.ones(3), 30) @ truth).astype(float)


@pytest.mark.parametrize("acceleration", [None, "squarem"])
def test_local_parameters_travel_with_their_rows(counts, acceleration):
    rng = np.random.default_rng(0)
    start = PLSAParams(rng.dirichlet(np.ones(12), 3), rng.dirichlet(np.ones(3), 30))
    states = []
    for row_values in (12, 5_000_000):  # one block, and one block a row
        with RowBlocks(counts, row_values=row_values) as blocks:
            em_run = EMRun(PLSA(), blocks, start, acceleration=acceleration, tol=0.0)
            states.append(em_run.run(60))  # beyond that, rounding leads to different maxima
        assert (np.diff(states[-1].bounds) >= 0).all()
    assert len(blocks.blocks) > 10
    one, many = states
    np.testing.assert_allclose(many.params.mixtures, one.params.mixtures, atol=1e-6)
    assert many.params.mixtures.shape == (30, 3)


def test_the_plsa_map_is_the_kl_nmf_update(counts):
    """The EM map of PLSA is one multiplicative step of NMF with the KL loss, up to scaling."""
    rng = np.random.default_rng(0)
    topics, mixtures = rng.dirichlet(np.ones(12), 3), rng.dirichlet(np.ones(3), 30)
    model, params = PLSA(), PLSAParams(topics, mixtures)
    new = model.maximize(model.expected_statistics(params, Rows(0, counts)), params)
    W = mixtures * counts.sum(1, keepdims=True)
    H = topics
    ratio = counts / (W @ H)
    np.testing.assert_allclose(
        new.mixtures * counts.sum(1, keepdims=True), W * (ratio @ H.T) / H.sum(1)
    )
    scaled = H * (W.T @ ratio)
    np.testing.assert_allclose(new.topics, scaled / scaled.sum(1, keepdims=True))


def test_statistics_may_come_from_elsewhere():
    """A source is anything that reduces: here chunks that are read one after the other."""
    X = normal_rows()

    class Chunks:
        n_read = 0

        def reduce(self, function):
            def parts():
                for start in range(0, len(X), 64):
                    self.n_read += 1
                    yield function(Rows(start, X[start : start + 64]))

            return total(parts())

    chunks = Chunks()
    state = run(UnitNormals(), chunks, tol=1e-9)
    with RowBlocks(X) as rows:
        reference = run(UnitNormals(), rows, tol=1e-9)
    assert state.n_iter == reference.n_iter
    assert chunks.n_read == 7 * state.n_iter
    np.testing.assert_allclose(state.params.means, reference.params.means, rtol=1e-9)


def test_stepwise_em_comes_near_the_batch_maximum():
    X = normal_rows(20_000, gap=3.0)
    model = UnitNormals()
    with RowBlocks(X) as rows:
        batch = run(model, rows, tol=1e-10)
    online = StepwiseEM(model, START)
    for start in range(0, len(X), 100):
        online.update(model.expected_statistics(online.current, Rows(0, X[start : start + 100])))
    assert online.n_batches == 200
    assert online.weight == len(X)
    statistics = model.expected_statistics(online.params, Rows(0, X))
    assert batch.bound - model.bound(statistics, online.params) < 1e-3


def test_stepwise_em_without_forgetting_averages_all_batches():
    """gamma_t = 1 / t makes the running statistics the plain mean of those of the batches."""
    X = normal_rows(300)
    model = UnitNormals()
    online = StepwiseEM(model, START, exponent=1.0, offset=1.0)
    seen = []
    for start in range(0, 300, 100):
        statistics = model.expected_statistics(online.current, Rows(0, X[start : start + 100]))
        seen.append(statistics)
        online.update(statistics)
    np.testing.assert_allclose(online.statistics.sums, np.sum([s.sums for s in seen], axis=0))


def test_stepwise_em_waits_until_every_component_has_seen_data():
    class Careful(UnitNormals):
        def ready(self, statistics):
            return statistics.counts.min() > 50

    model = Careful()
    online = StepwiseEM(model, START)
    X = normal_rows(300)
    online.update(model.expected_statistics(START, Rows(0, X[:20])))
    assert online.params is START
    online.update(model.expected_statistics(START, Rows(0, X)))
    assert online.params is not START


def test_a_copy_of_stepwise_em_is_independent():
    model, X = UnitNormals(), normal_rows(300)
    online = StepwiseEM(model, START, average_from=0)
    online.update(model.expected_statistics(START, Rows(0, X)))
    before = model.to_vector(online.params)
    other = online.copy()
    other.update(model.expected_statistics(other.current, Rows(0, X[:50])))
    np.testing.assert_array_equal(model.to_vector(online.params), before)
    assert (online.n_batches, other.n_batches) == (1, 2)


def test_a_cluster_maps_and_reduces_the_statistics():
    """Dask: the partitions stay where they are, and only statistics travel."""
    dask = pytest.importorskip("dask", reason="dask is an optional dependency")
    X = normal_rows()

    class Partitions:
        def __init__(self, parts):
            self.parts = parts

        def reduce(self, function):
            tasks = [
                dask.delayed(function)(Rows(start, X[start : start + 100]), pure=False)
                for start in self.parts
            ]
            return dask.compute(dask.delayed(total)(tasks), scheduler="threads")[0]

    state = run(UnitNormals(), Partitions(range(0, len(X), 100)), tol=1e-9)
    with RowBlocks(X) as rows:
        reference = run(UnitNormals(), rows, tol=1e-9)
    np.testing.assert_allclose(state.params.means, reference.params.means, rtol=1e-9)


def test_ctrl_c_among_several_starts_keeps_the_best_and_says_so(rows):
    class Interrupted(UnitNormals):
        n_calls = 0

        def expected_statistics(self, params, block):
            self.n_calls += 1
            if self.n_calls == 14:
                raise KeyboardInterrupt
            return super().expected_statistics(params, block)

    good, flat = MixtureParams(0.3, np.array([0.0, 2.0])), MixtureParams(0.5, np.array([1.0, 1.1]))
    state = fit_from_starts(Interrupted(), rows, [good, flat, flat], tol=1e-12, max_iter=500)
    assert state.interrupted
    assert not state.converged
    assert state.n_iter == 10
    assert state.bound == EMRun(UnitNormals(), rows, good, tol=0).run(10).bound


def test_an_observer_that_stops_ends_all_starts(rows):
    seen = []

    class Stop:
        def __init__(self, number):
            self.number = number

        def begin(self, state):
            seen.append(self.number)

        def end(self, state):
            return self.number == 1 and state.n_iter == 3

    state = fit_from_starts(UnitNormals(), rows, [START] * 4, tol=1e-12, max_iter=500, observe=Stop)
    assert state.stopped
    assert state.n_iter == 3
    assert set(seen) == {0, 1}


@pytest.mark.parametrize(("observed", "expected"), [(0.5, 2.0), (1.0, 1.0), (2.0, None)])
def test_quasi_newton_learns_no_more_information_than_the_complete_data_have(observed, expected):
    """A quadratic with that information, where the complete data have 1: the Newton step."""
    acceleration = QuasiNewton(onset=1.0)
    for x in (np.array([1e-1]), np.array([5e-2])):
        gradient = -observed * x
        acceleration.observe(Map(x, x + gradient, Geometry(gradient, lambda q: q)))
    proposal = acceleration.propose()
    if expected is None:
        assert proposal is None
    else:
        np.testing.assert_allclose(proposal, x + expected * gradient)


def test_a_model_that_does_not_declare_what_it_can_do_is_refused():
    class Bare:
        def expected_statistics(self, params, rows):
            raise AssertionError

    with pytest.raises(TypeError, match=r"Bare does not declare monotone.*EMModelBase"):
        EMRun(Bare(), RowBlocks(np.zeros((3, 1))), None, tol=1e-3)
