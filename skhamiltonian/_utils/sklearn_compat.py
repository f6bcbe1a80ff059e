"""scikit-learn's callbacks, if it has them (1.9 and later), and copies of estimators for fits on trial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Estimator = TypeVar("Estimator")

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """A mixin without effect: this scikit-learn has no callbacks."""

        def _init_callback_context(self, **_: Any) -> None:
            return None

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method unchanged."""
        return method


def begin(estimator: Any, X: Any, n_epochs: int) -> Any:
    """Tell the callbacks that fit begins; return the context for `epoch_done` and `end`."""
    context = estimator._init_callback_context(max_subtasks=n_epochs)
    if context is not None:
        context.call_on_fit_task_begin(estimator=estimator, X=X)
    return context


def epoch_done(context: Any, estimator: Any) -> bool:
    """Tell the callbacks that an epoch has ended; return whether a callback asks to stop."""
    if context is None:
        return False
    epoch = context.subcontext(task_name="epoch").call_on_fit_task_begin(estimator=estimator)
    return bool(epoch.call_on_fit_task_end(estimator=estimator))


def end(context: Any, estimator: Any) -> None:
    """Tell the callbacks that fit has ended."""
    if context is not None:
        context.call_on_fit_task_end(estimator=estimator)


def twin(estimator: Estimator) -> Estimator:
    """Return another object with the same attributes, which are not copied: a shared generator stays shared."""
    other = object.__new__(type(estimator))
    vars(other).update(vars(estimator))
    return other
