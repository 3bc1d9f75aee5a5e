"""Replays: nights as series, the rules' own engine over them, and what the operator would have been told.

`make replay` (`python -m tests.replay`) plays all of them; tests/replay/test_*.py are the quick ones.
"""
