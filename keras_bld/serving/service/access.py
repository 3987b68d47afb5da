"""What stands between the network and the application: key, size, time, and a line in the log."""

import asyncio
import hmac
import json
import time
import uuid

from keras_bld.serving.service.logs import log

_SECONDS_OF_A_BODY = 30.0
_OPEN_PATHS = ("/", "/docs", "/openapi.json", "/health/live", "/health/ready")
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
)


class Access:
    """ASGI application around another: reads bodies within limits, and counts answers.

    Args:
        application: the ASGI application.
        max_body_bytes: longer bodies are answered with 413.
        api_key: what requests must bring, or None.
        metrics: `Metrics`.
        paths: those of the application; others are counted as one.
    """

    def __init__(self, application, max_body_bytes, api_key, metrics, paths):
        self._application = application
        self._max_body_bytes = max_body_bytes
        self._api_key = None if api_key is None else api_key.encode()
        self._metrics = metrics
        self._paths = paths

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        begun = time.monotonic()
        request = uuid.uuid4().hex[:16]
        scope["state"] = {**scope.get("state", {}), "request": request}
        status = 0

        async def send_with_headers(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], *_HEADERS, (b"x-request-id", request.encode())]
                message = {**message, "headers": headers}
            await send(message)

        try:
            refusal, body = await self._checked(scope, receive)
            if refusal is not None:
                await _refuse(send_with_headers, *refusal)
            elif body is not None:
                await self._application(scope, _replayed(body, receive), send_with_headers)
        finally:
            seconds = time.monotonic() - begun
            path = scope["path"] if scope["path"] in self._paths else "other"
            # 499: the client left before its answer.
            self._metrics.count(path, status or 499, seconds)
            if path not in _OPEN_PATHS:
                log("request", request=request, method=scope["method"], path=path,
                    status=status or 499, milliseconds=round(1e3 * seconds, 1))  # fmt: skip

    async def _checked(self, scope, receive):
        """((status, message, headers) of a refusal or None, the body; None of a client gone)."""
        headers = dict(scope["headers"])
        if not self._is_allowed(scope["path"], headers):
            challenge = [(b"www-authenticate", b"Bearer")]
            return (401, "the API key is missing or wrong", challenge), None
        length = headers.get(b"content-length", b"0")
        too_long = 413, f"the body is longer than {self._max_body_bytes} bytes", ()
        if not length.isdigit() or len(length) > 18 or int(length) > self._max_body_bytes:
            return too_long, None
        try:
            async with asyncio.timeout(_SECONDS_OF_A_BODY):
                body = await self._body(receive)
        except TimeoutError:
            return (408, "the body did not come in time", ()), None
        except OverflowError:
            return too_long, None
        return None, body

    async def _body(self, receive):
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max_body_bytes:
                raise OverflowError(size)
            if not message.get("more_body"):
                return b"".join(parts)

    def _is_allowed(self, path, headers):
        if self._api_key is None or path in _OPEN_PATHS:
            return True
        given = headers.get(b"x-api-key") or headers.get(b"authorization", b"")
        return hmac.compare_digest(given.removeprefix(b"Bearer "), self._api_key)


def _replayed(body, receive):
    """A `receive` that gives the body first, and then what the server says."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message():
        return messages.pop() if messages else await receive()

    return next_message


async def _refuse(send, status, message, headers):
    body = json.dumps({"error": {"message": message}}).encode()
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    # What is left of the body is not read: the connection ends.
    head += [*headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
