import subprocess

import pytest
from revisions import RevisionError, built


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    (root / "nbgrad").mkdir(parents=True)

    def git(*command):
        identity = ["-c", "user.name=n", "-c", "user.email=e"]
        done = subprocess.run(
            ["git", "-C", root, *identity, *command], check=True, capture_output=True, text=True
        )
        return done.stdout

    def write(version):
        (root / "nbgrad" / "__init__.py").write_text(f"__version__ = {version!r}\n")

    git("init", "-q")
    write("first")
    git("add", ".")
    git("commit", "-qm", "first")
    write("second")
    git("commit", "-qam", "second")
    write("not committed")
    (root / "nbgrad" / "new.py").write_text("")
    return root, git


def version_seen_by(python, folder):
    code = "import nbgrad, numpy; print(nbgrad.__version__)"
    done = subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True, cwd=folder
    )
    return done.stdout.strip()


def test_each_environment_sees_its_own_revision(repository, tmp_path):
    root, git = repository
    folder = tmp_path / "work"
    folder.mkdir()
    with built(root, "HEAD~1", folder) as (now, other):
        assert version_seen_by(now, tmp_path) == "not committed"
        assert version_seen_by(other, tmp_path) == "first"
        assert (folder / "now" / "nbgrad" / "new.py").exists()
    assert len(git("worktree", "list").splitlines()) == 1


def test_an_unknown_revision_says_what_git_says(repository, tmp_path):
    root, _ = repository
    with (
        pytest.raises(RevisionError, match="no-such-branch"),
        built(root, "no-such-branch", tmp_path),
    ):
        pass
