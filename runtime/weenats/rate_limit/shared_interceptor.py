"""The interceptor of limits that instances share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from weenats.rate_limit.interceptor import RateLimitInterceptor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from weenats.context import RequestContext, Response
    from weenats.interceptors import CallNext
    from weenats.rate_limit.buckets import Bucket
    from weenats.rate_limit.leases import LeasedBucket

__all__ = ["SharedLimitInterceptor"]


class SharedLimitInterceptor(RateLimitInterceptor):
    """Lets a request pass when this instance holds enough of each limit, or can take it."""

    @override
    def _pass(
        self, buckets: Sequence[Bucket], context: RequestContext, call_next: CallNext
    ) -> Awaitable[Response]:
        leased: Sequence[LeasedBucket] = buckets  # type: ignore[assignment]
        if any(bucket.is_empty for bucket in leased):
            return self._take_and_pass(leased, context, call_next)
        return super()._pass(buckets, context, call_next)

    async def _take_and_pass(
        self, buckets: Sequence[LeasedBucket], context: RequestContext, call_next: CallNext
    ) -> Response:
        # Until none is: while one takes, other requests may empty another.
        while (empty := next((each for each in buckets if each.is_empty), None)) is not None:
            await empty.leased()
        return await super()._pass(buckets, context, call_next)
