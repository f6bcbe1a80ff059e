"""Warnings of a fit: couplings that the rows hardly determine, symmetries that they refute, too few operators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._utils.warn import warn
from .fitting import Couplings, Task, lacks_powers, refuted, unexplained
from .operators import Operator
from .problem import Asked, energies_of, is_noisy

_MOST_UNEXPLAINED = 0.1  # of the variance of an energy; networks of Ising models left up to 0.06 by their noise
_FEW_GROUPS = 4  # so few may hide interactions of much data, because Student's law has wide tails


def warn_of_doubts(
    found: Couplings,
    operators: Sequence[Operator],
    fewer: dict[str, Sequence[Operator]],
    task: Task,
    asked: Asked,
    method: str,
    sparse: bool,
) -> None:
    """Warn of couplings that rows hardly determine, and of symmetries that they refute or too few operators.

    `fewer` holds, for every symmetry, the operators that the other symmetries allow.
    """
    if sparse and task.group is not None and task.group.max() < _FEW_GROUPS and not found.coupling.any():
        warn(
            f"no coupling is kept: {task.group.max() + 1} groups are too few to tell one from noise. Fit more "
            "groups, or pass sparse=False"
        )
    if found.wide.any():
        warn(
            f"these rows hardly determine {found.wide.sum()} of {len(operators)} couplings, such as "
            f"{operators[int(np.argmax(found.wide))].name!r}, and the errors of these are wide: the rows are too "
            "few, or a site nearly always follows from all others. Use more rows, rows at a higher temperature, "
            "fewer operators or more symmetries"
        )
    names = [repr(name) for name in refuted(operators, fewer, task, asked, method)]
    if names:
        warn(
            f"the rows refute the symmetry {' and '.join(names)} by more than five standard errors, so the "
            "couplings are wrong: leave it out of symmetries"
        )
        return
    energies = asked.energies
    if method == "contrastive" and len(task.states) > 2:  # powers of states may be missing; of spins none are
        energies = energies_of(asked.y, task.X, asked.rows)
    if energies is not None:
        share = unexplained(operators, found.coupling, task, energies)
        if share > _MOST_UNEXPLAINED and (not is_noisy(asked.y) or lacks_powers(operators, task, energies)):
            warn(
                f"the operators leave {share:.0%} of the variance of the energy unexplained (limit "
                f"{_MOST_UNEXPLAINED:.0%}), so the couplings are not the whole energy: use more operators, such as "
                "a larger max_distance, fewer symmetries or your own terms; LocalHamiltonian has all functions of "
                "a window, also of labels such as those of a Potts model. A network of few rows has such noise, "
                "too: fit it to more rows"
            )
