"""The law of configurations at a temperature and in a field, as a value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..network import Array, Codes, Network


@dataclass(frozen=True)
class Law:
    r"""The law :math:`w(s) = p(s)^\lambda e^{\sum_i t(s_i)}` of a network p.

    The exponent :math:`\lambda` is T0/T. The tilt t is the logarithmic weight of every state, h s/T in a field h:
    (n_states,), or (n_sites, n_states) for a field that differs from site to site, None without a field.
    """

    exponent: float
    tilt: NDArray[np.float64] | None = None

    @property
    def has_field(self) -> bool:
        return self.tilt is not None and bool(np.any(self.tilt))

    def log_weight(self, log_p: Array, codes: Codes) -> Array:
        """Return ln w of configurations from their log p."""
        log_w = self.exponent * log_p
        if self.tilt is None:
            return log_w
        if self.tilt.ndim == 1:
            return log_w + self.tilt[codes].sum(axis=1)
        return log_w + self.tilt[np.arange(codes.shape[1]), codes].sum(axis=1)

    def is_exact(self, network: Network) -> bool:
        """Whether ancestral draws have equal weights: exponent 1 without field and calibration, or exponent 0."""
        return not self.has_field and (self.exponent == 0.0 or (self.exponent == 1.0 and network.calibration is None))

    def tempered(self, exponent: float) -> Law:
        """Return the law at another exponent in the same field; at exponent 0 the field has no weight."""
        if self.tilt is None or self.exponent == 0.0:
            return Law(exponent)
        return Law(exponent, self.tilt * (exponent / self.exponent))

    def site_tilt(self, network: Network) -> NDArray[np.float64]:
        """Return the tilt of every site, (n_sites, n_states), in drawing order."""
        tilt = np.zeros(network.n_states) if self.tilt is None else np.asarray(self.tilt, np.float64)
        return np.broadcast_to(tilt, (network.n_sites, network.n_states))[network.ordering]
