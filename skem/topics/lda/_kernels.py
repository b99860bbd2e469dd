"""Latent Dirichlet allocation on sparse counts: CVB0, and what all inference shares.

Conventions, beside those of `_kernels`:
    phi.shape = (p, k)     what a word says of a topic: exp E[log p(w|z)] (VB), (n_wz + eta) /
                           (n_z + p eta) (CVB0), or p(w|z) itself
    alpha.shape = (k,)     Dirichlet prior of p(z|d)
    docs.shape = (n, k)    expected counts of topics in documents, without the prior
"""

from __future__ import annotations

import math

import numpy as np

from skem._compiled import VECTORISE
from skem._kernel_cache import njit
from skem.topics._fold_in_kernels import gather
from skem.topics._kernels import add, dot, least, log_likelihood, longest

FIRST_ORDER = 1e-12
"""Count below which the terms of a Dirichlet density are taken to first order: in differences of
log Gamma functions, it would be lost in rounding."""

NO_TOKEN = 1e-9
"""Expected count below which a word counts as absent from a topic: its digamma is not computed."""

ASYMPTOTIC = 7.0
"""From here on the terms that the asymptotic series of digamma leaves out are below rounding."""

AT_MOST_ONE = 1e-3
"""Expected count below which a document has one token of a topic or none: the chance of two is
about its square."""

SURE = 1e-9
"""Chances of a token are at least this far from 0 and 1, so that the logarithm of one exists."""


@njit(nogil=True, cache=True, fastmath=VECTORISE, error_model="numpy")
def digamma(x):
    """Derivative of log Gamma at x > 0: by recurrence to `ASYMPTOTIC`, then its asymptotic series.

    As exact as float64 is, for a bound is made of it that may not fall. NaN below 0.
    """
    value = 0.0
    while 0.0 < x < ASYMPTOTIC:
        value -= 1.0 / x
        x += 1.0
    r = 1.0 / (x * x)
    tail = r * (1 / 132.0 - r * (691 / 32760.0 - r / 12.0))
    tail = r * (1 / 12.0 - r * (1 / 120.0 - r * (1 / 252.0 - r * (1 / 240.0 - tail))))
    return value + math.log(x) - 0.5 / x - tail


@njit(nogil=True, cache=True, error_model="numpy")
def exp_log_expectation(counts, prior, out):
    """Out <- exp(E[log theta] - top) under Dirichlet(counts + prior); returns top, the largest.

    Relative to the largest, for all may be too small for a number: digamma(x) < -1 / x; and none
    below `least`.
    """
    total, largest = 0.0, 0.0
    for z in range(len(counts)):
        total += counts[z] + prior[z]
        largest = max(largest, counts[z] + prior[z])
    shift, low = digamma(largest), least(out)
    bottom = math.log(low)
    for z in range(len(counts)):
        value = digamma(counts[z] + prior[z]) - shift
        out[z] = math.exp(value) if value > bottom else low
    return shift - digamma(total)


@njit(nogil=True, cache=True, error_model="numpy")
def topic_expectations(words, eta, out, tops, shift, logs):
    """Out (p, k) <- exp(E[log p(w|z)] - top of the word), columns of words + eta each a Dirichlet;
    none below `least`.

    Sets tops (p,) to the largest E[log p(w|z)] of each word and shift (k,) to what is subtracted
    from the digammas. Adds to logs (k,) the sums of E[log p(w|z)] over the words.
    """
    p, k = words.shape
    value, low = np.empty(k), least(out)
    bottom = math.log(low)
    shift[:] = 0.0
    for w in range(p):
        for z in range(k):
            shift[z] += words[w, z]
    for z in range(k):
        shift[z] = digamma(shift[z] + p * eta)
    for w in range(p):
        top = -np.inf
        for z in range(k):
            value[z] = digamma(words[w, z] + eta) - shift[z]
            logs[z] += value[z]
            top = max(top, value[z])
        tops[w] = top
        for z in range(k):
            out[w, z] = math.exp(value[z] - top) if value[z] - top > bottom else low


@njit(nogil=True, cache=True, error_model="numpy")
def dirichlet_terms(counts, alpha):
    """E_q[log p(theta)] - E_q[log q(theta)] of q = Dirichlet(counts + alpha), less counts terms.

    That is sum_z [lgamma(counts + alpha) - lgamma(alpha) - counts x E_q log theta] + lgamma of the
    sum of alpha - lgamma of the sum of counts + alpha.
    """
    total, size = 0.0, 0.0
    for z in range(len(counts)):
        total += alpha[z]
        size += counts[z]
    shift = digamma(size + total)
    value = math.lgamma(total) - math.lgamma(size + total)
    for z in range(len(counts)):
        g = counts[z] + alpha[z]
        value += math.lgamma(g) - math.lgamma(alpha[z]) - counts[z] * (digamma(g) - shift)
    return value


@njit(nogil=True, cache=True, error_model="numpy")
def dirichlet_columns(words, eta):
    """`dirichlet_terms` of each topic, Dirichlet(words + eta), summed: words (p, k)."""
    p, k = words.shape
    sizes = np.zeros(k)
    for w in range(p):
        for z in range(k):
            sizes[z] += words[w, z]
    value, shift = 0.0, np.empty(k)
    for z in range(k):
        shift[z] = digamma(sizes[z] + p * eta)
        value += math.lgamma(p * eta) - math.lgamma(sizes[z] + p * eta)
    bottom = math.lgamma(eta)
    for w in range(p):
        for z in range(k):
            c = words[w, z]
            if c > FIRST_ORDER:
                value += math.lgamma(c + eta) - bottom - c * (digamma(c + eta) - shift[z])
            else:
                value += c * shift[z]  # to first order
    return value


@njit(nogil=True, cache=True, fastmath=VECTORISE, error_model="numpy")
def _cvb0_document(counts, indices, phi, inverse, eta, alpha, lead, own, w, mixed, words, q):
    """One pass of CVB0 over a document; own <- expected counts of its topics.

    A token's own part in the counts, which CVB0 leaves out, is what the counts give it: nothing is
    kept for each token.
    """
    k, kind = phi.shape[1], phi.dtype.type
    own[:] = 0
    for a in range(len(counts)):
        row = phi[np.uint64(indices[a])]
        s = dot(lead, row)
        mixed[a] = s
        r = kind(1) / s
        s = kind(0)
        for z in range(k):
            g = lead[z] * row[z] * r
            rest = max(row[z] - g * inverse[z], eta * inverse[z])
            q[z] = rest * max(lead[z] - g, alpha[z])
            s += q[z]
        r = counts[a] / s
        add(own, r, q)
        add(words[np.uint64(indices[a])], kind(w * r), q)


@njit(nogil=True, cache=True, error_model="numpy")
def cvb0_e_step(data, indices, indptr, weight, phi, inverse, eta, alpha, docs, words, values):
    """One pass of CVB0 (Asuncion et al. 2009, eq. 12) over all documents.

    Sets docs to the expected counts of topics and values (n,) to sum x log p(w|d) at the means
    that came in, in nats; adds expected counts to words (p, k). ``inverse`` (k,) is 1 / (n_z + p
    eta); alpha and inverse are in the dtype of phi.
    """
    k = docs.shape[1]
    mixed, q = np.empty(longest(indptr)), np.empty(k, phi.dtype)
    own, lead = np.empty(k, phi.dtype), np.empty(k, phi.dtype)
    for i in range(len(docs)):
        some = slice(indptr[i], indptr[i + 1])
        w = weight[i] if weight.size else 1.0
        size, total = 0.0, 0.0
        for a in range(indptr[i], indptr[i + 1]):
            size += data[a]
        for z in range(k):
            lead[z] = docs[i, z] + alpha[z]
            total += lead[z]
        _cvb0_document(
            data[some], indices[some], phi, inverse, eta, alpha, lead, own, w, mixed, words, q
        )
        values[i] = log_likelihood(data[some], mixed) - size * math.log(total)
        docs[i] = own


@njit(nogil=True, cache=True, fastmath=VECTORISE, error_model="numpy")
def _cvb0_fold_pass(counts, gathered, alpha, lead, own, q):
    """One pass of CVB0 over a document with topics that stay."""
    m, k = gathered.shape
    own[:] = 0
    for a in range(m):
        s = gathered.dtype.type(0)
        for z in range(k):
            q[z] = lead[z] * gathered[a, z]
            s += q[z]
        if s > 0:
            r = 1 / s
            s = gathered.dtype.type(0)
            for z in range(k):
                q[z] = gathered[a, z] * max(lead[z] - q[z] * r, alpha[z])
                s += q[z]
            r = counts[a] / s
            for z in range(k):
                own[z] += q[z] * r


@njit(nogil=True, cache=True, error_model="numpy")
def cvb0_fold_in(data, indices, indptr, phi, alpha, tol, max_iter, docs):
    """Docs (n, k) <- expected counts of topics by CVB0, with topics p(w|z) that stay."""
    n, k = docs.shape
    buffer = np.empty((longest(indptr), k), phi.dtype)
    own, lead, q = np.empty(k, phi.dtype), np.empty(k, phi.dtype), np.empty(k, phi.dtype)
    share = alpha / alpha.sum()
    for i in range(n):
        first, last = indptr[i], indptr[i + 1]
        counts, gathered = data[first:last], buffer[: last - first]
        gather(indices[first:last], phi, gathered)
        size = 0.0
        for a in range(len(counts)):
            size += counts[a]
        for z in range(k):
            docs[i, z] = size * share[z]
        for _ in range(max_iter):
            for z in range(k):
                lead[z] = docs[i, z] + alpha[z]
            _cvb0_fold_pass(counts, gathered, alpha, lead, own, q)
            moved = 0.0
            for z in range(k):
                moved += abs(own[z] - docs[i, z])
                docs[i, z] = own[z]
            if moved <= tol * size:
                break


@njit(nogil=True, cache=True, error_model="numpy")
def _expected_rise(mean, variance, alpha):
    """E[digamma(N + alpha) - digamma(alpha)] of a sum N of tokens that may belong to a topic.

    N is zero with the chance that a binomial of that mean and variance gives it, and else taken at
    its mean (Teh, Kurihara and Welling 2008, sec. 3.2): digamma is steep near a small alpha, and
    taken at the mean of all would make many doubtful tokens of a few sure ones.
    """
    if mean < AT_MOST_ONE:
        return mean / alpha
    chance = 1 - min(max(variance / mean, SURE), 1 - SURE)  # of each of mean / chance tokens
    some = -math.expm1(mean / chance * math.log1p(-chance))
    return some * (digamma(alpha + mean / some) - digamma(alpha))


@njit(nogil=True, cache=True, error_model="numpy")
def minka_terms(data, indices, indptr, weight, phi, docs, alpha, gains):
    """Sums over documents for Minka's fixed point; adds to gains (k,), returns the other.

    gains_z = sum of E[digamma(n_dz + alpha_z) - digamma(alpha_z)], and the same of the sums.
    """
    n, k = docs.shape
    total, loss = alpha.sum(), 0.0
    bottom = digamma(total)
    mean, variance, q = np.empty(k), np.empty(k), np.empty(k)
    for i in range(n):
        w = weight[i] if weight.size else 1.0
        size = 0.0
        mean[:], variance[:] = 0.0, 0.0
        for a in range(indptr[i], indptr[i + 1]):
            row = phi[indices[a]]
            s = 0.0
            for z in range(k):
                q[z] = (docs[i, z] + alpha[z]) * row[z]
                s += q[z]
            for z in range(k):
                g = q[z] / s
                mean[z] += data[a] * g
                variance[z] += data[a] * g * (1 - g)
            size += data[a]
        for z in range(k):
            gains[z] += w * _expected_rise(mean[z], variance[z], alpha[z])
        loss += w * (digamma(size + total) - bottom)
    return loss


@njit(nogil=True, cache=True, error_model="numpy")
def symmetric_minka_terms(words, eta):
    """The same for topics with p equal parameters eta each: words (p, k)."""
    p, k = words.shape
    sizes = np.zeros(k)
    low, gain, loss = digamma(eta), 0.0, 0.0
    for w in range(p):
        for z in range(k):
            c = words[w, z]
            sizes[z] += c
            if c > NO_TOKEN:
                gain += digamma(c + eta) - low
    bottom = digamma(p * eta)
    for z in range(k):
        loss += p * (digamma(sizes[z] + p * eta) - bottom)
    return gain, loss
