"""Events are forwarded one by one: the provider sends the next only when the client has the one before.

Nothing here measures time: a server that held an event back would never get the next one.
"""

import asyncio
import json

import pytest


@pytest.mark.parametrize("asks", [True, False], ids=["verbatim", "stripped"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
async def test_each_event_arrives_before_the_next_is_sent(provider, client, model, path, asks):
    vendor = "anthropic" if path == "/v1/messages" else "openai"
    arrived = asyncio.Semaphore(0)
    count = 50

    def event(number):
        if vendor == "anthropic":
            data = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": str(number)}}
            return f"event: content_block_delta\ndata: {json.dumps(data)}\n\n".encode()
        return f'data: {{"type":"x","choices":[{{"index":0,"delta":{{"content":"{number}"}}}}]}}\n\n'.encode()

    last = {
        "/v1/messages": b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        "/v1/responses": b'event: response.completed\ndata: {"type":"response.completed","response":{}}\n\n',
        "/v1/chat/completions": b"data: [DONE]\n\n",
    }[path]

    async def behaviour(exchange):
        await exchange.head(headers=[("content-type", "text/event-stream")])
        for number in range(count):
            await exchange.send(event(number))
            await asyncio.wait_for(arrived.acquire(), 10)
        await exchange.send(last)
        await exchange.end()

    provider.on(model, behaviour)
    body = {"model": f"{vendor}/{model}", "stream": True}
    if asks and path == "/v1/chat/completions":
        body["stream_options"] = {"include_usage": True}
    got = b""
    async with client.stream("POST", path, json=body) as response:
        async for chunk in response.aiter_raw():
            done = got.count(b"\n\n")
            got += chunk
            for _ in range(got.count(b"\n\n") - done):
                arrived.release()
    assert got == b"".join(event(number) for number in range(count)) + last
