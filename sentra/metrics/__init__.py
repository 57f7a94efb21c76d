"""What can be watched from outside: counted by each worker, told by any worker for all of them."""

from sentra.metrics.counting import JournalStats, Metrics, claim_slot
from sentra.metrics.definitions import DEFINITIONS, Definition
from sentra.metrics.files import prepare_folder

__all__ = ["DEFINITIONS", "Definition", "JournalStats", "Metrics", "claim_slot", "prepare_folder"]
