"""The command line of the benchmark: ``python -m bench --test | run | compare | guard | render``."""

import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from pathlib import Path

import click
import msgspec

from bench import cpu, external, layers, load, rows
from bench.answers import wrong_answers
from bench.guard import broken, unmet
from bench.requests import case, cases
from bench.rows import Row

CURATED = ("1.7k", "8k", "64k", "256k")
TRIES = 3  # of a suite whose generator was late
QUICK = [f"curated/{name}/{size}" for name in ("ordinary", "step") for size in CURATED]


@click.group(invoke_without_command=True)
@click.option("--test", is_flag=True, help="Only check that every case gets its expected answer.")
@click.pass_context
def main(context: click.Context, test: bool) -> None:
    """Measure Sentra, or check that what is measured is answered rightly."""
    if test:
        check_answers()
    elif context.invoked_subcommand is None:
        click.echo(context.get_help())


def check_answers() -> None:
    """Print each wrong answer and the counts. Exits with 1 when there is a wrong one."""
    passed = failed = 0
    for wrong in chain(wrong_answers(cases()), external.wrong_externals()):
        if wrong:
            failed += 1
            click.echo(f"WRONG {wrong}", err=True)
        else:
            passed += 1
    click.echo(f"{passed} passed, {failed} failed")
    if failed or not passed:
        sys.exit(1)


def _layers(seconds: float) -> Iterator[Row]:
    for size in CURATED:
        yield from layers.layer_rows(case(f"curated/ordinary/{size}"))


def _growth(definitions: Collection[str] = ()) -> Iterator[Row]:
    yield layers.literals_row(case("curated/ordinary/8k"))
    found = [each for each in cases(("growth",)) if each.label == "8k" and each.definition.literals]
    for row in cpu.growth_rows([each for each in found if not definitions or each.definition.name in definitions]):
        yield row
        if row.name.endswith("literals-5000/8k"):
            yield Row(name="memory/literals-5000", unit="MB", value=row.more["MB"])


def _start(seconds: float) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        yield from cpu.start_rows(Path(folder))


Suites = dict[str, Callable[[float], Iterator[Row]]]
SUITES: Suites = {
    "layers": _layers,
    "ratio": lambda seconds: cpu.ratio_rows(
        [each for each in cases(("curated",)) if each.label != "1m"]
        + [each for each in cases(("growth",)) if not each.definition.literals]
    ),
    "worst": lambda seconds: cpu.worst_rows([each for each in cases(("worst",)) if each.definition.answer != "error"]),
    "growth": lambda seconds: _growth(),
    "start": _start,
    "endurance": lambda seconds: cpu.endurance_rows([each for each in cases(("curated",)) if each.label == "1.7k"]),
    "external": lambda seconds: external.external_rows(),
    "tail": lambda seconds: load.tail_rows(case("curated/ordinary/8k"), seconds),
    "overload": lambda seconds: load.overload_rows(case("curated/ordinary/8k"), seconds / 2),
    "saturation": lambda seconds: load.saturation_rows(case("curated/ordinary/1.7k"), max(2, int(seconds / 6))),
}


def _guarded() -> Suites:
    """The suites of which rows have budgets, each with no more cases than that takes."""
    suites = {name: suite for name, suite in SUITES.items() if name not in ("layers", "external")}
    suites["ratio"] = lambda seconds: cpu.ratio_rows([case(name) for name in QUICK])
    suites["growth"] = lambda seconds: _growth(("literals-5000", "operator"))
    return suites


def measure(suites: Suites, seconds: float) -> list[Row]:
    """The rows of ``suites``, printed as they come; none of one whose generator was late each time."""
    found: list[Row] = []
    for name, suite in suites.items():
        for left in reversed(range(TRIES)):
            try:
                for row in suite(seconds):
                    found.append(msgspec.structs.replace(row, stamp=rows.stamp()))
                    click.echo(f"{row.name:44} {row.value:>10g} {row.unit} {row.more or ''}")
                break
            except load.Late as late:
                click.echo(f"{name}: {late}; {'once more' if left else 'no figures'}", err=True)
    return found


@main.command()
@click.argument("suites", nargs=-1, type=click.Choice(list(SUITES)))
@click.option("--seconds", default=60.0, help="Length of the runs at a constant rate.")
@click.option("--out", type=click.Path(path_type=Path), help="File of the rows; the default is a new one in results/.")
def run(suites: tuple[str, ...], seconds: float, out: Path | None) -> None:
    """Measure all suites, or those named, and keep the rows."""
    found = measure({name: SUITES[name] for name in suites or SUITES}, seconds)
    stamp = rows.stamp()
    path = out or rows.RESULTS / f"{stamp.when[:19].replace(':', '')}-{stamp.commit}.jsonl"
    rows.save(found, path)
    click.echo(f"{len(found)} rows in {path.name}")


@main.command()
@click.argument("before", type=click.Path(exists=True, path_type=Path))
@click.argument("after", type=click.Path(exists=True, path_type=Path))
def compare(before: Path, after: Path) -> None:
    """Show two files of rows side by side."""
    click.echo("\n".join(rows.compare(rows.load(before), rows.load(after))))


@main.command()
@click.option(
    "--quick",
    is_flag=True,
    help="Ratio rows only, three pairs, with 1.5 times slack.",
)
@click.option("--seconds", default=60.0, help="Length of the runs at a constant rate.")
@click.option("--out", type=click.Path(path_type=Path), help="A file to keep the rows in.")
def guard(quick: bool, seconds: float, out: Path | None) -> None:
    """Measure, and fail when a budget is broken: its aim, or what is held of an aim not met yet.

    Aims that are not met are told in any case.
    """
    if quick:
        found = list(cpu.ratio_rows([case(name) for name in QUICK], count=3, quick=True))
        click.echo("\n".join(rows.table(found)))
    else:
        found = measure(_guarded(), seconds)
    if out is not None:
        rows.save(found, out)
    problems, missed = list(broken(found, quick)), list(unmet(found, quick))
    click.echo(
        "".join(f"aim not met: {line}\n" for line in missed) + "".join(f"BROKEN {line}\n" for line in problems),
        nl=False,
    )
    click.echo(f"{len(problems)} budgets broken, {len(missed)} aims not met but held")
    sys.exit(bool(problems))


@main.command()
@click.option("--from", "path", type=click.Path(exists=True, path_type=Path), help="The rows; default: the newest.")
@click.argument("documents", nargs=-1, type=click.Path(exists=True, path_type=Path))
def render(path: Path | None, documents: tuple[Path, ...]) -> None:
    """Write the table of results between its marks in DOCUMENTS, or print it."""
    found = rows.load(path or rows.newest())
    for document in documents:
        document.write_text(rows.rendered(document.read_text("utf-8"), found), "utf-8")
    if not documents:
        click.echo("\n".join(rows.table(found)))


if __name__ == "__main__":
    main()
