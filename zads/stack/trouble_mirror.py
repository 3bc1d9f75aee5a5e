"""MirrorMaker's tasks fail while its process lives: the public topics take no message of an alert's size any more.

A broker that refuses a message as too large is an error that Connect does not try again: the task ends as FAILED,
and dedicated mode never starts it again by itself.
"""

from __future__ import annotations

from zads.config import Config

_KEY, _SMALL = "max.message.bytes", "1000"


def fail_tasks(config: Config) -> list[str]:
    """Let the public cluster refuse alerts as too large; return the topics. Raises KafkaFailure."""
    from zads.kafka.change import set_topics

    return set_topics(config.kafka["public"], config.stream.topic_regex, _KEY, _SMALL, client_id="zads-sim")


def mend_topics(config: Config) -> list[str]:
    """Take it back; the tasks still have to be started anew. Raises KafkaFailure."""
    from zads.kafka.change import set_topics

    return set_topics(config.kafka["public"], config.stream.topic_regex, _KEY, None, client_id="zads-sim")
