"""Training: what learns is the law that is kept, every step is that of a plain loop, and the best epoch stays."""

import itertools
import math

import numpy as np
import pytest
from laws import numbers

from skhamiltonian._made import training as _training
from skhamiltonian._made.network import log_prob, masks
from skhamiltonian._made.parameters import Schedule
from skhamiltonian._made.training import DivergedError, MaskedNetwork, TrainingRows, Whitening, mean_loss, train

torch = pytest.importorskip("torch")


def as_they_are(rng):
    return np.arange(6), None


CODES = np.random.default_rng(0).integers(2, size=(50, 6)).astype(np.int8)
ROWS, NONE = np.arange(50), np.arange(0)


def trained(network, take=CODES.__getitem__, rows=ROWS, held_out=NONE, report=lambda epoch, history: False, **options):
    """Train on rows in the order of the columns, without symmetries."""
    reading = {name: options.pop(name) for name in ("ordering", "symmetry") if name in options}
    reading = {"ordering": np.arange(6), "symmetry": as_they_are} | reading
    schedule = Schedule(**({"batch_size": 20, "learning_rate": 0.01, "max_iter": 3} | options))
    return train(network, TrainingRows(take, rows, held_out, **reading), schedule, np.random.SeedSequence(0), report)


def arrays(network):
    return [*network.weights, *network.biases, *([] if network.skip is None else [network.skip])]


def mixed(network, n_inputs=None):
    """Give the biases and the skip connections of a network numbers, too."""
    width = n_inputs or network.alphabet.n_inputs, network.alphabet.n_outputs
    n_sites = len(network.biases[-1]) // width[1]
    rng, skip_mask = np.random.default_rng(1), masks(n_sites, *width, ())[-1].T
    with torch.no_grad():
        for bias in network.biases:
            bias.copy_(torch.from_numpy(rng.normal(size=len(bias))))
        if network.skip is not None:
            network.skip.copy_(torch.from_numpy(rng.normal(size=skip_mask.shape) * skip_mask))
    return network


@pytest.mark.parametrize("activation", _training.ACTIVATIONS)
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(("n_states", "hidden"), [(2, ()), (2, (7, 5)), (3, (9,))])
def test_the_loss_is_that_of_the_law_that_is_kept(n_states, hidden, skip, activation):
    network = mixed(MaskedNetwork(6, numbers(n_states), hidden, activation, skip, 3))
    codes, ordering = np.random.default_rng(0).integers(n_states, size=(40, 6)).astype(np.int8), np.roll(range(6), 2)
    kept = network.to_numpy(ordering)
    assert kept.activation == activation
    assert network.loss(codes[:, ordering]).item() == pytest.approx(-log_prob(kept, codes).mean(), rel=1e-5)


def test_weights_begin_with_the_variance_of_their_fan_in_and_biases_at_zero():
    """Uniform up to 1 / sqrt(fan-in), counted after masking; a unit that sees nothing has no weights."""
    network = MaskedNetwork(64, numbers(2), (2000,), "relu", True, 0)
    for weight, mask in zip(network.weights, masks(64, 1, 1, (2000,))[:-1], strict=True):
        weight, mask = weight.detach().numpy(), mask.T
        fan_in = np.maximum(mask.sum(axis=1, keepdims=True), 1)
        unit = (weight * np.sqrt(fan_in))[mask]
        assert np.all(weight[~mask] == 0)
        assert (unit.min(), unit.max()) == pytest.approx((-1, 1), abs=1e-3)
        assert (np.mean(unit), np.mean(unit**2)) == (pytest.approx(0, abs=0.02), pytest.approx(1 / 3, abs=0.01))
    one_input = masks(64, 1, 1, (2000,))[0].sum(axis=0) == 1
    assert network.weights[0].detach().numpy()[one_input].max() > 0.9
    assert all(torch.all(start == 0) for start in [*network.biases, network.skip])
    again, other = (MaskedNetwork(64, numbers(2), (2000,), "relu", True, seed) for seed in (0, 1))
    assert torch.equal(network.weights[0], again.weights[0])
    assert not torch.equal(network.weights[0], other.weights[0])


@pytest.mark.parametrize(("n_states", "hidden"), [(2, (17, 11)), (3, (14,)), (2, ())])
@pytest.mark.parametrize("whitened", [False, True])
def test_blocks_of_a_product_change_neither_loss_nor_gradient(monkeypatch, n_states, hidden, whitened):
    rng = np.random.default_rng(0)
    codes = rng.integers(n_states, size=(30, 12)).astype(np.int8)
    whitening = Whitening(np.arange(n_states), rng.normal(size=12), np.tril(rng.normal(size=(12, 12))))
    alphabet = numbers(n_states)
    n_inputs = alphabet.n_inputs + whitened
    found = []
    for size in (100, 3):
        monkeypatch.setattr(_training, "_SIZE_OF_A_BLOCK", size)
        network = MaskedNetwork(12, alphabet, hidden, "tanh", True, 0, whitening if whitened else None)
        mixed(network, n_inputs)
        assert (len(network.blocks[-1]) > 1) == (len(network.skip_blocks) > 1) == (size == 3)
        loss = network.loss(codes)
        loss.backward()
        network.mask_gradients()
        found.append([loss.detach(), *(p.grad for p in network.parameters())])
        *layers, skip_mask = masks(12, n_inputs, alphabet.n_outputs, hidden)
        for parameter, mask in zip([*network.weights, network.skip], [*layers, skip_mask], strict=True):
            assert np.all(parameter.grad.numpy()[~mask.T] == 0)
            assert np.all(parameter.grad.numpy()[mask.T] != 0)
    for whole, by_blocks in zip(*found, strict=True):
        torch.testing.assert_close(by_blocks, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(64, (40,)), (300, (250, 700)), (700, (1200,))])
def test_blocks_hold_a_mask_and_little_more(shape):
    """Small matrices stay whole; of large ones hardly more than the half that is there is multiplied."""
    for mask in masks(shape[0], 1, 1, shape[1]):
        blocks = _training._blocks(torch.from_numpy(mask.T.astype(np.float32)))
        held = np.zeros(mask.T.shape, int)
        for rows, columns in blocks:
            held[rows, columns] += 1
        assert np.all(held[mask.T] == 1)
        assert held.max() == 1
        assert [rows.start for rows, _ in blocks[1:]] == [rows.stop for rows, _ in blocks[:-1]]
        n_blocks = min(8, max(1, min(mask.shape) // 64))
        assert len(blocks) == n_blocks
        assert held.mean() < mask.mean() + 0.6 / n_blocks


def test_a_network_takes_over_the_weights_of_another():
    network, other = (mixed(MaskedNetwork(6, numbers(3), (8,), "relu", True, seed)) for seed in (0, 1))
    network.load(other.to_numpy(np.arange(6)))
    assert all(map(torch.equal, arrays(network), arrays(other)))


def plain_loop(network, batches, rates, betas, alpha, sparsity):
    """Minimise by Adam with weight decay and soft threshold written out; weights instead of gradients are masked."""
    weights = [w.T.copy() for w in (*network.weights, network.skip)]
    parameters = [torch.from_numpy(a.copy()).requires_grad_() for a in (*weights, *network.biases)]
    every_mask = [torch.from_numpy(m.T.astype(np.float32)) for m in masks(6, 1, 1, (8,))]
    first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    losses = []
    for step, (codes, rate, (beta1, beta2)) in enumerate(zip(batches, rates, betas, strict=True), start=1):
        (w0, w1, skip), (b0, b1) = (p * m for p, m in zip(parameters[:3], every_mask, strict=True)), parameters[3:]
        x = torch.from_numpy(numbers(2).show(codes, np.float32))
        z = torch.tanh(x @ w0.T + b0) @ w1.T + b1 + x @ skip.T
        loss = torch.nn.functional.softplus(-x * z).sum(dim=1).mean()
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, g, m, v in zip(parameters, gradients, first, second, strict=True):
                p *= 1 - rate * alpha
                m += (1 - beta1) * (g - m)
                v += (1 - beta2) * (g**2 - v)
                p -= rate * m / (1 - beta1**step) / (torch.sqrt(v / (1 - beta2**step)) + 1e-8)
            for p in parameters[:3]:
                p.copy_(torch.sign(p) * (p.abs() - sparsity * rate).clamp(min=0))
    return [p.detach().numpy() for p in parameters], losses


def test_training_is_the_plain_loop(monkeypatch):
    """Adam whose weights decay and shrink, under a rate that rises for a tenth of the run and falls to nothing."""
    batches, rates, betas, losses, order = [], [], [], [], np.array([2, 0, 1, 5, 4, 3])
    step = _training._step

    def watched(network, codes, optimizer, schedule, sparsity):
        batches.append(codes.copy())
        rates.append(schedule.get_last_lr()[0])
        betas.append(optimizer.param_groups[0]["betas"])
        losses.append(step(network, codes, optimizer, schedule, sparsity))
        return losses[-1]

    monkeypatch.setattr(_training, "_step", watched)
    network = mixed(MaskedNetwork(6, numbers(2), (8,), "tanh", True, 0))
    start = network.to_numpy(order)
    kept, history = trained(network, ordering=order, max_iter=40, alpha=0.3, sparsity=0.05)
    assert [len(b) for b in batches] == [20, 20, 10] * 40
    assert max(rates) == pytest.approx(0.01, rel=1e-3)
    assert 10 <= np.argmax(rates) <= 13
    assert np.all(np.diff(rates[:11]) > 0)
    assert np.all(np.diff(rates[13:]) < 0)
    assert rates[-1] < 1e-3 * max(rates)
    for epoch in range(40):
        seen = np.concatenate(batches[3 * epoch : 3 * epoch + 3])
        np.testing.assert_array_equal(np.unique(seen, axis=0), np.unique(CODES[:, order], axis=0))
        assert len(seen) == len(CODES)
        assert history.loss[epoch] == pytest.approx(np.dot([20, 20, 10], losses[3 * epoch : 3 * epoch + 3]) / 50)
    assert not np.array_equal(batches[0], batches[3])
    first, second = np.transpose(betas)
    assert np.argmin(first) == np.argmax(rates)  # the momentum is least where the rate is largest
    assert (first.min(), first.max()) == pytest.approx((0.85, 0.95), abs=1e-3)
    np.testing.assert_allclose(second, 1 - 10 / 121)  # large gradients are forgotten within a tenth of the steps
    wanted, plain_losses = plain_loop(start, batches, rates, betas, 0.3, 0.05)
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-4)
    found = [*(w.T for w in kept.weights), kept.skip.T, *kept.biases]
    for ours, plain, mask in zip(found, wanted, [*masks(6, 1, 1, (8,)), True, True], strict=True):
        np.testing.assert_allclose(ours, plain * np.transpose(mask), atol=2e-4)
    assert kept.skip.any()


@pytest.mark.parametrize(("max_iter", "batch_size"), [(1, 50), (1, 20), (2, 50), (5, 20)])
def test_short_trainings_run_to_their_end_and_their_second_step_is_the_fullest(monkeypatch, max_iter, batch_size):
    seen, rates, step = [], [], _training._step

    def watched(network, codes, optimizer, schedule, sparsity):
        rates.append(schedule.get_last_lr()[0])
        assert optimizer.param_groups[0]["betas"][1] == pytest.approx(0.9)  # a memory of ten steps at least
        return step(network, codes, optimizer, schedule, sparsity)

    monkeypatch.setattr(_training, "_step", watched)
    network = MaskedNetwork(6, numbers(2), (8,), "relu", True, 0)
    before = mean_loss(network, CODES.__getitem__, ROWS, np.arange(6), 50)
    _, history = trained(
        network, max_iter=max_iter, batch_size=batch_size, report=lambda epoch, history: seen.append(epoch)
    )
    assert seen == list(range(max_iter))
    assert len(history.loss) == max_iter
    assert len(rates) == max_iter * -(-50 // batch_size)
    assert len(rates) == 1 or np.argmax(rates) == 1
    assert max(rates) == pytest.approx(0.01) or len(rates) == 1
    assert mean_loss(network, CODES.__getitem__, ROWS, np.arange(6), 50) < before
    assert (history.stopped, history.validation) == ("", [])


def test_a_row_is_seen_once_an_epoch_and_through_a_symmetry_of_its_batch():
    taken, elements = [], iter(itertools.cycle([(np.arange(6)[::-1], None), (np.arange(6), np.array([1, 0]))]))

    def take(rows):
        taken.append(rows)
        return CODES[rows]

    rows, images = np.array([3, 9, 4, 7, 30, 31, 40]), []
    network = MaskedNetwork(6, numbers(2), (), "relu", True, 0)
    loss = network.loss
    network.loss = lambda codes: (images.append(codes.copy()), loss(codes))[1]
    trained(network, take, rows, max_iter=2, batch_size=4, symmetry=lambda rng: next(elements))
    assert [len(batch) for batch in taken] == [4, 3, 4, 3]
    assert sorted(np.concatenate(taken[:2])) == sorted(np.concatenate(taken[2:])) == sorted(rows)
    for i, (batch, seen) in enumerate(zip(taken, images, strict=True)):
        np.testing.assert_array_equal(seen, 1 - CODES[batch] if i % 2 else CODES[batch][:, ::-1])


def scored(monkeypatch, scores, stop=None, **options):
    """Train with these likelihoods of the rows held out; return what is kept, what was there, and the history."""
    remaining, states = iter(scores), []
    monkeypatch.setattr(_training, "mean_loss", lambda *arguments: -next(remaining))
    network = MaskedNetwork(6, numbers(2), (), "relu", True, 0)

    def report(epoch, history):
        states.append(network.to_numpy(np.arange(6)))
        return epoch == stop

    kept, history = trained(network, rows=ROWS[:40], held_out=ROWS[40:], max_iter=len(scores), report=report, **options)
    return kept, states, history


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(arrays(a), arrays(b), strict=True))


@pytest.mark.parametrize(("scores", "best"), [([-3, -1, -2], 1), ([-1, -2, -3], 0), ([-3, -2, -2], 1)])
def test_the_epoch_that_knows_the_rows_held_out_best_is_kept(monkeypatch, scores, best):
    kept, states, history = scored(monkeypatch, scores)
    assert history.validation == scores
    assert [same(kept, state) for state in states] == [epoch == best for epoch in range(3)]


def test_scores_of_rows_held_out_are_those_of_the_law_that_is_kept():
    """In whatever order the sites are drawn."""
    network = mixed(MaskedNetwork(6, numbers(2), (8,), "tanh", True, 0))
    order = np.array([2, 0, 1, 5, 4, 3])
    kept, history = trained(network, rows=ROWS[:40], held_out=ROWS[40:], ordering=order, max_iter=1)
    assert history.validation == [pytest.approx(log_prob(kept, CODES[40:]).mean(), rel=1e-5)]


def test_without_rows_held_out_the_last_epoch_is_kept():
    network, states = MaskedNetwork(6, numbers(2), (), "relu", True, 0), []
    kept, _ = trained(network, learning_rate=3.0, report=lambda *_: states.append(network.to_numpy(np.arange(6))))
    assert [same(kept, state) for state in states] == [False, False, True]


@pytest.mark.parametrize(
    ("scores", "tol", "patience", "n_epochs"),
    [
        ([-9, -8, -7, -6, -5], 0.0, 2, 5),
        ([-9, -8, -8, -8, -5], 0.0, 2, 4),
        ([-9, -9, -8, -8, -5], 0.0, 2, 5),
        ([-9, -8.5, -8, -7.5, -7], 0.5, 3, 4),
        ([-9, -8, -7, -6.5, -5], 1.0, 1, 2),
        ([-9, -9, -9, -9, -9], 0.0, None, 5),
    ],
)
def test_training_stops_after_so_many_epochs_without_a_gain(monkeypatch, scores, tol, patience, n_epochs):
    _, states, history = scored(monkeypatch, scores, tol=tol, patience=patience)
    assert len(states) == len(history.loss) == n_epochs


def test_patience_without_rows_held_out_watches_the_loss():
    """A rate too small to learn anything: the loss gains less than tol in every epoch but the first."""
    _, history = trained(
        MaskedNetwork(6, numbers(2), (), "relu", True, 0), learning_rate=1e-9, tol=1e-3, patience=4, max_iter=20
    )
    assert len(history.loss) == 5
    assert np.ptp(history.loss) < 1e-5


def test_the_report_may_stop_training(monkeypatch):
    _, states, history = scored(monkeypatch, [-3, -2, -1], stop=1)
    assert len(states) == len(history.validation) == 2


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_training_with_the_best_epoch(monkeypatch, value):
    step, calls = _training._step, []

    def poisoned(*arguments):
        calls.append(1)
        return value if len(calls) == 5 else step(*arguments)

    monkeypatch.setattr(_training, "_step", poisoned)
    kept, states, history = scored(monkeypatch, [-1, -2, -3])
    assert len(states) == len(history.loss) == 2  # two steps an epoch: the fifth is in the third
    assert same(kept, states[0])
    assert history.stopped.startswith("epoch 3, learning rate 0.00")
    calls[:] = [1] * 4
    with pytest.raises(DivergedError, match="epoch 1, learning rate"):
        trained(MaskedNetwork(6, numbers(2), (), "relu", True, 0))


def test_the_mean_of_a_loss_weighs_every_row_alike():
    network = mixed(MaskedNetwork(6, numbers(2), (7,), "tanh", True, 0))
    order = np.array([5, 3, 1, 0, 2, 4])
    rows = np.arange(1, 48)
    wanted = np.mean([network.loss(CODES[i : i + 1, order]).item() for i in rows])
    for batch_size in (1, 10, 47, 100):
        assert mean_loss(network, CODES.__getitem__, rows, order, batch_size) == pytest.approx(wanted, rel=1e-5)
