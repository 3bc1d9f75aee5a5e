"""What keeps a report from being written."""


class ReportError(Exception):
    """Nothing can be said of what was asked for; the text is for the operator."""
