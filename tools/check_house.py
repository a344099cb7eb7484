"""Check the house rules: floors, cycles, privacy, names, libraries, length, mirrored tests, ordering comments, documents.

python tools/check_house.py [ROOT]     # one line per broken rule; exit status 1 if any

ROOT is the folder that holds nbgrad/ and tests/; without it, the one this script belongs to.
"""

import ast
import graphlib
import re
import sys
from pathlib import Path

NAMES = {
    "cuda",
    "distributed",
    "distributions",
    "futures",
    "linalg",
    "multiprocessing",
    "profiler",
    "utils",
}  # re-exports only, no logic
FLOORS = [  # lowest first: a part imports only parts from sets above it in this list
    {"errors"},
    {"logs"},
    {"jit"},
    {"shm"},
    {"group"},
    {"autograd", "rpc"},  # neighbours: neither imports the other
    {"ops", "dist_autograd", "collectives", "profile"},
    {"nn"},
    {"optim"},
    {"data"},
    {"parallel"},
    {"capture"},
    {"checkpoint"},
    NAMES,
    {"nbgrad"},  # nbgrad/__init__.py itself
    {"cli"},
    {"__main__"},
]
HOMES = {  # one room per library
    "numba": "jit",
    "llvmlite": "jit",
    "click": "cli",
    "cloudpickle": "rpc",
    "rich": "cli",
    "matplotlib": "dist_autograd",
    "safetensors": "checkpoint",
    "pyarrow": "data",
}
MAX_LINES = 400
UNTESTED = {"__init__", "__main__", "errors"}
ORDERED = re.compile(r"^[^#]*(?<!def )\b\w+_(acquire|release|acq_rel|seq_cst)\(")
DOCUMENT = re.compile(r"\b[\w/.-]*[A-Z][A-Z_]+\.md\b")  # documents are named in capitals: README.md
TEXTS = ("*.py", "*.pml", "*.md")
PAIRING_LINES = 4  # so close above an ordered access its "pairs with" stands


def module_of(path, root):
    """<root>/nbgrad/shm/ring.py -> 'nbgrad.shm.ring'."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def floor_of(module):
    """(level, part) of a module; level -1 where FLOORS has no such part."""
    part = module.split(".")[1] if "." in module else "nbgrad"
    return next((level for level, parts in enumerate(FLOORS) if part in parts), -1), part


def is_module(name, root):
    path = root / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


def exported(module, root):
    """Names that a module lists in `__all__`: PyTorch's semi-public ones (`_new_context`) are meant for others."""
    path = root / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(path.read_text()).body if path.exists() else ():
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return {e.value for e in ast.walk(node.value) if isinstance(e, ast.Constant)}
    return set()


def within(tree, wanted):
    """All nodes below those for which wanted(node)."""
    return {below for node in ast.walk(tree) if wanted(node) for below in ast.walk(node)}


def imports(tree, path, root):
    """Yield (line, module, names taken, inside a function?) per module that `path` imports at run time."""
    hidden = within(tree, lambda node: isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    typing = within(
        tree, lambda node: isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    )
    folder = path.relative_to(root).parent.parts
    for node in ast.walk(tree):
        if node in typing:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, (), node in hidden
        elif isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) - node.level + 1] if node.level else ()
            stem = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{stem}.{alias.name}"
                found = inner if is_module(inner, root) else stem
                yield node.lineno, found, (alias.name,), node in hidden


def privates_used(tree, path, root):
    """Yield (line, name) for each `module._name`, `module` being one of nbgrad that `path` imports."""
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {a.asname or a.name for a in node.names if a.name.split(".")[0] == "nbgrad"}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if node.module and is_module(f"{node.module}.{alias.name}", root):
                    modules.add(alias.asname or alias.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = ast.unparse(node.value)
            if owner in modules:
                yield node.lineno, f"{owner}.{node.attr}"


def file_faults(path, root, graph):
    """Yield one sentence per rule that `path` breaks; note its imports in `graph`."""
    where, me, text = path.relative_to(root), module_of(path, root), path.read_text()
    (floor, part), graph[me] = floor_of(me), set()
    if floor < 0:
        yield f"{where}: {part} is not in FLOORS; give it a floor"
        return
    tree, lines = ast.parse(text), text.splitlines()
    for line, other, names, hidden in imports(tree, path, root):
        library = other.split(".")[0]
        if HOMES.get(library, part) != part:
            yield f"{where}:{line}: imports {library}, which only {HOMES[library]} may"
        if library != "nbgrad":
            continue
        graph[me].add(other)
        other_floor, other_part = floor_of(other)
        if part != other_part and floor <= other_floor:
            yield f"{where}:{line}: {part} imports {other}, which is not below it in FLOORS"
        if hidden:
            yield f"{where}:{line}: import of {other} inside a function; move it to the top"
        for name in sorted(set(filter(is_private, names)) - exported(other, root)):
            yield f"{where}:{line}: takes the private name {name} from another file"
    for line, name in privates_used(tree, path, root):
        yield f"{where}:{line}: takes the private name {name} from another file"
    if len(lines) > MAX_LINES:
        yield f"{where}: {len(lines)} lines, house limit {MAX_LINES}; split it"
    if part in NAMES:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield f"{where}:{node.lineno}: {part} only holds names; {node.name} belongs on a lower floor"
    test = root / "tests" / path.relative_to(root / "nbgrad").with_name(f"test_{path.name}")
    if path.stem not in UNTESTED and part not in NAMES and not test.exists():
        yield f"{where}: has no {test.relative_to(root)}"
    for number, line in enumerate(lines):
        above = " ".join(lines[max(0, number - PAIRING_LINES) : number]).lower()
        if ORDERED.match(line) and "pairs with" not in above:
            yield f"{where}:{number + 1}: ordered access without a 'pairs with' comment above it"


def document_faults(path, root):
    """Yield one sentence per mention of a document that readers of the repository do not have."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for name in DOCUMENT.findall(line):
            if not (root / name).exists() and not (path.parent / name).exists():
                where = path.relative_to(root)
                yield f"{where}:{number}: cites {name}, which is not in the repository; say the fact itself"


def texts(root):
    """Files whose readers must be able to find what they cite."""
    yield from sorted(root.glob("*.md"))
    for folder in ("nbgrad", "tests", "perf", "tools"):
        for pattern in TEXTS:
            yield from sorted((root / folder).rglob(pattern))


def faults(root):
    """Yield one sentence per broken rule in the house at `root`."""
    graph = {}
    for path in sorted((root / "nbgrad").rglob("*.py")):
        yield from file_faults(path, root, graph)
    for path in texts(root):
        yield from document_faults(path, root)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as cycle:
        yield "import cycle: " + " -> ".join(reversed(cycle.args[1]))


if __name__ == "__main__":
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else Path(__file__).parents[1]
    found = list(faults(root))
    print("\n".join(found) or "house in order")
    sys.exit(bool(found))
