"""Parameters of extreme size: a sound fit, or a ValueError that names the parameter.

Never another exception, NaN, a warning that NumPy gives, or work without end. The values are those
that the estimator's own constraints admit.
"""

from numbers import Integral, Real

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval

import skem

# Fits at an end of the range collapse, or do not converge, and may say so.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings(r"ignore:(All \d+ topics|reg_covar=|Columns):UserWarning"),
]

IRIS, SPECIES = load_iris(return_X_y=True)
FLOWERS, RNG = IRIS[20:80], np.random.default_rng(0)
BITS = (RNG.uniform(size=(40, 5)) < 0.4).astype(float)
COUNTS = np.array([RNG.multinomial(20, p) for p in RNG.dirichlet([0.3] * 6, 12)]).astype(float)
INCOMPLETE = np.where(RNG.uniform(size=FLOWERS.shape) < 0.1, np.nan, FLOWERS)

G, M, T = skem.GaussianMixtureEM, skem.MaxEntClassifier, skem.LatentDirichletAllocationVB
PRIORS = {
    "degrees_of_freedom_prior": 6.0,
    "mean_precision_prior": 1.0,
    "covariance_prior": np.eye(4),
}
SOLVERS = ("auto", "block-lbfgs", "split-lbfgs", "gis", "iis")
CASES = {
    "gaussian, full": (G(2), FLOWERS),
    "gaussian, tied": (G(2, covariance_type="tied"), FLOWERS),
    "gaussian, diag": (G(2, covariance_type="diag"), FLOWERS),
    "gaussian, spherical": (G(2, covariance_type="spherical"), FLOWERS),
    "gaussian, priors": (G(2, **PRIORS), FLOWERS),
    "gaussian, incomplete": (G(2), INCOMPLETE),
    "bernoulli": (skem.BernoulliMixtureEM(2), BITS),
    "three coins": (skem.ThreeCoinMixture(), BITS[:, :1]),
    **{f"classifier, {s}": (M(solver=s), IRIS, SPECIES) for s in SOLVERS},
    "classifier, l1": (M(l1_ratio=0.5), IRIS, SPECIES),
    "classifier, errors": (M(standard_errors=True), IRIS, SPECIES),
    "distribution": (skem.MaxEntDistribution(2), FLOWERS[:, :1]),
    "plsa": (skem.PLSA(2), COUNTS),
    "cvb0": (T(2), COUNTS),
    "vb": (T(2, inference="vb"), COUNTS),
}

REALS = (1e-320, 1e-300, 1e-150, 1e150, 1e280, 1e300, 1e308, 10**30, 10**400)
SIZES = (1e-320, 1e-300, 1e-150, 1e-30, 1e30, 1e150, 1e300, 1e308)
INTEGERS = (10**30, 2**63, 2**31, -(10**30))
SLOW = {("classifier, gis", "max_iter"), ("classifier, iis", "max_iter")}  # which take thousands


def values_of(constraints):
    """Extreme numbers of the intervals among the constraints of a parameter."""
    for constraint in constraints:
        kind = constraint.type if isinstance(constraint, Interval) else constraint
        if kind not in (Real, Integral):
            continue
        for value in REALS if kind is Real else INTEGERS:
            if not isinstance(constraint, Interval) or value in constraint:
                yield value


def assert_sound_or_refused(estimator, data, names, **metadata):
    """Fit and use a clone; an error names one of the parameters and leaves nothing behind."""
    estimator = clone(estimator)
    before, refusal = set(vars(estimator)), ""
    try:
        estimator.fit(*data, **metadata)
    except ValueError as error:
        refusal = str(error)
    if refusal:
        assert any(name in refusal for name in names), refusal
        assert set(vars(estimator)) == before
        return False
    for name, value in vars(estimator).items():
        if name.endswith("_") and name != "optimality_gap_":
            array = np.asarray(value)
            assert array.dtype.kind not in "fc" or np.isfinite(array).all(), name
    X = data[0]
    for method in ("predict_proba", "score_samples", "transform"):
        if hasattr(estimator, method):
            assert np.isfinite(getattr(estimator, method)(X)).all(), method
    if hasattr(estimator, "score"):
        assert np.isfinite(estimator.score(*data))
    return True


@pytest.mark.parametrize("name", CASES)
def test_weights(name):
    estimator, *data = CASES[name]
    if isinstance(estimator, (skem.PLSA, T)):
        return  # see tests/topics/test_topics_extremes.py
    for size in SIZES:
        mixed = np.where(np.arange(len(data[0])) % 2, size, 1.0)
        for weight in (np.full(len(mixed), size), mixed):
            changed = quick(estimator)
            names = ["sample_weight", "prior"]
            assert_sound_or_refused(changed, data, names, sample_weight=weight)


def numeric_parameters():
    for name, (estimator, *_) in CASES.items():
        for parameter, constraints in estimator._parameter_constraints.items():
            if list(values_of(constraints)) and (name, parameter) not in SLOW:
                yield name, parameter


@pytest.mark.parametrize(("name", "parameter"), list(numeric_parameters()))
def test_numbers(name, parameter):
    estimator, *data = CASES[name]
    estimator = quick(estimator)
    if parameter == "max_iter":  # the default tol ends the fit
        estimator.set_params(max_iter=1000, tol=1e-2)
    for value in values_of(estimator._parameter_constraints[parameter]):
        changed = clone(estimator).set_params(**{parameter: value})
        assert_sound_or_refused(changed, data, [parameter])


def quick(estimator):
    """A clone that does few steps in one thread."""
    estimator = clone(estimator)
    few = {"max_iter": 25, "random_state": 0, "n_jobs": 1}
    return estimator.set_params(**{k: v for k, v in few.items() if hasattr(estimator, k)})


# ---------------------------------------------------------------------- arrays
SHAPES = {
    "full": (np.eye(4), np.array([np.eye(4)] * 2)),
    "tied": (np.eye(4), np.eye(4)),
    "diag": (np.ones(4), np.ones((2, 4))),
    "spherical": (np.ones(()), np.ones(2)),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_arrays_of_gaussian_mixtures(kind):
    scatter, precisions = SHAPES[kind]
    estimator = quick(G(2, covariance_type=kind))
    rest = {"mean_precision_prior": 1.0}
    for size in SIZES:
        for parameters in (
            {"means_init": np.full((2, 4), size) * [[1], [-1]]},
            {"means_init": FLOWERS[:2] + np.array([[0], [size]])},
            {"precisions_init": precisions * size},
            {"weights_init": [min(size, 1), 1 - min(size, 1)]},
            {"mean_prior": np.full(4, size), **rest},
            {"covariance_prior": scatter * size},
            {"covariance_prior": scatter, "degrees_of_freedom_prior": max(size, 6.0)},
        ):
            changed = clone(estimator).set_params(**parameters)
            assert_sound_or_refused(changed, [FLOWERS], parameters)


@pytest.mark.parametrize("strength", [1e-3, 1.0, 100.0])
@pytest.mark.parametrize("kind", SHAPES)
def test_a_mean_prior_that_is_far_away_is_no_bug_of_the_model(kind, strength):
    """Components between the rows and the prior are long: their terms are large, and cancel."""
    priors = {"mean_precision_prior": strength}
    for distance in (1e2, 1e3, 3e3, 1e4, 1e5, 1e6):
        far = quick(G(2, covariance_type=kind, mean_prior=np.full(4, distance), **priors))
        assert_sound_or_refused(far, [FLOWERS], ["mean_prior is"])


def test_priors_and_starts_of_binary_mixtures():
    bernoulli, coins = quick(CASES["bernoulli"][0]), quick(CASES["three coins"][0])
    for size in (1e150, 1e300, 1e308):
        for beta in ((size, 1.0), (size, size)):
            assert_sound_or_refused(
                clone(bernoulli).set_params(beta_prior=beta), [BITS], ["beta_prior"]
            )
    for size in (1e-320, 1e-300, 1e-20):
        for parameters in (
            {"weights_init": [size, 1 - size]},
            {"probabilities_init": np.full((2, 5), size)},
        ):
            changed = clone(bernoulli).set_params(**parameters)
            assert assert_sound_or_refused(changed, [BITS], parameters)
        changed = clone(coins).set_params(init=(size, 1 - size, size))
        assert assert_sound_or_refused(changed, [BITS[:, :1]], [])


@pytest.mark.parametrize("solver", ["auto", "split-lbfgs", "coordinate-descent", "block-lbfgs"])
def test_arrays_of_the_classifier(solver):
    estimator = quick(M(solver=solver, max_iter=25))
    boxes = () if solver == "block-lbfgs" else ("expectation_box",)
    for size in (1e-320, 1e-300, 1e-150, 1e150, 1e300, 1e308):
        for name in ("prior_variance", *boxes):
            changed = clone(estimator).set_params(**{name: np.array([size, 1, 1, 1])})
            assert_sound_or_refused(changed, [IRIS, SPECIES], [name])
        weights = clone(estimator).set_params(class_weight={0: size, 1: 1, 2: 1})
        assert_sound_or_refused(weights, [IRIS, SPECIES], ["class_weight"])


@pytest.mark.parametrize("size", [1e-320, 1e-150, 1e150, 1e151, 1e300, 1.7e308])
def test_supports_of_distributions(size):
    x = RNG.uniform(size=(30, 1))
    ends = (-size, size)
    for support in (ends, (0.0, size), (ends,), np.array([0.0, size])):
        if size < 1 and not isinstance(support, np.ndarray):
            rows = x * size
        else:
            rows = x if not isinstance(support, np.ndarray) else np.array([[0.0], [size]])
        distribution = skem.MaxEntDistribution(1, support=support)
        assert_sound_or_refused(distribution, [rows], ["support", "X"])


def test_powers_that_nothing_tells_apart_are_refused_at_once():
    for features in (101, 10**9, 10**30):
        with pytest.raises(ValueError, match=f"features={features} powers are too many"):
            skem.MaxEntDistribution(features, support=(0.0, 1.0)).fit(BITS[:, :1])


@pytest.mark.parametrize("name", ["gaussian, full", "bernoulli", "three coins", "plsa"])
def test_starts_that_memory_does_not_hold_are_refused_at_once(name):
    estimator, *data = CASES[name]
    with pytest.raises(ValueError, match=r"n_init=10{30} needs about .* GiB.*Lower n_init"):
        clone(estimator).set_params(n_init=10**30).fit(*data)


@pytest.mark.parametrize("name", ["gaussian, full", "bernoulli", "plsa", "vb", "classifier, auto"])
def test_threads_without_number_are_as_many_as_there_is_use_for(name):
    estimator, *data = CASES[name]
    one, all_of_them = (quick(estimator).set_params(n_jobs=n).fit(*data) for n in (1, 10**30))
    np.testing.assert_array_equal(all_of_them.score(*data), one.score(*data))


def test_warnings_of_fits_that_end_early_stay():
    with pytest.warns(ConvergenceWarning):
        G(3, max_iter=1, random_state=0, tol=0).fit(FLOWERS)
