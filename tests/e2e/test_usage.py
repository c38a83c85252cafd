"""Tokens are known at the end of every exchange, and Envoy's access log shows them."""

import json

from conftest import PROMPT
from stack import until

CHUNK = {"id": "c-1", "model": "m", "choices": [{"index": 0, "delta": {"content": "four"}, "finish_reason": None}]}
LAST = {"id": "c-1", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USAGE = {"id": "c-1", "model": "m", "choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 3}}}


def events(*chunks):
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


async def test_a_document_with_usage_is_accounted(stack, provider, client, model):
    body = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 2}}}
    provider.answers(model, 200, [("content-type", "application/json")], json.dumps(body).encode())
    await client.post("/v1/chat/completions", json={"model": f"openai/{model}", "messages": [PROMPT]})
    line = await stack.access_line(model)
    assert (line["provider"], line["model"], line["endpoint"]) == ("openai", f"openai/{model}", "chat_completions")
    assert (line["input_tokens"], line["output_tokens"], line["reasoning_tokens"]) == (9, 4, 2)
    assert (line["estimated"], line["complete"], line["attempts"], line["status"]) == (False, True, 1, 200)
    own = await stack.exchange_line(model)
    assert (own["input_tokens"], own["output_tokens"], own["ending"], own["answered_by"]) == (9, 4, "complete", "provider")
    assert own["request_id"] == line["request_id"]
    assert own["overhead_us"] > 0 and own["total_ms"] > 0


async def test_usage_is_asked_for_on_the_clients_behalf_and_taken_out_again(stack, provider, client, model):
    requests = provider.answers(model, 200, [("content-type", "text/event-stream")], events(CHUNK, LAST, USAGE), "chunked", 40)
    body = {"model": f"openai/{model}", "stream": True, "messages": []}
    response = await client.post("/v1/chat/completions", json=body)
    assert requests[0].json["stream_options"] == {"include_usage": True}
    assert response.content == events(CHUNK, LAST)
    line = await stack.access_line(model)
    assert (line["input_tokens"], line["output_tokens"], line["cached_tokens"], line["stream"]) == (11, 5, 3, True)
    own = await stack.exchange_line(model)
    assert own["finish_reason"] == "stop" and own["first_token_ms"] <= own["total_ms"]


async def test_a_client_that_asks_for_usage_gets_it(provider, client, model):
    requests = provider.answers(model, 200, [("content-type", "text/event-stream")], events(CHUNK, LAST, USAGE), "chunked")
    body = {"model": f"openai/{model}", "stream": True, "stream_options": {"include_usage": True}}
    response = await client.post("/v1/chat/completions", json=body)
    assert requests[0].json["stream_options"] == {"include_usage": True}
    assert response.content == events(CHUNK, LAST, USAGE)


async def test_an_anthropic_stream_is_accounted(stack, provider, client, model):
    stream = [
        {"type": "message_start", "message": {"id": "m", "model": "x", "usage": {"input_tokens": 7, "cache_read_input_tokens": 5, "output_tokens": 1}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 12}},
        {"type": "message_stop"},
    ]
    body = b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in stream)
    requests = provider.answers(model, 200, [("content-type", "text/event-stream")], body, "chunked", 33)
    response = await client.post("/v1/messages", json={"model": f"anthropic/{model}", "stream": True, "messages": []})
    assert response.content == body
    assert requests[0].header("x-api-key") and requests[0].header("anthropic-version") == "2023-06-01"
    line = await stack.access_line(model)
    assert (line["input_tokens"], line["output_tokens"], line["cached_tokens"]) == (12, 12, 5)


async def test_without_a_report_usage_is_estimated_and_said_to_be(stack, provider, client, model):
    provider.answers(model, 200, [("content-type", "text/event-stream")], events(CHUNK, CHUNK, LAST), "chunked")
    body = {"model": f"openai/{model}", "stream": True, "messages": [{"role": "user", "content": "x" * 400}]}
    await client.post("/v1/chat/completions", json=body)
    line = await stack.access_line(model)
    assert line["estimated"] is True
    assert line["output_tokens"] == 2 and 100 <= line["input_tokens"] <= 120


async def test_counting_tokens_uses_none(stack, provider, client, model):
    provider.answers(model, 200, [("content-type", "application/json")], b'{"input_tokens": 14}')
    await client.post("/v1/messages/count_tokens", json={"model": f"anthropic/{model}", "messages": []})
    line = await stack.access_line(model)
    assert (line["endpoint"], line["input_tokens"], line["estimated"]) == ("count_tokens", 0, False)


async def test_metrics_count_what_happened(stack, provider, client):
    body = {"choices": [], "usage": {"prompt_tokens": 1_000_003, "completion_tokens": 4}}
    provider.answers("the-default", 200, [("content-type", "application/json")], json.dumps(body).encode())

    def counted():
        status, text = stack.admin("/metrics")
        assert status == 200
        wanted = 'meseta_tokens_total{provider="openai",model="openai/the-default",kind="input"} '
        return next((int(line[len(wanted) :]) for line in text.splitlines() if line.startswith(wanted)), 0)

    before = counted()
    await client.post("/v1/chat/completions", json={"model": "openai/the-default"})
    await until(lambda: counted() == before + 1_000_003, "the tokens are counted")
    text = stack.admin("/metrics")[1]
    assert "meseta_overhead_seconds_bucket" in text
    assert stack.admin("/healthz")[0] == 200 and stack.admin("/readyz")[0] == 200


async def test_the_filter_is_in_the_chain(stack, provider, client, model):
    before = stack.stat("meseta_meter_exchanges")
    provider.answers(model, 200, [("content-type", "application/json")], b"{}")
    await client.post("/v1/chat/completions", json={"model": f"openai/{model}"})
    await stack.access_line(model)
    assert stack.stat("meseta_meter_exchanges") > before
