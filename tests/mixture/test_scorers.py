"""Scorers of mixtures in searches of scikit-learn: through pipelines, and past collapsed fits."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skem import BernoulliMixtureEM, GaussianMixtureEM
from skem.mixture import InSample, bic_score, held_out_score, icl_score

IRIS = load_iris().data
SCORERS = [bic_score, icl_score, held_out_score]


def own(scorer, mixture, X):
    return {
        bic_score: lambda: -mixture.bic(X),
        icl_score: lambda: -mixture.icl(X),
        held_out_score: lambda: mixture.score(X),
    }[scorer]()


@pytest.mark.parametrize("scorer", SCORERS)
def test_a_pipeline_has_the_score_of_its_mixture(scorer):
    mixture = GaussianMixtureEM(2, random_state=0)
    pipeline = make_pipeline(StandardScaler(), PCA(3), mixture).fit(IRIS)
    seen = pipeline[:-1].transform(IRIS)
    expected = own(scorer, mixture, seen)
    assert scorer(pipeline, IRIS) == pytest.approx(expected)
    nested = make_pipeline(
        StandardScaler(), Pipeline([("inner", make_pipeline(PCA(3), mixture))])
    ).fit(IRIS)
    assert scorer(nested, IRIS) == pytest.approx(expected)
    weight = np.arange(150) % 3
    repeated = scorer(nested, np.repeat(IRIS, weight, axis=0))
    assert scorer(nested, IRIS, sample_weight=weight) == pytest.approx(repeated)
    alone = make_pipeline(mixture).fit(IRIS)
    assert scorer(alone, IRIS) == pytest.approx(own(scorer, mixture, IRIS))


@pytest.mark.parametrize("scorer", [bic_score, icl_score])
def test_a_search_over_a_pipeline_is_one_over_its_mixture(scorer):
    scaled = StandardScaler().fit_transform(IRIS)
    mixture = GaussianMixtureEM(random_state=0, max_iter=500)
    sizes = [1, 2, 3]
    plain = GridSearchCV(mixture, {"n_components": sizes}, scoring=scorer, cv=InSample())
    piped = GridSearchCV(
        make_pipeline(StandardScaler(), mixture),
        {"gaussianmixtureem__n_components": sizes},
        scoring=scorer,
        cv=InSample(),
    )
    plain.fit(scaled)
    piped.fit(IRIS)
    scores = [search.cv_results_["mean_test_score"] for search in (plain, piped)]
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(*scores)
    assert plain.best_index_ == piped.best_index_
    assert scorer(plain, scaled) == pytest.approx(scorer(piped, IRIS))


def test_mixtures_of_other_kinds_have_scores():
    answers = np.random.default_rng(0).random((60, 4)) < 0.3
    binary = BernoulliMixtureEM(2, random_state=0).fit(answers)
    assert bic_score(binary, answers) == -binary.bic(answers)
    assert held_out_score(binary, answers) == pytest.approx(binary.score(answers))
    theirs = GaussianMixture(2, random_state=0).fit(IRIS)
    assert bic_score(theirs, IRIS) == -theirs.bic(IRIS)


@pytest.mark.parametrize("scorer", SCORERS)
def test_what_is_no_mixture_is_refused(scorer):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(IRIS, load_iris().target)
    with pytest.raises(TypeError, match="LogisticRegression is not a mixture"):
        scorer(model, IRIS)


def test_held_out_rows_choose_no_collapsed_fit():
    """Counts with spikes: a component that has collapsed onto a value is dense at held-out rows."""
    rng = np.random.default_rng(0)
    counts = np.vstack([rng.poisson(rate, size=(150, 2)) for rate in (5, 25, 55, 100)])
    counts[rng.random(600) < 0.2] = 25
    search = GridSearchCV(
        GaussianMixtureEM(random_state=0, max_iter=500),
        {"n_components": [2, 4, 8]},
        cv=3,
        scoring={"plain": lambda m, X, y=None: m.score(X), "sound": held_out_score},
        refit=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits that collapse, and of scores that are not finite
        search.fit(rng.permutation(counts))
    plain = search.cv_results_["mean_test_plain"]
    sound = search.cv_results_["mean_test_sound"]
    assert np.argmax(plain) == 2
    assert np.argmax(sound) == 1
    assert sound[2] == -np.inf
    assert search.cv_results_["rank_test_sound"].tolist() == [2, 1, 3]


@pytest.mark.parametrize("scorer", SCORERS)
def test_a_collapsed_fit_has_no_score(scorer):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture = GaussianMixtureEM(2, random_state=0).fit(np.r_[IRIS, np.full((9, 4), 20.0)])
    assert len(mixture.collapsed_)
    assert scorer(mixture, IRIS) == -np.inf
