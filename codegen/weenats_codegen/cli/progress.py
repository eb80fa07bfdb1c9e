"""How far consumers and projections are, in the tables of `streams status` and `top`."""

from weenats.projections.overview import ProjectionState
from weenats.streams.consumer_states import ConsumerState
from weenats_codegen.cli.output import plain


def title_of(view: ProjectionState) -> str:
    """Return the name and the version of a projection, and whether the view is being built."""
    version = "" if view.version is None else f" version {view.version}"
    building = " [yellow](building)[/]" if view.state == "building" else ""
    return f"{plain(view.name)}{version}{building}"


def lag_of(state: ConsumerState) -> str:
    """Return how long the oldest event waits, for people; "paused" if an operator wants it so."""
    if state.paused:
        return "[yellow]paused[/]"
    return late(state.lag)


def late(lag: float | None) -> str:
    """Return how long the oldest event waits, for people; nothing if that is unknown."""
    return "" if lag is None else f"{lag:.0f} s"
