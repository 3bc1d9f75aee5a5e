"""Why the stream cannot be read, in sentences that say what to do."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable

from zads.config import KafkaCluster
from zads.kafka.steps import NoLoginError, StepError

_ALLOWLIST = "Most clusters let in listed addresses only: ask the operator whether this machine's address is on the list."


class ProbeError(Exception):
    """The stream cannot be read: `step` says where it ended, the text why and what to do."""

    def __init__(self, step: str, words: str) -> None:
        self.step = step
        super().__init__(words)


def of_step(error: StepError, cluster: KafkaCluster) -> ProbeError:
    """Return what a failed step of connecting means."""
    words = {"dns": _dns, "tcp": _tcp, "tls": _tls, "broker": _broker, "mechanism": _mechanism}[error.step](error, cluster)
    return ProbeError(error.step, words)


def _cause(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _dns(error: StepError, _cluster: KafkaCluster) -> str:
    host = error.address.rpartition(":")[0]
    return (
        f"The name {host} cannot be resolved ({_cause(error.cause)}). Check how it is written, and whether this machine's "
        f"name service works: getent hosts {host}"
    )


def _tcp(error: StepError, _cluster: KafkaCluster) -> str:
    if isinstance(error.cause, ConnectionRefusedError):
        return (
            f"{error.address} refuses the connection: nothing listens there, or a firewall turns us away. Check the port; "
            "ask the operator whether Kafka runs."
        )
    if isinstance(error.cause, socket.timeout | TimeoutError):
        return f"{error.address} does not answer: what we send is dropped on the way. {_ALLOWLIST}"
    return f"{error.address} cannot be reached: {_cause(error.cause)}. Check this machine's network and the way there."


def _tls(error: StepError, cluster: KafkaCluster) -> str:
    cause, address = error.cause, error.address
    if isinstance(cause, ssl.SSLCertVerificationError):
        why = cause.verify_message or str(cause)
        if "mismatch" in why or "not valid for" in why:
            return (
                f"{address} shows a certificate for another name ({why}). Use the name that the operator gave; another one "
                "may be somebody else's machine."
            )
        return (
            f"The certificate of {address} is not trusted ({why}). Get the authority's certificate from the operator and "
            "name its file as ca_file."
        )
    if isinstance(cause, FileNotFoundError):
        return f"A certificate's file cannot be read: {cause.filename}: {cause.strerror}"
    plain = "SASL_PLAINTEXT" if cluster.security_protocol == "SASL_SSL" else "PLAINTEXT"
    why = getattr(cause, "reason", None) or _cause(cause)
    return (
        f"{address} does not speak TLS with us ({why}). Check the port; if the listener is one without TLS, "
        f'set security_protocol = "{plain}".'
    )


def _broker(error: StepError, cluster: KafkaCluster) -> str:
    if isinstance(error.cause, ssl.SSLError):
        return (
            f"{error.address} refuses our certificate ({getattr(error.cause, 'reason', None) or error.cause}). Name the pair that "
            "the operator signed as cert_file and key_file."
        )
    quiet = isinstance(error.cause, TimeoutError)
    said = (
        "takes the connection and then says nothing"
        if quiet
        else f"takes the connection and ends it ({_cause(error.cause)})"
    )
    if cluster.security_protocol in {"SSL", "SASL_SSL"}:
        return f"{error.address} {said}. A client certificate (cert_file, key_file) may be wanted. {_ALLOWLIST}"
    tls = "SASL_SSL" if cluster.security_protocol.startswith("SASL") else "SSL"
    return f'{error.address} {said}. If the listener speaks TLS, set security_protocol = "{tls}". {_ALLOWLIST}'


def _mechanism(error: StepError, cluster: KafkaCluster) -> str:
    if not isinstance(error.cause, NoLoginError):
        asked = f"whether it takes the log-in {cluster.sasl_mechanism}"
        return f"{error.address} does not say {asked} ({_cause(error.cause)}). Ask the operator."
    if error.cause.offered:
        return (
            f"{error.address} does not know the log-in {cluster.sasl_mechanism}: it takes {' and '.join(error.cause.offered)}. "
            "Set sasl_mechanism to what the operator gave."
        )
    plain = "SSL" if cluster.security_protocol == "SASL_SSL" else "PLAINTEXT"
    return f'{error.address} takes no log-in. Check the port, or set security_protocol = "{plain}" and leave the sasl_* keys out.'


def of_login(reason: str, text: str, cluster: KafkaCluster) -> ProbeError:
    """Return what a failure after the broker's first answer means."""
    user, mechanism = cluster.sasl_username or "without a name", cluster.sasl_mechanism
    if "Authentication" in reason:
        return ProbeError(
            "login",
            f"The broker refuses the log-in of {user} by {mechanism}. Check sasl_username, the password and sasl_mechanism; "
            "a password that was changed or a user that was removed looks the same.",
        )
    if cluster.sasl_mechanism is None:
        return ProbeError(
            "login",
            f"The broker answers, and then ends the connection ({reason}). If the listener wants a log-in, set security_protocol "
            'to "SASL_SSL" or "SASL_PLAINTEXT", with sasl_mechanism, sasl_username and sasl_password_file.',
        )
    return ProbeError("login", f"The log-in of {user} by {mechanism} does not end ({reason}: {text}). Ask the operator.")


def of_metadata(reason: str, text: str) -> ProbeError:
    """Return what a cluster that does not tell its topics means."""
    return ProbeError(
        "metadata", f"The cluster does not say which topics it has ({reason}: {text}). Try again; then ask the operator."
    )


def of_leader(error: StepError, cluster: KafkaCluster) -> ProbeError:
    """Return what an address means that the cluster gives of a broker, and that does not answer."""
    return ProbeError(
        "leader",
        f"The cluster says that its alerts are at {error.address}, and that address does not work from here: "
        f"{of_step(error, cluster)} If it is an inner address, the operator has to change advertised.listeners.",
    )


def of_topics(wanted: str, others: Iterable[str], newest: str | None) -> ProbeError:
    """Return what it means that there is no topic to read: `newest` tells of the stream's newest one."""
    names = sorted(others)
    if newest is not None:
        more = f"The newest alert topic is {newest}; --night reads it."
    elif names:
        more = (
            f"There is no alert topic at all; what we may see is {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}."
        )
    else:
        more = "No topic at all is to be seen: there is none, or the operator has to let this user read the alert topics."
    return ProbeError(
        "no_topic",
        f"There is no {wanted}. A night's topic is made with its first alert: by day, under clouds and while other programs "
        f"observe there is none yet. {more}",
    )


def of_partitions(topic: str, errors: dict[str, int], partitions: int, cluster: KafkaCluster) -> ProbeError:
    """Return what it means that partitions of a topic gave nothing but errors, by reason."""
    if any("TopicAuthorization" in reason for reason in errors):
        user = cluster.sasl_username or "this machine (without a log-in)"
        return ProbeError(
            "not_authorised",
            f"{topic} is there, and {user} may not read it. The operator has to grant READ on it: "
            f"kafka-acls --add --allow-principal User:... --operation Read --topic {topic}",
        )
    what = ", ".join(f"{reason} ({count} times)" for reason, count in sorted(errors.items())) or "no answer"
    return ProbeError(
        "unreadable", f"{partitions} {'partition' if partitions == 1 else 'partitions'} of {topic} cannot be read: {what}. "
        "Others may be fine; ask the operator whether a broker is down.",
    )  # fmt: skip


def of_group(reason: str, group: str) -> ProbeError:
    """Return what it means that a group does not let us in."""
    if "GroupAuthorization" in reason:
        return ProbeError(
            "group",
            f"The group {group} is not ours: the operator has to grant READ on it, or gives a prefix that our groups begin with. "
            "Without --group no group is needed.",
        )
    return ProbeError("group", f"The group {group} cannot be joined ({reason}). Without --group no group is needed.")
