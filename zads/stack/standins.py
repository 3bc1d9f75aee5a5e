"""The stand-ins for Slack and PagerDuty; each has files of its own (standin_slack*.py, standin_pagerduty.py)."""

from zads.stack.standin_http import Reply
from zads.stack.standin_pagerduty import PagerDuty
from zads.stack.standin_rates import Rate, RateLimit
from zads.stack.standin_slack import Slack

__all__ = ["PagerDuty", "Rate", "RateLimit", "Reply", "Slack"]
