"""The command line of the benchmark: ``python -m bench --test | run | compare | guard | render``."""

import sys

import click

from bench.answers import wrong_answers
from bench.requests import cases


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
    for wrong in wrong_answers(cases()):
        if wrong:
            failed += 1
            click.echo(f"WRONG {wrong}", err=True)
        else:
            passed += 1
    click.echo(f"{passed} passed, {failed} failed")
    if failed or not passed:
        sys.exit(1)


if __name__ == "__main__":
    main()
