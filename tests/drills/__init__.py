"""Drills: faults on the running stack, and what the operator is told of them."""
