"""Fuzz for a while, keep what is new, tell what broke.

    python -m tests.fuzz --seconds 600                 spread over all targets
    python -m tests.fuzz --seconds 60 --target request
    python -m tests.fuzz --seconds 600 --keep          add new inputs to tests/fuzz/corpus, the smallest ones

Needs atheris (in the dev requirements; Linux on x86-64). Ends with status 1 when an input broke a promise, when a run
ended by itself or when its memory grew; broken inputs are kept in the folder that is printed.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.fuzz import corpus
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

HANG_SECONDS = 25
MOST_MIB, GROWTH_MIB = 2_000, 150
SPARE_SECONDS = 180
RESTARTS = 20


class Outcome(NamedTuple):
    """What came of one target: inputs run, seconds, memory when warm and at the end, marks, kept inputs, problems."""

    name: str
    inputs: int
    seconds: float
    warm_mib: float
    mib: float
    marks: int
    kept: int
    problems: list[str]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--seconds", type=int, default=60, help="fuzzing time in all")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only these")
    parser.add_argument("--keep", action="store_true", help="add what is new to the corpus")
    parser.add_argument("--folder", type=Path, help="where to work and leave broken inputs; the default is a new one")
    options = parser.parse_args(arguments)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="sentra-fuzz-run-"))
    names = options.target or list(TARGETS)
    print(f"working in {folder}", flush=True)
    outcomes = []
    for name in names:
        outcomes.append(fuzz(TARGETS[name], options.seconds // len(names), folder / name, options.keep))
        print(told(outcomes[-1]), flush=True)
    return int(any(outcome.problems for outcome in outcomes))


def told(outcome: Outcome) -> str:
    """One paragraph on ``outcome``."""
    lines = [
        f"{outcome.name}: {outcome.inputs:,} inputs in {outcome.seconds:.0f} s, {outcome.marks} marks, "
        f"{outcome.warm_mib:.0f} -> {outcome.mib:.0f} MiB, {outcome.kept} kept"
    ]
    return "\n".join([*lines, *(f"  {problem}" for problem in outcome.problems)])


def fuzz(target: Target, seconds: int, folder: Path, keep: bool) -> Outcome:
    """Run ``target`` for ``seconds``, again after each broken promise; with ``keep`` write its corpus anew."""
    inputs, broken = folder / "inputs", folder / "broken"
    for place in (inputs, broken):
        place.mkdir(parents=True, exist_ok=True)
    for data in [*target.seeds(), *corpus.load(target.name)]:
        (inputs / corpus.file_name(data)).write_bytes(data)
    problems: list[str] = []
    total = (0, 0.0, 0.0, 0.0, 0)
    for _ in range(RESTARTS):
        left = seconds - int(total[1])
        if left <= 0:
            break
        report, problem = _run(target, left, folder)
        grown = report[3] - report[2]
        total = (total[0] + report[0], total[1] + max(1.0, report[1]), report[2], report[3], max(total[4], report[4]))
        if grown > GROWTH_MIB and report[2]:
            problems.append(f"memory grew by {grown:.0f} MiB")
        if not problem:
            break
        problems.append(problem)
    kept = list(corpus.smallest(target, (path.read_bytes() for path in inputs.iterdir()))) if keep else []
    if keep:
        corpus.store(target.name, kept)
    return Outcome(target.name, *total, len(kept), problems)


def _run(target: Target, seconds: int, folder: Path) -> tuple[tuple[int, float, float, float, int], str]:
    """One process: its inputs, seconds, warm and last memory and marks; and why it ended early, if it did."""
    report, log = folder / "report.json", folder / "log.txt"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.fuzz.child", target.name, str(report), str(folder / "inputs")]
    command += [f"-max_total_time={seconds}", f"-max_len={target.most}", f"-timeout={HANG_SECONDS}", "-verbosity=1"]
    command += [
        f"-rss_limit_mb={MOST_MIB}",
        f"-artifact_prefix={folder / 'broken'}/",
        "-len_control=0",
        "-print_final_stats=1",
    ]
    with log.open("wb") as out:
        try:
            status = subprocess.run(
                command, stdout=out, stderr=subprocess.STDOUT, timeout=seconds + SPARE_SECONDS, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            status = -1
    done = msgspec.json.decode(report.read_bytes()) if report.exists() else dict.fromkeys(_MEMBERS, 0)
    return tuple(done[name] for name in _MEMBERS), _why(status, log, folder)  # type: ignore[return-value]


_MEMBERS = ("inputs", "seconds", "warm_mib", "mib", "marks")


def _why(status: int, log: Path, folder: Path) -> str:
    if status == 0:
        return ""
    lines = log.read_text("utf-8", "replace").splitlines()
    causes = [line for line in lines if "Error" in line or "Broken" in line or line.startswith("==")]
    kept = folder / f"log-{len(list(folder.glob('log-*')))}.txt"
    log.rename(kept)
    return f"ended with {status}: {causes[0] if causes else lines[-1] if lines else ''} ({kept})"


if __name__ == "__main__":
    sys.exit(main())
