"""Schedules of a pipeline: in which order a stage runs the forwards and backwards of its micro-batches.

    GPipe, 2 stages, 4 micro-batches          1F1B
    0  F0 F1 F2 F3          B0 B1 B2 B3       F0 F1    B0 F2 B1 F3 B2    B3
    1     F0 F1 F2 F3 B0 B1 B2 B3                F0 B0 F1 B1 F2 B2 F3 B3

Both idle for (p - 1) / (m + p - 1) of the time on p stages and m micro-batches.  GPipe holds the activations of all m;
1F1B begins a backward as soon as it can, so stage s holds those of p - s at most.
"""

from collections.abc import Callable

Step = tuple[str, int]  # ("F" or "B", number of the micro-batch)


def gpipe(stage: int, n_stages: int, n_micro_batches: int) -> list[Step]:
    """All forwards, then all backwards.

    References
    ----------
    Huang et al. 2019, GPipe: efficient training of giant neural networks using pipeline parallelism.

    Examples
    --------
    >>> from nbgrad.parallel.schedules import gpipe
    >>> gpipe(0, 2, 2)
    [('F', 0), ('F', 1), ('B', 0), ('B', 1)]
    """
    numbers = range(n_micro_batches)
    return [("F", k) for k in numbers] + [("B", k) for k in numbers]


def one_f_one_b(stage: int, n_stages: int, n_micro_batches: int) -> list[Step]:
    """Forwards until the last stage has its first, then one forward and one backward in turn, then the backwards left.

    References
    ----------
    Narayanan et al. 2019, PipeDream: generalized pipeline parallelism for DNN training; with the flush of Narayanan et al.
    2021, Efficient large-scale language model training on GPU clusters using Megatron-LM.

    Examples
    --------
    >>> from nbgrad.parallel.schedules import one_f_one_b
    >>> one_f_one_b(0, 2, 2)
    [('F', 0), ('F', 1), ('B', 0), ('B', 1)]
    >>> one_f_one_b(1, 2, 2)
    [('F', 0), ('B', 0), ('F', 1), ('B', 1)]
    """
    first = min(n_micro_batches, n_stages - 1 - stage)
    steps = [("F", k) for k in range(first)]
    for k in range(n_micro_batches):
        if first + k < n_micro_batches:
            steps.append(("F", first + k))
        steps.append(("B", k))
    return steps


SCHEDULES: dict[str, Callable[[int, int, int], list[Step]]] = {
    "gpipe": gpipe,
    "1f1b": one_f_one_b,
}


def ideal_bubble(n_stages: int, n_micro_batches: int) -> float:
    """Part of the time that a stage idles if all stages take equally long and messages no time.

    Examples
    --------
    >>> from nbgrad.parallel.schedules import ideal_bubble
    >>> round(ideal_bubble(2, 8), 3)
    0.111
    """
    return (n_stages - 1) / (n_micro_batches + n_stages - 1)
