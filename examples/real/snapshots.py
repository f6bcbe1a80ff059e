r"""
Snapshots of a quantum chain: the transition, without being told
================================================================

Reads measured configurations of spin chains, one file for a value of a knob that the
script need not understand (npy or text, 0/1 or +-1), and prints what each set looks like:
order, fluctuations, correlations, entropy and multi-information. Files to
try are data/ of the repository yuanhangzhang98/transformer_quantum_state (1000 snapshots
of 40 sites at fields 0.5, 1.0 and 1.5). With the exact wave function of a small chain, such
as that of QuCumber's first tutorial, the entropy has a truth to compare with.

    python examples/real/snapshots.py tfim_snapshots_field_*.npy
    python examples/real/snapshots.py tfim10_samples.txt --psi tfim10_psi.txt

A file takes about ten seconds on one core.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.model_selection import KFold

from skhamiltonian import (
    IndependentSites,
    LocalHamiltonian,
    MADEHamiltonian,
    PseudolikelihoodIsing,
    entropy,
)

from common import compare, load_rows, panels, strongest


def order_of(X):
    """Return <|m|>, N var |m|, the Binder cumulant, each with its error, from rows."""
    m = np.abs(X.mean(axis=1))
    chi = X.shape[1] * (m - m.mean()) ** 2
    square, fourth = m**2, m**4
    binder = 1 - fourth.mean() / (3 * square.mean() ** 2)
    slope = -(fourth - 2 * fourth.mean() / square.mean() * square) / (3 * square.mean() ** 2)
    return [
        (part, noise.std() / np.sqrt(len(X))) for part, noise in ((m.mean(), m), (chi.mean(), chi), (binder, slope))
    ]


def correlation(X, distance):
    """Return the mean covariance of two sites at a distance, along an open chain, and its error."""
    s = X - X.mean(axis=0)
    rows = (s[:, distance:] * s[:, : X.shape[1] - distance]).mean(axis=1)
    return float(rows.mean()), float(rows.std() / np.sqrt(len(X)))


def describe(path, psi=None, n_units=64, max_iter=40):
    X, _ = load_rows(path)
    X = np.where(X > 0, 1, -1).astype(np.int8)
    n_sites = X.shape[1]
    folds = list(KFold(2, shuffle=True, random_state=0).split(X))
    network = MADEHamiltonian(hidden_layer_sizes=(n_units,), max_iter=max_iter, random_state=0, states=(-1, 1))
    models = {"independent": IndependentSites(states=(-1, 1)), "network": network}
    if n_sites <= 16:  # ln Z of pairs is then a sum
        models["pairs"] = PseudolikelihoodIsing()
    tables = {name: entropy(model, X, folds, random_state=0) for name, model in models.items()}
    print(f"\n{path}: {len(X)} snapshots of {n_sites} sites")
    for name, (value, error) in zip(("<|m|>", "N var |m|", "Binder"), order_of(X), strict=True):
        print(f"  {name:10s} {value:.3f} +- {error:.3f}")
    far = n_sites // 4
    print(f"  correlation of neighbours {correlation(X, 1)[0]:.3f}, at distance {far} {correlation(X, far)[0]:.3f}")
    compare({name: table.log_likelihood for name, table in tables.items()})
    print(tables["network"])
    if psi is not None:
        p = np.loadtxt(psi)[:, 0] ** 2
        p = p[p > 0] / p.sum()
        print(f"exact entropy of the wave function {-(p * np.log(p)).sum():.4f} nats")
    return X, tables["network"]


def run(paths, psi=None, figure=None, **options):
    found = {path: describe(path, psi, **options) for path in paths}
    if len(found) > 1:
        chi = {path: order_of(X)[1][0] for path, (X, _) in found.items()}
        shared = {path: table.multi_information.value for path, (_, table) in found.items()}
        print(f"\nfluctuations of the order are largest in {max(chi, key=chi.get)}")
        print(f"sites tell most about each other in {max(shared, key=shared.get)}")
    path = next(iter(found))
    X = found[path][0]
    chain = LocalHamiltonian(1.0, window_shape=3, random_state=0).fit(X)
    error = np.sqrt(np.diag(chain.covariance_))
    print(f"effective couplings of the chain in {path}")
    for cluster, J, sigma in zip(chain.clusters_, chain.couplings_, error, strict=True):
        print(f"  {cluster}  {J:+.3f} +- {sigma:.3f}")
    if X.shape[1] <= 16:
        pairs = PseudolikelihoodIsing().fit(X)
        strongest(pairs.coupling_, pairs.coupling_std_, n=4)
    print("what this cannot tell")
    print("- the Hamiltonian of the chain: psi^2 in one basis has no temperature, and its")
    print("  'couplings' are those of a classical chain with the same snapshots")
    print("- phases of the wave function, and all that another basis would show")
    print("- the field: trajectories in imaginary time would (Worldlines); snapshots do not")
    if figure is not None:
        draw(figure, found)
    return found


def draw(path, found):
    """Draw correlations against distance, fluctuations of the order, and multi-information, of each file."""
    names = [" ".join(Path(one).stem.split("_")[-2:]) for one in found]
    rows, tables = zip(*found.values(), strict=True)
    of_files = {
        "fluctuations, N var |m|": [order_of(X)[1] for X in rows],
        "multi-information, nats": [(table.multi_information.value, table.multi_information.error) for table in tables],
    }
    with panels(path, (11.2, 3.8), 3, width_ratios=(1.6, 1, 1)) as axes:
        for name, X in zip(names, rows, strict=True):
            r = np.arange(1, X.shape[1] // 2 + 1)
            axes[0].errorbar(r, *zip(*(correlation(X, d) for d in r), strict=True), fmt="o-", markersize=4, label=name)
        axes[0].xaxis.get_major_locator().set_params(integer=True)
        axes[0].set(xlabel="distance, sites", title="correlation of two sites")
        axes[0].legend(frameon=False)
        for ax, (title, points) in zip(axes[1:], of_files.items(), strict=True):
            ax.errorbar(range(len(names)), *zip(*points, strict=True), fmt="o", color="#0b3d66", capsize=3)
            ax.axhline(0, color="0.7", linewidth=1, zorder=0)
            ax.set(title=title, xticks=range(len(names)), xticklabels=names, xlim=(-0.5, len(names) - 0.5))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("paths", nargs="+", help="npy or text, one file a setting")
    parser.add_argument("--psi", help="text with the wave function, real part first")
    parser.add_argument("--figure", help="file to draw to")
    given = parser.parse_args()
    run(given.paths, given.psi, given.figure)
