"""Clients of Amazon Bedrock's Converse: the official library, signing its requests or with a key of Bedrock's."""

import asyncio
import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

import corpus
from answers import CHAT_ANSWER, JSON, MESSAGE_ANSWER, STREAM, chat_chunks, message_events, named, sse
from conftest import gather_limited

AWS_STREAM = [("content-type", "application/vnd.amazon.eventstream")]
QUESTION = [{"role": "user", "content": [{"text": "hi"}]}]


@pytest.fixture
def bedrock(stack):
    client = boto3.client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=stack.url, aws_access_key_id="AKIACLIENT",
        aws_secret_access_key="client-secret", aws_session_token="client-session",
        config=Config(retries={"max_attempts": 0}, read_timeout=30))
    yield client
    client.close()


async def converse(bedrock, **more):
    return await asyncio.to_thread(lambda: bedrock.converse(**more))


async def converse_stream(bedrock, **more):
    return await asyncio.to_thread(lambda: list(bedrock.converse_stream(**more)["stream"]))


async def test_the_aws_library_gets_answers_tools_and_thoughts_of_other_providers(stack, provider, bedrock, model):
    seen = provider.answers(model, 200, JSON, json.dumps(CHAT_ANSWER).encode())
    city = {"json": {"type": "object", "properties": {"city": {"type": "string"}}}}
    answer = await converse(
        bedrock, modelId=f"openai/{model}", messages=QUESTION, system=[{"text": "Be brief."}],
        inferenceConfig={"maxTokens": 50}, toolConfig={"tools": [{"toolSpec": {"name": "weather", "inputSchema": city}}]})
    content = answer["output"]["message"]["content"]
    assert content[0] == {"text": "Let me look."} and answer["stopReason"] == "tool_use"
    assert [block["toolUse"]["input"] for block in content[1:]] == [{"city": "Paris"}, {"city": "Rome"}]
    usage = answer["usage"]
    assert (usage["inputTokens"], usage["cacheReadInputTokens"], usage["outputTokens"]) == (12, 8, 12)
    request = seen[0]
    assert request.path == "/v1/chat/completions" and request.header("authorization").startswith("Bearer sk-openai")
    assert request.json["model"] == model and request.json["max_completion_tokens"] == 50
    # Nothing of the client's signature, session or library goes on.
    assert not [key for key, _ in request.headers if key.startswith(("x-amz", "amz-sdk"))]
    assert (await stack.exchange_line(model))["endpoint"] == "converse"

    provider.answers(f"{model}-b", 200, JSON, json.dumps(MESSAGE_ANSWER).encode())
    answer = await converse(bedrock, modelId=f"anthropic/{model}-b", messages=QUESTION)
    thought, text = answer["output"]["message"]["content"]
    assert thought["reasoningContent"]["reasoningText"] == {"text": "Hm.", "signature": "c2ln"} and text == {"text": "Hello."}


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
async def test_the_aws_library_streams_from_other_providers(stack, provider, bedrock, model, vendor):
    if vendor == "openai":
        call = {"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
        body = sse(chat_chunks({"content": "Hel"}, {"content": "lo"}, {"tool_calls": [call]}, finish="tool_calls"))
    else:
        body = named(message_events(
            ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "Hel"}, {"type": "text_delta", "text": "lo"}]),
            ({"type": "tool_use", "id": "t1", "name": "f", "input": {}}, [{"type": "input_json_delta", "partial_json": '{"a": 1}'}]),
            stop="tool_use"))
    provider.answers(model, 200, STREAM, body, "chunked", step=13)
    events = await converse_stream(bedrock, modelId=f"{vendor}/{model}", messages=QUESTION)
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    assert "".join(delta.get("text", "") for delta in deltas) == "Hello"
    assert json.loads("".join(delta["toolUse"]["input"] for delta in deltas if "toolUse" in delta)) == {"a": 1}
    names = [next(iter(event)) for event in events]
    assert names[0] == "messageStart" and names[-2:] == ["messageStop", "metadata"]
    assert events[-2]["messageStop"]["stopReason"] == "tool_use"
    assert (events[-1]["metadata"]["usage"]["inputTokens"], events[-1]["metadata"]["usage"]["outputTokens"]) == (9, 4)
    line = await stack.exchange_line(model)
    assert (line["endpoint"], line["ending"], line["output_tokens"]) == ("converse_stream", "complete", 4)


async def test_errors_are_exceptions_of_the_aws_library(provider, bedrock, client, model):
    with pytest.raises(ClientError) as caught:
        await converse(bedrock, modelId="nothing/of-the-kind", messages=QUESTION)
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    theirs = {"error": {"message": "the words of the provider", "type": "rate_limit_error", "code": None}}
    provider.answers(model, 429, JSON, json.dumps(theirs).encode())
    with pytest.raises(ClientError) as caught:
        await converse(bedrock, modelId=f"openai/{model}", messages=QUESTION)
    assert caught.value.response["Error"] == {"Code": "ThrottlingException", "Message": "the words of the provider"}
    response = await client.post(f"/model/openai%2F{model}/converse", json={"messages": QUESTION})
    assert response.headers["x-amzn-errortype"] == "ThrottlingException"
    for answer in (
        await client.post("/model/openai%2Fx/converse", content=b"{", headers={"content-type": "application/json"}),
        await client.post("/model/openai%2Fx/converse", json={"messages": "hi"}),
        await client.get("/model/openai%2Fx/converse"),
        await client.post("/model/openai%2Fx/invoke", json={}),
    ):
        assert answer.json()["message"] and answer.headers["x-amzn-errortype"] == answer.json()["__type"], answer.text
    dead = await client.post("/model/dead%2Fx/converse", json={"messages": QUESTION})
    assert dead.status_code == 503 and dead.json()["__type"] == "ServiceUnavailableException"
    # In mid-stream.
    provider.answers(f"{model}-cut", 200, STREAM, sse(chat_chunks({"content": "Hel"})[:1]), "chunked")
    with pytest.raises(EventStreamError):
        await converse_stream(bedrock, modelId=f"openai/{model}-cut", messages=QUESTION)


async def test_a_bedrock_provider_is_asked_by_its_own_clients_byte_for_byte(stack, provider, client, bedrock, model):
    own = {"output": {"message": {"role": "assistant", "content": [{"text": "Hello."}]}}, "stopReason": "end_turn",
           "usage": {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}, "metrics": {"latencyMs": 5}, "new": [1.0]}
    body = json.dumps(own).encode()
    seen = provider.answers(model, 200, JSON, body)
    sent = b'{ "messages":[{"role":"user","content":[{"text":"hi"}]}], "x-unknown": 1.0 }'
    response = await client.post(
        f"/model/amazon_bedrock%2F{model}/converse", content=sent, headers={"content-type": "application/json"})
    assert response.content == body and seen[0].body == sent and seen[0].path == f"/model/{model}/converse"
    line = await stack.exchange_line(model)
    assert (line["input_tokens"], line["output_tokens"], line["usage_estimated"]) == (9, 4, False)
    answer = await converse(bedrock, modelId=f"amazon_bedrock/{model}", messages=QUESTION)
    assert answer["output"]["message"]["content"] == [{"text": "Hello."}]
    assert seen[1].header("authorization").startswith("Bearer sk-openai") and not seen[1].header("x-amz-security-token")


async def test_recorded_answers_of_bedrock_pass_byte_for_byte(stack, provider, client, need_corpus):
    wrong, seen = [], {"answers": 0, "streams": 0}

    async def one(number, file):
        recording = json.loads(file.read_text())
        status, kind, answer = corpus.answer(recording)
        own = f"bedrock-recorded-{number}"
        requests = provider.answers(own, status, [("content-type", kind)] if kind else [], answer, "chunked", 1000)
        body = corpus.request_body(recording) or b"{}"
        action = "converse-stream" if recording["streaming"] else "converse"
        response = await client.post(
            f"/model/amazon_bedrock%2F{own}/{action}", content=body, headers={"content-type": "application/json"})
        seen["streams" if recording["streaming"] else "answers"] += 1
        if response.status_code != status or requests[0].body != body:
            wrong.append(f"{file.name}: {response.status_code}, or the request changed")
        elif response.content != answer:
            wrong.append(f"{file.name}: the answer changed")

    files = sorted((corpus.FOLDER / "bedrock" / "converse").glob("*.json"))
    await gather_limited(8, (one(number, file) for number, file in enumerate(files)))
    assert not wrong, "\n".join(wrong)
    assert seen["answers"] > 10 and seen["streams"] > 10, seen


async def test_the_aws_library_reads_recorded_streams_after_a_way_through_other_apis(provider, bedrock, model, need_corpus):
    """Frames of ours: the library checks both of their sums."""
    file = next(file for file in sorted((corpus.FOLDER / "anthropic" / "messages").glob("*.json"))
                if json.loads(file.read_text())["streaming"] and json.loads(file.read_text()).get("stream_complete"))
    provider.answers(model, 200, STREAM, corpus.answer(json.loads(file.read_text()))[2], "chunked", step=7)
    events = await converse_stream(bedrock, modelId=f"anthropic/{model}", messages=QUESTION)
    assert "messageStop" in [next(iter(event)) for event in events]
