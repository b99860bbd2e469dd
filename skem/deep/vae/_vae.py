"""The variational autoencoder as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from skem._callbacks import with_callbacks
from skem._input import validate_data
from skem._sklearn import Interval, StrOptions, fit_context
from skem._validation import check_weights
from skem._warnings import warn_user
from skem.deep.modules.flows import FLOWS
from skem.deep.modules.priors import PRIORS
from skem.deep.modules.vae import VAE
from skem.deep.training._base import GOES_ON, TRAINING, WAY_OUT, Plan
from skem.deep.training._data import TensorRows
from skem.deep.training._distinct import distinct
from skem.deep.vae._checks import check_range, priors_that, read_labels
from skem.deep.vae._kinds import KINDS, LIKELIHOODS, make_likelihood
from skem.deep.vae._networks import ACTIVATIONS, network
from skem.deep.vae._rows import TrainingRows, UnitRows, Units
from skem.deep.vae._use import VAEUseMixin

_ACTIVE = 0.01
"""Variance of the posterior means above which a latent dimension is active (Burda et al. 2016)."""

_SOME = 4000
"""Rows that tell that."""


class VAETransformer(VAEUseMixin, BaseEstimator):
    r"""Variational autoencoder: rows as points of a latent space, with a density.

    An encoder maps each row to a normal distribution of latent variables, q(z|x) = N(mu(x),
    sigma(x)^2), and a decoder gives p(x|z). The objective is the evidence lower bound,

    .. math:: \log p(x) \ge \mathrm{E}_{q}[\log p(x|z)] - \mathrm{KL}(q(z|x) \,\|\, p(z)),

    both terms summed over their dimensions, and averaged over rows.

    Parameters
    ----------
    n_components : int, default=2
        Latent dimensions.
    hidden_layer_sizes : tuple of int, default=(256,)
        Hidden layers of the encoder; the decoder has them in reverse order. ``()`` is the
        linear model, probabilistic PCA if ``variance='shared'``.
    activation : {'relu', 'tanh', 'elu', 'gelu', 'silu', 'softplus'}, default='relu'
        Between the layers.
    likelihood : {'gaussian', 'bernoulli', 'multinomial'} or sequence of str, default='gaussian'
        p(x|z): real columns; ones and zeros, or X in [0, 1]; counts. A sequence has 'gaussian',
        'bernoulli' or 'categorical' (codes 0, 1, 2, ...) for each column.
    variance : {'columns', 'shared', 'decoder'} or float, default='columns'
        Of 'gaussian': learned, one a column or one for all; given by the decoder; or that number.
    standardize : bool, default=True
        Work with 'gaussian' columns of mean 0 and variance 1 inside. If False all have one unit, in
        which their mean variance is 1, so that large columns stay larger than small ones. Results
        are in the units of X in any case.
    binarize : bool, default=False
        With 'bernoulli', draw ones and zeros with the probabilities in X, anew in each epoch
        (dynamic binarisation).
    posterior : {'diag', 'planar', 'iaf'}, default='diag'
        q(z|x): normal, or transformed by ``n_flows`` planar or inverse autoregressive flows.
    n_flows : int, default=4
        How many flows.
    prior : {'normal', 'class', 'vamp'}, default='normal'
        p(z): standard normal; normal around a learned mean for each label (``class_means_``); a
        mixture of the posteriors, before any flow, of learned pseudo-inputs (VampPrior).
    n_pseudo_inputs : int, default=50
        Of prior='vamp'.
    conditional : bool, default=False
        Whether the labels are inputs of encoder and decoder.
    kl_weight : float, default=1.0
        Weight of the KL term (beta-VAE). 1 is the bound.
    kl_warmup_steps : int, default=0
        Batches over which that weight grows from 0.
    free_bits : float, default=0.0
        Nats below which the mean KL of a dimension is not lowered.
    n_importance_samples : int, default=1
        More than 1 trains the importance-weighted bound (IWAE); kl_weight then weighs log q(z|x) -
        log p(z) in each weight.
    learning_rate : float, default=1e-3
        Of Adam.
    learning_rate_schedule : {'cosine', 'constant'}, default='cosine'
        'cosine' falls to 0 over ``max_epochs``.
    weight_decay : float, default=0.0
        Above 0 the optimizer is AdamW.
    gradient_clip : float, default=None
        Largest norm of the gradient.
    batch_size : int or 'auto', default='auto'
        Rows of a batch; 'auto' is a sixteenth of the rows, but from 16 to 128.
    max_epochs : int, default=100
        Maximum number of passes over all rows.
    early_stopping : bool, default=False
        Hold ``validation_fraction`` of the rows out, stop when their loss has not fallen for
        ``patience`` epochs, and take the best weights.
    validation_fraction : float, default=0.1
        Share of the rows that early stopping holds out.
    patience : int, default=10
        Epochs without improvement after which early stopping ends the fit.
    encoder, decoder : callable, default=None
        ``encoder(n_inputs, None)`` and ``decoder(n_inputs, n_outputs)`` return torch modules in
        place of the layers; that of the encoder says by an attribute ``n_outputs`` how many
        numbers it gives.
    warm_start : bool, default=False
        Go on from the weights of the last fit, with the parameters that its model had, and in its
        units of the columns; ``history_`` is that of the last fit alone.
    device : str, default='auto'
        Where to train: 'cpu', 'cuda', 'cuda:1'; 'auto' is CUDA where there is one. Set after
        a fit, it is where the model goes for what comes next.
    precision : {'float32', 'bfloat16', 'float16'}, default='float32'
        Mixed precision on CUDA.
    compile : bool, default=False
        Compile the module (``torch.compile``).
    random_state : int, RandomState instance or None, default=None
        Seed of weights, batches and draws. torch's global state is not changed.
    callbacks : list, default=None
        Callbacks of skorch. An `LRScheduler` among them takes the place of learning_rate_schedule.
    verbose : int, default=0
        1 prints a line each epoch.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module.
    history_ : list of dict
        For each epoch the means over rows, in nats, of the loss, of the reconstruction error
        -log p(x|z), of KL, and of the bound, whatever the weight of KL: 'train_loss',
        'train_reconstruction', 'train_kl', 'train_bound', 'valid_loss', ...
    active_units_ : int
        Latent dimensions in which the posterior means of the training rows vary.
    class_means_ : ndarray of shape (n_classes, n_components)
        Prior means, with prior='class'.
    classes_ : ndarray of shape (n_classes,)
        Labels, if there were any.
    n_iter_ : int
        Epochs.
    center_, scale_ : ndarray of shape (n_features,)
        The networks see ``(X - center_) / scale_``.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    References
    ----------
    .. [1] Kingma and Welling (2014). Auto-Encoding Variational Bayes. ICLR.
    .. [2] Su (2018). Variational autoencoders, one: so that is how it is. kexue.fm/archives/5253.
    .. [3] Burda, Grosse and Salakhutdinov (2016). Importance Weighted Autoencoders. ICLR.
    .. [4] Rezende and Mohamed (2015). Variational Inference with Normalizing Flows. ICML.
    .. [5] Kingma et al. (2016). Improved Variational Inference with Inverse Autoregressive Flow.
    .. [6] Tomczak and Welling (2018). VAE with a VampPrior. AISTATS.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skem import VAETransformer
    >>> X = load_iris().data
    >>> vae = VAETransformer(2, hidden_layer_sizes=(32,), max_epochs=50, random_state=0).fit(X)
    >>> vae.transform(X).shape
    (150, 2)
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "likelihood": [StrOptions(set(LIKELIHOODS)), "array-like"],
        "variance": [
            StrOptions({"columns", "shared", "decoder"}),
            Interval(Real, 0, None, closed="neither"),
        ],
        "standardize": ["boolean"],
        "binarize": ["boolean"],
        "posterior": [StrOptions({"diag", *FLOWS})],
        "n_flows": [Interval(Integral, 1, None, closed="left")],
        "prior": [StrOptions(set(PRIORS))],
        "n_pseudo_inputs": [Interval(Integral, 1, None, closed="left")],
        "conditional": ["boolean"],
        "kl_weight": [Interval(Real, 0, None, closed="left")],
        "kl_warmup_steps": [Interval(Integral, 0, None, closed="left")],
        "free_bits": [Interval(Real, 0, None, closed="left")],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
        "encoder": [callable, None],
        "decoder": [callable, None],
        **TRAINING,
    }

    _defining: tuple[str, ...] = (
        *("n_components", "hidden_layer_sizes", "activation", "likelihood", "variance"),
        *("standardize", "posterior", "n_flows", "prior", "n_pseudo_inputs", "conditional"),
        *("encoder", "decoder"),
    )
    _stale = ("classes_", *(f"{name}_" for kind in PRIORS.values() for name in kind.attributes))

    def __init__(
        self,
        n_components: int = 2,
        *,
        hidden_layer_sizes: Sequence[int] = (256,),
        activation: str = "relu",
        likelihood: str | Sequence[str] = "gaussian",
        variance: str | float = "columns",
        standardize: bool = True,
        binarize: bool = False,
        posterior: str = "diag",
        n_flows: int = 4,
        prior: str = "normal",
        n_pseudo_inputs: int = 50,
        conditional: bool = False,
        kl_weight: float = 1.0,
        kl_warmup_steps: int = 0,
        free_bits: float = 0.0,
        n_importance_samples: int = 1,
        learning_rate: float = 1e-3,
        learning_rate_schedule: str = "cosine",
        weight_decay: float = 0.0,
        gradient_clip: float | None = None,
        batch_size: int | str = "auto",
        max_epochs: int = 100,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        encoder: Callable[..., torch.nn.Module] | None = None,
        decoder: Callable[..., torch.nn.Module] | None = None,
        warm_start: bool = False,
        device: str = "auto",
        precision: str = "float32",
        compile: bool = False,
        random_state: Any = None,
        callbacks: list | None = None,
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.likelihood = likelihood
        self.variance = variance
        self.standardize = standardize
        self.binarize = binarize
        self.posterior = posterior
        self.n_flows = n_flows
        self.prior = prior
        self.n_pseudo_inputs = n_pseudo_inputs
        self.conditional = conditional
        self.kl_weight = kl_weight
        self.kl_warmup_steps = kl_warmup_steps
        self.free_bits = free_bits
        self.n_importance_samples = n_importance_samples
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.weight_decay = weight_decay
        self.gradient_clip = gradient_clip
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.encoder = encoder
        self.decoder = decoder
        self.warm_start = warm_start
        self.device = device
        self.precision = precision
        self.compile = compile
        self.random_state = random_state
        self.callbacks = callbacks
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        name = self.likelihood
        known = isinstance(name, str) and name in LIKELIHOODS
        tags.input_tags.positive_only = known and KINDS[name].positive_only
        return tags

    @property
    def _n_features_out(self) -> int:
        return self._module.n_components

    # ------------------------------------------------------------------ fit
    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        labels: ArrayLike | None = None,
    ) -> VAETransformer:
        """Train encoder and decoder.

        In an epoch, each row occurs as often as its weight says, rounded, but at least once (the
        remaining factor weights its loss), and rows are sorted by content before random batches are
        drawn, so that a weight of 2 is equivalent to repeating the row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row; default is one for each.
        labels : array-like of shape (n_samples,), default=None
            Classes, for prior='class' and ``conditional``.

        Returns
        -------
        self : VAETransformer

        Raises
        ------
        ValueError
            If X, labels or parameters do not fit each other; the estimator is left unchanged.
        FloatingPointError
            If the loss is not finite in the first epoch.

        Warns
        -----
        ConvergenceWarning
            If the loss becomes NaN or infinite later (the last weights with a finite loss are
            kept), or if the posterior has collapsed: no latent dimension distinguishes the rows.
        """
        self._fit_network(X, sample_weight=sample_weight, labels=labels)
        return self

    def fit_transform(
        self,
        X: Any,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        labels: ArrayLike | None = None,
    ) -> Any:
        """Fit, and return the posterior means of the same rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row; default is one for each.
        labels : array-like of shape (n_samples,), default=None
            Classes, for prior='class' and ``conditional``.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
            See `transform`.
        """
        fitted = self.fit(X, sample_weight=sample_weight, labels=labels)
        return fitted.transform(X, labels=labels)

    # ------------------------------------------------------------------ what a fit is made of
    def _training_data(
        self,
        X: Any,
        y: Any,
        *,
        goes_on: bool,
        sample_weight: ArrayLike | None,
        labels: ArrayLike | None,
    ) -> TrainingRows:
        self._check_parameters()
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        check_range(X, self.likelihood)
        weight = check_weights(sample_weight, X)
        needed = "conditional=True" if self.conditional else ""
        if not needed and PRIORS[self.prior].needs_labels:
            needed = f"prior={self.prior!r}"
        codes, classes = read_labels(labels, len(X), needed)
        rows, weight = distinct(X, weight, codes)
        codes = None if codes is None else codes[rows]
        if goes_on:
            self._check_goes_on(X.shape[1], classes)
            units = self._units
        else:
            units = Units.of(X, rows, weight, self.likelihood, common=not self.standardize)
        return TrainingRows.of(X, rows, codes, weight, classes, units)

    def _check_parameters(self) -> None:
        """Refuse parameters that do not fit each other."""
        sizes = np.asarray(self.hidden_layer_sizes)
        if sizes.ndim != 1 or (len(sizes) and (sizes.dtype.kind not in "iu" or sizes.min() < 1)):
            raise ValueError(
                "hidden_layer_sizes must hold integers of at least 1, such as (256,), or be (); "
                f"got {self.hidden_layer_sizes!r}."
            )
        prior = PRIORS[self.prior]
        if self.conditional and not prior.allows_conditional:
            others = " or ".join(map(repr, priors_that("allows_conditional")))
            raise ValueError(f"conditional=True has no prior={self.prior!r}: use {others}.")
        if self.free_bits > 0 and (
            self.n_importance_samples > 1 or self.posterior != "diag" or not prior.has_kl
        ):
            others = " or ".join(map(repr, priors_that("has_kl", False)))
            raise ValueError(
                "free_bits needs the KL of each dimension, which n_importance_samples > 1, flows "
                f"and prior={others} do not have. Set free_bits=0."
            )

    def _check_goes_on(self, n_features: int, classes: NDArray) -> None:
        """Refuse to go on from a fit of other columns or labels."""
        known = getattr(self, "classes_", np.empty(0))
        if n_features != len(self.center_) or not np.array_equal(classes, known):
            raise ValueError(f"{GOES_ON} columns or labels. {WAY_OUT}")

    def _datasets(self, data: TrainingRows, plan: Plan) -> tuple[TensorRows, TensorRows | None]:
        held_out = self.validation_fraction if plan.holds_out else None
        train, valid = data.datasets(plan.device, held_out)
        steps = plan.n_epochs * -(-len(train) // self._size_of_batches(train))
        if self.kl_warmup_steps >= steps and self.kl_warmup_steps:
            raise ValueError(
                f"kl_warmup_steps={self.kl_warmup_steps} is not shorter than the training, "
                f"{steps} batches: the weight of KL would never reach kl_weight. Lower it, or "
                "raise max_epochs."
            )
        return train, valid

    def _make_module(self, data: TrainingRows) -> VAE:
        likelihood = make_likelihood(
            data.X,
            data.units.scale,
            likelihood=self.likelihood,
            variance=self.variance,
            binarize=self.binarize,
        )
        sizes = tuple(int(size) for size in self.hidden_layer_sizes)
        n_labels = len(data.classes) if self.conditional else 0
        inputs = likelihood.n_inputs + n_labels
        encoder, width = network(self.encoder, "encoder", (inputs, *sizes), self.activation, None)
        latent = (self.n_components + n_labels, *sizes[::-1])
        decoder, _ = network(self.decoder, "decoder", latent, self.activation, likelihood.n_outputs)
        start = likelihood.start(*data.for_start())
        if self.decoder is None:
            own: Any = decoder
            own[-1].bias.data.copy_(start)
        return VAE(
            likelihood,
            encoder,
            width,
            decoder,
            n_components=self.n_components,
            posterior=self.posterior,
            n_flows=self.n_flows,
            prior=self.prior,
            n_pseudo_inputs=self.n_pseudo_inputs,
            n_classes=len(data.classes),
            conditional=self.conditional,
            kl_weight=self.kl_weight,
            kl_warmup_steps=self.kl_warmup_steps,
            free_bits=self.free_bits,
            n_importance_samples=self.n_importance_samples,
            foreign=self.encoder is not None or self.decoder is not None,
        )

    def _attributes(self, net: Any, data: TrainingRows, plan: Plan) -> dict[str, Any]:
        fitted = super()._attributes(net, data, plan) | {"_seed": plan.seed, "_units": data.units}
        if len(data.classes):
            fitted["classes_"] = data.classes
        prior = net.module_.prior
        for name in prior.attributes:
            fitted[f"{name}_"] = getattr(prior, name).detach().cpu().numpy()
        return fitted

    def _after_training(self, data: TrainingRows) -> None:
        """Count the latent dimensions that tell rows apart."""
        some = slice(0, _SOME)
        known = None if data.codes is None else torch.from_numpy(data.codes[some])
        (means,) = self._batched(self._latent, UnitRows(data.X[some]), known)
        self.active_units_ = int((means.var(axis=0) > _ACTIVE).sum())
        if self.active_units_ == 0:
            warn_user(
                "The posterior has collapsed: no latent dimension tells rows apart (active_units_ "
                "= 0). Train longer (max_epochs), lower kl_weight, or give kl_warmup_steps or "
                "free_bits.",
                ConvergenceWarning,
            )
