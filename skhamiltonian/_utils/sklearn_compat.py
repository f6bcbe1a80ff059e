"""scikit-learn's callbacks, if it has them (1.9 and later), and estimators that are fitted on trial."""

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:
        """Nothing: this scikit-learn has no callbacks."""

        def _init_callback_context(self, **_):
            return None

    def with_callbacks(method):
        """Return the method as it is."""
        return method


def begin(estimator, X, n_epochs):
    """Tell the callbacks that fit begins; return what `epoch_done` and `end` need."""
    context = estimator._init_callback_context(max_subtasks=n_epochs)
    if context is not None:
        context.call_on_fit_task_begin(estimator=estimator, X=X)
    return context


def epoch_done(context, estimator):
    """Tell the callbacks that one more epoch is over; return whether one of them wants to stop."""
    if context is None:
        return False
    epoch = context.subcontext(task_name="epoch").call_on_fit_task_begin(estimator=estimator)
    return epoch.call_on_fit_task_end(estimator=estimator)


def end(context, estimator):
    """Tell the callbacks that fit is over."""
    if context is not None:
        context.call_on_fit_task_end(estimator=estimator)


def twin(estimator):
    """Return another object with the same attributes, not copies of them: a shared generator stays shared."""
    other = object.__new__(type(estimator))
    vars(other).update(vars(estimator))
    return other
