"""Draw favicon, card and the small figures of the pages: `python docs/draw_figures.py`, in seconds."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

from skhamiltonian import IsingSampler, ising_exact

STATIC = Path(__file__).parent / "_static"
LIGHT, DARK, INK = "#9fc5e8", "#0b3d66", "#12283a"


def favicon():
    """Write a lattice of 4 x 4 spins with a star, the temperature of the data, as SVG."""
    spins = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    squares = "".join(
        f'<rect x="{8 * x}" y="{8 * y}" width="8" height="8" fill="{DARK if spins[y, x] else LIGHT}"/>'
        for y in range(4)
        for x in range(4)
    )
    angle = np.pi / 2 + np.pi * np.arange(10) / 5
    radius = np.where(np.arange(10) % 2, 4.5, 11)
    points = " ".join(f"{16 + r * np.cos(a):.1f},{16 - r * np.sin(a):.1f}" for r, a in zip(radius, angle, strict=True))
    star = f'<polygon points="{points}" fill="#ffd24d" stroke="{INK}" stroke-width="1"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{squares}{star}</svg>\n'
    (STATIC / "favicon.svg").write_text(svg, encoding="utf-8")


def card():
    """Write the card, 1200 x 630 pixels: a configuration, its temperature on the exact curve, and the name."""
    figure = plt.figure(figsize=(12, 6.3), dpi=100, facecolor="white")
    spins = IsingSampler((48, 48), 2.35, random_state=3).sample().reshape(48, 48)
    picture = figure.add_axes((0.04, 0.1, 0.42, 0.8))
    picture.imshow(spins, cmap=ListedColormap([LIGHT, DARK]), aspect="equal")
    picture.set_axis_off()
    figure.text(0.5, 0.78, "skhamiltonian", fontsize=48, weight="bold", color=INK)
    text = "configurations at one temperature,\nthermodynamics at all others"
    figure.text(0.5, 0.6, text, fontsize=22, color=INK, linespacing=1.35)
    curve = figure.add_axes((0.52, 0.16, 0.42, 0.38))
    T = np.linspace(1.5, 3.5, 200)
    below = np.where(T < 2.269, np.maximum(0, 1 - np.sinh(2 / T) ** -4.0), 0) ** (1 / 8)  # Yang 1952
    curve.plot(T, below, color=DARK, linewidth=4)
    curve.plot(2.35, 0, "*", markersize=34, color="#ffd24d", markeredgecolor=INK, clip_on=False)
    curve.set(xticks=[], yticks=[], ylim=(0, 1.08))
    curve.set_xlabel("temperature", size=18, labelpad=14)
    curve.set_ylabel("magnetization", size=18)
    curve.spines[["top", "right"]].set_visible(False)
    figure.savefig(STATIC / "card.png", dpi=100, pil_kwargs={"optimize": True})


def configurations():
    """Write what rows look like at four temperatures."""
    figure, axes = plt.subplots(1, 4, figsize=(8, 2.3), layout="constrained")
    for ax, T in zip(axes, (1.8, 2.27, 2.5, 4.0), strict=True):
        row = IsingSampler((64, 64), T, random_state=1).sample()
        ax.imshow(row.reshape(64, 64), cmap=ListedColormap([LIGHT, DARK]), vmin=-1, vmax=1, interpolation="nearest")
        ax.set(title=f"T = {T}", xticks=[], yticks=[])
    figure.savefig(STATIC / "configurations.png", dpi=100, pil_kwargs={"optimize": True})


def support():
    """Write how many of 60 000 rows at T0 = 2.5 support other temperatures: n Z(b)^2 / (Z(b0) Z(2b - b0)), exact."""
    figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    beta_0, T = 1 / 2.5, np.linspace(1.6, 4.2, 131)
    for L, colour in ((8, "C2"), (16, "C0"), (32, "C3")):
        log_z = [ising_exact((L, L), 1 / beta).log_partition for beta in (beta_0, 1 / T, 2 / T - beta_0)]
        ax.semilogy(T, 60_000 * np.exp(2 * log_z[1] - log_z[0] - log_z[2]), color=colour, label=f"{L} x {L}")
    ax.plot(2.5, 60_000, "*", color="black", markersize=14, label="data")
    ax.axhspan(1e-3, 50, color="0.9")
    ax.text(1.62, 0.002, "fewer than 50: a generalisation, drawn pale", fontsize=10)
    ax.set(xlabel="temperature", ylabel="rows that support it", xlim=(1.6, 4.2), ylim=(1e-3, 2e5))
    ax.legend()
    figure.savefig(STATIC / "support.svg")


def windows():
    """Write the wrong curve of windows, from the table of the page about trust."""
    T = 2.5 * np.array([0.6, 0.7, 0.8, 0.9, 0.95, 1.0, 1.1, 1.3])
    predicted = [0.968, 0.903, 0.753, 0.561, 0.484, 0.417, 0.334, 0.242]
    true = [0.986, 0.964, 0.912, 0.729, 0.508, 0.415, 0.320, 0.231]
    figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    ax.plot(T, true, color="black", label="true")
    ax.errorbar(T, predicted, 0.003, fmt="o", color="C3", label="predicted from windows as if they were whole")
    ax.plot(2.5, 0.416, "*", color="gold", markeredgecolor="black", markersize=16, label="data")
    ax.set(xlabel="temperature", ylabel=r"$\langle |m| \rangle$ of a window of 8 x 8")
    ax.legend()
    figure.savefig(STATIC / "windows.svg")


if __name__ == "__main__":
    plt.rcParams |= {"svg.hashsalt": "skhamiltonian", "svg.fonttype": "path"}
    favicon()
    card()
    configurations()
    support()
    windows()
