"""Exchanges that the server relays: clients that go away, signs of life, slow readers, and a new configuration in the midst."""

import asyncio
import contextlib
import json
import time

import anthropic
import httpx
import openai
import pytest
import pytest_asyncio
from google import genai
from google.genai import types

from answers import JSON, STREAM
from conftest import EGRESS, PROMPT, SECRETS, relaying
from readers import READERS, Chat, Gemini, Messages, Responses, post, read
from stack import until
from targets import answers, error, pool, said, spoken, stream, stream_type
from test_backpressure import resident
from test_clients import node

MIB = 1 << 20
BEATING = {"chat": Chat, "messages": Messages, "responses": Responses, "gemini": Gemini}
# A target that speaks the client's own API, and one that does not.
NEAR_AND_FAR = {"chat": ("openai", "anthropic"), "messages": ("anthropic", "openai"), "responses": ("openai", "gemini"),
                "gemini": ("gemini", "amazon_bedrock")}
HEARTBEAT = 0.2


def models(egress):
    names = ["gone-head", "gone-token", "gone-stream", "large", "large-stream", "slow", "reload"]
    pools = {f"{egress}-{name}": pool(f"{egress}-{name}", ("openai", "anthropic")) for name in names}
    for client in READERS:
        for kind in ("silent", "failing", "broken", "official"):
            pools[f"{egress}-{client}-{kind}"] = pool(f"{egress}-{client}-{kind}", ("openai", "anthropic"))
        for place, vendor in enumerate(NEAR_AND_FAR.get(client, ())):
            for kind in ("between", "within"):
                pools[f"{egress}-{client}-{kind}-{place}"] = pool(f"{egress}-{client}-{kind}-{place}", (vendor, "openai"))
    return pools


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=EGRESS)
async def relayed(request, make_stack):
    async with relaying(make_stack, request.param, models(request.param), {"max_response_bytes": "4MiB"}) as stack:
        yield stack


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=EGRESS)
async def beating(request, make_stack):
    async with relaying(make_stack, request.param, models(request.param), {"heartbeat": "200ms"}) as stack:
        yield stack


def attempts(stack, name):
    """How the attempts at the targets of a pool ended."""
    lines = [line for line in stack.admin("/metrics")[1].splitlines() if line.startswith("meseta_attempts_total") and f"/{name}-" in line]
    return {line.split('result="')[1].split('"')[0] for line in lines}


@pytest.mark.parametrize("stage", ["gone-head", "gone-token", "gone-stream"])
async def test_a_client_that_goes_away_ends_the_call_at_once_and_the_target_is_not_to_blame(relayed, provider, stage):
    name = f"{relayed.egress}-{stage}"
    reached, gone = asyncio.Queue(), asyncio.Queue()
    before, content, _ = stream("openai", said(f"{name}-0"))

    async def behaviour(exchange):
        if stage != "gone-head":
            await exchange.head(200, STREAM)
            await exchange.send(b"".join(before) + (content[0] if stage == "gone-stream" else b""))
        reached.put_nowait(None)
        await exchange.client_gone()
        gone.put_nowait(time.monotonic())

    provider.on(f"{name}-0", behaviour)
    second = provider.on(f"{name}-1", answers("anthropic", said(f"{name}-1"), True))

    async def one():
        async def read_on():
            async with relayed.client.stream("POST", Chat.path(name, True), json=Chat.body(name, True)) as response:
                async for _ in response.aiter_raw():
                    arrived.set()

        arrived = asyncio.Event()
        task = asyncio.create_task(read_on())
        await asyncio.wait_for(reached.get(), 10)
        if stage == "gone-stream":
            await asyncio.wait_for(arrived.wait(), 10)
        task.cancel()
        left = time.monotonic()
        assert await asyncio.wait_for(gone.get(), 5) - left < 1
        await asyncio.gather(task, return_exceptions=True)

    # More often than a target may fail.
    for _ in range(5):
        await one()
    await until(lambda: "meseta_exchanges_in_flight 0\n" in relayed.admin("/metrics")[1], "the server has let go of all")
    assert not second and not attempts(relayed, name) - {"answered"}, attempts(relayed, name)
    line = await relayed.exchange_line(f"{name}-0") if stage == "gone-stream" else None
    assert line is None or line["ending"] == "aborted"
    provider.on(f"{name}-0", answers("openai", said(f"{name}-0"), True))
    assert (await post(relayed.client, Chat, name, True)).headers["x-meseta-model"] == f"openai/{name}-0"


def silent_then(seconds, behaviour):
    async def waits(exchange):
        await asyncio.sleep(seconds)
        await behaviour(exchange)

    return waits


async def fails_late(exchange):
    await asyncio.sleep(0.7)
    exchange.keep_alive = False


async def test_while_nothing_is_said_there_are_signs_of_life_and_targets_still_change_in_silence(beating, provider):
    async def one(client, reader):
        name = f"{beating.egress}-{client}-silent"
        provider.on(f"{name}-0", fails_late)
        provider.on(f"{name}-1", silent_then(0.5, answers("anthropic", said(f"{name}-1"), True)))
        began, first = time.monotonic(), None
        got = b""
        async with beating.client.stream("POST", reader.path(name, True), json=reader.body(name, True)) as response:
            assert response.status_code == 200 and response.headers["content-type"].startswith("text/event-stream")
            async for chunk in response.aiter_raw():
                first = first or time.monotonic() - began
                got += chunk
        answer = reader.stream(got)
        assert answer.complete and answer.text == said(f"{name}-1"), got
        assert answer.signs >= 4 and first < 0.6, (answer.signs, first)

    await asyncio.gather(*(one(client, reader) for client, reader in BEATING.items()))


async def test_when_all_fail_after_signs_of_life_there_is_one_error_event_in_dialect(beating, provider):
    async def one(client, reader):
        name = f"{beating.egress}-{client}-failing"
        provider.on(f"{name}-0", fails_late)

        async def refuses(exchange):
            await exchange.reply(503, JSON, error("anthropic", 503))

        provider.on(f"{name}-1", refuses)
        response = await post(beating.client, reader, name, True)
        answer = read(reader, response, True)
        assert response.status_code == 200 and not answer.complete and not answer.text and answer.signs >= 2, response.text

    await asyncio.gather(*(one(client, reader) for client, reader in BEATING.items()))


async def test_signs_of_life_come_between_events_and_never_within_one(beating, provider):
    async def one(client, reader, place, kind):
        name = f"{beating.egress}-{client}-{kind}-{place}"
        vendor, text = NEAR_AND_FAR[client][place], said(f"{name}-0")

        async def behaviour(exchange):
            api = spoken(exchange, vendor)
            before, content, end = stream(api, text)
            await exchange.head(200, stream_type(api))
            await exchange.send(b"".join(before) + content[0])
            await asyncio.sleep(0.7 if kind == "between" else 0)
            # A piece of an event, or a piece of the line end between two.
            for cut in (len(content[1]) // 2, -1):
                await exchange.send(content[1][:cut] if cut > 0 else content[1][len(content[1]) // 2 : cut])
                await asyncio.sleep(0.7 if kind == "within" else 0)
            await exchange.send(content[1][-1:] + b"".join(end))
            await exchange.end()

        provider.on(f"{name}-0", behaviour)
        response = await post(beating.client, reader, name, True)
        answer = read(reader, response, True)
        assert answer.complete and answer.text == text, response.text
        if kind == "between":
            assert answer.signs >= 2, response.text

    await asyncio.gather(*(
        one(client, reader, place, kind) for client, reader in BEATING.items() for place in (0, 1) for kind in ("between", "within")))


async def test_where_no_comment_can_be_there_is_none(beating, provider):
    async def one(client, path=None, streaming=False):
        name, reader = f"{beating.egress}-{client}-broken", READERS[client]
        provider.on(f"{name}-0", fails_late)
        provider.on(f"{name}-1", silent_then(0.3, answers("anthropic", said(f"{name}-1"), streaming)))
        response = await beating.client.post(path or reader.path(name, streaming), json=reader.body(name, streaming))
        if path:
            assert Gemini.text({"candidates": [one for chunk in response.json() for one in chunk.get("candidates", [])]}) == said(f"{name}-1")
        else:
            assert read(reader, response, streaming).text == said(f"{name}-1")

    await asyncio.gather(*(one(client) for client in READERS if client not in ("converse", "gemini")), one("converse", streaming=True),
                         one("gemini", f"/v1beta/models/{beating.egress}-gemini-broken:streamGenerateContent", True))


async def test_the_official_clients_read_streams_with_signs_of_life(beating, provider):
    """Before the first event, and between two."""
    question = [{"role": "user", "content": PROMPT}]

    def prepare(client):
        name = f"{beating.egress}-{client}-official"
        vendor = "openai"

        async def behaviour(exchange):
            api = spoken(exchange, vendor)
            await asyncio.sleep(0.5)
            before, content, end = stream(api, said(f"{name}-0"))
            await exchange.head(200, stream_type(api))
            for events in ([*before, content[0]], [content[1]], end):
                await exchange.send(b"".join(events))
                await asyncio.sleep(0.5)
            await exchange.end()

        provider.on(f"{name}-0", behaviour)
        return name, said(f"{name}-0")

    async def openai_python():
        async with openai.AsyncOpenAI(base_url=f"{beating.url}/v1", api_key=SECRETS["CLIENT_KEY"], max_retries=0) as client:
            name, text = prepare("chat")
            chunks = [chunk async for chunk in await client.chat.completions.create(model=name, messages=question, stream=True)]
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == text
            name, text = prepare("responses")
            async with client.responses.stream(model=name, input=PROMPT) as events:
                assert [event.type async for event in events][-1] == "response.completed"
                assert (await events.get_final_response()).output_text == text

    async def anthropic_python():
        name, text = prepare("messages")
        async with anthropic.AsyncAnthropic(base_url=beating.url, api_key=SECRETS["CLIENT_KEY"], max_retries=0) as client:
            async with client.messages.stream(model=name, max_tokens=50, messages=question) as events:
                assert (await events.get_final_message()).content[0].text == text

    async def google_python():
        name, text = prepare("gemini")
        client = genai.Client(api_key=SECRETS["CLIENT_KEY"], http_options=types.HttpOptions(base_url=beating.url)).aio
        chunks = [chunk async for chunk in await client.models.generate_content_stream(model=name, contents=PROMPT)]
        assert "".join(chunk.text or "" for chunk in chunks) == text
        await client.aclose()

    async def in_node(client, case):
        name, text = prepare(client)
        answer = await node(beating, case, name)
        assert answer.get("text") == text or answer == {"blocks": ["text"], "tokens": 4}, answer

    await asyncio.gather(
        openai_python(), anthropic_python(), google_python(), in_node("chat", "chat_stream"),
        in_node("responses", "responses_stream"), in_node("messages", "messages_stream"))


def long_document(size):
    return json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "x" * size}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}).encode()


def flood(size):
    """A long stream, as fast as it is taken."""
    before, _, end = stream("openai", "none")
    one = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]}\n\n'

    async def behaviour(exchange):
        await exchange.head(200, STREAM)
        await exchange.send(b"".join(before))
        for _ in range(size // 60_000):
            await exchange.send(one % (b"x" * 60_000))
        await exchange.send(b"".join(end))
        await exchange.end()

    return behaviour


async def test_an_answer_larger_than_may_be_relayed_never_looks_complete(relayed, provider):
    name = f"{relayed.egress}-large-stream"
    provider.on(f"{name}-0", flood(6 * MIB))
    second = provider.on(f"{name}-1", answers("anthropic", said(f"{name}-1"), True))
    response = await post(relayed.client, Chat, name, True)
    answer = read(Chat, response, True)
    assert not answer.complete and 3 * MIB < len(answer.text) < 6 * MIB and not second

    name = f"{relayed.egress}-large"
    body = long_document(6 * MIB)
    provider.answers(f"{name}-0", 200, JSON, body, "chunked", 60_000)
    provider.answers(f"{name}-1", 200, JSON, b'{"type": "message", "content": "' + b"x" * 6 * MIB + b'"}', "chunked", 60_000)
    try:
        response = await post(relayed.client, Chat, name, False)
    except httpx.RemoteProtocolError:
        return
    assert response.status_code >= 500 and not read(Chat, response, False).complete, (response.status_code, len(response.content))


async def test_an_answer_that_may_be_relayed_arrives_whole(relayed, provider):
    name = f"{relayed.egress}-large-stream"
    provider.on(f"{name}-0", flood(3 * MIB))
    answer = read(Chat, await post(relayed.client, Chat, name, True), True)
    assert answer.complete and len(answer.text) == 3 * MIB // 60_000 * 60_000
    body = long_document(3 * MIB)
    provider.answers(f"{relayed.egress}-large-0", 200, JSON, body, "chunked", 60_000)
    assert (await post(relayed.client, Chat, f"{relayed.egress}-large", False)).content == body


async def test_slow_readers_of_relayed_answers_make_envoy_hold_no_more_than_may_be_relayed(relayed, provider):
    name, readers, served = f"{relayed.egress}-slow", 8, 0
    inner = flood(7 * MIB // 2)

    async def behaviour(exchange):
        nonlocal served
        await inner(exchange)
        served += 1

    provider.on(f"{name}-0", behaviour)
    before = resident(relayed.envoy), resident(relayed.server)
    async with contextlib.AsyncExitStack() as stalled:
        asked = [
            await stalled.enter_async_context(relayed.client.stream("POST", Chat.path(name, True), json=Chat.body(name, True)))
            for _ in range(readers)]
        most, end = 0, time.monotonic() + 15
        # Until the targets have said all, or as long as they are made to wait.
        while served < readers and time.monotonic() < end:
            most = max(most, resident(relayed.envoy) - before[0])
            await asyncio.sleep(0.05)
        most = max(most, resident(relayed.envoy) - before[0])
        assert most < readers * 4 * MIB + 24 * MIB, f"Envoy has grown by {most / MIB:.0f} MiB"
        assert resident(relayed.server) - before[1] < readers * 4 * MIB + 32 * MIB
        for response in asked:
            answer = Chat.stream(b"".join([chunk async for chunk in response.aiter_raw()]))
            assert answer.complete and len(answer.text) == (7 * MIB // 2) // 60_000 * 60_000


@pytest.mark.parametrize("egress", EGRESS)
async def test_a_new_configuration_loses_no_relayed_stream_and_its_key_is_used_by_the_next_request(make_stack, provider, egress):
    name, base = f"{egress}-reloaded", f"http://127.0.0.1:{provider.port}"
    providers = [
        {"model": "openai/*", "access_key_file": "key", "base_url": f"{base}/v1"},
        {"model": "anthropic/*", "access_key": "$ANTHROPIC_TEST_KEY", "base_url": base}]
    pools = {name: pool(name, ("openai", "anthropic"))}
    release, text = asyncio.Event(), said(f"{name}-0")

    async def held(exchange):
        before, content, end = stream("openai", text)
        await exchange.head(200, STREAM)
        await exchange.send(b"".join(before) + content[0])
        await release.wait()
        await exchange.send(content[1] + b"".join(end))
        await exchange.end()

    # The key's file has to be there before the server starts.
    def with_key(stack):
        stack.file("key").write_text("sk-first-04a7\n")

    async with relaying(make_stack, egress, pools, model_providers=providers, model_aliases={}, prepare=with_key) as stack:
        seen = provider.on(f"{name}-0", held)
        running = [asyncio.create_task(post(stack.client, Chat, name, True)) for _ in range(20)]
        await until(lambda: len(seen) == 20, "all streams are under way")
        await stack.change(lambda: stack.file("key").write_text("sk-second-9be1\n"))
        provider.on(f"{name}-0", answers("openai", text, True))
        assert read(Chat, await post(stack.client, Chat, name, True), True).text == text
        assert [request.header("authorization") for request in seen] == ["Bearer sk-first-04a7"] * 20 + ["Bearer sk-second-9be1"]
        # A new list of targets holds for the next request, and not for those under way.
        config = json.loads(json.dumps(stack.config))
        config["models"][name]["targets"].reverse()
        for priority, target in enumerate(config["models"][name]["targets"]):
            target["priority"] = priority
        await stack.reload(config)
        provider.on(f"{name}-1", answers("anthropic", said(f"{name}-1"), True))
        assert read(Chat, await post(stack.client, Chat, name, True), True).text == said(f"{name}-1")
        release.set()
        for response in await asyncio.gather(*running):
            assert response.status_code == 200 and read(Chat, response, True).text == text
        assert len(seen) == 21
