"""The contenders of the benchmark: modules of this folder, and what the table calls them."""

from typing import Final

CONTENDERS: Final = {
    "raw": "raw nats-py",
    "by_hand": "by hand: nats-py + pydantic",
    "typed": "weenats",
    "judged": "weenats, exact by check",
    "with_auth": "weenats, with_auth",
    "with_new_tokens": "weenats, new tokens",
    "checked_by_pyjwt": "weenats, new tokens, checked by PyJWT",
    "limit_and_breaker": "weenats, limit and breaker",
    "recorded": "weenats, everything on, spans recorded",
    "sampled_out": "weenats, everything on, sampled out",
    "by_hand_recorded": "by hand, everything, spans recorded",
    "by_hand_sampled_out": "by hand, everything, sampled out",
}

PEERS: Final = {
    "peer_micro": "nats.micro + pydantic, by hand",
    "peer_faststream": "FastStream RPC",
    "peer_fastapi": "FastAPI + aiohttp",
    "peer_connect": "connectrpc",
    "peer_grpc": "grpc.aio",
}
"""Other frameworks, which `make bench PEERS=1` installs."""
