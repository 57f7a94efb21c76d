"""Coverage-guided fuzzing of everything that reads what a stranger sends. Run it with ``python -m tests.fuzz``.

Each target is a function of bytes that raises for any input that breaks a promise; ``tests/test_fuzz.py`` replays the
kept corpus and all past findings in the ordinary test run, without the fuzzer.
"""
