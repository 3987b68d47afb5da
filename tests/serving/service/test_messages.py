import asyncio
import io

import pytest

from keras_bld.serving.service.messages import pack, receive, receive_from

pytestmark = pytest.mark.on_tensorflow
MESSAGES = [({"number": 1, "words": "ä"}, [b"", b"abc"]), ({}, [])]


def test_messages_come_as_they_went():
    content = b"".join(pack(*message) for message in MESSAGES)
    file = io.BytesIO(content)
    assert [receive(file), receive(file), receive(file)] == [*MESSAGES, None]
    assert receive(io.BytesIO(content[:10])) is None

    async def read():
        reader = asyncio.StreamReader()
        reader.feed_data(content)
        reader.feed_eof()
        found = [await receive_from(reader), await receive_from(reader)]
        with pytest.raises(EOFError):
            await receive_from(reader)
        return found

    assert asyncio.run(read()) == MESSAGES
