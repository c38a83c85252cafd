"""What breaks, and what the client sees of it. A broken answer never looks complete."""

import asyncio
import json
import signal

import httpx
import pytest

from test_edges import assert_error
from stack import until

STREAM = [("content-type", "text/event-stream")]
CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"word"}}]}\n\n'
DONE = b"data: [DONE]\n\n"


async def test_a_client_that_goes_away_stops_the_provider_and_is_accounted(stack, provider, client, model):
    gone = asyncio.Event()

    async def behaviour(exchange):
        await exchange.head(headers=STREAM)
        for _ in range(40):
            await exchange.send(CHUNK)
        await exchange.client_gone()
        gone.set()

    provider.on(model, behaviour)
    async with client.stream("POST", "/v1/chat/completions", json={"model": f"openai/{model}", "stream": True}) as response:
        got = b""
        async for chunk in response.aiter_raw():
            got += chunk
            if got.count(b"\n\n") >= 40:
                break
    await asyncio.wait_for(gone.wait(), 10)
    line = await stack.access_line(model)
    assert line["output_tokens"] >= 16 and line["complete"] is False and line["estimated"] is True
    own = await stack.exchange_line(model)
    assert (own["ending"], own["stage"], own["output_tokens"]) == ("aborted", "response", 40)


@pytest.mark.parametrize("path, vendor", [("/v1/chat/completions", "openai"), ("/v1/messages", "anthropic")])
@pytest.mark.parametrize("how", ["reset", "cut"])
async def test_a_provider_that_dies_in_mid_stream_never_looks_complete(stack, provider, client, model, path, vendor, how):
    arrived = asyncio.Event()

    async def behaviour(exchange):
        await exchange.head(headers=STREAM)
        await exchange.send(CHUNK)
        await arrived.wait()
        if how == "reset":
            exchange.reset()
        else:
            exchange.keep_alive = False

    provider.on(model, behaviour)
    got = b""
    with pytest.raises(httpx.RemoteProtocolError):
        async with client.stream("POST", path, json={"model": f"{vendor}/{model}", "stream": True}) as response:
            async for chunk in response.aiter_raw():
                got += chunk
                if got == CHUNK:
                    arrived.set()
    assert got == CHUNK
    own = await stack.exchange_line(model)
    assert (own["ending"], own["stage"], own["status"]) == ("aborted", "response", 200)


async def test_a_document_that_is_cut_off_never_looks_complete(provider, client, model):
    async def behaviour(exchange):
        await exchange.head(headers=[("content-type", "application/json")], framing="length", length=100)
        await exchange.send(b'{"choices":')
        exchange.keep_alive = False

    provider.on(model, behaviour)
    try:
        response = await client.post("/v1/chat/completions", json={"model": f"openai/{model}"})
    except httpx.RemoteProtocolError:
        return
    # Broken off before the headers had gone on: Envoy's own answer, in the client's dialect.
    assert_error(response, "/v1/chat/completions", 502)


@pytest.mark.parametrize("path, vendor", [("/v1/chat/completions", "openai"), ("/v1/messages", "anthropic"), ("/v1/responses", "openai")])
async def test_a_stream_that_just_ends_gets_an_error_event_in_its_dialect(stack, provider, client, model, path, vendor):
    async def behaviour(exchange):
        await exchange.head(headers=STREAM, framing="eof")
        await exchange.send(CHUNK + b"data: {\"half")

    provider.on(model, behaviour)
    response = await client.post(path, json={"model": f"{vendor}/{model}", "stream": True})
    last = response.text.rstrip("\n").split("\n\n")[-1]
    data = json.loads(last[last.index("data: ") + 6 :])
    if path == "/v1/messages":
        assert last.startswith("event: error\n") and data["type"] == "error" and data["error"]["type"] == "api_error"
    elif path == "/v1/responses":
        assert last.startswith("event: error\n") and data["type"] == "error" and "sequence_number" in data
    else:
        assert set(data) == {"error"} and "[DONE]" not in response.text
    own = await stack.exchange_line(model)
    assert (own["ending"], own["error"]) == ("truncated", "upstream_truncated")


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_answer_that_cannot_be_decoded_never_looks_complete(provider, client, model, streamed):
    content_type = "text/event-stream" if streamed else "application/json"
    headers = [("content-type", content_type), ("content-encoding", "gzip")]
    provider.answers(model, 200, headers, b"\x1f\x8b\x08\x00 this is not gzip at all", "chunked", 9)
    request = client.post("/v1/chat/completions", json={"model": f"openai/{model}", "stream": streamed})
    if streamed:
        assert '"error"' in (await request).text
    else:
        try:
            response = await request
        except httpx.RemoteProtocolError:
            return
        # The provider was reached: it is not said that it was not.
        assert response.status_code >= 500 and "cannot be reached" not in response.text, response.text


async def test_a_provider_that_cannot_be_reached_is_said_to_be_so_without_internals(stack, client, model):
    response = await client.post("/v1/chat/completions", json={"model": f"dead/{model}"})
    assert_error(response, "/v1/chat/completions", 503, "provider")
    for internal in ("connect", "reset", "refused", "127.0.0.1"):
        assert internal not in response.text
    assert (await stack.exchange_line(model))["answered_by"] == "envoy"


async def test_a_providers_own_errors_pass_unchanged(provider, client, model):
    for status in (400, 401, 404, 429, 500, 502, 503, 529):
        name = f"{model}-{status}"
        body = json.dumps({"error": {"message": f"said by the provider: {status}", "code": "x"}}).encode()
        headers = [("content-type", "application/json"), ("retry-after", "7")]
        provider.answers(name, status, headers, body)
        response = await client.post("/v1/chat/completions", json={"model": f"openai/{name}"})
        assert (response.status_code, response.content, response.headers["retry-after"]) == (status, body, "7")


async def test_another_body_mode_is_refused_and_the_setting_named(make_stack):
    def buffered(tree):
        for listener in tree["static_resources"]["listeners"]:
            manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
            configs = [one["typed_config"] for one in manager["http_filters"]]
            for mode in (config["processing_mode"] for config in configs if "processing_mode" in config):
                mode.update(request_body_mode="BUFFERED", request_trailer_mode="SKIP")

    stack = await make_stack(rendered=buffered)
    async with httpx.AsyncClient(base_url=stack.url) as client:
        response = await client.post("/v1/chat/completions", json={"model": "openai/x"})
        assert_error(response, "/v1/chat/completions", 503)
    await until(
        lambda: any("request_body_mode" in line.get("message", "") for line in stack.server_log()), "a log line that names the setting"
    )


async def test_while_the_server_is_down_errors_are_in_dialect_and_nothing_goes_upstream(make_stack, provider, model):
    stack = await make_stack()
    requests = provider.answers(model, 200, [("content-type", "application/json")], b"{}")
    body = {"model": f"openai/{model}"}
    async with httpx.AsyncClient(base_url=stack.url) as client:
        assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
        stack.server.send_signal(signal.SIGKILL)
        stack.server.wait()
        for path in ("/v1/chat/completions", "/v1/messages"):
            assert_error(await client.post(path, json=body), path, 503)
        assert len(requests) == 1
        stack.start_server()

        async def recovered():
            return (await client.post("/v1/chat/completions", json=body)).status_code == 200

        for _ in range(500):
            if await recovered():
                break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError("the server came back and Envoy did not find it")


async def test_a_server_killed_in_mid_request_lets_nothing_pass(make_stack, provider, model):
    stack = await make_stack()
    requests = provider.answers(model, 200, [("content-type", "application/json")], b"{}")
    unexpected = len(provider.unexpected)
    started, killed = asyncio.Event(), asyncio.Event()

    async def body():
        yield b'{"model":"openai/%s","messages":["' % model.encode()
        yield b"x" * 20_000
        started.set()
        await killed.wait()
        yield b'"]}'

    async with httpx.AsyncClient(base_url=stack.url) as client:
        headers = {"content-type": "application/json", "x-meseta-cluster": f"http_127.0.0.1_{provider.port}"}
        request = asyncio.create_task(client.post("/v1/chat/completions", content=body(), headers=headers))
        await started.wait()
        await until(lambda: "meseta_exchanges_in_flight 1\n" in stack.admin("/metrics")[1], "the server has the request")
        stack.server.send_signal(signal.SIGKILL)
        stack.server.wait()
        killed.set()
        try:
            assert (await request).status_code == 503
        except httpx.HTTPError:
            pass
    assert not requests and len(provider.unexpected) == unexpected
    assert stack.stat(f"cluster.http_127.0.0.1_{provider.port}.upstream_cx_total") == 0


@pytest.mark.parametrize("path, vendor", [("/v1/chat/completions", "openai"), ("/v1/messages", "anthropic")])
async def test_a_server_killed_while_the_provider_works_does_not_blame_the_provider(make_stack, provider, model, path, vendor):
    stack = await make_stack()
    asked = asyncio.Event()

    async def behaviour(exchange):
        asked.set()
        await exchange.client_gone()

    provider.on(model, behaviour)
    async with httpx.AsyncClient(base_url=stack.url) as client:
        request = asyncio.create_task(client.post(path, json={"model": f"{vendor}/{model}"}))
        await asked.wait()
        stack.server.send_signal(signal.SIGKILL)
        assert_error(await request, path, 503, "gateway")


async def test_a_server_killed_in_mid_stream_is_no_clean_end(make_stack, provider, model):
    stack = await make_stack()
    gone = asyncio.Event()

    async def behaviour(exchange):
        await exchange.head(headers=STREAM)
        await exchange.send(CHUNK)
        await exchange.client_gone()
        gone.set()

    provider.on(model, behaviour)
    body = {"model": f"openai/{model}", "stream": True}
    async with httpx.AsyncClient(base_url=stack.url) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            async with client.stream("POST", "/v1/chat/completions", json=body) as response:
                async for _ in response.aiter_raw():
                    stack.server.send_signal(signal.SIGKILL)
    await asyncio.wait_for(gone.wait(), 10)
