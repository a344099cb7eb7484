"""The house is in order, and each rule of tools/check_house.py is seen to fail where it is broken."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHECKER = ROOT / "tools" / "check_house.py"


def document(name):
    """The name of a text; written like this, the rule about texts does not see it here."""
    return f"{name}.md"


def check(root):
    """(exit status, output lines) of the checker at `root`."""
    done = subprocess.run(
        [sys.executable, str(CHECKER), str(root)], capture_output=True, text=True, timeout=60
    )
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()


@pytest.fixture
def house(tmp_path):
    """Build a house from {module path: source}, each module with its test; return its root."""

    def build(files, tested=True):
        for name, source in {"nbgrad/__init__.py": "", **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
            if tested:
                inner = path.relative_to(tmp_path / "nbgrad")
                test = tmp_path / "tests" / inner.with_name(f"test_{inner.name}")
                test.parent.mkdir(parents=True, exist_ok=True)
                test.touch()
        return tmp_path

    return build


def test_this_house_is_in_order():
    assert check(ROOT) == (0, ["house in order"])


def test_allowed_imports_pass(house):
    root = house(
        {
            "nbgrad/errors.py": "class ShapeError(ValueError): pass\n",
            "nbgrad/shm/ring.py": (
                "from nbgrad.errors import ShapeError\nfrom nbgrad.shm.word import _public\n"
            ),
            "nbgrad/shm/word.py": "_public = 1\n__all__ = ['_public']\n",  # semi-public, as PyTorch has
            "nbgrad/jit/kernel.py": "def compile():\n    import numba\n    return numba\n",
            "nbgrad/optim/sgd.py": "from ..nn.module import Module\n",  # left neighbour of its floor
            "nbgrad/nn/module.py": (
                "from typing import TYPE_CHECKING\n"
                "if TYPE_CHECKING:\n    from nbgrad.optim import sgd\n"  # for the type checker only
                "from nbgrad.shm import ring\nring.__name__\n"
            ),
        }
    )
    assert check(root) == (0, ["house in order"])


RULES = {
    "floor": (
        {"nbgrad/shm/ring.py": "import nbgrad.rpc.agent\n", "nbgrad/rpc/agent.py": ""},
        "nbgrad/shm/ring.py:1: shm imports nbgrad.rpc.agent, which is not below it in FLOORS",
    ),
    "neighbours": (
        {"nbgrad/rpc/agent.py": "from ..autograd import tensor\n", "nbgrad/autograd/tensor.py": ""},
        "nbgrad/rpc/agent.py:1: rpc imports nbgrad.autograd.tensor, which is not below it in FLOORS",
    ),
    "package from within": (
        {"nbgrad/shm/ring.py": "import nbgrad\n"},
        "nbgrad/shm/ring.py:1: shm imports nbgrad, which is not below it in FLOORS",
    ),
    "unknown room": (
        {"nbgrad/attic/box.py": ""},
        "nbgrad/attic/box.py: attic is not in FLOORS; give it a floor",
    ),
    "hidden import": (
        {"nbgrad/shm/ring.py": "def f():\n    from nbgrad import errors\n", "nbgrad/errors.py": ""},
        "nbgrad/shm/ring.py:2: import of nbgrad.errors inside a function; move it to the top",
    ),
    "private name": (
        {"nbgrad/shm/ring.py": "from .word import (\n    _mask,\n)\n", "nbgrad/shm/word.py": ""},
        "nbgrad/shm/ring.py:1: takes the private name _mask from another file",
    ),
    "private attribute": (
        {
            "nbgrad/shm/ring.py": "from nbgrad.shm import word as w\nw._mask\n",
            "nbgrad/shm/word.py": "",
        },
        "nbgrad/shm/ring.py:2: takes the private name w._mask from another file",
    ),
    "names": (
        {"nbgrad/futures.py": "def wait(): pass\n"},
        "nbgrad/futures.py:1: futures only holds names; wait belongs on a lower floor",
    ),
    "library": (
        {"nbgrad/ops/add.py": "def f():\n    from numba import njit\n"},
        "nbgrad/ops/add.py:2: imports numba, which only jit may",
    ),
    "length": (
        {"nbgrad/shm/ring.py": "\n" * 401},
        "nbgrad/shm/ring.py: 401 lines, house limit 400; split it",
    ),
    "ordering": (
        {"nbgrad/shm/ring.py": "def pop(head):\n    return load_acquire(head, 0)\n"},
        "nbgrad/shm/ring.py:2: ordered access without a 'pairs with' comment above it",
    ),
    "document": (
        {"nbgrad/shm/ring.py": f'"""A ring ({document("NOTES")} 3)."""\n'},
        f"nbgrad/shm/ring.py:1: cites {document('NOTES')}, which is not in the repository; say the fact itself",
    ),
    "cycle": (
        {"nbgrad/shm/a.py": "from nbgrad.shm import b\n", "nbgrad/shm/b.py": "from . import a\n"},
        "import cycle: nbgrad.shm.a -> nbgrad.shm.b -> nbgrad.shm.a",
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_broken_rule_is_named(house, rule):
    files, sentence = RULES[rule]
    status, lines = check(house(files))
    if rule == "cycle":  # where a cycle starts is not part of the rule
        sentence, lines = "import cycle", [line.split(":")[0] for line in lines]
    assert (status, lines) == (1, [sentence])


def test_documents_of_the_repository_may_be_cited_from_anywhere(house):
    root = house({"nbgrad/shm/ring.py": f"# see {document('GUIDE')} and {document('NOTES')}\n"})
    (root / document("GUIDE")).write_text("of the whole\n")
    (root / "nbgrad" / "shm" / document("NOTES")).write_text("of its folder\n")
    assert check(root) == (0, ["house in order"])


def test_all_texts_are_read_for_documents(house):
    root = house({})
    names = [document("GUIDE"), "tests/models/ring.pml", "perf/hops.py", "tools/make.py"]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"see {document('NOTES')}\n")
    status, lines = check(root)
    assert (status, [line.split(":")[0] for line in lines]) == (1, names)


def test_missing_test_is_named(house):
    root = house({"nbgrad/shm/ring.py": ""}, tested=False)
    assert check(root) == (1, ["nbgrad/shm/ring.py: has no tests/shm/test_ring.py"])


def test_names_need_no_test(house):
    root = house({"nbgrad/futures.py": "import nbgrad.errors\n"}, tested=False)
    assert check(root) == (0, ["house in order"])


def test_pairing_comment_satisfies(house):
    source = (
        "def pop(head):\n    # Pairs with push (this file).\n    return load_acquire(head, 0)\n"
    )
    assert check(house({"nbgrad/shm/ring.py": source})) == (0, ["house in order"])
