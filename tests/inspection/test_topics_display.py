"""The bars are p(w | z) of the topics and p(z | d) of the documents, with their names."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import NMF, LatentDirichletAllocation, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skem.inspection import DocumentTopicsDisplay, TopicsDisplay

pytest.importorskip("matplotlib")

import matplotlib.pyplot as plt
from matplotlib.colors import to_rgba

TEXTS = ["cat dog pet dog", "pet dog cat", "bond stock market", "stock market bond stock"] * 3
GROUPS = np.array(["pets", "pets", "money", "money"] * 3)
VECTORIZER = CountVectorizer().fit(TEXTS)
X = VECTORIZER.transform(TEXTS).toarray()
NAMES = VECTORIZER.get_feature_names_out()


@pytest.fixture(scope="module")
def lda():
    return LatentDirichletAllocation(2, random_state=0).fit(X)


@pytest.fixture(scope="module")
def pipeline():
    return make_pipeline(CountVectorizer(), LatentDirichletAllocation(2, random_state=0)).fit(TEXTS)


def words(display, panel=0):
    """Words and values of the bars of a panel, from the top."""
    ax = display.axes_[panel]
    names = [label.get_text() for label in ax.get_yticklabels()]
    bars = display.bars_[panel]
    assert [bar.get_y() + bar.get_height() / 2 for bar in bars] == pytest.approx(ax.get_yticks())
    assert ax.yaxis.get_inverted()
    return names, np.array([bar.get_width() for bar in bars])


def proportions(display):
    """Names of the stacked bars from the top, and their pieces, one column a topic."""
    ax = display.ax_
    assert ax.yaxis.get_inverted()
    pieces = np.array([[bar.get_width() for bar in topic] for topic in display.bars_]).T
    ends = np.array([[bar.get_x() + bar.get_width() for bar in topic] for topic in display.bars_]).T
    np.testing.assert_allclose(ends, np.cumsum(pieces, axis=1), atol=1e-12)
    np.testing.assert_allclose(ends[:, -1], 1.0)
    return [label.get_text() for label in ax.get_yticklabels()], pieces


# ------------------------------------------------------------------------------------------- words
def test_bars_are_the_most_probable_words_of_each_topic(lda):
    nmf = NMF(2, init="nndsvd", tol=0, max_iter=100).fit(X)
    for model in (lda, nmf):
        display = TopicsDisplay.from_estimator(model, feature_names=NAMES, n_words=3)
        assert [ax.get_title() for ax in display.axes_] == ["topic 0", "topic 1"]
        for k, row in enumerate(model.components_):
            p = pd.Series(row / row.sum(), NAMES)
            drawn, widths = words(display, k)
            np.testing.assert_allclose(widths, p[drawn])
            np.testing.assert_allclose(widths, np.sort(p)[::-1][:3])


def test_titles_have_the_shares_of_topics(lda):
    lda.topic_prior_ = np.array([0.125, 0.875])
    display = TopicsDisplay.from_estimator(lda, topics=[1, 0])
    del lda.topic_prior_
    assert [ax.get_title() for ax in display.axes_] == ["topic 1 (88 %)", "topic 0 (12 %)"]
    expected = np.sort(lda.components_[1] / lda.components_[1].sum())[::-1]
    np.testing.assert_allclose(words(display, 0)[1], expected)


def test_words_of_probability_zero_are_not_drawn():
    display = TopicsDisplay(components=[[0, 3, 0, 1], [0, 0, 0, 0]]).plot()
    assert words(display, 0)[0] == ["x1", "x3"]
    np.testing.assert_allclose(words(display, 0)[1], [0.75, 0.25])
    assert words(display, 1)[0] == []


def test_a_pipeline_and_a_search_give_their_words(pipeline):
    search = GridSearchCV(
        pipeline, {"latentdirichletallocation__n_components": [2]}, cv=2, scoring=lambda *_: 0.0
    ).fit(TEXTS)
    for fitted in (pipeline, search):
        assert set(words(TopicsDisplay.from_estimator(fitted))[0]) == set(NAMES)
    table = pd.DataFrame(X, columns=NAMES)
    seen = LatentDirichletAllocation(2, random_state=0).fit(table)
    assert set(words(TopicsDisplay.from_estimator(seen))[0]) == set(NAMES)
    nameless = LatentDirichletAllocation(2, random_state=0).fit(X)
    assert words(TopicsDisplay.from_estimator(nameless))[0][0].startswith("x")


def test_axes_and_style_are_those_asked_for(lda):
    _, axes = plt.subplots(1, 2)
    display = TopicsDisplay.from_estimator(lda, axes=axes, bar_kw={"color": "k"})
    assert list(display.axes_) == list(axes)
    assert display.figure_ is axes[0].figure
    assert display.bars_[0][0].get_facecolor() == to_rgba("k")
    names = ["$x_$", *NAMES[1:]]
    TopicsDisplay.from_estimator(lda, feature_names=names).figure_.canvas.draw()


def test_a_topic_has_the_same_colour_in_both_displays(lda):
    panels = TopicsDisplay.from_estimator(lda, topics=[1])
    pieces = DocumentTopicsDisplay.from_estimator(lda, X)
    assert panels.bars_[0][0].get_facecolor() == pieces.bars_[1][0].get_facecolor()


def test_wrong_topics_are_errors(lda):
    draw = TopicsDisplay.from_estimator
    with pytest.raises(NotFittedError, match="not fitted yet"):
        draw(NMF(2))
    with pytest.raises(TypeError, match=r"draws topic models \(components_\), got LogisticRegr"):
        draw(LogisticRegression().fit(X, GROUPS))
    with pytest.raises(ValueError, match=r"components must be a matrix of prob.* got negative"):
        draw(TruncatedSVD(2).fit(X))
    with pytest.raises(ValueError, match="feature_names holds 2 names for the 6 features"):
        draw(lda, feature_names=["a", "b"])
    for topics in ([2], [-1], [0.5], [], 0, ["0"]):
        with pytest.raises(ValueError, match=r"topics must be .*numbers from 0 to 1, got"):
            draw(lda, topics=topics)
    for n_words in (0, 2.5, True):
        with pytest.raises(ValueError, match="n_words must be a positive integer"):
            draw(lda, n_words=n_words)
    with pytest.raises(ValueError, match="axes holds 1 axes for 2 panels"):
        draw(lda, axes=plt.subplots()[1])
    with pytest.raises(ValueError, match="shares must hold one probability for each of the 1 topi"):
        TopicsDisplay(components=[1.0, 2.0], shares=[0.5, 0.5])


# --------------------------------------------------------------------------------------- documents
def test_pieces_are_the_topics_of_documents(lda, pipeline):
    p = lda.transform(X)
    names, pieces = proportions(DocumentTopicsDisplay.from_estimator(lda, X))
    assert names == [f"document {i}" for i in range(12)]
    np.testing.assert_allclose(pieces, p)
    labels = [f"text {i}" for i in range(12)]
    display = DocumentTopicsDisplay.from_estimator(pipeline, TEXTS, documents=[7, 2], names=labels)
    names, pieces = proportions(display)
    assert names == ["text 7", "text 2"]
    np.testing.assert_allclose(pieces, p[[7, 2]])
    assert display.ax_.get_xlabel() == "p(z | d)"
    many = DocumentTopicsDisplay.from_estimator(lda, np.tile(X, (3, 1)))
    assert len(proportions(many)[0]) == 20


def test_rows_that_do_not_sum_to_one_are_divided_by_their_sums():
    nmf = NMF(2, init="nndsvd", tol=0, max_iter=100).fit(X)
    W = nmf.transform(X)
    _, pieces = proportions(DocumentTopicsDisplay.from_estimator(nmf, X))
    np.testing.assert_allclose(pieces, W / W.sum(axis=1, keepdims=True), atol=1e-12)


def test_groups_are_means(lda):
    display = DocumentTopicsDisplay.from_estimator(lda, X, by=GROUPS)
    names, pieces = proportions(display)
    expected = pd.DataFrame(lda.transform(X)).groupby(GROUPS).mean()
    assert names == expected.index.tolist()
    np.testing.assert_allclose(pieces, expected)
    assert display.ax_.get_xlabel() == "mean p(z | d)"


def test_legend_axes_and_style_are_those_asked_for(lda):
    _, ax = plt.subplots()
    display = DocumentTopicsDisplay.from_estimator(
        lda, X, topic_names=["money", "pets"], ax=ax, bar_kw={"linewidth": 2.0}
    )
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["money", "pets"]
    assert display.bars_[0][0].get_linewidth() == 2.0
    many = DocumentTopicsDisplay(proportions=np.ones((2, 30)), names=["$a_$", "b"]).plot()
    many.figure_.canvas.draw()
    assert [text.get_text() for text in many.ax_.get_legend().get_texts()][-1] == "29"


def test_wrong_documents_are_errors(lda):
    draw = DocumentTopicsDisplay.from_estimator
    with pytest.raises(NotFittedError, match="not fitted yet"):
        draw(NMF(2), X)
    with pytest.raises(TypeError, match="LogisticRegression has none"):
        draw(LogisticRegression().fit(X, GROUPS), X)
    with pytest.raises(ValueError, match="documents must be numbers from 0 to 11, got"):
        draw(lda, X, documents=[12])
    with pytest.raises(ValueError, match="names holds 1 names for 12 documents"):
        draw(lda, X, names=["a"])
    with pytest.raises(ValueError, match="topic_names holds 1 names for 2 topics"):
        draw(lda, X, topic_names=["a"])
    with pytest.raises(ValueError, match=r"by must hold the group of each of the 12 documents, go"):
        draw(lda, X, by=GROUPS[:3])
    for other in ({"documents": [0]}, {"names": ["a"] * 12}):
        with pytest.raises(ValueError, match="by draws groups, so documents and names must be No"):
            draw(lda, X, by=GROUPS, **other)
    with pytest.raises(ValueError, match="proportions is zero throughout in row 1"):
        DocumentTopicsDisplay(proportions=[[0.5, 0.5], [0.0, 0.0]])
