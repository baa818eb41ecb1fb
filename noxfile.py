"""Sessions that share the environment they are started from: `nox`, or `nox -s tests`."""

import json
import sysconfig
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "tests"]


@nox.session
def lint(session: nox.Session) -> None:
    """Format, rules, spelling, and dependencies: what is imported is declared, and what is declared is imported."""
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run(
        "codespell", "harness", "studies", "docs", "tests", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "AGENTS.md"
    )
    session.run("deptry", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, and who may import whom."""
    session.run("mypy")
    session.run("lint-imports", "--no-cache")


@nox.session
def tests(session: nox.Session) -> None:
    """The fast tests."""
    session.run("pytest", "-q", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Simulations, kills, whole studies, Ray and Slurm where they are, one at a time; more examples of each law."""
    thorough = {"HARNESS_TESTS": "thorough"}
    session.run("pytest", "-q", "-m", "slow", "-n", "0", *session.posargs, env=thorough)
    if not session.posargs:
        session.run("pytest", "-q", "tests/property", "tests/unit/test_randomness.py", env=thorough)


@nox.session
def fuzz(session: nox.Session) -> None:
    """10,000 inputs that nobody vouches for, 2,000 of each kind; another number of each: `nox -s fuzz -- 20000`."""
    each = session.posargs[0] if session.posargs else "2000"
    session.run("pytest", "-q", "tests/fuzz", "--timeout", "7200", env={"HARNESS_FUZZ": each})


@nox.session
def chaos(session: nox.Session) -> None:
    """Kills, stops, full disks, damage and sick trials for 20 minutes: `nox -s chaos -- --minutes 60 --seed 1`."""
    session.run("python", "tests/chaos/chaos.py", *session.posargs, env={"PYTHONPATH": "."})


@nox.session
def audit(session: nox.Session) -> None:
    """Known weaknesses of the packages that are installed here; those that the service does not know are named."""
    installed, answer = (Path(session.create_tmp(), name) for name in ("installed.txt", "answer.json"))
    frozen = session.run("python", "-m", "pip", "freeze", "--exclude-editable", silent=True)
    installed.write_text(str(frozen), encoding="utf-8")
    answer.unlink(missing_ok=True)
    reading = ["--no-deps", "--disable-pip", "-r", str(installed), "-f", "json", "-o", str(answer)]
    session.run("pip-audit", *reading, *session.posargs, success_codes=[0, 1], silent=True)
    if not answer.exists():
        session.skip("nothing was audited: the service that knows of weaknesses was not reached")
    packages = json.loads(answer.read_text(encoding="utf-8"))["dependencies"]
    weak = [
        f"{one['name']} {one['version']}: {weakness['id']}" for one in packages for weakness in one.get("vulns", ())
    ]
    unknown = [f"{one['name']}: {one['skip_reason']}" for one in packages if "skip_reason" in one]
    session.log("\n".join([f"{len(packages) - len(unknown)} of {len(packages)} packages audited", *weak, *unknown]))
    if weak:
        session.error(f"{len(weak)} known weaknesses")
    if len(unknown) == len(packages):
        session.skip("nothing was audited: the service that answers here knows none of these packages")


@nox.session
def mutants(session: nox.Session) -> None:
    """The share of small changes that the fast tests notice, of 90; of 500 with another seed: `-- 500 7`."""
    session.run("python", "tests/mutants.py", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Lines and branches that the fast tests run in their own processes; what workers run is not counted."""
    session.run("pytest", "-q", "--cov", "--cov-report=term:skip-covered", "--cov-report=html", *session.posargs)


@nox.session(venv_backend="venv")
def minimums(session: nox.Session) -> None:
    """The fast tests with the oldest versions that pyproject.toml allows, and torch as it is installed here."""
    session.install("-q", "-r", "tests/minimums.txt")
    site = session.run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", silent=True)
    (Path(str(site).strip()) / "zz_torch.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    session.run("python", "-m", "pytest", "-q", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Pages in a real Chromium (apt-get install chromium)."""
    session.run("pytest", "-q", "-m", "browser", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation as pages to be read from disk, in site/; a link that leads nowhere is an error."""
    session.run("mkdocs", "build", "--strict", "--quiet", *session.posargs, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def gpu(session: nox.Session) -> None:
    """On a machine with a GPU: the CPU's results within a tolerance, reruns, a lack of memory, two trials a card."""
    session.run("pytest", "-q", "-m", "gpu", "-n", "0", "tests/gpu", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Every benchmark, one after another: an hour on two cores."""
    for script in ("training_step", "frechet", "extractors", "peak", "load", "throughput", "error_rates"):
        session.run("python", f"benchmarks/{script}.py")
