"""Another revision of nbgrad in an environment of its own, and the present tree in one made the same way.

    folder/other        git worktree of the revision       folder/other-env   virtual environment that sees it
    folder/now          copy of the present nbgrad/        folder/now-env     virtual environment that sees it

Both environments borrow the installed packages of the Python that runs this, by path, and put their nbgrad before
them; nothing is downloaded or compiled, and an nbgrad that is installed here is seen by neither side.
"""

import shutil
import site
import subprocess
import venv
from contextlib import contextmanager
from pathlib import Path


class RevisionError(RuntimeError):
    """The revision cannot be checked out."""


def git(root, *command):
    done = subprocess.run(
        ["git", "-C", root, *command], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        raise RevisionError(f"git {' '.join(map(str, command))} in {root}: {done.stderr.strip()}")
    return done.stdout


def environment(place, tree):
    """Make a virtual environment at `place` whose nbgrad is `tree`/nbgrad; its Python."""
    venv.create(place, symlinks=True, with_pip=False)
    python = place / "bin" / "python"
    packages = next(place.glob("lib/python*/site-packages"))
    # Paths in a .pth file join the search path in this order; .pth files inside them are not
    # read, so an editable nbgrad of the borrowed packages stays out.
    borrowed = [*site.getsitepackages(), site.getusersitepackages()]
    (packages / "nbgrad-perf.pth").write_text("\n".join([str(tree), *borrowed]) + "\n")
    return python


def copy_present(root, tree):
    """Copy what git would see of nbgrad/ as it is now, changes that are not committed included."""
    names = git(root, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "nbgrad")
    for name in filter(None, names.split("\0")):
        if (root / name).exists():  # not deleted since
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, tree / name)


@contextmanager
def built(root, revision, folder):
    """Two Pythons: one that sees the present tree of the repository `root`, one that sees `revision`."""
    folder = Path(folder)
    commit = git(
        root, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}"
    ).strip()
    copy_present(root, folder / "now")
    git(root, "worktree", "add", "--detach", folder / "other", commit)
    try:
        yield (
            environment(folder / "now-env", folder / "now"),
            environment(folder / "other-env", folder / "other"),
        )
    finally:
        git(root, "worktree", "remove", "--force", folder / "other")
