"""The worker's program in this process: what it answers.  Real workers are in test_crew.py."""

import numpy as np

import nbgrad as nb
from nbgrad.data.collate import default_collate
from nbgrad.data.serve import MAX_TEXT, Orders, Server, Task, seed_all, told
from nbgrad.utils.data import Dataset


class Draws(Dataset):
    def __getitem__(self, index):
        return index, nb.rand(1).item()


def test_a_batch_depends_on_the_epochs_seed_and_its_number_alone():
    nb.manual_seed(1)
    state = nb.get_rng_state()
    server = Server(Orders(Draws(), default_collate, 2, False, None, 1, 5), 0)
    batches = {}
    for seed, number in ((5, 0), (5, 1), (6, 1)):
        server.begin(seed)
        batches[seed, number] = [x.tolist() for x in server.batch(Task(1, number, [3, 4], []))]
    assert len({str(batch) for batch in batches.values()}) == 3
    server.begin(5)
    assert [x.tolist() for x in server.batch(Task(9, 1, [3, 4], []))] == batches[5, 1]
    nb.set_rng_state(state)


def test_seeds_of_all_generators():
    def draws():
        seed_all(1 << 40)
        return nb.rand(1).item(), np.random.rand()  # noqa: NPY002

    assert draws() == draws()


def test_errors_are_told_so_that_they_arrive():
    class Local(Exception):
        pass

    for error, kind in ((ValueError("v" * 2 * MAX_TEXT), ValueError), (Local("local"), None)):
        try:
            raise error
        except Exception as caught:
            found, text = told(caught)
        assert found is kind
        assert type(error).__name__ in text or len(text) == MAX_TEXT
