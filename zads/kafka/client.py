"""One client of a cluster, on kafka-python's connections: asks a given broker one question, in bounded time.

kafka-python's own admin client hides why it cannot begin (a wrong password is a timeout after six tries),
leaves a thread behind when that fails, and once an error occurred asks for metadata by itself, for ever.
Here a beginning is one attempt per bootstrap broker, and its failure is the most telling one.
"""

from __future__ import annotations

import logging
from typing import Any

from kafka.errors import KafkaError
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.protocol.metadata import MetadataRequest

from zads.config import KafkaCluster
from zads.kafka.errors import ClosedDuringAuthenticationError, reason
from zads.kafka.security import client_settings

_LOG = logging.getLogger(__name__)
_MOST_BYTES = 100_000_000


class Client:
    """Connections to a cluster's brokers, in a thread of their own."""

    def __init__(self, cluster: KafkaCluster, *, client_id: str, timeout: float) -> None:
        self._timeout_ms = timeout * 1000
        settings = {
            "client_id": client_id,
            "request_timeout_ms": int(self._timeout_ms),
            "socket_connection_setup_timeout_ms": int(self._timeout_ms),
            "socket_connection_setup_timeout_max_ms": int(self._timeout_ms),
            "reconnect_backoff_max_ms": 2000,
            "receive_message_max_bytes": _MOST_BYTES,
            **client_settings(cluster),
        }
        self._net = NetworkSelector(**settings)
        self._manager: Any = None
        self._versions: dict[int | str, str] = {}
        try:
            self._net.start()
            self._manager = KafkaConnectionManager(self._net, **settings)
            self._begin()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections and end the thread."""
        for part in (self._manager, self._net):
            try:
                if part is not None:
                    part.close()
            except Exception:  # the library raises anything here; the client is thrown away
                _LOG.debug("closing a client failed", exc_info=True)

    def brokers(self) -> dict[int, tuple[str, int]]:
        """Return the brokers' addresses by id, as they are known."""
        return {broker.node_id: (broker.host, broker.port) for broker in self._manager.cluster.brokers()}

    def learn(self, metadata: Any) -> None:
        """Take brokers' addresses from an answer to a MetadataRequest."""
        if {broker.node_id: (broker.host, broker.port) for broker in metadata.brokers} != self.brokers():
            self._manager.cluster.update_metadata(metadata)

    def ask(self, request: Any, broker: int | str) -> Any:
        """Send a request to a broker and return its answer.

        Raises KafkaFailure or OSError; what else the library raises (ValueError, AssertionError, RuntimeError once its
        thread is gone) means that the client is of no use any more.
        """

        async def call() -> Any:
            # Without refresh_metadata_on_err the library would begin to ask on its own.
            connection = self._manager.get_connection(broker, timeout_ms=self._timeout_ms, refresh_metadata_on_err=False)
            try:
                answer = await self._manager.wait_for(connection.send_request(request), self._timeout_ms)
                if broker not in self._versions and connection.broker_version_data is not None:
                    self._versions[broker] = connection.broker_version_data.broker_version_str
                return answer
            except KafkaError as error:
                if (
                    connection.sasl_enabled
                    and connection.broker_version_data is not None
                    and not connection.init_future.succeeded()
                    and "Authentication" not in reason(error)
                ):
                    # The broker's last word is lost when it closes quickly after it.
                    raise ClosedDuringAuthenticationError(str(error)) from error
                raise

        return self._manager.run(call)

    def version(self, broker: int) -> str:
        """Return the broker's version, worked out of the requests that it knows; "" before it answered anything."""
        return self._versions.get(broker, "")

    def _begin(self) -> None:
        """Learn the cluster's brokers from the first bootstrap broker that tells."""
        failures: list[Exception] = []
        for broker in self._manager.cluster.bootstrap_brokers():
            try:
                answer = self.ask(MetadataRequest(topics=[], allow_auto_topic_creation=False), broker.node_id)
            except (KafkaError, OSError) as error:
                failures.append(error)
                if "Authentication" in reason(error):
                    break  # the others would refuse too, and each refusal stands in a log
            else:
                if answer.brokers:
                    self._manager.cluster.update_metadata(answer)
                    self._manager.close(broker.node_id)
                    return
        raise max(failures, key=lambda error: "Authentication" in reason(error), default=None) or ConnectionError(
            "no bootstrap broker names any brokers"
        )
