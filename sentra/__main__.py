"""``python -m sentra`` runs the command line."""

from sentra.cli import main

main()
