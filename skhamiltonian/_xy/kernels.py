"""Monte Carlo moves of angles, for H = -sum_<ij> J_ij cos(theta_i - theta_j) - sum_i h_i cos theta_i.

Chains hold unit vectors (cos theta, sin theta): no move needs a function of an angle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._montecarlo.clusters import fill_words, find_roots
from .._montecarlo.kernels import next_word
from .._utils.compile import kernel
from .system import AngleSystem

_ULP_31, _ULP_53, _ULP_63 = 2.0**-31, 2.0**-53, 2.0**-63
_LOW_WORD = np.uint64(0xFFFFFFFF)
_LARGEST_SLOPE = 1e30  # beta in units of the largest coupling, so that fields stay finite as T -> 0
_NO_FIELD = 1e-280  # of a squared local field; a spin without field has no axis to be reflected at


@kernel
def energies(angles: NDArray[np.float64], system: AngleSystem) -> NDArray[np.float64]:
    """Return H of every row of angles."""
    total = np.zeros(len(angles))
    for row in range(len(angles)):
        cos, sin = np.cos(angles[row]), np.sin(angles[row])
        for k in range(len(system.bonds)):
            a, b = system.bonds[k, 0], system.bonds[k, 1]
            total[row] -= system.strength[k] * (cos[a] * cos[b] + sin[a] * sin[b])
        for i in range(len(cos)):
            total[row] -= system.field[i] * cos[i]
    return total


@kernel
def scale_and_slope(system: AngleSystem, temperature: float) -> tuple[float, float]:
    """Return the largest coupling or field, and it over the temperature."""
    scale = 1e-300
    for k in range(len(system.strength)):
        scale = max(scale, abs(system.strength[k]))
    for i in range(len(system.field)):
        scale = max(scale, abs(system.field[i]))
    return scale, min(scale / temperature, _LARGEST_SLOPE)


@kernel
def local_sweeps(
    cos: NDArray[np.float64],
    sin: NDArray[np.float64],
    n_sweeps: int,
    n_reflections: int,
    system: AngleSystem,
    temperature: float,
    streams: NDArray[np.uint64],
) -> None:
    """Make `n_sweeps` times a sweep of the heat bath and `n_reflections` sweeps of over-relaxation, in site order.

    Chain c has the vectors (cos[:, c], sin[:, c]), and its own stream.
    """
    n_chains = cos.shape[1]
    F = np.empty((2, n_chains))
    scale, slope = scale_and_slope(system, temperature)
    coupling, field = system.coupling / scale, system.field / scale
    for _ in range(n_sweeps):
        for i in range(len(cos)):
            local_field(F, cos, sin, i, system, coupling, field)
            heat_bath(cos[i], sin[i], F, slope, streams)
        for _ in range(n_reflections):
            for i in range(len(cos)):
                local_field(F, cos, sin, i, system, coupling, field)
                reflect(cos[i], sin[i], F)


@kernel
def local_field(
    F: NDArray[np.float64],
    cos: NDArray[np.float64],
    sin: NDArray[np.float64],
    i: int,
    system: AngleSystem,
    coupling: NDArray[np.float64],
    field: NDArray[np.float64],
) -> None:
    """Set F[:, c] = h_i (1, 0) + sum_j J_ij s_j of every chain."""
    F_x, F_y = F[0], F[1]
    for c in range(len(F_x)):
        F_x[c], F_y[c] = field[i], 0.0
    for entry in range(system.site_start[i], system.site_start[i + 1]):
        j, J = system.neighbours[entry], coupling[entry]
        for c in range(len(F_x)):
            F_x[c] += J * cos[j, c]
            F_y[c] += J * sin[j, c]


@kernel
def heat_bath(
    cos: NDArray[np.float64],
    sin: NDArray[np.float64],
    F: NDArray[np.float64],
    slope: float,
    streams: NDArray[np.uint64],
) -> None:
    r"""Draw the spin of every chain from exp(kappa cos phi), kappa = slope |F|, with phi its angle to the field F.

    Best and Fisher (Appl. Stat. 28, 152, 1979) propose phi from a wrapped Cauchy law. In other words, tan(phi / 2) is
    a v / w for a point (v, w) in the unit disc. If a^2 = 1 / (1 + 2 kappa), a proposal is accepted with probability
    (1 + y) exp(-y), y = 2 kappa sin^2(phi / 2). The squared radius of the point is uniform and independent of v / w,
    so it decides; acceptance is at least 56 % of the disc, at every kappa.
    """
    for c in range(len(cos)):
        length = np.sqrt(F[0, c] * F[0, c] + F[1, c] * F[1, c])
        kappa_2 = 2.0 * slope * length
        a_2 = 1.0 / (1.0 + kappa_2)
        while True:
            word = next_word(streams, c)
            v = (np.int64(word & _LOW_WORD) + 0.5) * _ULP_31 - 1.0
            w = (np.int64(word >> np.uint64(32)) + 0.5) * _ULP_31 - 1.0
            p, q = a_2 * v * v, w * w
            y = kappa_2 * p / (p + q)
            r_2 = v * v + q
            if r_2 < 1.0 - 0.5 * y * y or r_2 < (1.0 + y) * np.exp(-y):  # the first is below the second
                break
        along, across = (q - p) / (p + q), 2.0 * np.sqrt(a_2) * v * w / (p + q)
        e_x, e_y = (F[0, c] / length, F[1, c] / length) if length > 0.0 else (1.0, 0.0)
        cos[c], sin[c] = along * e_x - across * e_y, along * e_y + across * e_x


@kernel
def reflect(cos: NDArray[np.float64], sin: NDArray[np.float64], F: NDArray[np.float64]) -> None:
    """Reflect the spin of every chain at its local field F, s' = 2 (s F) F / F^2 - s, which leaves H as it is."""
    F_x, F_y = F[0], F[1]
    for c in range(len(cos)):
        F_2 = F_x[c] * F_x[c] + F_y[c] * F_y[c]
        g = 2.0 * (cos[c] * F_x[c] + sin[c] * F_y[c]) / F_2 if F_2 > _NO_FIELD else 0.0
        cos[c] = g * F_x[c] - cos[c]
        sin[c] = g * F_y[c] - sin[c]


@kernel
def cluster_sweeps(
    cos: NDArray[np.float64],
    sin: NDArray[np.float64],
    n_sweeps: int,
    n_reflections: int,
    system: AngleSystem,
    temperature: float,
    streams: NDArray[np.uint64],
) -> None:
    """Make `n_sweeps` times an update of all clusters, and the local sweeps that move what clusters leave for long."""
    for _ in range(n_sweeps):
        reflect_clusters(cos, sin, system, temperature, streams)
        local_sweeps(cos, sin, 1, n_reflections, system, temperature, streams)


@kernel
def reflect_clusters(
    cos: NDArray[np.float64],
    sin: NDArray[np.float64],
    system: AngleSystem,
    temperature: float,
    streams: NDArray[np.uint64],
) -> None:
    """Reflect clusters of every chain (Wolff, Phys. Rev. Lett. 62, 361, 1989).

    The parts p_i = s_i r along a random direction r are Ising spins with the couplings J_ij p_i p_j. A satisfied bond
    joins its sites with probability 1 - exp(-2 J_ij p_i p_j / T), and each cluster is reflected, p -> -p, with
    probability 1/2. A ghost, one more site, has the direction of the field: its cluster stays.
    """
    n_sites, n_chains = cos.shape
    n_bonds, n_streams = len(system.ghost_bonds), streams.shape[1]
    scale, slope = scale_and_slope(system, temperature)
    strength = 2.0 * slope * (system.ghost_strength / scale)
    words = np.empty((1 + n_bonds + n_sites + n_streams) // n_streams * n_streams, np.uint64)
    joined, parent = np.empty(n_bonds + 1, np.int32), np.empty(n_sites + 1, np.int32)
    p, turn = np.empty(n_sites + 1), np.empty(n_sites + 1)
    for c in range(n_chains):
        fill_words(words, streams)
        phi = np.pi * np.int64(words[0] >> np.uint64(1)) * _ULP_63  # r and -r are the same
        r_x, r_y = np.cos(phi), np.sin(phi)
        for i in range(n_sites):
            p[i] = cos[i, c] * r_x + sin[i, c] * r_y
        p[n_sites] = r_x
        n_joined = 0
        for k in range(n_bonds):  # without branches, which would be mispredicted
            a, b = system.ghost_bonds[k, 0], system.ghost_bonds[k, 1]
            joined[n_joined] = k
            x = strength[k] * p[a] * p[b]
            n_joined += np.exp(-max(x, 0.0)) <= np.int64(words[1 + k] >> np.uint64(11)) * _ULP_53
        find_roots(parent, system.ghost_bonds, joined[:n_joined])
        for i in range(n_sites):
            if parent[i] == i:
                turn[i] = 2.0 if words[1 + n_bonds + i] >> np.uint64(63) else 0.0
        turn[parent[n_sites]] = 0.0
        for i in range(n_sites):
            cos[i, c] -= turn[parent[i]] * p[i] * r_x
            sin[i, c] -= turn[parent[i]] * p[i] * r_y
