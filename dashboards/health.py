"""ZADS Health, the wall: five rows of tiles on one screen of 1920 x 1080 in kiosk mode, in DESIGN's words.

27 rows of Grafana's grid fill the screen, with `autofitpanels` as without. A tile wider than 2.5 times its height has its name
at the left of its word, any other above it.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import common, dashboard, stat, timeseries
from grafana_foundation_sdk.models.common import LegendPlacement, VizOrientation

from dashboards import style
from dashboards import wall_queries as ask
from dashboards.frame import Line, board
from dashboards.panels import Q, lines
from dashboards.saying import under
from dashboards.style import Fill, Word, Words
from dashboards.tiles import Ask, tile
from zads.signals import SIGNALS

_BLANK = "\N{NO-BREAK SPACE}"
_SKY: Words = {
    0: Word("DAY", Fill.PLAIN),
    1: Word("DAY, STILL ARRIVING", Fill.QUIET),
    2: Word("NOTHING FROM IPAC", Fill.PLAIN),
    3: Word("DARK, ARRIVING", Fill.QUIET),
    4: Word("CANNOT SEE IPAC", Fill.UNKNOWN),
}
_COMMUNITY: Words = {
    0: Word("ON TIME", Fill.QUIET),
    1: Word("READING", Fill.PLAIN),
    2: Word("WAITING", Fill.PLAIN),
    3: Word("UNKNOWN", Fill.UNKNOWN),
    4: Word("AWAY", Fill.WARN),
    5: Word("BEHIND", Fill.WARN),
}


def _chain(severity: str) -> Words:
    return {
        0: Word("DOWN", severity),
        1: Word("OK", Fill.QUIET),
        2: Word("NO ANSWER", severity),
        3: Word("UNKNOWN", Fill.UNKNOWN),
    }


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return board(
        "zads-health",
        "ZADS Health",
        "What everybody in the room sees: is the distribution of alerts well, and if not, what is wrong.",
        [
            Line(5, [(_headline(), 24)]),
            Line(2, [(_about(), 24)]),
            Line(7, [(_sky(), 8), (_tonight(), 6), (_last(), 5), (_delay(), 5)]),
            Line(5, [(_communities(), 24)]),
            Line(6, [(_chart(), 16), (_services(), 8)]),
            Line(2, _foot()),
        ],
        refresh="10s",
        tags=["wall"],
        wall=True,
    )


def _headline() -> stat.Panel:
    """Row 1: the worst headline and how long; ALL WELL only while all can be seen."""
    nothing: Words = {0: Word(_BLANK, Fill.QUIET), ask.GONE: Word("UNKNOWN", Fill.UNKNOWN)}
    return tile(
        "HEADLINE",
        "what has fired longest, pages before tickets, and for how long; ALL WELL only while every exporter is seen and"
        " every service answers.",
        "s",
        [
            Ask(ask.PAGE, "{{headline}}", Fill.BAD),
            Ask(ask.TICKET, "{{headline}}", Fill.WARN),
            Ask(ask.WELL, "{{headline}}"),
            Ask(ask.BLIND, "{{headline}}"),
        ],
        words=nothing,
        size=72,
        line=style.HEADLINE,
        nothing="BLIND: no data",
    )


def _about() -> stat.Panel:
    """Below it: since when, who has it, how many more."""
    codes = {
        0: Word(_BLANK, Fill.QUIET),
        1: Word(_BLANK, Fill.WARN),
        2: Word(_BLANK, Fill.BAD),
        ask.GONE: Word(_BLANK, Fill.UNKNOWN),
    }
    return tile(
        "ABOUT IT",
        "since when the headline has lasted, who has it, and how many alerts fire besides.",
        "none",
        [
            Ask(ask.ABOUT_PAGE, "{{since}} · {{who}} {{more}}", words=codes),
            Ask(ask.ABOUT_TICKET, "{{since}} · {{who}} {{more}}", words=codes),
            Ask(ask.ABOUT_WELL, "{{since}} · nothing firing", words=codes),
            Ask(ask.ABOUT_BLIND, "{{since}}", words=codes),
        ],
        line=style.FOOT,
        size=style.LINE,
        nothing="Prometheus does not answer: nothing on this page is news",
    )


def _sky() -> stat.Panel:
    return tile("SKY", SIGNALS["sky_state"].description, "none", [Ask(ask.SKY, under("SKY", "{{text}}", 50))], words=_SKY)


def _tonight() -> stat.Panel:
    return tile(
        "TONIGHT",
        "public alerts of this night at ZADS, and how many IPAC has that are not passed on.",
        "locale",
        [
            Ask(ask.TONIGHT_WELL, under("ALERTS TONIGHT", "{{text}}", 12)),
            Ask(ask.TONIGHT_HELD, under("ALERTS TONIGHT", "{{text}}", 12), Fill.BAD),
            Ask(ask.TONIGHT_GONE, under("ALERTS TONIGHT", "no data", 12)),
        ],
        size=style.NUMBER,
    )


def _last() -> stat.Panel:
    return tile(
        "LAST ALERT",
        SIGNALS["last_alert_age"].description,
        "s",
        [
            Ask(ask.LAST_WELL, under("LAST ALERT", "{{text}}")),
            Ask(ask.LAST_HELD, under("LAST ALERT", "IPAC has newer ones"), Fill.BAD),
            Ask(ask.LAST_GONE, under("LAST ALERT", "no data", 20)),
        ],
        size=style.NUMBER,
    )


def _delay() -> stat.Panel:
    return tile(
        "DELAY",
        SIGNALS["delay"].description,
        "s",
        [
            Ask(ask.DELAY_WELL, under("DELAY", "{{text}}")),
            Ask(ask.DELAY_MIRROR, under("DELAY", "{{text}} · at mirror"), Fill.BAD),
            Ask(ask.DELAY_IPAC, under("DELAY", "{{text}} · at IPAC"), Fill.WARN),
            Ask(ask.DELAY_NONE, under("DELAY", "none arrives", 22)),
            Ask(ask.DELAY_GONE, under("DELAY", "no data", 26)),
        ],
        size=style.NUMBER,
    )


def _communities() -> stat.Panel:
    """Row 3: one tile each up to five; of more the four worst, and one for the rest."""
    return tile(
        "COMMUNITIES",
        SIGNALS["community_state"].description + " Above five: the four worst, and the others in one.",
        "none",
        [Ask(ask.COMMUNITIES, under("{{label}}", "{{line}}")), Ask(ask.OTHERS, under("{{others}}", "{{line}}"))],
        words=_COMMUNITY,
    )


def _chart() -> timeseries.Panel:
    """Row 4: tonight as two lines."""
    panel = lines(
        "Public alerts per second, tonight",
        "What IPAC has and what was delivered to ZADS; where the lines part, the mirror is behind.",
        "short",
        Q(_rate("rate_upstream"), "IPAC", style.BLUE),
        Q(_rate("rate_public"), "delivered", style.WHITE, dashed=True),
        nothing="UNKNOWN: no data",
    )
    legend = common.VizLegendOptions().show_legend(True).placement(LegendPlacement.RIGHT).calcs([])
    return panel.line_width(3).fill_opacity(0).legend(legend)


def _rate(name: str) -> str:
    return SIGNALS[name].expression.replace("[2m]", "[$__rate_interval]")


def _services() -> stat.Panel:
    """The chain: IPAC's end is a ticket, since nobody here can start it; the mirror's and Kafka's are pages."""
    return tile(
        "CHAIN",
        SIGNALS["service_state"].description,
        "none",
        [
            Ask(ask.part("upstream"), "IPAC", words=_chain(Fill.WARN)),
            Ask(ask.part("mirror"), "MIRROR", words=_chain(Fill.BAD)),
            Ask(ask.part("public"), "KAFKA", words=_chain(Fill.BAD)),
        ],
        line=38,
        size=50,
        nothing="CHAIN: UNKNOWN",
        orientation=VizOrientation.HORIZONTAL,
    )


def _foot() -> list[tuple[stat.Panel, int]]:
    """Row 5: the time, the age of the data, who is on call, what is left of the budget."""
    on_call = {1: Word(_BLANK, Fill.QUIET), ask.GONE: Word(_BLANK, Fill.UNKNOWN)}
    small = style.FOOT
    return [
        (tile("UTC", SIGNALS["now"].description, "time:HH:mm", [Ask(ask.NOW, "UTC")], size=small, nothing="UTC —"), 3),
        (tile("LOCAL", "The time at the site.", "time:HH:mm", [Ask(ask.LOCAL, "local")], size=small, nothing="local —"), 3),
        (
            tile(
                "DATA",
                SIGNALS["data_age"].description,
                "s",
                [Ask(ask.DATA_WELL, "data age"), Ask(ask.DATA_OLD, "data age", Fill.BAD)],
                size=small,
                nothing="data: BLIND",
            ),
            4,
        ),
        (
            tile(
                "ON CALL",
                SIGNALS["on_call"].description,
                "none",
                [Ask(ask.ON_CALL, "on call {{name}}", words=on_call)],
                line=small - 2,
                size=small,
                nothing="on call: UNKNOWN",
            ),
            6,
        ),
        (
            tile(
                "BUDGET",
                SIGNALS["budget_left"].description,
                "suffix: h",
                [Ask(ask.BUDGET, "budget left of {{text}} h"), Ask(ask.BUDGET_GONE, "budget left")],
                steps=((None, Fill.UNKNOWN), (0, Fill.WARN), (1, Fill.QUIET)),
                size=small,
                nothing="budget: UNKNOWN",
                decimals=1,
            ),
            8,
        ),
    ]
