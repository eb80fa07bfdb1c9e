"""Whether an instance is ready for requests, and what keeps it from being so."""

from collections.abc import Sequence

from weenats.protocol.messages import HealthCheckData, HealthCheckEntry

__all__ = ["readiness"]


def readiness(  # noqa: PLR0913 - all that may be a reason
    *,
    serving: bool,
    connected: bool,
    member: bool,
    refusing: Sequence[str],
    checks: Sequence[HealthCheckEntry],
    denied: Sequence[str] = (),
) -> HealthCheckData:
    """Return the health of an instance.

    Args:
        serving: whether it has started and is not being stopped.
        connected: whether it is connected to NATS.
        member: whether it is in its queue group.
        refusing: the names of the features that make it leave its queue group now.
        checks: the latest result of each check.
        denied: the subjects that the server no longer lets it subscribe to.
    """
    ejected = serving and not member
    reasons: list[str] = []
    if not serving:
        reasons.append("it is starting or stopping")
    elif not connected:
        reasons.append("it is not connected to NATS")
    reasons += [f"NATS denies the subscription to {subject}" for subject in denied]
    if ejected:
        reasons += [f"the {name} refuses all requests" for name in refusing]
    reasons += [f"the check {each.name} fails" for each in checks if each.status != "ok"]
    if ejected and not reasons:
        reasons.append("it is about to return to its queue group")
    return HealthCheckData(
        live=True,
        ready=not reasons,
        ejected=ejected or None,
        reason=", ".join(reasons) or None,
        checks=[*checks],
    )
