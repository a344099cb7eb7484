import nbgrad as nb
from nbgrad.capture.machine import TILE


def planned(step, *args):
    compiled = nb.compile(step)
    compiled(*args)
    assert compiled.reason is None
    return compiled.last.plan


def test_neighbours_of_one_shape_are_one_run():
    plan = planned(lambda x: ((x * 2.0).tanh() + x).relu(), nb.ones(3))
    (run,) = plan.runs
    assert [one.routine for one in run.instructions] == ["mul_number", "tanh", "add", "relu"]
    assert (len(run.gets), len(run.gives)) == (1, 1)


def test_another_shape_is_another_run():
    plan = planned(lambda x, y: (x * 2.0 + 1.0, y * 3.0 + 1.0), nb.ones(3), nb.ones(4))
    assert [run.shape for run in plan.runs] == [(3,), (4,)]


def test_scratch_is_used_again():
    def step(x):
        for _ in range(100):
            x = x * 2.0
        return x

    plan = planned(step, nb.ones(100 * TILE))
    # Two tiles in turn, and the number 2 once per instruction: not a hundred arrays, nor whole ones.
    assert sum(block.nbytes for block in plan.keep if hasattr(block, "nbytes")) < 4 * (1 << 16)


def test_what_only_runs_see_is_not_given_out():
    w = nb.ones(3, requires_grad=True)

    def step(x):
        loss = (w * x).tanh().sum()
        loss.backward()
        return loss

    plan = planned(step, nb.ones(3))
    forward, backward = plan.runs
    assert len(forward.gives) == 1  # what `sum` reads; the product stays inside
    assert len(backward.gives) == 1  # the gradient


def test_a_product_and_its_sum_are_one_instruction():
    w = nb.ones(3, requires_grad=True)

    def step(x):
        (w * x * w).sum().backward()

    plan = planned(step, nb.ones(3))
    assert "add_product" in [one.routine for one in plan.runs[-1].instructions]
