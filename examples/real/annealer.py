r"""
Answers of an annealer: which pairs are coupled, and how hot?
=============================================================

Reads a histogram of configurations of +-1 (csv; the first column counts), fits independent
sites, pairs and a network, and compares them on rows that they have not seen. A file to
try is dwave_samples.csv of the repository lanl-ansi/inverse_ising (data_dwave), half a
million answers of 62 qubits (Lokhov et al., Science Advances 4, e1700791, 2018).

    python examples/real/annealer.py dwave_samples.zip

A network of 62 sites takes about a minute on one core, all else half of that.
"""

import argparse

import numpy as np
from sklearn.model_selection import KFold

from skhamiltonian import (
    IndependentSites,
    MADEHamiltonian,
    PseudolikelihoodIsing,
    entropy,
)

from common import compare, load_rows, look, panels, some_rows, strongest


def run(path, n_rows=20_000, max_iter=30, n_units=256, strength=None, figure=None):
    X, counts = load_rows(path)
    look(X, counts)
    X = some_rows(X, counts, n_rows)

    # The same two folds for all models.
    folds = list(KFold(2, shuffle=True, random_state=0).split(X))
    made = MADEHamiltonian(hidden_layer_sizes=(n_units,), max_iter=max_iter, random_state=0)
    models = {"independent": IndependentSites(), "pairs": PseudolikelihoodIsing(), "network": made}
    tables = {name: entropy(model, X, folds, n_samples=4000, random_state=0) for name, model in models.items()}
    compare({name: table.log_likelihood for name, table in tables.items()})
    ln_z = tables["pairs"].upper_bound.error
    print(f"  (the score of pairs has a further error of ln Z, by integration: together {ln_z:.3f})")

    print("entropy, by the network")
    print(tables["network"])

    pairs = PseudolikelihoodIsing().fit(X)
    found, value = strongest(pairs.coupling_, pairs.coupling_std_)
    degree = 2 * found.sum() / X.shape[1]
    print(f"the graph of these couplings has {degree:.1f} neighbours a site")
    if strength is not None:
        typical = np.median(np.abs(value[found]))
        print(f"median |J|/T = {typical:.3f}: T = {strength / typical:.3f} for |J| = {strength}")

    print("what this cannot tell")
    print("- the temperature itself: only J/T, unless the programmed J is known (--strength)")
    print("- how well pairs can do: couplings are means of the fits of two sites, and one joint")
    print("  fit can predict far better if answers are frozen")
    print("- whether answers are in equilibrium: a law with these frequencies is all we see")
    print("- drifts: rows are taken as independent, and a histogram has lost their order")
    if figure is not None:
        draw(figure, X, pairs)
    return tables, pairs


def draw(path, X, pairs):
    """Draw correlations, the couplings beyond 4 standard errors and the mean of each qubit."""
    found = np.abs(pairs.coupling_) > 4 * pairs.coupling_std_
    matrices = {
        "correlations": np.corrcoef(X.T) - np.eye(X.shape[1]),
        "couplings J / T, beyond 4 errors": np.where(found, pairs.coupling_, 0),
    }
    with panels(path, (10.8, 4.15), 3, sharey=True, width_ratios=(1, 1, 0.4)) as axes:
        for ax, (name, matrix) in zip(axes, matrices.items(), strict=False):
            limit = np.abs(matrix).max()
            image = ax.imshow(matrix, cmap="RdBu", vmin=-limit, vmax=limit, interpolation="nearest")
            ax.figure.colorbar(image, ax=ax, shrink=0.8, aspect=30)
            ax.set(title=name, xlabel="qubit")
        axes[0].set_ylabel("qubit, in the order of the file")
        axes[2].axvline(0, color="0.7", linewidth=1)
        axes[2].plot(X.mean(axis=0), range(X.shape[1]), "o", markersize=4, color="#0b3d66")
        axes[2].set(title="means", xlim=(-1.05, 1.05), xlabel="mean of the qubit")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("path", help="histogram: csv, or zip that holds one")
    parser.add_argument("--n-rows", type=int, default=20_000, help="rows to draw from it")
    parser.add_argument("--strength", type=float, help="|J| that was programmed")
    parser.add_argument("--figure", help="file to draw to")
    given = parser.parse_args()
    run(given.path, given.n_rows, strength=given.strength, figure=given.figure)
