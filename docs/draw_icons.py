"""Draw the favicon and the card that links to the site show: `python docs/draw_icons.py`."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

from skhamiltonian import IsingSampler

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


if __name__ == "__main__":
    favicon()
    card()
