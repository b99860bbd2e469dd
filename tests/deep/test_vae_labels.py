"""Labels: a prior mean for each class, and a model conditional on them."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from skem import VAETransformer

SPECIES = ["setosa", "versicolor", "virginica"]
IRIS = load_iris()
X, LABELS = IRIS.data, IRIS.target_names[IRIS.target]


def means_of(values, labels=LABELS):
    return np.array([values[labels == name].mean(axis=0) for name in SPECIES])


def nearest(values):
    """The species whose mean row is the nearest, in standard deviations."""
    distances = np.square((values[:, None] - means_of(X)) / X.std(0)).sum(-1)
    return np.array(SPECIES)[distances.argmin(1)]


# ---------------------------------------------------------------------- a prior mean for each class
def test_class_means_are_those_of_the_latent_points(class_vae):
    """At the optimum of eq. 8 of Su 2018 each prior mean is the mean of its posteriors."""
    assert class_vae.classes_.tolist() == SPECIES
    assert class_vae.class_means_.shape == (3, 2)
    Z = class_vae.transform(X)
    np.testing.assert_allclose(class_vae.class_means_, means_of(Z), atol=0.3)
    apart = class_vae.class_means_[0] - class_vae.class_means_[2]
    assert np.linalg.norm(apart) > 1


def test_kl_is_that_from_the_prior_of_the_own_class(class_vae):
    mean, std = (v.astype(np.float64) for v in class_vae.posterior_moments(X))
    own = class_vae.class_means_[IRIS.target]
    kl = 0.5 * (np.square(mean - own) + std**2 - np.log(std**2) - 1).sum(1).mean()
    assert class_vae.history_[-1]["train_kl"] == pytest.approx(kl, rel=0.05)


@pytest.mark.parametrize("model", ["class_vae", "conditional_vae"])
def test_draws_are_of_the_class_that_is_asked_for(model, request):
    vae = request.getfixturevalue(model)
    for name in SPECIES:
        drawn = vae.sample(300, labels=name)
        assert (nearest(drawn) == name).mean() > 0.7
        error = np.abs(drawn.mean(0) - X[name == LABELS].mean(0)) / X.std(0)
        assert error.max() < 0.35
    mixed = vae.sample(300, labels=np.repeat(SPECIES, 100))
    assert (nearest(mixed) == np.repeat(SPECIES, 100)).mean() > 0.7


def test_draws_without_a_label_are_of_all_classes_alike(class_vae):
    shares = [(nearest(class_vae.sample(900)) == name).mean() for name in SPECIES]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.12)


def test_a_row_is_likelier_with_its_own_label_and_without_one_in_between(class_vae):
    """p(x) is the mean of p(x|label) over the classes."""
    by_label = np.array([class_vae.score_samples(X, labels=name) for name in SPECIES])
    assert (np.array(SPECIES)[by_label.argmax(0)] == LABELS).mean() > 0.8
    own = class_vae.score_samples(X, labels=LABELS)
    np.testing.assert_allclose(own, by_label[IRIS.target, np.arange(150)], rtol=1e-5)
    mixture = np.log(np.exp(by_label.astype(np.float64)).mean(0))
    np.testing.assert_allclose(class_vae.score_samples(X), mixture, atol=1e-4)
    assert class_vae.score(X, labels=LABELS) == pytest.approx(own.mean(), rel=1e-6)


def test_latent_points_need_no_label_where_the_prior_alone_has_them(class_vae):
    Z = class_vae.transform(X)
    np.testing.assert_array_equal(class_vae.transform(X, labels=LABELS), Z)
    assert class_vae.inverse_transform(Z).shape == X.shape
    assert class_vae.interpolate(X[0], X[-1], 3).shape == (3, 4)


@pytest.mark.parametrize("kind", ["numbers", "booleans", "objects", "series"])
def test_labels_may_be_of_any_kind(kind):
    vae = VAETransformer(
        2, hidden_layer_sizes=(8,), prior="class", max_epochs=20, learning_rate=0.02, random_state=0
    )
    labels = {
        "numbers": IRIS.target * 10 - 5.5,
        "booleans": IRIS.target > 0,
        "objects": LABELS.astype(object),
        "series": None,
    }[kind]
    if kind == "series":
        labels = pytest.importorskip("pandas").Series(LABELS)
    vae.fit(X, labels=labels)
    assert vae.classes_.tolist() == sorted(set(labels))
    last = list(labels)[-1]
    assert vae.sample(2, labels=last).shape == (2, 4)
    assert np.isfinite(vae.score(X, labels=labels))


def test_names_of_the_classes_do_not_matter_but_for_their_order(class_vae):
    vae = VAETransformer(**class_vae.get_params()).fit(X, labels=IRIS.target)
    np.testing.assert_array_equal(vae.class_means_, class_vae.class_means_)
    np.testing.assert_array_equal(vae.transform(X), class_vae.transform(X))


# ---------------------------------------------------------------------- conditioning
def test_conditioned_on_its_label_a_row_has_what_the_label_does_not_say(conditional_vae):
    """The mean latent point is alike in all classes, while without labels it tells them apart."""
    Z = conditional_vae.transform(X, labels=LABELS)
    assert np.abs(means_of(Z)).max() < 0.4
    assert Z.std() > 0.4


def test_the_label_decides_what_a_latent_point_decodes_to(conditional_vae):
    Z = np.zeros((3, 1))
    decoded = conditional_vae.inverse_transform(Z, labels=SPECIES)
    assert nearest(decoded).tolist() == SPECIES
    back = conditional_vae.reconstruct(X, labels=LABELS)
    assert np.square(back - X).mean() < np.square(X - means_of(X)[IRIS.target]).mean()


def test_fit_transform_passes_the_labels_on(conditional_vae):
    vae = VAETransformer(**conditional_vae.get_params())
    Z = vae.fit_transform(X, labels=LABELS)
    np.testing.assert_array_equal(Z, conditional_vae.transform(X, labels=LABELS))


def test_both_kinds_of_labels_go_together():
    vae = VAETransformer(
        2,
        hidden_layer_sizes=(16,),
        prior="class",
        conditional=True,
        n_importance_samples=3,
        posterior="planar",
        learning_rate=0.01,
        max_epochs=40,
        random_state=0,
    ).fit(X, labels=LABELS)
    assert vae.class_means_.shape == (3, 2)
    assert (nearest(vae.sample(300, labels="setosa")) == "setosa").mean() > 0.7


def test_weights_equal_rows_with_their_labels():
    times = np.random.default_rng(0).integers(0, 3, size=150)
    vae = VAETransformer(2, hidden_layer_sizes=(8,), prior="class", max_epochs=20, random_state=0)
    vae.set_params(learning_rate=0.02)
    Z = vae.fit(X, sample_weight=times, labels=LABELS).transform(X)
    vae.fit(np.repeat(X, times, axis=0), labels=np.repeat(LABELS, times))
    np.testing.assert_array_equal(vae.transform(X), Z)


# ---------------------------------------------------------------------- errors
def unfitted(**options):
    return VAETransformer(2, hidden_layer_sizes=(8,), max_epochs=2, random_state=0, **options)


@pytest.mark.parametrize(
    ("options", "what"),
    [({"prior": "class"}, "prior='class'"), ({"conditional": True}, "conditio")],
)
def test_labels_that_are_needed_and_missing_are_asked_for(options, what):
    with pytest.raises(ValueError, match=rf"{what}.* needs labels: fit\(X, labels=...\)"):
        unfitted(**options).fit(X)


def test_labels_that_nothing_would_use_are_refused():
    with pytest.raises(ValueError, match="neither prior='class' nor conditional=True uses them"):
        unfitted().fit(X, labels=LABELS)


@pytest.mark.parametrize("labels", [LABELS[:10], np.c_[LABELS, LABELS], "setosa"])
def test_labels_of_another_shape_are_refused(labels, conditional_vae):
    with pytest.raises(ValueError, match=r"labels has shape .* expected \(n_samples,\) = \(150,\)"):
        unfitted(prior="class").fit(X, labels=labels)
    if not isinstance(labels, str):
        with pytest.raises(ValueError, match=r"labels has shape .* \(n_samples,\) = \(150,\)"):
            conditional_vae.transform(X, labels=labels)


@pytest.mark.parametrize("label", ["lily", "aaa", "zzz", 3])
def test_unknown_labels_are_named_with_the_known_ones(class_vae, label):
    with pytest.raises(ValueError, match=rf"labels holds .*{label}.*\['setosa', 'versicolor', 'vi"):
        class_vae.sample(2, labels=label)
    wrong = LABELS.astype(object)
    wrong[7] = str(label)
    with pytest.raises(ValueError, match=f"labels holds .*{label}"):
        class_vae.score(X, labels=wrong.astype(str))


@pytest.mark.parametrize(
    "call",
    [
        lambda vae: vae.transform(X),
        lambda vae: vae.posterior_moments(X),
        lambda vae: vae.reconstruct(X),
        lambda vae: vae.inverse_transform(np.zeros((2, 1))),
        lambda vae: vae.score_samples(X),
        lambda vae: vae.score(X),
        lambda vae: vae.sample(2),
    ],
    ids=["transform", "moments", "reconstruct", "inverse", "score_samples", "score", "sample"],
)
def test_a_conditional_model_asks_for_labels_everywhere(conditional_vae, call):
    with pytest.raises(ValueError, match="labels are needed with conditional=True"):
        call(conditional_vae)


def test_a_line_between_rows_has_no_label(conditional_vae):
    with pytest.raises(ValueError, match=r"interpolate has no label.*inverse_transform\(Z, labels"):
        conditional_vae.interpolate(X[0], X[1])


def test_labels_for_a_model_without_any_are_refused(gaussian_vae, factors):
    with pytest.raises(ValueError, match="labels were given, but the fit had none: set prior="):
        gaussian_vae.transform(factors, labels=np.zeros(len(factors)))
