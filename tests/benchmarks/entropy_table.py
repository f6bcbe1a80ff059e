"""Entropy of 20 x 20 Ising configurations against Kaufman's solution and a public table: measure, then draw.

    python tests/benchmarks/entropy_table.py measure network --temperatures 1.1 1.4 1.7 --output entropy.csv
    python tests/benchmarks/entropy_table.py draw entropy.csv docs/_static/entropy.png

Temperatures that the file already has are not measured again, so that a table can be made in parts.

The public numbers are those of the repository rmldj/ml-entropy, code_paper/scan50.log and scan50augment.log: one
boosted classifier for each site, the same lattice and number of configurations. They are in bits a site there.
"""

import argparse
import csv
import math
import time
from pathlib import Path

import numpy as np

from skhamiltonian import IsingSampler, LocalHamiltonian, MADEHamiltonian, entropy, ising_exact

SHAPE, N_ROWS = (20, 20), 20_000
SYMMETRIES = ("translation", "point-group", "spin-flip")
MODELS = {
    "network": lambda T: MADEHamiltonian(T, lattice_shape=SHAPE, symmetries=SYMMETRIES, random_state=0),
    "network without symmetries": lambda T: MADEHamiltonian(T, lattice_shape=SHAPE, random_state=0),
    "local energy": lambda T: LocalHamiltonian(
        T, lattice_shape=SHAPE, boundary="periodic", symmetries=SYMMETRIES, random_state=0
    ),
}
PUBLIC_T = np.linspace(1.1, 4.0, 30)
PUBLIC_BITS = {  # entropy in 1e-5 bits a site, T = 1.1, 1.2, ... 4.0
    "public, augmented": """1194 1790 2699 3976 5627 7721 10348 13528 17384 22407 28309 36041 45792 55575 62533 67347
        71017 74044 76397 78501 80290 81822 83214 84411 85479 86472 87320 88149 88854 89484""",
    "public": """1205 1811 2726 4003 5668 7773 10411 13609 17479 22536 28453 36207 45972 55759 62711 67524 71196 74222
        76577 78678 80470 81998 83395 84589 85657 86661 87504 88330 89032 89661""",
}


def measure(model, temperatures, output, cv):
    """Append a line for each new temperature: what is above the exact entropy, in nats a configuration."""
    done = {(line["model"], float(line["T"])) for line in (read(output) if Path(output).exists() else [])}
    for T in temperatures:
        if (model, T) in done:
            continue
        exact = ising_exact(SHAPE, T)
        ising = IsingSampler(SHAPE, T, random_state=round(10 * T))
        X = ising.sample(n_samples=N_ROWS)
        started = time.process_time()
        table = entropy(MODELS[model](T), X, cv=cv, random_state=0)
        line = {
            "model": model,
            "T": T,
            "off": table.entropy.value - exact.entropy,
            "error": table.entropy.error,
            # What the true law gives on these rows: the part that no model can do better.
            "rows_off": ising.energy(X).mean() / T + exact.log_partition - exact.entropy,
            "bound_off": table.upper_bound.value - exact.entropy,
            "model_off": table.model.value - exact.entropy,
            "seconds": time.process_time() - started,
        }
        line = {name: value if name == "model" else round(float(value), 4) for name, value in line.items()}
        print(line, flush=True)
        new = not Path(output).exists()
        with open(output, "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, line)
            if new:
                writer.writeheader()
            writer.writerow(line)


def read(source):
    """Return the lines of a file of measurements."""
    with open(source, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def public(name):
    """Return the errors of the public table, in nats a configuration."""
    bits = np.array(PUBLIC_BITS[name].split(), float) * 1e-5
    return bits * math.log(2) * math.prod(SHAPE) - ising_exact(SHAPE, PUBLIC_T).entropy


def draw(source, figure):
    """Draw the errors of all models against the temperature, and print their root mean squares."""
    import matplotlib.pyplot as plt

    lines = read(source)
    fig, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    fine = np.linspace(1.0, 4.1, 100)
    limit = np.sqrt(ising_exact(SHAPE, fine).heat_capacity / N_ROWS)
    ax.fill_between(fine, -limit, limit, color="0.85", label="limit of the data")
    for name, marker in zip(PUBLIC_BITS, "x+", strict=True):
        off = public(name)
        ax.plot(PUBLIC_T, off, marker, color="0.4", label=name)
        print(f"{name}: rms {np.sqrt(np.mean(off**2)):.2f} at {len(off)} temperatures")
    for shift, name in enumerate(MODELS):
        part = sorted((line for line in lines if line["model"] == name), key=lambda line: float(line["T"]))
        if not part:
            continue
        T, off, error, bound, of_rows = (
            np.array([float(line[key]) for line in part]) for key in ("T", "off", "error", "bound_off", "rows_off")
        )
        ax.errorbar(T + 0.02 * shift, off, error, fmt="o", markersize=3, capsize=2, label=name)
        limit = np.sqrt(ising_exact(SHAPE, T).heat_capacity / N_ROWS)
        rms = [np.sqrt(np.mean(x**2)) for x in (off, off - of_rows, bound, limit)]
        print(
            f"{name}: rms {rms[0]:.3f} ({rms[1]:.3f} beside the true law on the same rows, upper bound {rms[2]:.3f}, "
            f"limit {rms[3]:.3f}) at {len(T)} temperatures, {np.mean(np.abs(off) <= 3 * error):.0%} within 3 errors"
        )
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set(xlabel="temperature $T$", ylabel="entropy minus exact one, nats")
    fig.legend(loc="outside upper center", fontsize="x-small", ncols=3)
    fig.savefig(figure, dpi=80)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    of_measure = commands.add_parser("measure")
    of_measure.add_argument("model", choices=MODELS)
    of_measure.add_argument("--temperatures", type=float, nargs="+", default=PUBLIC_T.round(1).tolist())
    of_measure.add_argument("--output", default="entropy.csv")
    of_measure.add_argument("--cv", type=int, default=2)
    of_draw = commands.add_parser("draw")
    of_draw.add_argument("source")
    of_draw.add_argument("figure")
    given = vars(parser.parse_args())
    {"measure": measure, "draw": draw}[given.pop("command")](**given)
