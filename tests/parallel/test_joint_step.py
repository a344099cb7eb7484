"""Trainers that step together: means in their order, the last one steps, and who comes twice is refused."""

import numpy as np

import nbgrad as nb
from nbgrad import dist_autograd, rpc
from nbgrad.parallel import Trainer
from nbgrad.parallel.joint_step import dense, mean


def test_means():
    a, b = np.array([1.0, 2.0]), np.array([3.0, 6.0])
    assert mean((a, b)).tolist() == [2.0, 4.0]
    assert mean((a, None)).tolist() == [0.5, 1.0]
    assert mean((None, None)) is None
    assert a.tolist() == [1.0, 2.0]  # the live sums of the contexts stay
    assert dense(None) is None
    assert dense(nb.ones(2)).tolist() == [1.0, 1.0]


def lone(number, n_trainers, scale, n_steps):
    """A trainer whose gradient is `scale` everywhere."""
    trainer = Trainer(0, ones, nb.optim.SGD, together=(number, n_trainers), name="joint", lr=1.0)
    x = nb.full((1, 2), scale)
    for _ in range(n_steps):
        trainer.train(lambda: trainer(x).sum())
    return trainer.state_dict()["weight"].tolist()


def ones():
    made = nb.nn.Linear(2, 1, bias=False)
    nb.nn.init.zeros_(made.weight)
    return made


def both(n_steps):
    """In worker 0, where the model is: two trainers on two workers."""
    other = rpc.rpc_async(1, lone, args=(1, 2, 3.0, n_steps))
    found = lone(0, 2, 1.0, n_steps), other.wait()
    Trainer(0, ones, nb.optim.SGD, name="joint", lr=1.0).forget()
    return found


def test_all_trainers_go_on_with_the_same_step(group2):
    assert group2.call(both, 3) == ([[-6.0, -6.0]], [[-6.0, -6.0]])


def options_and_state():
    trainer = Trainer(0, ones, nb.optim.SGD, together=(0, 1), name="joint", lr=1.0, momentum=0.5)
    x = nb.ones(1, 2)
    trainer.train(lambda: trainer(x).sum())
    values, optimizer = trainer.state_dict(), trainer.optimizer.state_dict()
    trainer.optimizer.set_options(lr=0.5)
    ends = []
    for _ in range(2):
        trainer.train(lambda: trainer(x).sum())
        ends.append(trainer.state_dict()["weight"].tolist())
        trainer.load_state_dict(values)
        trainer.optimizer.load_state_dict(optimizer)
        trainer.optimizer.set_options(lr=0.5)
    trainer.forget()
    return ends


def test_options_and_state_of_the_one_optimizer(group2):
    first, again = group2.call(options_and_state)
    assert first == again == [[-1.75, -1.75]]  # -1 - 0.5 * (1 + 0.5)


def wrong():
    """What is raised where numbers of trainers don't fit."""
    errors = []
    trainer = Trainer(0, ones, nb.optim.SGD, together=(5, 2), name="joint", lr=1.0)
    try:
        trainer.train(lambda: trainer(nb.ones(1, 2)).sum())
    except Exception as error:
        errors.append(str(error))
    first = Trainer(0, ones, nb.optim.SGD, together=(0, 2), name="joint", lr=1.0)
    with dist_autograd.context() as context_id:
        dist_autograd.backward(context_id, [first(nb.ones(1, 2)).sum()])
        joint = trainer.server.local_value().joint
        joint.step(0, context_id)
        try:
            first.optimizer.step(context_id)
        except Exception as error:
            errors.append(str(error))
    try:
        Trainer(0, ones, nb.optim.SGD, together=(0, 3), name="joint", lr=1.0)
    except Exception as error:
        errors.append(str(error))
    first.forget()
    return errors


def test_numbers_that_do_not_fit_are_named(group2):
    unknown, twice, other = group2.call(wrong)
    assert "trainer 5 came to a step of 2 trainers, where [] are already" in unknown
    assert "trainer 0 came to a step of 2 trainers, where [0] are already" in twice
    assert "(number, 3) here and (number, 2) in another trainer" in other
