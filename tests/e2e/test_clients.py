"""The official client libraries, Python and Node, against recorded answers."""

import asyncio
import json
import os

import anthropic
import openai
import pytest

import corpus
from conftest import PROMPT, SECRETS

ANTHROPIC_VERSION = {"anthropic-version": "2023-06-01"}
MESSAGES = [{"role": "user", "content": PROMPT}]


def recorded(provider, model, endpoint, vendor=None, streaming=False, tags=()):
    """Has the provider answer with a recording; returns the recording's body and the requests."""
    recording = corpus.find(endpoint, vendor, streaming, tags)
    status, content_type, body = corpus.answer(recording)
    requests = provider.answers(model, status, [("content-type", content_type)], body, "chunked" if streaming else "length", 700)
    return body, requests


def deltas(stream, of):
    """The text of a recorded event stream, read without any client library."""
    text = ""
    for event in stream.decode().replace("\r\n", "\n").split("\n\n"):
        for line in event.splitlines():
            if line.startswith("data:") and line[5:].strip() != "[DONE]":
                text += of(json.loads(line[5:])) or ""
    return text


def chat_delta(chunk):
    return chunk["choices"][0].get("delta", {}).get("content") if chunk.get("choices") else ""


def message_delta(event):
    return event["delta"].get("text") if event["type"] == "content_block_delta" else ""


def response_delta(event):
    return event["delta"] if event["type"] == "response.output_text.delta" else ""


@pytest.fixture
def openai_client(stack):
    return openai.AsyncOpenAI(base_url=f"{stack.url}/v1", api_key=SECRETS["CLIENT_KEY"], max_retries=0)


@pytest.fixture
def anthropic_client(stack):
    return anthropic.AsyncAnthropic(base_url=stack.url, api_key=SECRETS["CLIENT_KEY"], max_retries=0)


async def node(stack, case, model):
    """Runs a case of clients.mjs and returns what it printed."""
    script = os.path.join(os.environ["MESETA_NODE_E2E"], "clients.mjs")
    process = await asyncio.create_subprocess_exec(
        "node", script, stack.url, case, model, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


async def test_openai_chat(stack, provider, openai_client, model, need_corpus):
    body, requests = recorded(provider, model, "chat_completions", "openai")
    expected = json.loads(body)
    answer = await openai_client.chat.completions.create(model=f"openai/{model}", messages=MESSAGES)
    assert answer.choices[0].message.content == expected["choices"][0]["message"]["content"]
    assert answer.usage.completion_tokens == expected["usage"]["completion_tokens"]
    assert requests[0].header("authorization") == f"Bearer {SECRETS['OPENAI_TEST_KEY']}"
    from_node = await node(stack, "chat", f"openai/{model}")
    assert from_node["text"] == answer.choices[0].message.content


async def test_openai_chat_with_tools(stack, provider, openai_client, model, need_corpus):
    body, _ = recorded(provider, model, "chat_completions", "openai", tags=("tool_call",))
    expected = [call["function"]["name"] for call in json.loads(body)["choices"][0]["message"]["tool_calls"]]
    tools = [{"type": "function", "function": {"name": expected[0], "parameters": {"type": "object", "properties": {}}}}]
    answer = await openai_client.chat.completions.create(model=f"openai/{model}", messages=MESSAGES, tools=tools)
    assert [call.function.name for call in answer.choices[0].message.tool_calls] == expected
    assert (await node(stack, "chat", f"openai/{model}"))["calls"] == expected


async def test_openai_chat_streamed(stack, provider, openai_client, model, need_corpus):
    body, _ = recorded(provider, model, "chat_completions", "openai", streaming=True)
    stream = await openai_client.chat.completions.create(model=f"openai/{model}", messages=MESSAGES, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    assert text == deltas(body, chat_delta)
    assert (await node(stack, "chat_stream", f"openai/{model}"))["text"] == text


async def test_openai_responses(stack, provider, openai_client, model, need_corpus):
    body, _ = recorded(provider, model, "responses", "openai")
    answer = await openai_client.responses.create(model=f"openai/{model}", input=PROMPT)
    assert answer.id == json.loads(body)["id"]
    assert (await node(stack, "responses", f"openai/{model}"))["text"] == answer.output_text


async def test_openai_responses_streamed(stack, provider, openai_client, model, need_corpus):
    body, _ = recorded(provider, model, "responses", "openai", streaming=True)
    stream = await openai_client.responses.create(model=f"openai/{model}", input=PROMPT, stream=True)
    text = "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])
    assert text == deltas(body, response_delta)
    assert (await node(stack, "responses_stream", f"openai/{model}"))["text"] == text


async def test_openai_embeddings(stack, provider, openai_client, model, need_corpus):
    answer = {"object": "list", "model": "x", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1.25, 2.0]}], "usage": {"prompt_tokens": 4, "total_tokens": 4}}
    provider.answers(model, 200, [("content-type", "application/json")], json.dumps(answer).encode())
    got = await openai_client.embeddings.create(model=f"openai/{model}", input="x", encoding_format="float")
    assert got.data[0].embedding == [0.5, -1.25, 2.0]
    assert (await node(stack, "embeddings", f"openai/{model}"))["dimensions"] == 3
    line = await stack.access_line(model)
    assert (line["endpoint"], line["input_tokens"]) == ("embeddings", 4)


async def test_openai_legacy_completions(provider, openai_client, model, need_corpus):
    body, _ = recorded(provider, model, "completions", "openai")
    answer = await openai_client.completions.create(model=f"openai/{model}", prompt=PROMPT)
    assert answer.choices[0].text == json.loads(body)["choices"][0]["text"]


async def test_models_are_listed_alike_by_every_client(stack, openai_client, anthropic_client):
    names = [model.id async for model in openai_client.models.list()]
    assert "fast" in names and "openai/the-default" in names
    assert [model.id async for model in anthropic_client.models.list(limit=1)] == names
    assert (await node(stack, "models", "-"))["names"] == names
    assert (await node(stack, "anthropic_models", "-"))["names"] == names
    assert (await openai_client.models.retrieve("fast")).id == "fast"
    assert (await anthropic_client.models.retrieve("fast")).id == "fast"


async def test_anthropic_messages(stack, provider, anthropic_client, model, need_corpus):
    body, requests = recorded(provider, model, "messages", "anthropic")
    expected = json.loads(body)
    answer = await anthropic_client.messages.create(model=f"anthropic/{model}", messages=MESSAGES, max_tokens=64)
    assert [block.type for block in answer.content] == [block["type"] for block in expected["content"]]
    assert answer.usage.output_tokens == expected["usage"]["output_tokens"]
    assert requests[0].header("x-api-key") == SECRETS["ANTHROPIC_TEST_KEY"]
    assert requests[0].header("authorization") is None
    from_node = await node(stack, "messages", f"anthropic/{model}")
    assert from_node["blocks"] == [block.type for block in answer.content]


async def test_anthropic_messages_with_tools_streamed(stack, provider, anthropic_client, model, need_corpus):
    recorded(provider, model, "messages", "anthropic", streaming=True, tags=("tool_call",))
    tools = [{"name": "x", "input_schema": {"type": "object", "properties": {}}}]
    async with anthropic_client.messages.stream(
        model=f"anthropic/{model}", messages=MESSAGES, max_tokens=64, tools=tools
    ) as stream:
        answer = await stream.get_final_message()
    blocks = [block.type for block in answer.content]
    assert "tool_use" in blocks
    from_node = await node(stack, "messages_stream", f"anthropic/{model}")
    assert (from_node["blocks"], from_node["tokens"]) == (blocks, answer.usage.output_tokens)


async def test_anthropic_messages_streamed(provider, anthropic_client, model, need_corpus):
    body, _ = recorded(provider, model, "messages", "anthropic", streaming=True)
    async with anthropic_client.messages.stream(model=f"anthropic/{model}", messages=MESSAGES, max_tokens=64) as stream:
        text = "".join([piece async for piece in stream.text_stream])
    assert text == deltas(body, message_delta)


async def test_anthropic_count_tokens(provider, anthropic_client, model):
    requests = provider.answers(model, 200, [("content-type", "application/json")], b'{"input_tokens": 14}')
    got = await anthropic_client.messages.count_tokens(model=f"anthropic/{model}", messages=MESSAGES)
    assert got.input_tokens == 14
    assert requests[0].path.startswith("/v1/messages/count_tokens")


async def test_errors_are_the_clients_own_exceptions(stack, openai_client, anthropic_client):
    with pytest.raises(openai.NotFoundError) as refused:
        await openai_client.chat.completions.create(model="no-such", messages=MESSAGES)
    assert refused.value.code == "model_not_found" and "no-such" in refused.value.message
    with pytest.raises(anthropic.NotFoundError) as refused:
        await anthropic_client.messages.create(model="no-such", messages=MESSAGES, max_tokens=1)
    assert refused.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(openai.InternalServerError) as refused:
        await openai_client.chat.completions.create(model="dead/x", messages=MESSAGES)
    assert (refused.value.status_code, refused.value.code) == (503, "upstream_unavailable")

    from_node = await node(stack, "openai_error", "no-such")
    assert (from_node["kind"], from_node["status"], from_node["code"]) == ("NotFoundError", 404, "model_not_found")
    from_node = await node(stack, "anthropic_error", "no-such")
    assert (from_node["kind"], from_node["status"], from_node["type"]) == ("NotFoundError", 404, "not_found_error")


@pytest.mark.parametrize("status, exception", [(401, "AuthenticationError"), (429, "RateLimitError"), (500, "InternalServerError")])
async def test_a_providers_error_is_the_clients_own_exception(provider, openai_client, anthropic_client, model, status, exception):
    body = json.dumps({"type": "error", "error": {"type": "x", "message": "said by the provider"}}).encode()
    provider.answers(model, status, [("content-type", "application/json")], body)
    with pytest.raises(getattr(openai, exception), match="said by the provider"):
        await openai_client.chat.completions.create(model=f"openai/{model}", messages=MESSAGES)
    with pytest.raises(getattr(anthropic, exception), match="said by the provider"):
        await anthropic_client.messages.create(model=f"anthropic/{model}", messages=MESSAGES, max_tokens=1)


async def test_an_error_in_mid_stream_reaches_the_client_as_an_exception(provider, anthropic_client, openai_client, model):
    async def behaviour(exchange):
        await exchange.head(headers=[("content-type", "text/event-stream")], framing="eof")
        if exchange.request.path.startswith("/v1/messages"):
            start = {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "x", "usage": {"input_tokens": 1, "output_tokens": 1}}}
            await exchange.send(f"event: message_start\ndata: {json.dumps(start)}\n\n".encode())
        else:
            await exchange.send(b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n')

    provider.on(model, behaviour)
    with pytest.raises(openai.APIError):
        stream = await openai_client.chat.completions.create(model=f"openai/{model}", messages=MESSAGES, stream=True)
        async for _ in stream:
            pass
    with pytest.raises(anthropic.APIStatusError):
        async with anthropic_client.messages.stream(model=f"anthropic/{model}", messages=MESSAGES, max_tokens=1) as stream:
            await stream.get_final_message()
