"""Pairs of an annealer's answers: a joint fit, the mean of the fits of both ends, and the graph, on held-out rows.

    python tests/benchmarks/annealer_pairs.py dwave_samples.zip

The joint fit maximises the pseudo-likelihood with one coupling for both ends. Its large couplings are a sparse graph,
whose ln Z is exact by elimination of one site after the other; draws from it give the ln Z of all other pairs.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from skhamiltonian import PseudolikelihoodIsing

sys.path.append(str(Path(__file__).parents[2] / "examples" / "real"))
from common import load_rows

SPINS = np.array([-1.0, 1.0])


def joint_fit(X, counts, graph=None, max_iter=400):
    """Return J and h of largest pseudo-likelihood, with couplings on the pairs of `graph` only."""
    s, weight, n = X.astype(np.float32), (counts / counts.sum()).astype(np.float32), X.shape[1]
    pairs = np.nonzero(np.triu(np.ones((n, n), bool) if graph is None else graph, 1))

    def unpacked(x):
        J = np.zeros((n, n), np.float32)
        J[pairs] = x[:-n]
        return J + J.T, x[-n:].astype(np.float32)

    def loss(x):
        J, h = unpacked(x)
        odds = 2 * s * (s @ J + h)
        pull = -2 * weight[:, None] * s * expit(-odds)
        by_J = s.T @ pull
        slope = np.append((by_J + by_J.T)[pairs], pull.sum(axis=0)).astype(float)
        return float((weight @ np.logaddexp(0, -odds)).sum()), slope

    start = np.zeros(len(pairs[0]) + n)
    options = {"maxiter": max_iter, "maxfun": 2 * max_iter}
    return [
        part.astype(float) for part in unpacked(minimize(loss, start, jac=True, options=options, method="L-BFGS-B").x)
    ]


class Eliminated:
    """The law of pairs on a sparse graph: exact ln Z, and independent draws."""

    def __init__(self, J, h):
        n, self.steps = len(h), []
        near = [set(np.flatnonzero(row)) for row in J]
        factors = [((i,), h[i] * SPINS) for i in range(n)]
        factors += [((i, j), J[i, j] * np.outer(SPINS, SPINS)) for i, j in zip(*np.nonzero(np.triu(J, 1)), strict=True)]
        left = set(range(n))
        while left:
            site = min(left, key=lambda i: sum(b not in near[a] for a in near[i] for b in near[i] if a < b))
            others = sorted(near[site])
            axes = {one: k for k, one in enumerate([site, *others])}
            table = np.zeros((2,) * len(axes))
            for sites, values in (one for one in factors if site in one[0]):
                order = np.argsort([axes[one] for one in sites])
                shape = [2 if one in sites else 1 for one in axes]
                table = table + values.transpose(order).reshape(shape)
            self.steps.append((site, others, table))
            factors = [one for one in factors if site not in one[0]] + [(tuple(others), np.logaddexp(*table))]
            left.remove(site)
            for a in others:
                near[a] |= set(others) - {a}
                near[a].discard(site)
        self.log_z = float(sum(value for _, value in factors))

    def sample(self, n_samples, rng):
        X = np.zeros((n_samples, len(self.steps)), np.int8)
        for site, others, table in reversed(self.steps):
            place = tuple((X[:, one] + 1) // 2 for one in others)
            odds = (table[1] - table[0])[place] if others else table[1] - table[0]
            X[:, site] = np.where(rng.random(n_samples) < expit(odds), 1, -1)
        return X


def log_weight(X, J, h):
    s = X.astype(float)
    return ((s @ J) * s).sum(axis=1) / 2 + s @ h


def two_colours(graph):
    """Return whether the graph is bipartite."""
    colour = {}
    for first in range(len(graph)):
        colour.setdefault(first, 0)
        todo = [first]
        while todo:
            site = todo.pop()
            for other in np.flatnonzero(graph[site]):
                if other not in colour:
                    colour[other] = 1 - colour[site]
                    todo.append(other)
                elif colour[other] == colour[site]:
                    return False
    return True


def run(path, n_rows, n_held_out, n_graph, max_iter):
    X, counts = load_rows(path)
    copies = np.random.default_rng(1).permutation(np.repeat(np.arange(len(X)), counts))
    held_out = X[copies[-n_held_out:]]
    J, _ = joint_fit(*np.unique(X[copies[:n_graph]], axis=0, return_counts=True), max_iter=max_iter)
    for limit in (0.2, 0.3, 0.4, 0.5):
        graph = np.abs(J) > limit
        kind = "bipartite" if two_colours(graph) else "not bipartite"
        print(f"|J|/T > {limit}: {graph.sum() // 2} couplings, at most {graph.sum(axis=0).max()} neighbours, {kind}")
    rows, counts = np.unique(X[copies[:n_rows]], axis=0, return_counts=True)
    pairs = PseudolikelihoodIsing()
    fits = {
        "joint, on the graph": lambda: joint_fit(rows, counts, np.abs(J) > 0.4, max_iter),
        "joint": lambda: joint_fit(rows, counts, None, max_iter),
        "mean of both ends": lambda: (pairs.fit(rows, sample_weight=counts).coupling_, pairs.field_),
    }
    sparse = None
    for name, fit in fits.items():
        started = time.process_time()
        J, h = fit()
        seconds = time.process_time() - started
        if sparse is None:
            sparse = Eliminated(J, h)
            draws = sparse.sample(20_000, np.random.default_rng(0))
            proposal = log_weight(draws, J, h) - sparse.log_z
        log_w = log_weight(draws, J, h) - proposal
        log_z = np.logaddexp.reduce(log_w) - np.log(len(log_w))
        share = np.exp(2 * np.logaddexp.reduce(log_w) - np.logaddexp.reduce(2 * log_w)) / len(log_w)
        log_p = log_weight(held_out, J, h) - log_z
        pseudo = -np.logaddexp(0, -2 * held_out * (held_out @ J + h)).sum(axis=1)
        print(
            f"{name:20s} log-likelihood {log_p.mean():.3f} +- {log_p.std() / np.sqrt(len(log_p)):.3f} (ln Z "
            f"{log_z:.3f} by {share:.0%} of the draws), log pseudo-likelihood {pseudo.mean():.3f}, {seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--n-rows", type=int, default=10_000, help="rows that the models are fitted to")
    parser.add_argument("--n-held-out", type=int, default=20_000)
    parser.add_argument("--n-graph", type=int, default=150_000, help="rows that the graph is found from")
    parser.add_argument("--max-iter", type=int, default=400)
    run(**vars(parser.parse_args()))
