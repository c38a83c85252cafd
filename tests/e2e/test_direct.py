"""What Envoy does by itself for a single target."""

import pytest

from answers import JSON

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_envoy_tries_again_where_no_connection_can_be_made(client, stack):
    before = stack.stat("upstream_rq_retry")
    answer = await client.post("/v1/chat/completions", json={"model": "dead/any", "messages": []})
    assert answer.status_code == 503
    assert stack.stat("upstream_rq_retry") == before + 1
    assert (await stack.access_line("any"))["attempts"] == 2


async def test_a_providers_error_is_final(client, provider, model):
    requests = provider.answers(model, 503, JSON, b'{"error":{"message":"busy"}}')
    answer = await client.post("/v1/chat/completions", json={"model": f"openai/{model}", "messages": []})
    assert (answer.status_code, len(requests)) == (503, 1)
    assert answer.headers["x-meseta-attempts"] == "1"
