"""Parameters of topic models that are set after a fit: the fitted ones count, or are refused."""

import numpy as np
import pytest

from skem import PLSA, LatentDirichletAllocationVB

X = np.random.default_rng(0).poisson(1.0, size=(30, 12))


@pytest.mark.parametrize("later", [None, 5.0, [0.5, 3.0, 3.0], [1.0, 2.0]])
def test_documents_are_folded_in_under_the_prior_of_the_fit(later):
    plsa = PLSA(3, doc_topic_prior=1.5, random_state=0).fit(X)
    before = plsa.transform(X), plsa.score(X)
    plsa.set_params(doc_topic_prior=later)
    np.testing.assert_array_equal(plsa.transform(X), before[0])
    assert plsa.score(X) == before[1]


@pytest.mark.parametrize(("fitted", "later"), [("cvb0", "vb"), ("vb", "cvb0")])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_documents_are_folded_in_by_the_inference_of_the_fit(method, fitted, later):
    lda = LatentDirichletAllocationVB(3, inference=fitted, random_state=0)
    getattr(lda, method)(X)
    before = lda.transform(X), lda.score(X)
    lda.set_params(inference=later)
    np.testing.assert_array_equal(lda.transform(X), before[0])
    assert lda.score(X) == before[1]


def test_the_tolerance_is_that_of_the_call():
    plsa = PLSA(3, tol=1e-1, random_state=0).fit(X)
    rough = plsa.score(X)
    assert plsa.set_params(tol=1e-5).score(X) > rough


@pytest.mark.parametrize("begin", ["fit", "partial_fit"])
def test_batches_refuse_another_number_of_topics(begin):
    plsa = PLSA(3, random_state=0)
    getattr(plsa, begin)(X)
    with pytest.raises(ValueError, match=r"n_components=4 cannot go on.*has 3"):
        plsa.set_params(n_components=4).partial_fit(X)


@pytest.mark.parametrize("name", ["doc_topic_prior", "topic_word_prior"])
def test_batches_refuse_another_prior(name):
    plsa = PLSA(3, random_state=0, **{name: 1.2}).partial_fit(X)
    plsa.set_params(**{name: 1.2}).partial_fit(X)
    with pytest.raises(ValueError, match=f"partial_fit began with {name}=1.2"):
        plsa.set_params(**{name: 2.0}).partial_fit(X)


def test_batches_after_a_fit_bring_their_own_prior():
    plsa = PLSA(3, random_state=0).fit(X).set_params(doc_topic_prior=3.0).partial_fit(X)
    plain = PLSA(3, random_state=0).fit(X).partial_fit(X)
    assert np.ptp(plsa.transform(X), axis=1).mean() < np.ptp(plain.transform(X), axis=1).mean()


@pytest.mark.parametrize("inference", ["cvb0", "vb"])
def test_topics_of_another_library_can_be_set_by_hand(inference):
    fitted = LatentDirichletAllocationVB(3, inference=inference, random_state=0).fit(X)
    made = LatentDirichletAllocationVB(3, inference=inference)
    for name in ("components_", "doc_topic_prior_", "topic_prior_", "n_features_in_"):
        setattr(made, name, getattr(fitted, name))
    np.testing.assert_array_equal(made.transform(X), fitted.transform(X))
