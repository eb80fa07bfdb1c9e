"""A Django project whose views call with the synchronous client of the process."""

from __future__ import annotations

import asyncio
import os

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from receipts import ReceiptsSyncClient

receipts = ReceiptsSyncClient.connect(os.environ["NATS_URL"], timeout=30)


def show(_: HttpRequest, key: str) -> JsonResponse:
    """Answer in the thread of the request."""
    return JsonResponse({"pid": os.getpid(), "total": receipts.get_receipt(key).state.total})


async def show_async(_: HttpRequest, key: str) -> JsonResponse:
    """Answer on the event loop of the server, or on one that Django makes for the request."""
    entity = await asyncio.to_thread(receipts.get_receipt, key)
    return JsonResponse({"pid": os.getpid(), "total": entity.state.total})


urlpatterns = [path("sync/<key>", show), path("async/<key>", show_async)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
django.setup()
wsgi = get_wsgi_application()
asgi = get_asgi_application()
