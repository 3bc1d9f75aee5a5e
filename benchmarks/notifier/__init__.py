"""The notifier measured, Alertmanager's own receivers beside it: `python -m benchmarks.notifier`."""
