"""Programs over a simulated group: small fixed passes for all schedules, random ones for many seeds."""

from tests.simulation.graphs import Graph, loss, random_graph
from tests.simulation.group import CONSTANTS, LIGHT
from tests.simulation.passes import Passes

ROOMY = 1024  # bytes of a ring that never gets full here
SMALL = 256  # two messages
__all__ = [
    "CONSTANTS",
    "LIGHT",
    "ROOMY",
    "SMALL",
    "chain",
    "failing",
    "fan",
    "random_passes",
    "star",
]


def passes(world, build, ring_capacity, light=False, supervisor=False, helpers=0):
    """A program in which `build(passes)` has made graph and plans."""

    def program(machine):
        made = Passes(machine, world, build, ring_capacity, light, helpers)
        if supervisor:
            made.group.spawn_supervisor()
        return made.check

    return program


def chain(world, n_calls, n_unused=0, ring_capacity=ROOMY, **options):
    """Calls one after the other: worker 0 to the others in turn, each with a leaf of its own; some results unused."""

    def build(p):
        graph = p.graph = Graph(p.contexts)
        edge = graph.leaf(0)
        for k in range(n_calls):
            callee = 1 + k % (world - 1)
            [there] = graph.send(0, callee, [edge])
            [edge] = graph.send(callee, 0, [graph.op([there, graph.leaf(callee)], [2, 3])])
        for _ in range(n_unused):
            graph.send(1, 0, [graph.leaf(1)])
        root, node = loss(graph, [edge])
        p.plans[0] = [([root], graph.expected([node]))]

    return passes(world, build, ring_capacity, **options)


def fan(world, n_results, ring_capacity=ROOMY, **options):
    """The loss uses `n_results` results of each other worker."""

    def build(p):
        graph = p.graph = Graph(p.contexts)
        edges = []
        for callee in range(1, world):
            for _ in range(n_results):
                edges += graph.send(callee, 0, [graph.op([graph.leaf(callee)], [2])])
        root, node = loss(graph, edges)
        p.plans[0] = [([root], graph.expected([node]))]

    return passes(world, build, ring_capacity, **options)


def star(n_calls, ring_capacity=ROOMY, **options):
    """The loss uses `n_calls` calls of worker 1: that many gradients go there, and that many come back."""

    def build(p):
        graph, edges = Graph(p.contexts), []
        p.graph = graph
        for _ in range(n_calls):
            [there] = graph.send(0, 1, [graph.leaf(0)])
            edges += graph.send(1, 0, [graph.op([there], [2])])
        root, node = loss(graph, edges)
        p.plans[0] = [([root], graph.expected([node]))]

    return passes(2, build, ring_capacity, **options)


def failing(world, order, n_results=1, ring_capacity=ROOMY, **options):
    """Passes of one context, one after the other.

    'f' fails in a VJP of worker 1 while messages are under way, 'g' goes well, 'l' reaches no other worker.
    """

    def build(p):
        graph = p.graph = Graph(p.contexts)
        plan = []
        for letter in order:
            if letter == "l":
                root, node = loss(graph, [graph.leaf(0)])
                plan.append(([root], graph.expected([node])))
                continue
            bad = letter == "f"
            edges = graph.send(1, 0, [(graph.fail if bad else one_op(graph))([graph.leaf(1)])])
            for callee in range(1, world):
                for _ in range(n_results):
                    edges += graph.send(callee, 0, [graph.op([graph.leaf(callee)], [3])])
            root, node = loss(graph, edges)
            plan.append(([root], None if bad else graph.expected([node])))
        p.plans[0] = plan

    return passes(world, build, ring_capacity, **options)


def one_op(graph):
    return lambda edges: graph.op(edges, [2] * len(edges))


def random_passes(
    world,
    n_steps,
    ring_capacity=SMALL,
    slots=1,
    callers=(0,),
    lost=0.0,
    n_passes=1,
    fail=0.0,
    **options,
):
    """Random graphs; each caller runs `n_passes` passes over random results of its own."""

    def build(p):
        rng = p.machine.rng
        p.graph, pools = random_graph(p.contexts, rng, n_steps, slots, lost, fail)
        for caller in callers:
            plan = p.plans[caller] = []
            for _ in range(n_passes):
                root, node = loss(
                    p.graph, [rng.choice(pools[caller][-6:]) for _ in range(rng.randint(1, 3))]
                )
                expected = None if p.graph.meets_failure([node]) else p.graph.expected([node])
                plan.append(([root], expected))

    return passes(world, build, ring_capacity, **options)
