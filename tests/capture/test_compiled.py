import gc
import threading
import warnings
import weakref

import numpy as np
import pytest

import nbgrad as nb
from nbgrad.nn import functional as F
from tests.capture.steps import batches, check_falls_back, check_same


def trained(model, optimizer_of, loss_of=lambda y: (y * y).mean(), extra=lambda parameters: None):
    """A training step of a model, as `steps.check_same` wants it built."""

    def build():
        network = model()
        parameters = list(network.parameters())
        optimizer = optimizer_of(parameters)

        def step(x):
            optimizer.zero_grad()
            loss = loss_of(network(x))
            loss.backward()
            extra(parameters)
            optimizer.step()
            return loss

        return step, parameters

    return build


def mlp():
    return nb.nn.Sequential(nb.nn.Linear(5, 7), nb.nn.Tanh(), nb.nn.Linear(7, 3), nb.nn.ReLU())


def sgd(parameters):
    return nb.optim.SGD(parameters, lr=0.1, momentum=0.9)


@pytest.mark.parametrize("optimizer_of", [sgd, lambda p: nb.optim.Adam(p, lr=0.1)])
def test_an_mlp_learns_the_same(optimizer_of):
    check_same(trained(mlp, optimizer_of), batches((4, 5)))


def test_a_convolutional_network_learns_the_same():
    def model():
        return nb.nn.Sequential(
            nb.nn.Conv2d(1, 2, 3),
            nb.nn.ReLU(),
            nb.nn.MaxPool2d(2),
            nb.nn.Flatten(),
            nb.nn.Linear(18, 2),
        )

    check_same(trained(model, sgd), batches((3, 1, 8, 8)))


def test_batch_norm_goes_on_averaging():
    def build():
        network = nb.nn.Sequential(nb.nn.Linear(5, 3), nb.nn.BatchNorm1d(3), nb.nn.ReLU())
        optimizer = sgd(list(network.parameters()))

        def step(x):
            optimizer.zero_grad()
            loss = (network(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        return step, [*network.parameters(), *network.buffers()]

    check_same(build, batches((4, 5)))


def test_an_lstm_learns_the_same():
    class Last(nb.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nb.nn.LSTM(3, 4, batch_first=True)

        def forward(self, x):
            return self.lstm(x)[0][:, -1]

    check_same(trained(Last, sgd), batches((2, 5, 3)))


def test_a_transformer_with_dropout_learns_the_same():
    def model():
        return nb.nn.TransformerEncoderLayer(8, 2, 16, 0.5, batch_first=True)

    check_same(trained(model, sgd), batches((2, 3, 8)))


def test_clipping_happens_in_each_call():
    def clip(parameters):
        nb.nn.utils.clip_grad_norm_(parameters, 0.01)

    check_same(trained(mlp, sgd, extra=clip), batches((4, 5)))


def test_a_schedule_goes_on_in_each_call():
    def build():
        w = nb.ones(3, requires_grad=True)
        optimizer = nb.optim.SGD([w], lr=0.5)
        schedule = nb.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

        def step(x):
            optimizer.zero_grad()
            (w * x).sum().backward()
            optimizer.step()
            schedule.step()

        return step, [w]

    check_same(build, batches((3,)))


def test_labels_are_arguments():
    inputs = [(x, nb.tensor(np.arange(4) % (k % 3 + 1))) for k, (x,) in enumerate(batches((4, 5)))]

    def build():
        network = mlp()

        def step(x, y):
            network.zero_grad()
            loss = F.cross_entropy(network(x), y)
            loss.backward()
            return loss

        return step, list(network.parameters())

    check_same(build, inputs)


def test_gradients_add_up_over_calls():
    def build():
        w = nb.ones(3, requires_grad=True)

        def step(x):
            loss = (w * x * w).sum()
            loss.backward()
            return loss

        return step, [w]

    check_same(build, batches((3,)))


def test_grad_set_to_none_in_the_step():
    def build():
        w = nb.ones(3, requires_grad=True)

        def step(x):
            w.grad = None
            (w * x).sum().backward()

        return step, [w]

    check_same(build, batches((3,)))


def test_a_cotangent_may_be_an_argument():
    def build():
        w = nb.ones(3, requires_grad=True)

        def step(x, g):
            w.grad = None
            (w * x).backward(g)

        return step, [w]

    check_same(build, batches((3,), (3,)))


def test_a_leaf_may_be_an_argument():
    def step(x):
        (x * x).sum().backward()

    compiled = nb.compile(step)
    for value in (1.0, 2.0, 3.0):
        x = nb.full((2,), value).requires_grad_()
        compiled(x)
        assert x.grad.tolist() == [2 * value, 2 * value]
    assert compiled.statistics().replays == 2


def test_results_of_earlier_calls_and_their_gradients_stay():
    w = nb.ones(3, requires_grad=True)

    @nb.compile
    def step(x):
        w.grad = None
        y = w * x
        z = y + 1.0
        z.sum().backward()
        return y.detach(), z.detach()

    seen, gradients = [], []
    for k in range(4):
        seen.append(step(nb.full((3,), float(k))))
        gradients.append(w.grad)
    assert [y.tolist() for y, _ in seen] == [[k] * 3 for k in range(4)]
    assert [z.tolist() for _, z in seen] == [[k + 1] * 3 for k in range(4)]
    assert [g.tolist() for g in gradients] == [[k] * 3 for k in range(4)]


def test_a_gradient_that_a_user_writes_into_is_nobody_elses():
    w = nb.ones(3, requires_grad=True)

    @nb.compile
    def step(x):
        w.grad = None
        y = w + x
        y.sum().backward()
        return y.detach()

    for _ in range(3):
        y = step(nb.ones(3))
        w.grad.zero_()
        assert y.tolist() == [2, 2, 2]


def test_parameters_given_new_values_between_calls_are_read_anew():
    w = nb.ones(2, requires_grad=True)
    step = nb.compile(lambda x: (w * x).detach())
    x = nb.ones(2)
    step(x)
    w.data = nb.tensor([3.0, 4.0])
    assert step(x).tolist() == [3, 4]
    with nb.no_grad():
        w.mul_(2)
    assert step(x).tolist() == [6, 8]
    assert step.statistics().replays == 2


def test_another_shape_or_dtype_is_recorded_again():
    step = nb.compile(lambda x: x * 2.0)
    for x in (nb.ones(2), nb.ones(3), nb.ones(2).double(), nb.ones(2), nb.ones(3)):
        y = step(x)
        assert (y.dtype, y.tolist()) == (x.dtype, [2.0] * len(x))
    assert (step.statistics().recordings, step.statistics().replays) == (3, 2)


def test_numbers_and_flags_are_parts_of_the_key():
    step = nb.compile(lambda x, k, negate=False: -x * k if negate else x * k)
    x = nb.ones(1)
    found = [
        step(x, k, negate=n).item() for k, n in [(2, False), (3, False), (2, True), (3, False)]
    ]
    assert found == [2, 3, -2, 3]


def test_what_the_closure_holds_is_part_of_the_key():
    scale, w = 2.0, nb.ones(1)

    def step(x):
        return x * w * scale

    compiled = nb.compile(step)
    assert compiled(nb.ones(1)).item() == 2
    scale = 5.0
    assert compiled(nb.ones(1)).item() == 5
    w = nb.full((1,), 3.0)
    assert compiled(nb.ones(1)).item() == 15


def test_training_and_evaluation_are_two_programs():
    dropout = nb.nn.Dropout(1.0)
    step = nb.compile(lambda x: dropout(x) * 2)
    assert step(nb.ones(1)).item() == 0
    dropout.eval()
    assert step(nb.ones(1)).item() == 2
    dropout.train()
    assert step(nb.ones(1)).item() == 0


def test_grad_mode_is_part_of_the_key():
    w = nb.ones(1, requires_grad=True)
    step = nb.compile(lambda x: w * x)
    with nb.no_grad():
        assert step(nb.ones(1)).item() == 1
        assert step(nb.ones(1)).item() == 1
    assert step.reason is None
    with pytest.warns(UserWarning, match="backward has not run through"):
        y = step(nb.ones(1))
    y.backward()
    assert w.grad.item() == 1


def of_w(body):
    """Build a step `body(w, x)`."""

    def build():
        w = nb.ones(3, requires_grad=True)
        return lambda x: body(w, x), [w]

    return build


def branches(w, x):
    loss = (w * x).sum()
    if loss > 0:
        loss = loss * 2
    loss.backward()


def converts(w, x):
    ((w * x).sum() * float(x.sum())).backward()


def hooked(w, x):
    y = w * x
    y.register_hook(lambda g: g * 2)
    y.sum().backward()


def retains(w, x):
    y = w * x
    y.retain_grad()
    y.sum().backward()


def masks(w, x):
    y = (w * x)[x > 0.5]
    (y.sum() / (len(y) + 1)).backward()  # a number that Python has seen


def counts_unique(w, x):
    (w * x).sum().backward()
    return nb.ones(1) * len(nb.unique(x > 0))


def counts_nonzero(w, x):
    (w * x * len(nb.nonzero(x > 0))).sum().backward()


def counts_bins(w, x):
    (w * x * len(nb.bincount((x > 0).long()))).sum().backward()


def updates(w, x):
    (w * x).sum().backward()
    with nb.no_grad():
        w.sub_(0.1 * x)


def updates_data(w, x):
    (w * x).sum().backward()
    w.data.sub_(0.1 * w.grad.data)


def second(w, x):
    (g,) = nb.autograd.grad((w * x * w).sum(), w, create_graph=True)
    (g * g).sum().backward()


def random(w, x):
    (w * nb.randn(3) * x).sum().backward()


def from_numpy(w, x):
    (w * np.arange(3, dtype=np.float32) * x).sum().backward()


class Double(nb.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2


def functions(w, x):
    (Double.apply(w) * x).sum().backward()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (branches, "reads the values of a tensor (__bool__)"),
        (converts, "reads the values of a tensor (item)"),
        (hooked, "hooks"),
        (retains, "hooks, or retain_grad()"),
        (masks, "the shape of what indexing with a mask gives depends on values"),
        (counts_unique, "the shape of what unique() gives depends on values"),
        (counts_nonzero, "the shape of what nonzero() gives depends on values"),
        (counts_bins, "the shape of what bincount gives depends on values"),
        (updates, "writes a tensor in place"),
        (updates_data, "writes a tensor in place"),
        (second, "autograd.grad()"),
        (random, "no operation made"),
        (from_numpy, "no operation made"),
        (functions, "Function written by the user"),
    ],
)
def test_what_cannot_be_replayed_falls_back_and_says_why(body, reason):
    check_falls_back(of_w(body), batches((3,)), reason)


def test_a_tensor_kept_outside_falls_back():
    losses = {}

    def body(w, x):
        losses["last"] = w * x
        losses["last"].sum().backward()

    check_falls_back(of_w(body), batches((3,)), "kept somewhere")


def test_a_hook_on_a_leaf_that_comes_later_is_called():
    w = nb.ones(1, requires_grad=True)

    @nb.compile
    def step(x):
        w.grad = None
        (w * x).sum().backward()

    step(nb.ones(1))
    step(nb.ones(1))
    handle = w.register_hook(lambda g: g * 10)
    with pytest.warns(UserWarning, match="hooks on a leaf"):
        step(nb.ones(1))
    assert w.grad.item() == 10
    handle.remove()
    step(nb.ones(1))
    assert w.grad.item() == 1


def test_an_exception_of_the_step_is_the_users_and_nothing_stays_behind():
    array = vars(nb.Tensor)["array"]

    @nb.compile
    def step(x):
        raise KeyError("mine")

    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            step(nb.ones(1))
    assert vars(nb.Tensor)["array"] is array
    assert nb.compile(lambda x: x + 1)(nb.ones(1)).item() == 2


def test_a_compiled_step_in_another_is_a_part_of_it():
    inner = nb.compile(lambda x: x * 3.0)
    outer = nb.compile(lambda x: inner(x) + 1.0)
    assert [outer(nb.full((1,), float(k))).item() for k in range(3)] == [1, 4, 7]
    assert outer.statistics().replays == 2
    assert inner.statistics().recordings == 0


def test_other_threads_are_not_recorded():
    begun, go_on = threading.Event(), threading.Event()
    found = []

    def other():
        begun.wait(10)
        found.append((nb.ones(2) * 5.0).sum().item())
        go_on.set()

    thread = threading.Thread(target=other)
    thread.start()

    @nb.compile
    def step(x):
        begun.set()
        assert go_on.wait(10)
        return x + 1.0

    assert step(nb.ones(1)).item() == 2
    thread.join()
    assert step(nb.ones(1)).item() == 2
    assert found == [10]
    assert (step.statistics().replays, step.statistics().instructions) == (1, 1)


def test_a_step_with_ever_new_arguments_gives_up():
    step = nb.compile(lambda x, k: x * k)
    for k in range(16):
        assert step(nb.ones(1), k).item() == k
    with pytest.warns(UserWarning, match="recorded 16 times"):
        step(nb.ones(1), 16)
    assert step(nb.ones(1), 17).item() == 17


def test_memory_of_a_replay_is_freed_with_its_results():
    step = nb.compile(lambda x: x.reshape(4, 4) @ x.reshape(4, 4))
    x = nb.ones(16)
    step(x)
    y = step(x)
    ref = weakref.ref(y)
    del y
    gc.collect()
    assert ref() is None


def test_it_can_be_used_as_a_decorator_of_a_documented_function():
    @nb.compile
    def step(x):
        """One step."""
        return x

    assert (step.__name__, step.__doc__) == ("step", "One step.")


def test_nothing_is_said_where_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step = nb.compile(lambda x: (x + 1.0).tanh())
        step(nb.ones(2))
        step(nb.ones(2))
    assert step.reason is None


def test_a_tensor_returned_and_kept_falls_back():
    kept = []

    def keeps(w, x):
        kept.append((w * x).detach())
        (w * x).sum().backward()
        return kept[-1]

    def keeps_its_list(w, x):
        result = [(w * x).detach()]
        kept.append(result)
        (w * x).sum().backward()
        return tuple(result)

    for body in (keeps, keeps_its_list):
        kept.clear()
        check_falls_back(of_w(body), batches((3,)), "kept elsewhere, too")


def test_a_result_that_only_a_cycle_of_the_step_holds_is_replayed():
    def cycles(w, x):
        result = (w * x).detach()

        def itself():
            return result, itself

        (w * x).sum().backward()
        return result

    check_same(of_w(cycles), batches((3,)))
