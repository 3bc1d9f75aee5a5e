"""Lag arithmetic, histories, communities: plain values, no Kafka."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.kafka_lag.ages import Ages
from exporters.kafka_lag.backoff import Backoff
from exporters.kafka_lag.cap import cut
from exporters.kafka_lag.lag import Edges, partition_lag
from exporters.kafka_lag.options import NameFilter
from exporters.kafka_lag.table import LagTable, Row, TopicRows
from zads.kafka import Answer, Topic, TopicOffsets
from zads.offset_history import AGES_SECONDS, OffsetHistory, points


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_lag_is_never_negative_and_never_more_than_the_log_holds(committed: int, start: int, end: int) -> None:
    """Whatever the three offsets are."""
    lag = partition_lag(committed, start, end)
    assert 0 <= lag.lag <= max(0, end - start) or committed < start
    assert lag.beyond_end == (committed > end)
    assert lag.lost >= 0


def test_what_retention_took_is_lost_and_not_lag() -> None:
    """Committed 10, log from 40 to 100: 60 to read, 30 lost."""
    lag = partition_lag(10, 40, 100)
    assert (lag.lag, lag.lost) == (60, 30)


def test_age_is_that_of_the_next_unread_message() -> None:
    """Ten messages a second from 1000 s on; message 50 came at 1005.1 s."""
    history = OffsetHistory()
    for second in range(100):
        history.add(1000.0 + second, second * 10)
    assert history.age(50, 1099.0) == pytest.approx(1099 - 1005.1, abs=0.2)
    assert history.age(990, 1099.0) == 0.0


def test_a_quiet_log_grows_old_only_with_something_unread() -> None:
    """One message, then silence for an hour: its age is the hour; caught up, it is 0."""
    history = OffsetHistory()
    history.add(0.0, 0)
    history.add(10.0, 1)
    for minute in range(1, 61):
        history.add(10.0 + minute * 60, 1)
    assert history.age(0, 3610.0) == pytest.approx(3600, abs=11)
    assert history.age(1, 3610.0) == 0.0


def test_history_is_bounded_and_right_within_five_percent() -> None:
    """A day at one look each 5 s keeps few points and stays right."""
    history = OffsetHistory()
    for step in range(17280):
        history.add(step * 5.0, step * 7)
    assert len(history) <= 401
    now = 17279 * 5.0
    for age in (10.0, 100.0, 1000.0, 10000.0, 80000.0):
        offset = int((now - age) / 5.0 * 7)
        assert history.age(offset, now) == pytest.approx(age, rel=0.05, abs=6)


def test_a_log_that_became_shorter_is_another_log() -> None:
    """A recreated topic forgets the old history instead of freezing it."""
    history = OffsetHistory()
    history.add(0.0, 0)
    history.add(10.0, 500)
    history.add(20.0, 3)
    history.add(30.0, 5)
    assert history.age(4, 40.0) == pytest.approx(12.5, abs=3)


class Log:
    """A partition's log by its messages' times, that answers ListOffsets by time, or does not answer."""

    def __init__(self, times: list[float]) -> None:
        self.times, self.asked, self.answers = sorted(times), 0, 10**9

    def ask(self, wanted: Mapping[tuple[str, int], int]) -> Answer[tuple[int, int]]:
        self.asked += 1
        answer: Answer[tuple[int, int]] = Answer()
        for part, moment in wanted.items():
            if self.asked > self.answers:
                answer.errors["KafkaTimeout"] += 1
                answer.failed.add(part)
                continue
            offset = bisect_left(self.times, moment / 1000)
            young = offset < len(self.times)
            answer.values[part] = (offset, int(self.times[offset] * 1000)) if young else (-1, -1)
        return answer


NOW = 100_000.0
PART = ("ztf", 0)


@pytest.mark.parametrize("offset", [0, 1, 500, 1000])
def test_a_rebuilt_history_knows_a_burst_after_a_long_silence(offset: int) -> None:
    """One message, 19 minutes of nothing, 1000 messages in 10 s: each age is right within half a second."""
    log = Log([NOW - 2000] + [NOW - 860 + i * 0.01 for i in range(1000)])
    ages = Ages(log.ask)
    ages.update({PART: len(log.times)}, NOW)
    true = NOW - log.times[offset]
    assert ages.age(PART, offset, NOW) == pytest.approx(true, abs=0.5, rel=0.01)


@given(st.lists(st.floats(0, 500_000), min_size=1, max_size=60), st.data())
def test_an_age_after_a_restart_is_right_within_a_second_or_five_percent(ago: list[float], data: st.DataObject) -> None:
    """Any log, any position: against the messages' real times, whatever came in bursts and however long it was quiet."""
    now = NOW * 10
    log = Log([now - seconds for seconds in ago])
    offset = data.draw(st.integers(0, len(ago) - 1))
    ages = Ages(log.ask)
    ages.update({PART: len(log.times)}, now)
    assert ages.rebuilt == [PART]
    ages.refine({PART: {offset}}, {PART: len(log.times)}, now)
    said, true = ages.age(PART, offset, now), now - log.times[offset]
    assert said is not None
    assert abs(said - true) <= max(1.1, 0.05 * true)


def test_many_positions_on_one_partition_cost_a_bounded_number_of_requests() -> None:
    """A thousand groups, each elsewhere: eight positions are looked for, the others lie between them."""
    log = Log([NOW - 5000 + i * 0.5 for i in range(10_000)])
    ages = Ages(log.ask)
    ages.update({PART: 10_000}, NOW)
    ages.refine({PART: set(range(0, 10_000, 10))}, {PART: 10_000}, NOW)
    assert log.asked <= len(AGES_SECONDS) + 64
    for offset in range(0, 9_900, 990):
        assert ages.age(PART, offset, NOW) == pytest.approx(NOW - log.times[offset], rel=0.05, abs=2)


def test_a_rebuild_that_failed_is_tried_again_and_nothing_is_said_meanwhile() -> None:
    """With 900 messages unread an age of 0 would be a lie: there is none, until Kafka answers."""
    log = Log([NOW - 1000 + i for i in range(1000)])
    log.answers = 7
    ages = Ages(log.ask)
    ages.update({PART: 1000}, NOW)
    assert ages.age(PART, 100, NOW) is None
    assert ages.errors == {"KafkaTimeout": 1}
    assert log.asked == 8, "one that fails is not asked for all twenty ages"
    log.answers = 10**9
    ages.update({PART: 1000}, NOW + 5)
    assert ages.age(PART, 100, NOW + 5) == pytest.approx(905, abs=60)
    asked = log.asked
    ages.update({PART: 1000}, NOW + 10)
    assert log.asked == asked, "rebuilt once, it is not asked again"


def test_what_came_since_the_last_look_is_dated_by_that_look() -> None:
    """A topic that did not exist five seconds ago: its messages are no older, whatever their own timestamps say."""
    log = Log([NOW - 600 + i for i in range(600)])
    ages = Ages(log.ask)
    ages.begin([PART], NOW - 5)
    ages.update({PART: 600}, NOW)
    assert log.asked == 0
    oldest = ages.age(PART, 0, NOW)
    assert oldest is not None
    assert 4 < oldest <= 5


def test_a_producer_whose_clock_is_ahead_does_not_break_the_history() -> None:
    """Timestamps an hour in the future count as now."""
    history = OffsetHistory()
    history.rebuild(points(NOW - 10, 5, int((NOW + 3600) * 1000), 20, NOW) + points(NOW - 5, -1, -1, 20, NOW))
    history.add(NOW, 20)
    history.add(NOW + 5, 21)
    assert 0 <= history.age(4, NOW + 5) <= 16
    assert history.age(20, NOW + 5) == pytest.approx(0, abs=5)


def test_a_clock_that_is_set_back_does_not_break_the_history() -> None:
    """Ages stay between 0 and the true age."""
    history = OffsetHistory()
    for step, time in enumerate([1000.0, 1005.0, 940.0, 945.0, 1010.0]):
        history.add(time, step * 10)
    assert history.age(40, 1010.0) == 0
    assert 0 <= history.age(15, 1010.0) <= 10


def _group(topics: dict[str, int]) -> dict[str, TopicOffsets]:
    return {name: TopicOffsets.of(dict.fromkeys(range(count), 0)) for name, count in topics.items()}


def _topics(**partitions: int) -> dict[str, Topic]:
    return {name: Topic(name, name, dict.fromkeys(range(count), 1)) for name, count in partitions.items()}


def test_the_cap_takes_the_widest_group_s_partitions_first_then_topics_then_groups() -> None:
    """Sums stay as long as they can; the number of series never exceeds the cap; what is gone is counted."""
    topics = _topics(wide=100, thin=1)
    groups = {"a": _group({"wide": 100, "thin": 1}), "b": _group({"wide": 100}), "c": _group({"thin": 1})}
    free = cut(groups, topics, 10**6, per_partition=True)
    assert (free.whole, free.groups, free.topics, free.dropped) == (set("abc"), set("abc"), {"wide", "thin"}, 0)
    one = cut(groups, topics, free.size - 1, per_partition=True)
    assert (one.whole, one.groups, one.dropped) == ({"b", "c"}, set("abc"), 202)
    two = cut(groups, topics, free.size - 203, per_partition=True)
    assert (two.whole, two.dropped) == ({"c"}, 402)
    three = cut(groups, topics, free.size - 405, per_partition=True)
    assert three.whole == set()
    assert three.topics == {"thin"}
    assert three.groups == set("abc")
    least = cut(groups, topics, 3, per_partition=True)
    assert (least.groups, least.topics) == (set(), set())
    assert cut(groups, topics, 1, per_partition=True).named == {"wide"}
    for most in range(0, free.size, 7):
        found = cut(groups, topics, most, per_partition=True)
        assert found.size <= most
        assert found.size + found.dropped == free.size


def test_the_cap_counts_groups_that_committed_nothing_and_what_their_members_are_assigned() -> None:
    """States and members of a group stand on the page whether it has committed or not."""
    groups: dict[str, dict[str, TopicOffsets]] = {"never": {}, "some": _group({"t": 1})}
    without = cut(groups, _topics(t=1, u=1), 10**6, per_partition=False).size
    both = {"never": ["t", "u", "hidden"], "some": ["t", "u"], "gone": ["t"]}
    assert cut(groups, _topics(t=1, u=1), 10**6, per_partition=False, assigned=both).size == without + 3 * 2
    assert without - cut({}, _topics(t=1, u=1), 10**6, per_partition=False).size == 14 + 14 + 11


def test_without_series_per_partition_there_are_none() -> None:
    """The switch for large clusters."""
    found = cut({"a": _group({"t": 5})}, _topics(t=5), 10**6, per_partition=False)
    assert (found.whole, found.dropped) == (frozenset(), 0)


def test_names_are_filtered_as_a_whole_and_newlines_are_letters_too() -> None:
    """Included by one pattern, excluded by none."""
    names = NameFilter(["ztf_.*", "other"], [".*-test", "ztf_2020.*"])
    assert "ztf_20260101" in names
    assert "ztf_\n" in names
    assert "other" in names
    for name in ("another", "other2", "ztf_1-test", "ztf_20200101"):
        assert name not in names


def test_names_that_are_gone_are_forgotten() -> None:
    """A hundred thousand short-lived groups: what is remembered of names does not pile up."""
    names = NameFilter(["run-.*"], [])
    for number in range(20_000):
        assert f"run-{number}" in names
        names.keep([f"run-{number}", "run-0"])
    assert len(names._known) < 1100


def test_each_refusal_doubles_the_wait_up_to_a_minute() -> None:
    """And a success begins anew."""
    now = [100.0]
    backoff = Backoff(5.0, lambda: now[0])
    waits = []
    for _ in range(6):
        backoff.failed("Authentication")
        waits.append(backoff.left())
        now[0] += backoff.left()
        assert backoff.left() == 0
    assert waits == [5, 10, 20, 40, 60, 60]
    backoff.succeeded()
    backoff.failed("Authentication")
    assert backoff.left() == 5


class Rows:
    """A table on one topic of three partitions, told what is committed and where the log ends."""

    def __init__(self, since: float | None = 50.0) -> None:
        self.table = LagTable(lambda part, offset: since)
        self.topic = Topic("t", "id", {0: 1, 1: 1, 2: -1})

    def look(self, commits: dict[str, TopicOffsets], edges: Edges, now: float = 100.0, **aged: object) -> list[TopicRows]:
        groups = {name: {"t": offsets} for name, offsets in commits.items()}
        return self.table.update(groups, {"t": self.topic}, {"t": edges}, frozenset(commits), aged.get("aged", ()), now)  # type: ignore[arg-type]

    def row(self, group: str = "g") -> Row:
        return self.table.topics["t"].rows[group]


def test_a_row_says_of_each_partition_what_the_arithmetic_says() -> None:
    """Lag, losses, offsets beyond the end and missing commits, summed."""
    rows = Rows()
    rows.look({"g": TopicOffsets.of({0: 10, 1: 130})}, Edges({0: 40, 1: 0}, {0: 100, 1: 120}))
    row = rows.row()
    assert (row.lag, row.biggest, row.lost, row.beyond, row.missing, row.unknown) == (60, 60, 30, 1, 1, 0)
    assert row.used == 1.0
    assert row.seconds(100.0) == 50.0
    text = rows.table.topics["t"].lag
    assert text is not None
    assert text.text().decode().splitlines() == [
        'kafka_consumergroup_lag{consumergroup="g",topic="t",partition="0"} 60',
        'kafka_consumergroup_lag{consumergroup="g",topic="t",partition="1"} 0',
    ]


def test_what_is_not_known_is_not_zero() -> None:
    """No end was ever read: no sum; an end that is not read now: counted as it was, not shown."""
    rows = Rows()
    rows.look({"g": TopicOffsets.of({0: 10})}, Edges())
    assert (rows.row().measured, rows.row().unknown) == (0, 1)
    rows.look({"g": TopicOffsets.of({0: 10})}, Edges({0: 0}, {0: 30}, frozenset({0})))
    assert (rows.row().lag, rows.row().unknown) == (20, 1)
    text = rows.table.topics["t"].lag
    assert text is not None
    assert text.text() == b""
    unsure = Rows(since=None)
    unsure.look({"g": TopicOffsets.of({0: 10})}, Edges({0: 0}, {0: 30}))
    assert unsure.row().seconds(100.0) is None, "its age is not known yet, and 0 would be a lie"


def test_only_what_changed_is_measured_anew() -> None:
    """The same objects: the same text, without work."""
    rows, edges, commits = Rows(), Edges({0: 0}, {0: 30}), {"g": TopicOffsets.of({0: 10})}
    assert rows.look(commits, edges)
    assert not rows.look(commits, edges)
    assert rows.look(commits, Edges({0: 0}, {0: 31}))
    assert rows.look({"g": TopicOffsets.of({0: 11})}, rows.table.topics["t"].edges)
    assert rows.look({}, rows.table.topics["t"].edges)
    assert not rows.table.topics["t"].rows
    assert rows.look(commits, rows.table.topics["t"].edges)
    assert rows.look(commits, rows.table.topics["t"].edges, aged=["t"])


def test_another_option_measures_all_anew_and_forgets_nothing() -> None:
    """A reload: seconds per partition are on now, and when the commit last moved is still known."""
    rows, edges, commits = Rows(), Edges({0: 0}, {0: 30}), {"g": TopicOffsets.of({0: 10})}
    rows.look(commits, edges, 100.0)
    assert rows.row().behind == []
    rows.table.take(each_partition_seconds=True)
    assert rows.look(commits, edges, 110.0)
    assert rows.row().behind == [(0, 50.0)]
    assert rows.row().moved_at == 100.0
    assert not rows.look(commits, edges, 120.0)


def test_movement_rewinds_and_a_topic_made_anew() -> None:
    """When a commit last moved, how often one went back; another topic of the same name begins anew."""
    rows, edges = Rows(), Edges({0: 0, 1: 0}, {0: 30, 1: 30})
    rows.look({"g": TopicOffsets.of({0: 10, 1: 10})}, edges, 100.0)
    rows.look({"g": TopicOffsets.of({0: 10, 1: 10})}, edges, 110.0)
    assert rows.row().moved_at == 100.0
    rows.look({"g": TopicOffsets.of({0: 5, 1: 20})}, edges, 120.0)
    assert (rows.row().moved_at, rows.row().rewinds) == (120.0, 1)
    rows.topic = Topic("t", "another id", {0: 1})
    rows.look({"g": TopicOffsets.of({0: 1})}, Edges({0: 0}, {0: 3}), 130.0)
    assert (rows.row().moved_at, rows.row().rewinds, rows.row().lag) == (130.0, 0, 2)


_OFFSETS = st.dictionaries(st.integers(0, 5), st.integers(0, 300), max_size=6)


@given(
    asked=st.lists(st.dictionaries(st.integers(0, 5), st.integers(-1, 300), max_size=6), min_size=1, max_size=4),
    starts=_OFFSETS,
    lengths=_OFFSETS,
    unsure=st.sets(st.integers(0, 5), max_size=1),
    each=st.booleans(),
)
def test_whole_columns_say_what_partition_by_partition_says(
    asked: list[dict[int, int]], starts: dict[int, int], lengths: dict[int, int], unsure: set[int], *, each: bool
) -> None:
    """Rows in which nothing is special are measured another way; sums, ages and text are those of partition_lag().

    -1 is Kafka's word for no commit.
    """
    ends = {number: starts.get(number, 0) + length for number, length in lengths.items()}

    def since(part: tuple[str, int], offset: int) -> float | None:
        return None if part[1] in unsure else 1000.0 + offset // 7 + 50 * part[1]

    topic = Topic("t%d", "id", dict.fromkeys(range(5), 1))
    groups = {f'g%s"{index}': {"t%d": TopicOffsets.of(offsets)} for index, offsets in enumerate(asked)}
    commits = [{number: offset for number, offset in offsets.items() if offset >= 0} for offsets in asked]
    table = LagTable(since, each_partition_seconds=each)
    table.update(groups, {"t%d": topic}, {"t%d": Edges(starts, ends)}, frozenset(groups), (), 5000.0)
    rows, lag_lines, offset_lines = table.topics["t%d"], [], []
    for index, offsets in enumerate(commits):
        row = rows.rows[f'g%s"{index}']
        known = {n: partition_lag(offset, starts.get(n, 0), ends[n]) for n, offset in offsets.items() if n in ends}
        behind = [(n, since(("t%d", n), ends[n] - one.lag)) for n, one in known.items() if one.lag]
        labels = f'consumergroup="g%s\\"{index}",topic="t%d"'
        lag_lines += [f'kafka_consumergroup_lag{{{labels},partition="{n}"}} {one.lag}' for n, one in known.items()]
        offset_lines += [
            f'kafka_consumergroup_current_offset{{{labels},partition="{n}"}} {offset}' for n, offset in offsets.items()
        ]
        assert row.lag == sum(one.lag for one in known.values())
        assert row.biggest == max((one.lag for one in known.values()), default=0)
        assert row.committed == sum(offsets.values())
        assert row.lost == sum(one.lost for one in known.values())
        assert row.beyond == sum(one.beyond_end for one in known.values())
        assert row.missing == 5 - sum(number < 5 for number in offsets)
        assert row.measured == len(known)
        used = [one.lag / (ends[n] - starts.get(n, 0)) for n, one in known.items() if one.lag]
        assert row.used == pytest.approx(max(used, default=0.0))
        if any(at is None for _, at in behind):
            assert row.seconds(5000.0) is None
        else:
            assert row.seconds(5000.0) == max((5000.0 - at for _, at in behind if at is not None), default=0.0)
        assert row.behind == ([(n, at) for n, at in behind if at is not None] if each else [])
    assert rows.lag is not None
    assert rows.offset is not None
    assert rows.lag.text().decode().splitlines() == lag_lines
    assert rows.offset.text().decode().splitlines() == offset_lines


def test_the_oldest_unread_message_is_found_without_asking_for_all() -> None:
    """Partitions that fill at different paces, groups anywhere in them: the age is that of all partitions' oldest."""
    rng = random.Random(3)
    starts = {number: rng.randrange(100) for number in range(12)}
    ends = {number: starts[number] + rng.choice((1, 20, 3_000)) for number in range(12)}
    begun = {number: rng.uniform(0, 500) for number in range(12)}
    asked: list[tuple[int, int]] = []

    def since(number: int, offset: int) -> float:
        return begun[number] + 400 * ((offset - starts[number]) / (ends[number] - starts[number])) ** 3

    def ask(part: tuple[str, int], offset: int) -> float:
        asked.append((part[1], offset))
        return since(part[1], offset)

    commits = [{number: rng.randint(starts[number], ends[number]) for number in range(12)} for _ in range(300)]
    groups = {f"g{index}": {"t": TopicOffsets.of(offsets)} for index, offsets in enumerate(commits)}
    table = LagTable(ask)
    topic = Topic("t", "id", dict.fromkeys(range(12), 1))
    table.update(groups, {"t": topic}, {"t": Edges(starts, ends)}, frozenset(), (), 5000.0)
    for index, offsets in enumerate(commits):
        unread = [since(number, offset) for number, offset in offsets.items() if offset < ends[number]]
        assert table.topics["t"].rows[f"g{index}"].oldest == pytest.approx(min(unread)), index
    assert len(asked) < 300 * 12 / 2


def test_offsets_in_two_columns_are_those_of_the_pairs() -> None:
    """-1 is Kafka's word for no commit, and is left out of both."""
    offsets = TopicOffsets.of({4: 10, 0: -1, 7: 0})
    assert offsets.columns() == ((4, 7), (10, 0))
    assert list(offsets.items()) == [(4, 10), (7, 0)]
    assert TopicOffsets.of({}).columns() == ((), ())
