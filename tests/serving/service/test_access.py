import asyncio
import json

import pytest

pytest.importorskip("fastapi")
from keras_bld.serving.service import access
from keras_bld.serving.service.access import Access

pytestmark = pytest.mark.on_tensorflow
KEY = "a long key"


class Counted:
    def __init__(self):
        self.answers = []

    def count(self, path, status, seconds):
        self.answers.append((path, status))


async def echo(scope, receive, send):
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def ask(messages, path="/v1/generate", headers=(), key=None):
    """(status, headers, body, what was counted) of an answer to these messages."""
    counted, sent, waiting = Counted(), [], list(messages)
    guarded = Access(echo, 10, key, counted, {"/v1/generate", "/health/live"})

    async def receive():
        if not waiting:
            await asyncio.sleep(60)
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": list(headers)}
    asyncio.run(guarded(scope, receive, send))
    if not sent:
        return None, {}, b"", counted.answers
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"], counted.answers


def body(*parts):
    return [
        {"type": "http.request", "body": part, "more_body": place < len(parts) - 1}
        for place, part in enumerate(parts)
    ]


def test_a_body_comes_through_whole():
    status, headers, content, counted = ask(body(b"abc", b"", b"def"))
    assert (status, content) == (200, b"abcdef") and counted == [("/v1/generate", 200)]
    assert headers[b"x-content-type-options"] == b"nosniff" and len(headers[b"x-request-id"]) == 16
    assert ask(body(b""), "/v1/whatever")[3] == [("other", 200)]


@pytest.mark.parametrize(
    ("parts", "length"),
    [([b"12345678901"], None), ([b"12345", b"678901"], None), ([], b"11"), ([], b"9" * 30),
     ([], b"-1")],
)  # fmt: skip
def test_a_body_that_is_too_long_is_not_kept(parts, length):
    headers = [] if length is None else [(b"content-length", length)]
    status, _, content, _ = ask(body(*parts), headers=headers)
    assert status == 413 and "10 bytes" in json.loads(content)["error"]["message"]


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(access, "_SECONDS_OF_A_BODY", 0.05)
    parts = [{"type": "http.request", "body": b"a", "more_body": True}]
    assert ask(parts)[0] == 408
    assert ask([*parts, {"type": "http.disconnect"}])[3] == [("/v1/generate", 499)]


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        (b"authorization", b"Bearer a long key", 200),
        (b"x-api-key", b"a long key", 200),
        (b"authorization", b"Bearer a long ke", 401),
        (b"authorization", b"", 401),
        (b"x-api-key", b"\xff\xfe", 401),
        (b"host", b"a long key", 401),
    ],
)
def test_the_key_opens_what_is_locked(name, value, status):
    found, headers, _, _ = ask(body(b""), headers=[(name, value)], key=KEY)
    assert found == status and (b"www-authenticate" in headers) == (status == 401)
    assert ask(body(b""), "/health/live", key=KEY)[0] == 200
