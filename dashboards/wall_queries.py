"""What the wall's tiles ask. Each query has a last word: where its source is gone it says so, with the tile's name.

A query that means one colour has one letter of its own, and exactly one of a tile's queries answers. All of them are of this
moment: alerts and times of scrapes are taken for 30 s at most, measurements of a source that is gone end with its next scrape.
"""

from __future__ import annotations

from dashboards import saying
from dashboards.saying import NBSP, whole
from zads.signals import SIGNALS

FRESH = 30
# Codes beside the states of zads/signals.py.
GONE, NONE = -1, -2


def of(name: str) -> str:
    """Return a signal's expression as a part of another."""
    return f"({SIGNALS[name].expression})"


def last_word(*others: str, code: int = GONE) -> str:
    """Return the code while no other query of the tile has anything."""
    return f"vector({code})" + "".join(f" unless on () ({other})" for other in others)


_SEEN = f"(time() - max(timestamp(up)) < {FRESH})"


def _firing(severity: str) -> str:
    return f'(ALERTS{{alertstate="firing", severity=~"{severity}"}} and timestamp(ALERTS) > time() - {FRESH})'


def _oldest(severity: str) -> str:
    """Return since when the oldest alert has lasted, with its headline: what began it all, as far as anybody can tell."""
    since = f"ALERTS_FOR_STATE and ignoring (alertstate) {_firing(severity)}"
    return f"bottomk(1, min by (headline) ({since}))"


PAGE = f"time() - {_oldest('page')}"
TICKET = f"(time() - {_oldest('ticket')}) unless on () {_firing('page')}"
_ALL_SEEN = '(min(up{job=~"kafka-lag|broker-egress|alert-arrival|services"}) == 1)'
_ANSWER = f"{_ALL_SEEN} and on () (min(zads_service_answering) == 1)"
# An exporter that has just begun answers, and has nothing to say yet: what the other rows need has to be there.
_READ = " and on () ".join(f'(max(zads_cluster_readable{{cluster="{name}"}}) == 1)' for name in ("upstream", "public"))
_WHOLE = f"{_ANSWER} and on () {_READ} and on () (zads_observing_night >= 0)"
WELL = saying.named(f"({_WHOLE} and on () {_SEEN}) * 0", "headline", "ALL WELL") + f" unless on () {_firing('page|ticket')}"
BLIND = saying.first(
    saying.named(f"vector({GONE}) unless on () {_SEEN}", "headline", "BLIND"),
    saying.named(
        f"vector({GONE}) and on () ({_ALL_SEEN} and on () (min(zads_service_answering) == 0)) unless on () {_firing('page|ticket')}",
        "headline",
        "NOT ALL ANSWER",
    ),
    saying.named(f"vector({GONE}) unless on () ({_firing('page|ticket')} or ({WELL}))", "headline", "CANNOT SEE ALL"),
)


def _about(severity: str) -> str:
    """Return one line about the headline: since when, who has it, how many more."""
    oldest = _oldest(severity)
    since = saying.clock(oldest, "since", form="since {}")
    having = 'max by (headline, acknowledged_by) (zads_incident_info{acknowledged_by!=""}) and on (headline) ' + oldest
    who = saying.first(
        f'label_replace(topk(1, {having}), "who", "acknowledged by $1", "acknowledged_by", "(.*)")',
        saying.named('(max(up{job="notifier"}) == 1)', "who", "nobody has it yet"),
        saying.named("vector(1)", "who", "who has it is not known"),
    )
    more = saying.first(
        saying.number(f"(count({_firing('page|ticket')}) - 1) > 0", "· $1 more", "more"),
        "vector(1)",
    )
    return f"{since} * on () group_left (who) ({who}) * on () group_left (more) ({more})"


ABOUT_PAGE = _about("page") + " * 2"
ABOUT_TICKET = f"({_about('ticket')}) unless on () {_firing('page')}"
ABOUT_WELL = (
    saying.number(
        "count(zads_service_answering == 1) + count(zads_host_answering == 1)", "$1 hosts and services answer", "since"
    )
    + f" * 0 and on () ({WELL})"
)
_silent = saying.number(f"(count(up == 0) and on () {_SEEN})", "$1 of what is asked do not answer: see Monitoring", "since")
_why = saying.first(
    f"{_silent} * {GONE}",
    saying.named(
        f"vector({GONE}) and on () (min(zads_service_answering) == 0)", "since", "a service does not answer: see the chain"
    ),
    saying.named(f"vector({GONE})", "since", "what is shown may be old"),
)
ABOUT_BLIND = f"({_why}) and on () ({BLIND})"


_state = of("sky_state")
SKY = saying.first(
    f"{_state} * on () group_left (text) {saying.clock(of('night_end'), form='until {}')} and on () ({_state} == 3)",
    f"{_state} * on () group_left (text) {saying.clock(of('last_upstream'), form='since {} · clouds?')} and on () ({_state} == 2)",
    saying.named(f"({_state} == 0)", "text", whole("the Sun is up")),
    saying.named(f"({_state} == 1)", "text", whole("the Sun is up")),
    saying.named(f"({_state} == 4)", "text", whole("no word from there")),
    _state,
    saying.named(f"vector({GONE})", "text", whole("no data")),
)

_held, _tonight = f"({of('held_up')} > 0)", of("tonight")
TONIGHT_WELL = saying.first(
    f"{_tonight} * on () group_left (text) {saying.number(of('missing') + ' >= 0', whole('$1 missing'))} unless on () {_held}",
    saying.named(f"({_tonight} unless on () {_held})", "text", whole("missing: not known")),
)
TONIGHT_HELD = f"{_tonight} * on () group_left (text) {saying.number(_held, whole('$1 not passed on'))}"
TONIGHT_GONE = last_word(_tonight)

_age = f"(time() - {of('last_alert')})"
_newer = f"({of('last_upstream')} - {of('last_alert')} > 60 and on () {_held})"
_pace = f"(1 / ({of('exposure_rate')} > 1 / 120))"
LAST_WELL = saying.first(
    f"{_age} * on () group_left (text) {saying.number(f'round({_pace})', 'exposures every $1 s')} unless on () {_newer}",
    saying.named(f"({_age} unless on () {_newer})", "text", whole("no exposures now")),
)
LAST_HELD = f"{_age} and on () {_newer}"
LAST_GONE = last_word(_age)

# A rate goes on for two minutes after its source died.
_arrival = 'max(up{job="alert-arrival"}) == 1'
_delay, _goal = f"({of('delay')} >= 0 and on () ({_arrival}))", of("delay_goal")
_goal_text = saying.duration(_goal, form="goal {}")
_slow = f"({of('delay_mirror')} > {of('delay_mirror_goal')})"
DELAY_WELL = f"({_delay} * on () group_left (text) {_goal_text}) unless on () ({_delay} > {_goal}) unless on () {_slow}"
DELAY_MIRROR = f"{_delay} * on () group_left (text) {_goal_text} and on () {_slow}"
DELAY_IPAC = f"({_delay} * on () group_left (text) {_goal_text} and on () ({_delay} > {_goal})) unless on () {_slow}"
DELAY_NONE = f"({_arrival}) * 0 + {NONE} unless on () ({_delay})"
DELAY_GONE = last_word(_delay, _arrival)


def _communities() -> tuple[str, str]:
    """Return up to five communities in the order of zads.toml, the four worst of more; and one series for the rest."""
    by, state = "community", of("community_state")
    many = "(count(zads:community_info) > 5)"
    shown = f"topk(scalar(5 - (count(zads:community_info) > bool 5) or vector(5)), {state})"
    rest = f"({state} unless on ({by}) topk(4, {state})) and on () {many}"
    # Lasair commits every 250 alerts: a batch that is not full yet is no lag.
    batch = "(zads:community_lag_alerts:sum > 1 <= on (community) zads:community_commit_batch)"
    late = '(ALERTS{alertname="CommunityLagging", alertstate="firing"} and timestamp(ALERTS) > time() - 30)'
    lag = saying.first(
        saying.named(f"({batch} unless on (community) {late}) * 0 + 1", "text", whole("in batch")),
        saying.duration("(zads:community_lag_seconds:max > 0)", by=by),
        by=by,
    )
    unknown = whole("lag unknown · $1")
    egress = saying.rate(f"({of('community_egress')} and on ({by}) zads_community_connections)", by=by)
    away = saying.clock(
        'max by (community) (ALERTS_FOR_STATE{alertname="CommunityDisconnected"} and timestamp(ALERTS_FOR_STATE) > time() - 30)'
        " and on (community) (zads:community_connections:max == 0)",
        "line",
        by=by,
        form="since {}",
    )
    idle = f"(zads:community_lag_seconds:max == 0) * 0 + 1 and on ({by}) zads_community_connections > 0"
    line = saying.first(
        away,
        saying.named("(zads:community_connections:max == 0) + 1", "line", whole("no connection")),
        saying.named(f"({idle})", "line", whole("nothing waiting")),
        f'label_join(({lag}) * on ({by}) group_left (rate) {egress}, "line", "{NBSP}·{NBSP}", "text", "rate")',
        f'label_replace({egress}, "line", "{unknown}", "rate", "(.*)")',
        saying.named("zads:community_info", "line", whole("no data")),
        by=by,
    )
    tiles = f"zads:community_info * on ({by}) group_left () {shown} * on ({by}) group_left (line) ({line})"
    others = (
        f"max(({rest}) * (({rest}) > bool 2))"
        f" * on () group_left (others) {saying.number('count(zads:community_info) - 4', '$1 others', 'others')}"
        f" * on () group_left (line) {saying.number(f'sum(({rest}) == bool 0)', whole('$1 on time'), 'line')}"
    )
    return tiles, others


COMMUNITIES, OTHERS = _communities()


def part(name: str) -> str:
    """Return the state of the service that is this part of the stream."""
    state = (
        "max by (service) (zads_service_answering == 1)"
        " or on (service) (max by (service) (zads_service_up == bool 1) * 2 and on (service) zads_service_answering)"
    )
    return f'max(({state}) and on (service) zads:part_info{{part="{name}"}}) or on () vector(3)'


NOW = "vector(time() * 1000)"
LOCAL = "(time() + max(zads_site_utc_offset_seconds)) * 1000"
AGE = "round(time() - max(timestamp(up)))"
DATA_WELL, DATA_OLD = f"({AGE}) <= {FRESH}", f"({AGE}) > {FRESH}"
ON_CALL = saying.first(
    "max by (name) (zads_on_call_info)",
    saying.named('(max(up{job="notifier"}) == 1)', "name", "nobody"),
    saying.named(f"vector({GONE})", "name", "not known"),
)
_hours = saying.number(f"round({of('budget')} / 60, 0.1)", "$1")
BUDGET = f"{of('budget_left')} / 60 * on () group_left (text) {_hours}"
BUDGET_GONE = last_word(of("budget_left"))
