"""Clients of one API, providers of another."""

import asyncio
import base64
import json

import anthropic
import httpx
import openai
import pytest
import pytest_asyncio

import corpus
from answers import CHAT_ANSWER, JSON, MESSAGE_ANSWER, MESSAGES, STREAM, chat_chunks, message_events, named, sse
from stack import until


@pytest_asyncio.fixture(loop_scope="session")
async def messages_client(stack):
    async with anthropic.AsyncAnthropic(base_url=stack.url, api_key="client", max_retries=0) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def chat_client(stack):
    async with openai.AsyncOpenAI(base_url=f"{stack.url}/v1", api_key="client", max_retries=0) as client:
        yield client


async def test_an_anthropic_client_gets_answers_and_parallel_tools_of_an_openai_provider(stack, provider, messages_client, model):
    seen = provider.answers(model, 200, JSON, json.dumps(CHAT_ANSWER).encode())
    answer = await messages_client.messages.create(
        model=f"openai/{model}", max_tokens=50, system="Be brief.",
        tools=[{"name": "weather", "description": "d", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}],
        messages=[{"role": "user", "content": [
            {"type": "text", "text": "Where is it warm?"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}],
    )
    assert answer.stop_reason == "tool_use"
    assert [block.type for block in answer.content] == ["text", "tool_use", "tool_use"]
    assert answer.content[2].input == {"city": "Rome"} and answer.content[1].id != answer.content[2].id
    assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens, answer.usage.output_tokens) == (12, 8, 12)
    request = seen[0]
    assert request.path == "/v1/chat/completions"
    assert request.header("authorization").startswith("Bearer sk-openai") and not request.header("x-api-key")
    assert not request.header("anthropic-version")
    body = request.json
    assert body["max_completion_tokens"] == 50
    assert body["model"] == model and body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body["messages"][1]["content"][1]["image_url"]["url"] == "data:image/png;base64,AAAA"
    assert body["tools"][0]["function"]["name"] == "weather"
    line = await stack.exchange_line(model)
    assert (line["input_tokens"], line["output_tokens"], line["cached_tokens"]) == (20, 12, 8)


async def test_results_of_tools_go_back_in_the_providers_own_form(provider, messages_client, model):
    seen = provider.answers(model, 200, JSON, json.dumps(CHAT_ANSWER).encode())
    calls = [{"type": "tool_use", "id": f"t{n}", "name": "weather", "input": {"n": n}} for n in (1, 2)]
    results = [{"type": "tool_result", "tool_use_id": f"t{n}", "content": f"{n} degrees"} for n in (1, 2)]
    await messages_client.messages.create(model=f"openai/{model}", max_tokens=5, messages=[
        {"role": "user", "content": "hi"}, {"role": "assistant", "content": calls}, {"role": "user", "content": results}])
    roles = [(message["role"], message.get("tool_call_id")) for message in seen[0].json["messages"]]
    assert roles == [("user", None), ("assistant", None), ("tool", "t1"), ("tool", "t2")]
    assert json.loads(seen[0].json["messages"][1]["tool_calls"][1]["function"]["arguments"]) == {"n": 2}


async def test_an_anthropic_client_streams_from_an_openai_provider(stack, provider, messages_client, model):
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    events = chat_chunks(
        {"role": "assistant", "content": ""}, {"content": "Let "}, {"content": "me."}, {"tool_calls": [call]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ' "Paris"}'}}]}, finish="tool_calls")
    seen = provider.answers(model, 200, STREAM, sse(events), "chunked", step=11)
    async with messages_client.messages.stream(model=f"openai/{model}", **MESSAGES) as stream:
        kinds = [event.type async for event in stream]
        message = await stream.get_final_message()
    assert message.content[0].text == "Let me."
    assert message.content[1].input == {"city": "Paris"}
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("tool_use", 9, 4)
    assert kinds.count("message_start") == kinds.count("message_stop") == 1
    assert seen[0].json["stream_options"] == {"include_usage": True}
    line = await stack.exchange_line(model)
    assert (line["output_tokens"], line["ending"], line["usage_estimated"]) == (4, "complete", False)


async def test_an_openai_client_gets_answers_and_thoughts_of_an_anthropic_provider(provider, chat_client, model):
    seen = provider.answers(model, 200, JSON, json.dumps(MESSAGE_ANSWER).encode())
    answer = await chat_client.chat.completions.create(
        model=f"anthropic/{model}", max_tokens=50,
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}])
    assert answer.choices[0].message.content == "Hello." and answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.reasoning_content == "Hm."
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (8, 7)
    assert answer.usage.prompt_tokens_details.cached_tokens == 3
    request = seen[0]
    assert request.path == "/v1/messages" and request.header("x-api-key").startswith("sk-ant")
    assert request.header("anthropic-version") and not request.header("authorization")
    assert request.json["messages"] == [{"role": "user", "content": "hi"}] and "Be brief." in json.dumps(request.json["system"])


async def test_an_openai_client_streams_from_an_anthropic_provider(stack, provider, chat_client, model):
    events = message_events(
        ({"type": "thinking", "thinking": "", "signature": ""}, [{"type": "thinking_delta", "thinking": "Hm."}]),
        ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "Hel"}, {"type": "text_delta", "text": "lo"}]),
        ({"type": "tool_use", "id": "t1", "name": "f", "input": {}}, [{"type": "input_json_delta", "partial_json": '{"a": 1}'}]),
        stop="tool_use")
    provider.answers(model, 200, STREAM, named(events), "chunked", step=13)
    stream = await chat_client.chat.completions.create(
        model=f"anthropic/{model}", messages=[{"role": "user", "content": "hi"}], stream=True,
        stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == "Hello"
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == "Hm."
    arguments = "".join(call.function.arguments for delta in deltas for call in delta.tool_calls or [])
    assert json.loads(arguments) == {"a": 1}
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "tool_calls"
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (9, 4)


@pytest.mark.parametrize("path,vendor", [("/v1/messages", "openai"), ("/v1/chat/completions", "anthropic")])
async def test_each_event_arrives_before_the_next_is_sent(provider, client, model, path, vendor):
    step = asyncio.Event()
    deltas = [f"word{n} " for n in range(6)]
    if vendor == "openai":
        pieces = [sse([event]) for event in chat_chunks(*({"content": delta} for delta in deltas))]
    else:
        block = ({"type": "text", "text": ""}, [{"type": "text_delta", "text": delta} for delta in deltas])
        pieces = [named([event]) for event in message_events(block)]

    async def behaviour(exchange):
        await exchange.head(200, STREAM)
        for piece in pieces:
            await exchange.send(piece)
            if b"word" in piece:
                await asyncio.wait_for(step.wait(), 10)
                step.clear()
        await exchange.end()

    provider.on(model, behaviour)
    body = {"model": f"{vendor}/{model}", "stream": True, **MESSAGES}
    received = b""
    async with client.stream("POST", path, json=body) as response:
        async for chunk in response.aiter_bytes():
            before = received.count(b"word")
            received += chunk
            for _ in range(received.count(b"word") - before):
                step.set()
    assert received.count(b"word") == 6


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 529])
async def test_a_providers_error_is_told_in_the_clients_dialect(provider, client, model, status):
    theirs = {"error": {"message": "the words of the provider", "type": "some_error", "code": None}}
    provider.answers(f"{model}-a", status, JSON, json.dumps(theirs).encode())
    response = await client.post("/v1/messages", json={"model": f"openai/{model}-a", **MESSAGES})
    assert response.status_code == status
    assert response.json()["type"] == "error" and response.json()["error"]["message"] == "the words of the provider"
    theirs = {"type": "error", "error": {"type": "overloaded_error", "message": "the words of the provider"}}
    provider.answers(f"{model}-b", status, JSON, json.dumps(theirs).encode())
    response = await client.post("/v1/chat/completions", json={"model": f"anthropic/{model}-b", **MESSAGES})
    assert response.status_code == status
    assert response.json()["error"]["message"] == "the words of the provider"


async def test_an_error_that_comes_with_200_is_none_for_the_client(stack, provider, client, model):
    theirs = {"error": {"message": "the words of the provider", "type": "rate_limit_error"}}
    provider.answers(model, 200, JSON, json.dumps(theirs).encode())
    response = await client.post("/v1/messages", json={"model": f"openai/{model}", **MESSAGES})
    assert response.status_code == 429 and response.json()["error"]["message"] == "the words of the provider"
    assert (await stack.exchange_line(model))["status"] == 429


async def test_a_stream_that_is_cut_ends_with_an_error_in_the_clients_dialect(provider, client, model):
    provider.answers(f"{model}-a", 200, STREAM, sse(chat_chunks({"content": "Hel"})[:1]), "chunked")
    response = await client.post("/v1/messages", json={"model": f"openai/{model}-a", "stream": True, **MESSAGES})
    assert b"event: error" in response.content and b"message_stop" not in response.content
    block = ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "Hel"}])
    provider.answers(f"{model}-b", 200, STREAM, named(message_events(block)[:3]), "chunked")
    response = await client.post("/v1/chat/completions", json={"model": f"anthropic/{model}-b", "stream": True, **MESSAGES})
    assert b'"error"' in response.content and b"[DONE]" not in response.content


@pytest.mark.parametrize("answer", [b"<html>", b"", b"[1"])
async def test_an_answer_that_is_none_is_a_502_in_the_clients_dialect(stack, provider, client, model, answer):
    provider.answers(model, 200, JSON, answer)
    response = await client.post("/v1/messages", json={"model": f"openai/{model}", **MESSAGES})
    assert response.status_code == 502 and response.json()["type"] == "error"
    assert (await stack.exchange_line(model))["error"] == "upstream_protocol"


async def test_a_document_that_takes_its_time_arrives_whole(stack, provider, client, model):
    """Nothing may be said of an answer before its headers, however long its body takes."""
    body = json.dumps(CHAT_ANSWER).encode()

    async def behaviour(exchange):
        await exchange.head(200, JSON)
        for piece in (body[:50], body[50:90], body[90:]):
            await exchange.send(piece)
            await asyncio.sleep(1.1)
        await exchange.end()

    provider.on(model, behaviour)
    response = await client.post("/v1/messages", json={"model": f"openai/{model}", **MESSAGES})
    assert (response.status_code, response.json()["stop_reason"]) == (200, "tool_use")
    assert (await stack.exchange_line(model))["output_tokens"] == 12


async def test_what_is_lost_is_named_dropped_or_refused_as_configured(make_stack, provider, model):
    base = f"http://127.0.0.1:{provider.port}"
    own = {"base_url": base, "provider_interface": "anthropic", "access_key": "$ANTHROPIC_TEST_KEY"}
    stack = await make_stack({"model_aliases": {}, "model_providers": [
        {"model": f"{policy}/*", "on_loss": policy, **own} for policy in ("warn", "drop", "reject")]})
    seen = provider.answers(model, 200, JSON, json.dumps(MESSAGE_ANSWER).encode())
    body = {"messages": [{"role": "user", "content": "hi"}], "seed": 7, "logit_bias": {"1": 2}}
    async with httpx.AsyncClient(base_url=stack.url, timeout=30) as client:
        answers = {policy: await client.post("/v1/chat/completions", json={"model": f"{policy}/{model}", **body})
                   for policy in ("warn", "drop", "reject")}
    assert answers["warn"].headers["x-meseta-loss"] == "/seed, /logit_bias" or \
        sorted(answers["warn"].headers["x-meseta-loss"].split(", ")) == ["/logit_bias", "/seed"]
    assert answers["drop"].status_code == 200 and "x-meseta-loss" not in answers["drop"].headers
    assert answers["reject"].status_code == 400 and "/seed" in answers["reject"].json()["error"]["message"]
    assert len(seen) == 2
    await until(lambda: stack.metric("meseta_translation_losses_total") >= 4, "losses are counted")


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_a_stream_with_a_length_ends_where_it_ends(provider, client, model, vendor):
    """What goes to the client is shorter than what the provider says: in translation, or without the usage that only we asked for."""
    block = ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "Hel"}])
    body = sse(chat_chunks({"content": "Hel"})) if vendor == "openai" else named(message_events(block))
    provider.answers(model, 200, STREAM, body, "length")
    request = {"model": f"{vendor}/{model}", "messages": MESSAGES["messages"], "stream": True}
    response = await client.post("/v1/chat/completions", json=request)
    assert b"Hel" in response.content and b"[DONE]" in response.content and "content-length" not in response.headers


async def test_what_is_lost_of_an_answer_is_named_too(stack, provider, client, model):
    stopped = {**MESSAGE_ANSWER, "stop_reason": "pause_turn"}
    provider.answers(model, 200, JSON, json.dumps(stopped).encode())
    before = stack.metric("meseta_translation_losses_total")
    response = await client.post("/v1/chat/completions", json={"model": f"anthropic/{model}", "messages": MESSAGES["messages"]})
    assert response.headers["x-meseta-answer-loss"].startswith("/") and "x-meseta-loss" not in response.headers
    assert stack.metric("meseta_translation_losses_total") > before
    block = ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "Hel"}])
    provider.answers(f"{model}-s", 200, STREAM, named(message_events(block, stop="pause_turn")))
    before = stack.metric("meseta_translation_losses_total")
    body = {"model": f"anthropic/{model}-s", "messages": MESSAGES["messages"], "stream": True}
    assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
    await until(lambda: stack.metric("meseta_translation_losses_total") > before, "those of streams are counted")


async def test_a_conversation_costs_its_provider_the_same_prefix_in_each_turn(provider, client, model):
    """What providers cache by: the beginning of turn n is byte for byte that of turn n+1."""
    seen = provider.answers(model, 200, JSON, json.dumps(CHAT_ANSWER).encode())
    turns = [{"role": "user", "content": "one"}]
    for number in range(3):
        body = {"model": f"openai/{model}", "max_tokens": 50, "system": "S", "messages": turns}
        await client.post("/v1/messages", json=body)
        turns = [*turns, {"role": "assistant", "content": [{"type": "tool_use", "id": f"t{number}", "name": "f", "input": {"b": 1, "a": 2}}]},
                 {"role": "user", "content": [{"type": "tool_result", "tool_use_id": f"t{number}", "content": "x"}]}]
    for before, after in zip(seen, seen[1:]):
        prefix = before.body[: before.body.rindex(b"]", 0, before.body.rindex(b"max_completion_tokens"))]
        assert after.body.startswith(prefix)


def recorded(streaming):
    """A recorded answer of Bedrock's Converse with text in it."""
    for file in sorted((corpus.FOLDER / "bedrock" / "converse").glob("*.json")):
        recording = json.loads(file.read_text())
        if recording["response_status"] != 200 or recording["streaming"] != streaming:
            continue
        body = recording.get("response_body") or base64.b64decode(recording.get("response_stream_base64") or "")
        if body and "tool_calls" not in recording["features"]:
            return body
    pytest.skip("no such recording")


@pytest.mark.parametrize("streaming", [False, True])
async def test_bedrock_answers_clients_of_either_api(stack, provider, chat_client, messages_client, model, need_corpus, streaming):
    body = recorded(streaming)
    kind = "application/vnd.amazon.eventstream" if streaming else "application/json"
    body = body if streaming else json.dumps(body).encode()
    seen = provider.answers(model, 200, [("content-type", kind)], body, "chunked", step=17)
    name = f"amazon_bedrock/{model}"
    question = [{"role": "user", "content": "hi"}]
    if streaming:
        chunks = [chunk async for chunk in await chat_client.chat.completions.create(model=name, messages=question, stream=True)]
        said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        async with messages_client.messages.stream(model=name, max_tokens=50, messages=question) as stream:
            message = await stream.get_final_message()
    else:
        said = (await chat_client.chat.completions.create(model=name, messages=question)).choices[0].message.content
        message = await messages_client.messages.create(model=name, max_tokens=50, messages=question)
    assert said and said == "".join(block.text for block in message.content if block.type == "text")
    assert message.usage.output_tokens > 0 and message.stop_reason
    path = f"/model/{model}/converse{'-stream' if streaming else ''}"
    assert [request.path for request in seen] == [path, path]
    assert seen[0].json["messages"] == [{"role": "user", "content": [{"text": "hi"}]}]
    line = await stack.exchange_line(model)
    assert line["output_tokens"] > 0 and not line["usage_estimated"]


async def test_a_responses_client_gets_answers_and_streams_of_an_anthropic_provider(provider, chat_client, model):
    seen = provider.answers(f"{model}-a", 200, JSON, json.dumps(MESSAGE_ANSWER).encode())
    answer = await chat_client.responses.create(
        model=f"anthropic/{model}-a", input="hi", instructions="Be brief.", max_output_tokens=50)
    assert answer.output_text == "Hello." and answer.status == "completed"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (8, 7)
    assert seen[0].path == "/v1/messages" and seen[0].json["max_tokens"] == 50

    events = message_events(
        ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "Hel"}, {"type": "text_delta", "text": "lo"}]),
        ({"type": "tool_use", "id": "t1", "name": "f", "input": {}}, [{"type": "input_json_delta", "partial_json": '{"a": 1}'}]),
        stop="tool_use")
    provider.answers(f"{model}-b", 200, STREAM, named(events), "chunked", step=13)
    tools = [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False}]
    async with chat_client.responses.stream(model=f"anthropic/{model}-b", input="hi", tools=tools) as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    assert final.output_text == "Hello"
    calls = [item for item in final.output if item.type == "function_call"]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [("f", {"a": 1})]
    assert (final.usage.input_tokens, final.usage.output_tokens) == (9, 4)


async def test_a_responses_client_reaches_a_provider_that_has_chat_alone(make_stack, provider, model):
    base = f"http://127.0.0.1:{provider.port}/v1"
    stack = await make_stack({"model_aliases": {}, "model_providers": [
        {"model": "mistral/*", "base_url": base, "access_key": "$OPENAI_TEST_KEY"}]})
    seen = provider.answers(model, 200, JSON, json.dumps(CHAT_ANSWER).encode())
    async with openai.AsyncOpenAI(base_url=f"{stack.url}/v1", api_key="client", max_retries=0) as client:
        answer = await client.responses.create(model=f"mistral/{model}", input="hi")
    assert [item.type for item in answer.output] == ["message", "function_call", "function_call"]
    assert seen[0].path == "/v1/chat/completions" and seen[0].json["messages"] == [{"role": "user", "content": "hi"}]


COHERE_EMBEDDINGS = {
    "id": "e1", "embeddings": {"float": [[1.0, -2.5], [0.5, 0.25]]}, "texts": ["a", "b"],
    "response_type": "embeddings_by_type", "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 6}},
}


@pytest.mark.parametrize("encoding", ["float", "base64", None])
async def test_an_openai_client_gets_embeddings_of_cohere(stack, provider, chat_client, model, encoding):
    """Without a word the library asks for base64 and unpacks it."""
    seen = provider.answers(model, 200, JSON, json.dumps(COHERE_EMBEDDINGS).encode())
    more = {"encoding_format": encoding} if encoding else {}
    answer = await chat_client.embeddings.create(
        model=f"cohere/{model}", input=["a", "b"], dimensions=2, extra_body={"input_type": "query"}, **more)
    first, second = (item.embedding for item in answer.data)
    if encoding == "base64":
        assert base64.b64decode(first) == b"\x00\x00\x80?\x00\x00 \xc0"
    else:
        assert (first, second) == ([1.0, -2.5], [0.5, 0.25])
    assert [item.index for item in answer.data] == [0, 1] and answer.usage.prompt_tokens == 6
    assert seen[0].path == "/v2/embed" and seen[0].header("authorization").startswith("Bearer sk-openai")
    body = seen[0].json
    assert (body["texts"], body["model"], body["output_dimension"], body["input_type"]) == (["a", "b"], model, 2, "search_query")
    line = await stack.exchange_line(model)
    assert (line["endpoint"], line["input_tokens"], line["output_tokens"]) == ("embeddings", 6, 0)


async def test_embeddings_that_a_provider_cannot_make_are_refused(provider, client, model):
    seen = provider.answers(model, 422, JSON, b'{"id": "x", "message": "the words of the provider"}')
    response = await client.post("/v1/embeddings", json={"model": f"cohere/{model}", "input": [1, 2, 3]})
    assert response.status_code == 400 and response.json()["error"]["param"].startswith("input")
    assert not seen
    response = await client.post("/v1/embeddings", json={"model": f"cohere/{model}", "input": "a"})
    assert (response.status_code, response.json()["error"]["message"]) == (422, "the words of the provider")


async def test_cohere_is_asked_in_its_own_api(stack, provider, chat_client, messages_client, model):
    answer = {
        "id": "c1", "finish_reason": "TOOL_CALL", "message": {
            "role": "assistant", "tool_plan": "I look.",
            "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]},
        "usage": {"billed_units": {"input_tokens": 5, "output_tokens": 3}, "tokens": {"input_tokens": 9, "output_tokens": 4}}}
    seen = provider.answers(model, 200, JSON, json.dumps(answer).encode())
    chat = await chat_client.chat.completions.create(
        model=f"cohere/{model}", messages=[{"role": "user", "content": "hi"}], max_tokens=7)
    assert json.loads(chat.choices[0].message.tool_calls[0].function.arguments) == {"a": 1}
    assert (chat.choices[0].finish_reason, chat.usage.prompt_tokens, chat.usage.completion_tokens) == ("tool_calls", 9, 4)
    assert seen[0].path == "/v2/chat" and seen[0].json["max_tokens"] == 7 and seen[0].json["model"] == model

    delta = {"message": {"content": {"text": "Hel"}}}
    events = [
        {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        {"type": "content-delta", "index": 0, "delta": delta}, {"type": "content-delta", "index": 0, "delta": delta},
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": answer["usage"]}}]
    provider.answers(f"{model}-s", 200, STREAM, named(events), "chunked", step=7)
    async with messages_client.messages.stream(model=f"cohere/{model}-s", **MESSAGES) as stream:
        message = await stream.get_final_message()
    assert message.content[0].text == "HelHel" and message.usage.output_tokens == 4
    assert (await stack.exchange_line(f"{model}-s"))["ending"] == "complete"


async def test_a_completions_client_reaches_a_provider_that_has_messages_alone(provider, chat_client, model):
    seen = provider.answers(f"{model}-a", 200, JSON, json.dumps(MESSAGE_ANSWER).encode())
    answer = await chat_client.completions.create(model=f"anthropic/{model}-a", prompt="Once", max_tokens=9)
    assert (answer.choices[0].text, answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("Hello.", "stop", 7)
    assert seen[0].json["messages"] == [{"role": "user", "content": "Once"}] and seen[0].json["max_tokens"] == 9
    block = ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "Hel"}, {"type": "text_delta", "text": "lo"}])
    provider.answers(f"{model}-b", 200, STREAM, named(message_events(block)), "chunked", step=13)
    stream = await chat_client.completions.create(model=f"anthropic/{model}-b", prompt="Once", stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream if chunk.choices]) == "Hello"
