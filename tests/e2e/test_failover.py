"""Another target answers when one fails, and the client sees nothing of it."""

import json

import httpx
import pytest
import pytest_asyncio

from answers import CHAT_ANSWER, JSON, MESSAGES, STREAM, chat_chunks, message_events, named, sse
from conftest import PROMPT

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["envoy", "direct"])
async def relayed(request, make_stack):
    """Stacks whose models have two targets; calls go through Envoy, or straight."""
    models = {
        "pair": {"targets": [{"model": "openai/first", "priority": 1}, {"model": "anthropic/second", "priority": 2}]},
    }
    stack = await make_stack({"server": {"egress": request.param}, "models": models})
    async with httpx.AsyncClient(base_url=stack.url, timeout=60) as client:
        stack.client = client
        yield stack


async def test_smoke(relayed, provider):
    async def fails(exchange):
        await exchange.reply(500, JSON, b'{"error":{"message":"no"}}')

    async def answers(exchange):
        await exchange.reply(200, STREAM, named(message_events(({"type": "text", "text": ""}, [{"type": "text_delta", "text": "Hi"}]))), "chunked", 20)

    provider.on("first", fails)
    provider.on("second", answers)
    body = {"model": "pair", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
    answer = await relayed.client.post("/v1/chat/completions", json=body)
    print(answer.status_code, answer.headers, answer.text)
    print(relayed.server_log()[-1])
    print(relayed.envoy_admin("/stats?filter=egress"))
    assert answer.status_code == 200
    assert answer.headers["x-meseta-attempts"] == "2"
