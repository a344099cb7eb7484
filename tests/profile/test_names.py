"""A PyTorch program finds the profiler under the names that it knows."""

import nbgrad as nb
import nbgrad.autograd.profiler as profiler
from nbgrad.autograd.profiler import record_function
from nbgrad.profiler import ProfilerActivity, profile


def test_all_names_are_one_thing():
    assert nb.profile.profile is profiler.profile is nb.autograd.profiler.profile is profile
    assert nb.profile.record_function is record_function


def test_a_program_in_the_words_of_torch():
    x = nb.ones(2, requires_grad=True)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as prof:
        with record_function("model"):
            loss = (x * x).sum()
        loss.backward()
    assert {average.key for average in prof.key_averages()} >= {"model", "mul", "MulBackward0"}
    table = prof.key_averages().table(sort_by="cpu_time_total", row_limit=10)
    assert "MulBackward0" in table
