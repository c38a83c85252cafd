"""Clients of Gemini's API: google's own library, and plain requests."""

import json

import pytest
import pytest_asyncio
from google import genai
from google.genai import errors, types

import corpus
from answers import CHAT_ANSWER, JSON, MESSAGE_ANSWER, STREAM, chat_chunks, message_events, named, sse
from conftest import gather_limited

QUESTION = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
ANSWER = {
    "candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [
        {"text": "Hm.", "thought": True}, {"text": "Hello."},
        {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"}]}}],
    "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 2, "totalTokenCount": 15},
    "modelVersion": "gemini-x", "responseId": "r1",
}


def path(model, action="generateContent", query=""):
    return f"/v1beta/models/{model}:{action}{query}"


@pytest_asyncio.fixture(loop_scope="session")
async def google(stack):
    client = genai.Client(api_key="client", http_options=types.HttpOptions(base_url=stack.url))
    yield client.aio
    await client.aio.aclose()


async def test_googles_library_gets_answers_tools_and_thoughts_of_other_providers(stack, provider, google, model):
    seen = provider.answers(model, 200, JSON, json.dumps(CHAT_ANSWER).encode())
    city = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = types.Tool(function_declarations=[{"name": "weather", "description": "d", "parameters_json_schema": city}])
    answer = await google.models.generate_content(
        model=f"openai/{model}", contents="Where is it warm?",
        config=types.GenerateContentConfig(system_instruction="Be brief.", max_output_tokens=50, tools=[tool]))
    assert [call.args for call in answer.function_calls] == [{"city": "Paris"}, {"city": "Rome"}]
    assert answer.text == "Let me look."
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.cached_content_token_count, usage.candidates_token_count) == (20, 8, 12)
    request = seen[0]
    assert request.path == "/v1/chat/completions" and request.header("authorization").startswith("Bearer sk-openai")
    assert not request.header("x-goog-api-key") and not request.header("x-goog-api-client")
    assert request.json["model"] == model and request.json["messages"][0] == {"role": "system", "content": "Be brief."}
    assert request.json["max_completion_tokens"] == 50 and request.json["tools"][0]["function"]["name"] == "weather"
    assert (await stack.exchange_line(model))["input_tokens"] == 20

    provider.answers(f"{model}-b", 200, JSON, json.dumps(MESSAGE_ANSWER).encode())
    answer = await google.models.generate_content(model=f"anthropic/{model}-b", contents="hi")
    thought, text = answer.candidates[0].content.parts
    assert (thought.thought, thought.text, thought.thought_signature) == (True, "Hm.", b"meseta.anthropic:c2ln") and text.text == "Hello."


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_googles_library_streams_from_other_providers(stack, provider, google, model, vendor):
    if vendor == "openai":
        call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
        body = sse(chat_chunks({"content": "Hel"}, {"content": "lo"}, {"tool_calls": [call]}, finish="tool_calls"))
    else:
        body = named(message_events(
            ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "Hel"}, {"type": "text_delta", "text": "lo"}]),
            ({"type": "tool_use", "id": "t1", "name": "f", "input": {}}, [{"type": "input_json_delta", "partial_json": '{"a": 1}'}]),
            stop="tool_use"))
    seen = provider.answers(model, 200, STREAM, body, "chunked", step=13)
    chunks = [chunk async for chunk in await google.models.generate_content_stream(model=f"{vendor}/{model}", contents="hi")]
    assert "".join(chunk.text or "" for chunk in chunks) == "Hello" and len(chunks) >= 3
    assert [call.args for chunk in chunks for call in chunk.function_calls or []] == [{"a": 1}]
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert (chunks[-1].usage_metadata.prompt_token_count, chunks[-1].usage_metadata.candidates_token_count) == (9, 4)
    assert seen[0].json["stream"] is True
    line = await stack.exchange_line(model)
    assert (line["endpoint"], line["ending"], line["stream"]) == ("stream_generate_content", "complete", True)


async def test_a_stream_is_an_array_unless_events_are_asked_for(provider, client, model):
    provider.answers(model, 200, STREAM, sse(chat_chunks({"content": "Hel"}, {"content": "lo"})), "chunked", step=9)
    response = await client.post(path(f"openai/{model}", "streamGenerateContent"), json=QUESTION)
    assert response.headers["content-type"] == "application/json"
    chunks = response.json()
    assert "".join(p["text"] for c in chunks for p in c["candidates"][0].get("content", {}).get("parts", [])) == "Hello"
    response = await client.post(path(f"openai/{model}", "streamGenerateContent", "?alt=sse&key=k"), json=QUESTION)
    assert response.headers["content-type"].startswith("text/event-stream") and response.text.startswith("data: {")
    # Cut off, either ends with an error and stays readable.
    provider.answers(f"{model}-cut", 200, STREAM, sse(chat_chunks({"content": "Hel"})[:1]), "chunked")
    response = await client.post(path(f"openai/{model}-cut", "streamGenerateContent"), json=QUESTION)
    assert response.json()[-1]["error"]["code"] == 502
    response = await client.post(path(f"openai/{model}-cut", "streamGenerateContent", "?alt=sse"), json=QUESTION)
    assert json.loads(response.text.strip().split("data: ")[-1])["error"]["code"] == 502


async def test_errors_are_geminis_own(provider, google, client, model):
    with pytest.raises(errors.ClientError) as caught:
        await google.models.generate_content(model="nothing/of-the-kind", contents="hi")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    theirs = {"error": {"message": "the words of the provider", "type": "rate_limit_error", "code": None}}
    provider.answers(model, 429, JSON, json.dumps(theirs).encode())
    with pytest.raises(errors.ClientError) as caught:
        await google.models.generate_content(model=f"openai/{model}", contents="hi")
    assert (caught.value.code, caught.value.status, caught.value.message) == (
        429, "RESOURCE_EXHAUSTED", "the words of the provider")
    for answer in (
        await client.post(path("openai/x"), content=b"{", headers={"content-type": "application/json"}),
        await client.post(path("openai/x"), json={"contents": "hi"}),
        await client.get(path("openai/x")),
        await client.post(path("openai/x", "countTokens"), json=QUESTION),
        await client.post("/v1beta/files", json={}),
    ):
        error = answer.json()["error"]
        assert error["code"] == answer.status_code and error["status"] and error["message"], answer.text
    assert (await client.post(path("dead/x"), json=QUESTION)).json()["error"]["status"] == "UNAVAILABLE"


async def test_models_are_listed_as_gemini_does(google, client):
    listed = [one async for one in await google.models.list()]
    assert "models/fast" in [one.name for one in listed]
    assert (await google.models.get(model="fast")).name == "models/fast"
    assert (await client.get("/v1beta/models/none")).json()["error"]["status"] == "NOT_FOUND"


async def test_a_gemini_provider_is_asked_in_its_own_api(stack, provider, client, google, model):
    body = json.dumps(ANSWER).encode()
    seen = provider.answers(model, 200, JSON, body)
    # By its own clients, byte for byte, but for the model and the key …
    sent = b'{ "contents":[{"parts":[{"text":"hi"}]}], "x-unknown": 1.0 }'
    headers = {"content-type": "application/json", "x-goog-api-key": "client"}
    response = await client.post(path(f"gemini/{model}", query="?key=client&x=1"), content=sent, headers=headers)
    assert response.content == body and response.headers["content-length"] == str(len(body))
    assert seen[0].body == sent and seen[0].path == path(model, query="?x=1")
    assert seen[0].header("x-goog-api-key").startswith("sk-openai") and not seen[0].header("authorization")
    line = await stack.exchange_line(model)
    assert (line["input_tokens"], line["output_tokens"], line["usage_estimated"]) == (9, 6, False)
    # … and by others in translation.
    response = await client.post("/v1/chat/completions", json={
        "model": f"gemini/{model}", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 7})
    choice = response.json()["choices"][0]
    assert choice["message"]["content"] == "Hello." and choice["finish_reason"] == "tool_calls"
    assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"a": 1}
    assert seen[1].path == path(model) and seen[1].json["generationConfig"]["maxOutputTokens"] == 7

    events = sse([ANSWER]).replace(b"\n", b"\r\n")
    seen = provider.answers(f"{model}-s", 200, STREAM, events, "chunked", step=17)
    async with client.stream("POST", "/v1/messages", json={
            "model": f"gemini/{model}-s", "max_tokens": 5, "stream": True, "messages": [{"role": "user", "content": "hi"}]}) as r:
        text = (await r.aread()).decode()
    assert "message_stop" in text and "Hello." in text and seen[0].path == path(f"{model}-s", "streamGenerateContent", "?alt=sse")
    response = await client.post(path(f"gemini/{model}-s", "streamGenerateContent"), json=QUESTION)
    assert response.content == events and seen[1].path == path(f"{model}-s", "streamGenerateContent")


async def test_a_refusal_of_gemini_passes_and_costs_nothing(stack, provider, client, model):
    body = b'{ "error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"} }'
    provider.answers(model, 429, JSON, body)
    for action in ("generateContent", "streamGenerateContent"):
        response = await client.post(path(f"gemini/{model}", action), json=QUESTION)
        assert (response.status_code, response.content) == (429, body)
    line = await stack.exchange_line(model)
    assert (line["error"], line["input_tokens"], line["output_tokens"]) == ("provider_error", 0, 0)


async def test_the_signature_of_a_thought_comes_back_to_gemini_in_the_next_turn(provider, client, model):
    """Without it Gemini refuses the results of tools; clients of other APIs keep it without knowing."""
    seen = provider.answers(model, 200, JSON, json.dumps(ANSWER).encode())
    question = {"role": "user", "content": "hi"}
    chat = (await client.post("/v1/chat/completions", json={"model": f"gemini/{model}", "messages": [question]})).json()
    message = chat["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "x"}
    await client.post("/v1/chat/completions", json={"model": f"gemini/{model}", "messages": [question, message, result]})
    answer = (await client.post("/v1/messages", json={
        "model": f"gemini/{model}", "max_tokens": 5, "messages": [question]})).json()
    call = next(block for block in answer["content"] if block["type"] == "tool_use")
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "x"}]
    await client.post("/v1/messages", json={"model": f"gemini/{model}", "max_tokens": 5, "messages": [
        question, {"role": "assistant", "content": answer["content"]}, {"role": "user", "content": results}]})
    for request in (seen[1], seen[3]):
        parts = [part for turn in request.json["contents"] for part in turn["parts"]]
        calls = [part for part in parts if "functionCall" in part]
        assert [part["functionCall"]["name"] for part in calls] == ["f"]
        assert calls[0].get("thoughtSignature") == "c2ln", request.json


async def test_recorded_answers_of_gemini_pass_byte_for_byte(provider, client, need_corpus):
    wrong, seen = [], {"answers": 0, "streams": 0}

    async def one(number, file):
        recording = json.loads(file.read_text())
        status, kind, answer = corpus.answer(recording)
        own = f"gemini-recorded-{number}"
        requests = provider.answers(own, status, [("content-type", kind)], answer, "chunked", 1000)
        action = "streamGenerateContent" if recording["streaming"] else "generateContent"
        sse_asked = "?alt=sse" if "text/event-stream" in kind else ""
        body = corpus.request_body(recording) or b"{}"
        response = await client.post(path(f"gemini/{own}", action, sse_asked), content=body, headers={"content-type": "application/json"})
        seen["streams" if recording["streaming"] else "answers"] += 1
        if response.status_code != status or requests[0].body != body:
            wrong.append(f"{file.name}: {response.status_code}, or the request changed")
        elif response.content != answer and not response.content.startswith(answer):
            wrong.append(f"{file.name}: the answer changed")
        elif response.content != answer and recording.get("stream_complete"):
            wrong.append(f"{file.name}: {response.content[len(answer):]} was added")

    files = sorted((corpus.FOLDER / "gemini" / "generate_content").glob("*.json"))
    await gather_limited(8, (one(number, file) for number, file in enumerate(files)))
    assert not wrong, "\n".join(wrong)
    assert seen["answers"] > 20 and seen["streams"] > 20, seen
