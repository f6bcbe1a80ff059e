"""Laws of 15 or 16 spins learned by this and other packages from the same rows, against exact answers.

    python tests/benchmarks/models_of_rows.py prepare rows.npz --spikes example15.mat
    python tests/benchmarks/models_of_rows.py measure rows.npz peers.csv --models pairs network
    python tests/benchmarks/models_of_rows.py draw peers.csv docs/_static/peers.png

All configurations are listed, so every law is normalised exactly. ``measure`` imports only what a model needs and
appends to the table: models can be measured in environments of their own, since ConIII 3.0.1 needs numpy < 1.25 and
scipy < 1.11. Models that the table already has are left out.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np

N_ROWS = 20_000
SHAPE = (4, 4)
SYSTEMS = {  # temperature and coupling of plaquettes; neighbours have the coupling 1
    "pairs": (2.5, 0.0),
    "plaquettes": (3.5, 0.5),
}


def configurations(n):
    """Return all configurations of n spins."""
    return ((np.arange(2**n)[:, None] >> np.arange(n) & 1) * 2 - 1).astype(np.int8)


def normalised(log_weight):
    return log_weight - np.logaddexp.reduce(log_weight)


def prepare(rows, spikes):
    """Write rows to fit and held out of every data set, and ln p of all configurations if it is known."""
    from skhamiltonian import IsingSampler

    arrays = {}
    for name, (T, K) in SYSTEMS.items():
        ising = IsingSampler(SHAPE, T, plaquette_coupling=K, random_state=0)
        X = ising.sample(n_samples=2 * N_ROWS)
        arrays |= {f"{name}/fitted": X[:N_ROWS], f"{name}/held_out": X[N_ROWS:]}
        arrays[f"{name}/log_p"] = normalised(-ising.energy(configurations(16)) / T)
    if spikes:
        import h5py

        with h5py.File(spikes) as file:
            (words,) = [item[()] for item in file.values() if isinstance(item, h5py.Dataset)]
        X = np.where(words > 0, 1, -1).astype(np.int8)
        X = X[np.random.default_rng(0).permutation(len(X))]
        arrays |= {"spikes/fitted": X[: len(X) // 2], "spikes/held_out": X[len(X) // 2 :]}
    np.savez_compressed(rows, **arrays)


def pair_energy(J, h):
    """Return a function that gives ln p up to a constant, and the couplings."""
    return (lambda s: ((s @ J) * s).sum(axis=1) / 2 + s @ h), J


def independent(X, name):
    h = np.arctanh(np.clip(X.mean(axis=0), -1 + 1e-9, 1 - 1e-9))
    return pair_energy(np.zeros((X.shape[1], X.shape[1])), h)


def pairs(X, name):
    from skhamiltonian import PseudolikelihoodIsing

    model = PseudolikelihoodIsing().fit(X)
    return pair_energy(model.coupling_, model.field_)


def network(X, name, symmetries=()):
    from skhamiltonian import MADEHamiltonian

    shape = SHAPE if symmetries else None
    model = MADEHamiltonian(lattice_shape=shape, symmetries=symmetries, states=(-1, 1), random_state=0).fit(X)
    return (lambda s: model.score_samples(s.astype(np.int8))), None


def network_with_symmetries(X, name):
    return network(X, name, ("translation", "point-group", "spin-flip")) if name in SYSTEMS else None


def rise(X, name):
    """Interaction screening, J and h that minimise the mean of sum_i exp(-s_i (sum_j J_ij s_j + h_i))."""
    from scipy.optimize import minimize

    rows, counts = np.unique(X, axis=0, return_counts=True)
    s, weight = rows.astype(float), counts / counts.sum()
    n = s.shape[1]
    upper = np.triu_indices(n, 1)

    def unpacked(x):
        J = np.zeros((n, n))
        J[upper] = x[:-n]
        return J + J.T, x[-n:]

    def loss(x):
        J, h = unpacked(x)
        screened = weight[:, None] * np.exp(-s * (s @ J + h))
        by_J = -s.T @ (s * screened)
        return screened.sum(), np.append((by_J + by_J.T)[upper], -(s * screened).sum(axis=0))

    return pair_energy(*unpacked(minimize(loss, np.zeros(n * (n + 1) // 2), jac=True, method="L-BFGS-B").x))


def coniii(X, name):
    """ConIII's pseudo-likelihood."""
    from coniii import Pseudo
    from scipy.spatial.distance import squareform

    n = X.shape[1]
    multipliers = Pseudo(X.astype(int), iprint=False).solve()
    return pair_energy(squareform(multipliers[n:]), multipliers[:n])


def boltzmann_machine(W, visible, hidden):
    """Return ln p of a restricted Boltzmann machine of units 0 and 1, W (n_hidden, n_visible), up to a constant."""

    def log_p(s):
        v = (s > 0).astype(float)
        return v @ visible + np.logaddexp(0, v @ W.T + hidden).sum(axis=1)

    return log_p, None


def sklearn_rbm(X, name):
    """BernoulliRBM, persistent contrastive divergence of one step, with the better of two learning rates."""
    from sklearn.base import clone
    from sklearn.neural_network import BernoulliRBM

    v = (X > 0).astype(float)
    best, best_score = None, -np.inf
    rbm = BernoulliRBM(64, learning_rate=0.05, batch_size=100, n_iter=20, random_state=0)
    for rate in (0.05, 0.01):
        fitted = clone(rbm).set_params(learning_rate=rate).fit(v[: 9 * len(v) // 10])
        log_p, _ = machine = boltzmann_machine(fitted.components_, fitted.intercept_visible_, fitted.intercept_hidden_)
        score = (log_p(X[9 * len(v) // 10 :]) - np.logaddexp.reduce(log_p(configurations(X.shape[1])))).mean()
        if score > best_score:
            best, best_score = machine, score
    return best


def learnergy_rbm(X, name):
    """RBM of learnergy, contrastive divergence of five steps with momentum; the rate falls twice."""
    import torch
    from learnergy.models.bernoulli import RBM

    torch.manual_seed(0)
    torch.set_num_threads(1)
    v = torch.as_tensor((X > 0).astype(np.float32))
    rbm = RBM(X.shape[1], 64, steps=5, learning_rate=0.1, momentum=0.5)
    for rate, epochs in ((0.1, 12), (0.03, 6), (0.01, 4)):
        rbm.optimizer.param_groups[0]["lr"] = rate
        rbm.fit(torch.utils.data.TensorDataset(v, v), batch_size=100, epochs=epochs)
    W, visible, hidden = (part.detach().cpu().numpy().astype(float) for part in (rbm.W, rbm.a, rbm.b))
    return boltzmann_machine(W.T, visible, hidden)


MODELS = {
    "independent": independent,
    "pairs": pairs,
    "network": network,
    "network, symmetries": network_with_symmetries,
    "ConIII": coniii,
    "RISE": rise,
    "BernoulliRBM": sklearn_rbm,
    "learnergy RBM": learnergy_rbm,
}


def measure(rows, output, models, data):
    """Append a line for each new data set and model."""
    arrays = np.load(rows)
    done = {(line["data"], line["model"]) for line in (read(output) if Path(output).exists() else [])}
    for name in data or dict.fromkeys(key.split("/")[0] for key in arrays):
        X, held_out = arrays[f"{name}/fitted"], arrays[f"{name}/held_out"]
        every = configurations(X.shape[1])
        counts = np.bincount((held_out > 0) @ (1 << np.arange(X.shape[1])), minlength=len(every))
        log_p = arrays[f"{name}/log_p"] if f"{name}/log_p" in arrays else np.log(np.maximum(counts, 1) / counts.sum())
        p = np.exp(log_p) * ((counts > 0) | (f"{name}/log_p" in arrays))
        for model in models:
            if (name, model) in done:
                continue
            started = time.process_time()
            found = MODELS[model](X, name)
            seconds = time.process_time() - started
            if found is None:
                continue
            log_q = normalised(found[0](every.astype(float)))
            line = {
                "data": name,
                "model": model,
                "divergence": round(float(p @ (log_p - log_q)), 5),
                "held_out": round(float(counts @ log_q / counts.sum()), 4),
                "coupling_error": "" if found[1] is None else coupling_error(found[1], name),
                "seconds": round(seconds, 1),
            }
            print(line, flush=True)
            append(output, line)


def coupling_error(J, name):
    """Return the root mean square error of all couplings over the temperature, if the truth is known."""
    if name != "pairs":
        return ""
    T, sites = SYSTEMS[name][0], np.arange(16).reshape(SHAPE)
    true = np.zeros((16, 16))
    for axis in (0, 1):
        true[sites.ravel(), np.roll(sites, 1, axis).ravel()] = 1 / T
    off = (J - true - true.T)[np.triu_indices(16, 1)]
    return round(float(np.sqrt(np.mean(off**2))), 4)


def read(source):
    with open(source, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append(output, line):
    new = not Path(output).exists()
    with open(output, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, line)
        if new:
            writer.writeheader()
        writer.writerow(line)


def draw(source, figure):
    """Draw the divergence of every model, a panel for each data set."""
    import matplotlib.pyplot as plt

    lines = read(source)
    names = list(dict.fromkeys(line["data"] for line in lines))
    fig, axes = plt.subplots(1, len(names), figsize=(2.6 * len(names) + 1.4, 2.8), sharey=True, layout="constrained")
    models = [model for model in MODELS if any(line["model"] == model for line in lines)][::-1]
    for ax, name in zip(np.atleast_1d(axes), names, strict=True):
        part = {line["model"]: float(line["divergence"]) for line in lines if line["data"] == name}
        ax.plot([part.get(model, np.nan) for model in models], range(len(models)), "o")
        ax.set(xscale="log", title=name, yticks=range(len(models)), yticklabels=models)
        ax.grid(alpha=0.3)
    fig.supxlabel("relative entropy to the truth (spikes: to words held out), nats", fontsize="medium")
    fig.savefig(figure, dpi=80)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    of_prepare = commands.add_parser("prepare")
    of_prepare.add_argument("rows")
    of_prepare.add_argument("--spikes", help="MATLAB 7.3 file with words of 0 and 1")
    of_measure = commands.add_parser("measure")
    of_measure.add_argument("rows")
    of_measure.add_argument("output")
    of_measure.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    of_measure.add_argument("--data", nargs="+")
    of_draw = commands.add_parser("draw")
    of_draw.add_argument("source")
    of_draw.add_argument("figure")
    given = vars(parser.parse_args())
    {"prepare": prepare, "measure": measure, "draw": draw}[given.pop("command")](**given)
