import nbgrad as nb


def end_of(leaf):
    return (leaf * 3).grad_fn.next_functions[0][0]


def test_it_is_a_view_of_the_leaf():
    x, y = nb.ones(2, requires_grad=True), nb.ones(2, requires_grad=True)
    assert end_of(x).variable is x
    assert end_of(x) == end_of(x)
    assert end_of(x) != end_of(y)
    assert len({end_of(x), end_of(x), end_of(y)}) == 2
    assert end_of(x).next_functions == ()
    assert repr(end_of(x)) == "<AccumulateGrad>"


def test_edges_that_are_missing_have_a_place():
    x = nb.ones(2, requires_grad=True)
    y = (x * 2) * nb.ones(2)
    (node, idx), nothing = y.grad_fn.next_functions
    assert (node, idx) == ((y.grad_fn.edges[0][0]), 0)
    assert nothing == (None, 0)
