"""What a night, or a quarter of nights, was: read from Prometheus' record, told in words, tables and plots.

What nobody measured is said to be unknown; it is neither zero nor filled in.
"""
