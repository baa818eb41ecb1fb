"""Revisions and patches of a user's git repository, each laid out in a folder of the study's; the user's is only read.

All is done in a clone that shares the user's objects: what is frozen or patched becomes a commit there, and nowhere
else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from harness.errors import HarnessError, did_you_mean, shortened

AUTHOR = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "harness"), ("EMAIL", "harness@localhost"), ("DATE", "2000-01-01T00:00:00Z"))
}
"""Of commits that are made here: the same content has the same name at any time."""
LARGEST = 500 * 2**20
"""Bytes of files that git neither keeps nor ignores, beyond which a working tree is not copied."""


class GitError(HarnessError):
    """Git is not installed, or refused; the message is what it said."""


class Repository:
    """A user's repository, and a clone of it in which revisions are laid out."""

    def __init__(self, directory: Path, folder: Path, *, before: Path) -> None:
        """Clone, unless that was done before.

        Args:
            directory: The folder of the user's in which commands run, anywhere in a git work tree.
            folder: Where the clone and the revisions are put.
            before: Where those of an interrupted study are: what was frozen then is known here too.

        Raises:
            GitError: It is no git work tree, or git is not installed.
        """
        self.directory, self.folder = directory, folder
        self.top = Path(git("rev-parse", "--show-toplevel", at=directory))
        self.below = directory.resolve().relative_to(self.top.resolve())
        self.clone = folder / "repository.git"
        if not (self.clone / "HEAD").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            there = before / self.clone.name
            known = there if (there / "HEAD").is_file() else self.top
            git("clone", "--quiet", "--bare", "--shared", "--template=", str(known), str(self.clone), at=folder)

    def commit(self, revision: str) -> str:
        """Return the commit that a revision is, in full.

        Raises:
            GitError: There is no such revision.
        """
        try:
            return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", at=self.top)
        except GitError:
            names = git("for-each-ref", "--format=%(refname:short)", at=self.top).split()
            hint = did_you_mean(revision, names) if names else ""
            raise GitError(f"revision '{revision}': there is none in {self.top}{hint}") from None

    def has(self, commit: str) -> bool:
        """Return whether a commit is there, the user's or one that was made here."""
        return _has(self.clone, commit)

    def said(self, commit: str) -> str:
        """Return what a commit is called in rows: one that was made here is not the user's."""
        return commit if _has(self.top, commit) else f"working tree {commit}"

    def frozen(self) -> str:
        """Return the working tree as a commit: what git keeps as it lies there, and files that it does not ignore.

        Raises:
            GitError: There is very much that git neither keeps nor ignores.
        """
        index, results = self.folder / "index", self.folder.resolve().parents[1]
        ignored = f"/{results.relative_to(self.top.resolve())}/\n" if self.top.resolve() in results.parents else ""
        own = Path(git("rev-parse", "--path-format=absolute", "--git-path", "info/exclude", at=self.top))
        info = self.clone / "info"
        info.mkdir(exist_ok=True)
        (info / "exclude").write_text(ignored + (own.read_text(encoding="utf-8") if own.is_file() else ""))
        tree = ("--git-dir", str(self.clone), "--work-tree", str(self.top))
        index.unlink(missing_ok=True)
        git(*tree, "read-tree", self._head() or self._empty(), at=self.top, index=index)
        others = git(*tree, "ls-files", "-z", "--others", "--exclude-standard", at=self.top, index=index).split("\0")
        size = sum((self.top / name).lstat().st_size for name in others if name)
        if size > LARGEST:
            raise GitError(
                f"{self.top}: {size / 2**20:,.0f} MiB of files that git neither keeps nor ignores; ignore them, and "
                "name those that the command reads under trial.links"
            )
        git(*tree, "add", "--all", at=self.top, index=index)
        written = git("write-tree", at=self.clone, index=index)
        index.unlink()
        head = self._head()
        return head if head is not None and self.tree(head) == written else self._committed(written, head)

    def patched(self, commit: str, patch: Path) -> str:
        """Return a commit with a patch applied.

        Raises:
            GitError: The patch cannot be read, or does not apply; nothing is left behind.
        """
        if not patch.is_file():
            raise GitError(f"patch {patch}: no such file")
        index = self.folder / "index"
        try:
            git("read-tree", commit, at=self.clone, index=index)
            git("apply", "--cached", "--whitespace=nowarn", str(patch.resolve()), at=self.clone, index=index)
            written = git("write-tree", at=self.clone, index=index)
        except GitError as error:
            raise GitError(f"patch {patch}: does not apply to {commit[:12]} ({error})") from None
        finally:
            index.unlink(missing_ok=True)
        return self._committed(written, commit)

    def tree(self, commit: str) -> str:
        """Return the digest of the files of a commit: equal exactly where these are."""
        return git("rev-parse", f"{commit}^{{tree}}", at=self.clone)

    def changed(self, old: str, new: str) -> tuple[str, ...]:
        """Return the files that differ between two commits."""
        return tuple(filter(None, git("diff", "--name-only", "-z", old, new, at=self.clone).split("\0")))

    def content(self, commit: str, file: str) -> str | None:
        """Return the text of a file; None where there is none."""
        try:
            return git("show", f"{commit}:{file}", at=self.clone)
        except (GitError, UnicodeDecodeError):
            return None

    def laid_out(self, commit: str) -> Path:
        """Return the folder of a commit in which commands run, laid out unless it was before."""
        place = self.folder / commit[:12]
        done = self.folder / f"{commit[:12]}.done"
        if not done.exists():
            shutil.rmtree(place, ignore_errors=True)
            git("worktree", "prune", at=self.clone)
            git("worktree", "add", "--quiet", "--force", "--detach", str(place.resolve()), commit, at=self.clone)
            done.touch()
        return place / self.below

    def _head(self) -> str | None:
        try:
            return git("rev-parse", "--verify", "--quiet", "HEAD^{commit}", at=self.top)
        except GitError:
            return None

    def _empty(self) -> str:
        return git("hash-object", "-w", "-t", "tree", os.devnull, at=self.clone)

    def _committed(self, tree: str, parent: str | None) -> str:
        of = () if parent is None else ("-p", parent)
        return git("commit-tree", tree, *of, "-m", "as a trial runs it", at=self.clone)


def git(*words: str, at: Path, index: Path | None = None) -> str:
    """Run git and return what it prints.

    Args:
        words: Its words.
        at: Where.
        index: File of the index, where it is not the repository's own.

    Raises:
        GitError: It is not installed, or refused.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {**AUTHOR, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index.resolve())
    try:
        done = subprocess.run(["git", *words], cwd=at, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise GitError("git: is not installed; revisions, patches and working trees need it") from None
    if done.returncode:
        raise GitError(shortened(done.stderr.strip() or f"git {words[0]} ended with {done.returncode}", 200))
    return done.stdout.removesuffix("\n")


def _has(repository: Path, commit: str) -> bool:
    try:
        git("cat-file", "-e", f"{commit}^{{commit}}", at=repository)
    except GitError:
        return False
    return True


def is_work_tree(directory: Path) -> bool:
    """Return whether a folder lies in a git work tree."""
    try:
        return git("rev-parse", "--is-inside-work-tree", at=directory) == "true"
    except GitError:
        return False
