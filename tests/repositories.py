"""Git repositories of users, made for a test: one that trains in no time, and one that trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from tiny import ROOT

QUICK = '''
"""What a training script looks like from outside, in no time."""
import argparse, json, random, sys
from pathlib import Path
parser = argparse.ArgumentParser()
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--harm", type=float, default=0.0)
parser.add_argument("--end", default="")
parser.add_argument("--images", type=int, default=0)
args = parser.parse_args()
random.seed(args.seed)
chance = random.gauss(0, 0.05)
args.harm *= 1 + random.gauss(0, 0.05)
with open(args.out / "metrics.jsonl", "w") as log:
    for step in (10, 20):
        row = {"step": step, "val": {"l1": 1 + chance + args.harm + 1 / step}, "seconds": step}
        if args.end == "nan" and step == 20:
            row["val"]["l1"] = float("nan")
        print("step", step, "accuracy", 0.5 - args.harm)
        log.write(json.dumps(row) + "\\n")
if args.end == "raise":
    raise RuntimeError("the loss is a banana")
if args.images:
    from PIL import Image
    (args.out / "samples").mkdir()
    for number in range(args.images):
        drawn = [(number * 7919 + place * 104729) % 200 for place in range(256)]
        grey = [min(255, max(0, int(grey + 255 * args.harm + 40 * chance))) for grey in drawn]
        image = Image.new("L", (16, 16))
        image.putdata(grey)
        image.save(args.out / "samples" / f"{number:03d}.png")
'''


def git(folder: Path, *words: str) -> str:
    """Run git in a folder, as somebody."""
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, message: str, **files: str) -> str:
    """Write files, commit all, and return the commit; ``name__py`` is the file ``name.py``."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def quick(folder: Path) -> Path:
    """Return a repository with a script that takes no time, and a branch `harmful` that makes it worse."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    commit(folder, "it trains", train__py=QUICK, README__md="how to train\n")
    git(folder, "checkout", "--quiet", "-b", "harmful")
    commit(folder, "it trains better", train__py=QUICK.replace("1 + chance", "1.5 + chance"))
    git(folder, "checkout", "--quiet", "main")
    return folder


def study(folder: Path, repository: Path, *, command: str = "", trial: Any = None, **changes: Any) -> Path:
    """Write the file of a study on a repository, and return it."""
    document = {
        "study": "own",
        "trial": {
            "command": f"python train.py --out {{out}} --seed {{seed}} {command} {{flags}}",
            "directory": str(repository),
            "values": "{out}/metrics.jsonl",
            **(trial or {}),
        },
        "axes": {"flags": ["", "--harm 0.5"]},
        "design": {"blocks": 3},
        "measure": {"primary": "logged(val/l1)", "margin": "5%"},
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump({k: v for k, v in document.items() if v is not None}), encoding="utf-8")
    return file


def files_of(folder: Path) -> set[str]:
    """Return every file and folder below a folder."""
    return {os.path.relpath(path, folder) for path in folder.rglob("*")}


TRAINING = ROOT / "tests" / "training_repository"


def training(folder: Path) -> Path:
    """Return the training repository: `unused-layer` builds a layer that nothing uses; `no-eval.diff`, which lies
    beside it, forgets to turn dropout off where the generator is measured; `data/` holds what it trains on."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    files = {path.name.replace(".", "__"): path.read_text(encoding="utf-8") for path in TRAINING.glob("*.py")}
    commit(folder, "it trains", **files, gitignore="")
    (folder / ".gitignore").write_text("data/\n__pycache__/\n", encoding="utf-8")
    (folder / "gitignore").unlink()
    commit(folder, "data is not kept")
    git(folder, "checkout", "--quiet", "-b", "unused-layer")
    one = "        self.up1 = "
    more = "        self.attention = nn.Conv2d(2 * channels, 2 * channels, 1)  # for later\n"
    networks = files["networks__py"]
    assert networks.count(one) == 1
    commit(folder, "room for attention", networks__py=networks.replace(one, more + one))
    git(folder, "checkout", "--quiet", "main")
    train = files["train__py"]
    line = "                generator.eval()\n"
    assert train.count(line) == 1
    (folder / "train.py").write_text(train.replace(line, ""), encoding="utf-8")
    (folder.parent / "no-eval.diff").write_text(git(folder, "diff") + "\n", encoding="utf-8")
    git(folder, "checkout", "--quiet", ".")
    script = (
        "import images; images.write('data/train', range(128), 16); images.write('data/val', range(1000, 1064), 16)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)
    return folder
