r"""
Spike words: how far do pairs go?
=================================

Reads words of 0 and 1 (a MATLAB 7.3 file with h5py, npy, or text), fits independent
neurons, pairs and a network, and compares them on words that they have not seen. All words
of 15 neurons can be listed, so every model is normalised exactly. A file to try is
example15.mat of the repository orimaoz/maxent_toolbox, 40 000 bins of 15 neurons.

    python examples/real/spikes.py example15.mat

It takes about a minute on one core.
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

from common import compare, load_rows, look, panels, strongest


def law_of(X):
    """Return the frequency of each of the 2^n words."""
    words = (X > 0) @ (1 << np.arange(X.shape[1]))
    return np.bincount(words, minlength=2 ** X.shape[1]) / len(X)


def log_law(model, n_sites):
    """Return ln p of each of the 2^n words, normalised by their sum."""
    words = np.arange(2**n_sites)[:, None] >> np.arange(n_sites) & 1
    log_p = -np.asarray(model.energy((2 * words - 1).astype(np.int8)))
    return log_p - np.logaddexp.reduce(log_p)


def divergence(law, log_p):
    """Return the relative entropy of a law to a model, in nats."""
    seen = law > 0
    return float(law[seen] @ (np.log(law[seen]) - log_p[seen]))


def run(path, name=None, figure=None, **of_network):
    X, counts = load_rows(path, name)
    X = np.where(X > 0, 1, -1).astype(np.int8)
    look(X, counts)
    n_sites = X.shape[1]

    folds = list(KFold(2, shuffle=True, random_state=0).split(X))
    models = {
        "independent": IndependentSites(),
        "pairs": PseudolikelihoodIsing(),
        "network": MADEHamiltonian(random_state=0, **of_network),
    }
    tables = {name: entropy(model, X, folds, random_state=0) for name, model in models.items()}
    compare({name: table.log_likelihood for name, table in tables.items()})
    print("entropy, by the network")
    print(tables["network"])

    train, test = folds[0]
    fitted, held_out = law_of(X[train]), law_of(X[test])
    print(f"relative entropy to the law of {len(train)} words fitted, and of {len(test)} held out, nats a word")
    divergences, laws = {}, {}
    for name, model in models.items():
        laws[name] = log_p = log_law(model.fit(X[train]), n_sites)
        divergences[name] = divergence(fitted, log_p), divergence(held_out, log_p)
        print(f"  {name:12s} {divergences[name][0]:.4f}   {divergences[name][1]:.4f}")
    floor = (np.count_nonzero(held_out) - 1) / (2 * len(test))
    print(f"  the true law itself would be at about {floor:.4f}, or more: words are few")

    captured = tables["pairs"].upper_bound.value - tables["network"].upper_bound.value
    gain = tables["independent"].upper_bound.value - tables["network"].upper_bound.value
    print(f"pairs give {1 - captured / gain:.1%} of what the network gains on independence")
    strongest(models["pairs"].coupling_, models["pairs"].coupling_std_)

    print("what this cannot tell")
    print("- synapses: a coupling may stand for a common input that was not recorded")
    print("- time: words are taken as independent; neighbouring bins are not")
    print("- larger groups of neurons: the share of pairs falls with their number")
    if figure is not None:
        draw(figure, laws, held_out, len(test))
    return tables, divergences


def draw(path, laws, held_out, n_words, least=10):
    """Draw probability by the model over frequency, for each word that occurs often enough."""
    often = held_out >= least / n_words
    p = np.geomspace(least / n_words, held_out.max())
    noise = 2 * np.sqrt((1 - p) / (p * n_words))
    with panels(path, (11.2, 3.8), len(laws), sharex=True, sharey=True) as axes:
        for ax, (name, log_p) in zip(axes, laws.items(), strict=True):
            ax.fill_between(p, 1 - noise, 1 + noise, color="0.85", label="2 errors of the frequency")
            ax.semilogx(held_out[often], np.exp(log_p[often]) / held_out[often], ".", color="#0b3d66", label="a word")
            ax.set(title=f"{name}: {divergence(held_out, log_p):.3f} nats", xlabel="frequency in held-out words")
        axes[0].set(ylim=(0, None), ylabel="probability by the model / frequency")
        axes[0].legend(frameon=False, loc="lower right")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("path", help="mat (7.3), npy or text; a row is a word of 0 and 1")
    parser.add_argument("--name", help="name of the array in a mat file")
    parser.add_argument("--figure", help="file to draw to")
    run(**vars(parser.parse_args()))
