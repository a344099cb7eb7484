"""What `import nbgrad` brings along."""

import subprocess
import sys

# Libraries that cost time or memory and serve some programs only.
SELDOM = ("llvmlite", "numba", "psutil", "importlib.metadata", "pydoc_data", "click", "rich")


def test_what_few_programs_need_is_not_imported():
    code = "import sys, nbgrad; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = done.stdout.split()
    assert "nbgrad.jit.llvm" in found  # the list is one of modules
    assert not set(SELDOM) & set(found)
