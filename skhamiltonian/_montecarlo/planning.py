"""What a sampler is asked for, and how it will draw it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Plan:
    """How to draw a sample: the method, and the sweeps before the first draw and between two draws."""

    engine: Any
    burn_in: int
    n_sweeps: int
    tau: float  # integrated autocorrelation time in sweeps, of the slowest observable; nan if not measured
    converged: bool

    @property
    def method(self) -> str:
        """The name of the method."""
        return str(self.engine.method)


@dataclass(frozen=True)
class Request:
    """A number of draws from a system at a temperature; sweeps that are None have to be measured."""

    system: Any
    temperature: float
    n_samples: int
    burn_in: int | None = None
    n_sweeps: int | None = None

    @property
    def is_given(self) -> bool:
        """Whether both numbers of sweeps are given."""
        return self.burn_in is not None and self.n_sweeps is not None

    def complete(self, plan: Plan) -> Plan:
        """Return a plan with the given numbers of sweeps in place of measured ones."""
        burn_in = plan.burn_in if self.burn_in is None else self.burn_in
        return replace(plan, burn_in=burn_in, n_sweeps=plan.n_sweeps if self.n_sweeps is None else self.n_sweeps)
