"""HTTP as clients and providers really speak it: framings, half requests, providers that speak it badly."""

import asyncio
import gzip
import json

import httpx
import pytest
import pytest_asyncio

from conftest import configuration
from stack import until
from test_edges import assert_error

JSON = [("content-type", "application/json")]
STREAM = [("content-type", "text/event-stream")]
CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
DIALECTS = pytest.mark.parametrize("path, vendor", [(CHAT, "openai"), (MESSAGES, "anthropic")], ids=["openai", "anthropic"])
CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"word"}}]}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tight(make_stack, provider):
    """A stack with a short time-out and small events."""
    listeners = [{**configuration(provider)["listeners"][0], "timeout": "2s"}]
    return await make_stack({"listeners": listeners, "server": {"max_event_bytes": "64KiB"}})


@pytest_asyncio.fixture(loop_scope="session")
async def tight_client(tight):
    async with httpx.AsyncClient(base_url=tight.url, timeout=30) as client:
        yield client


async def connect(stack):
    return await asyncio.open_connection("127.0.0.1", next(iter(stack.ports.values())))


def written(path, body, *headers):
    """A request as bytes."""
    lines = [f"POST {path} HTTP/1.1", "host: x", "content-type: application/json", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@pytest.mark.parametrize("framing", ["length", "chunked", "eof"])
@pytest.mark.parametrize("step", [1, 1000, None])
async def test_an_answer_arrives_whole_however_it_is_framed(provider, client, model, framing, step):
    document = json.dumps({"choices": [], "padding": "é" * 1000}).encode()
    provider.answers(model, 200, JSON, document, framing, step)
    response = await client.post(CHAT, json={"model": f"openai/{model}"})
    assert (response.status_code, response.content) == (200, document)
    if framing == "length":
        assert response.headers["content-length"] == str(len(document))
    stream = CHUNK * 20 + DONE
    provider.answers(model, 200, STREAM, stream, framing, step)
    response = await client.post(CHAT, json={"model": f"openai/{model}", "stream": True})
    assert (response.status_code, response.content) == (200, stream)


async def test_an_answer_without_a_body_passes(provider, client, model):
    async def behaviour(exchange):
        exchange.writer.write(b"HTTP/1.1 204 No Content\r\nx-said-by: provider\r\n\r\n")
        await exchange.writer.drain()

    provider.on(model, behaviour)
    response = await client.post(CHAT, json={"model": f"openai/{model}"})
    assert (response.status_code, response.content, response.headers["x-said-by"]) == (204, b"", "provider")


async def test_a_client_that_waits_for_100_continue_gets_it(stack, provider, model):
    requests = provider.answers(model, 200, JSON, b"{}")
    body = json.dumps({"model": f"openai/{model}"}).encode()
    reader, writer = await connect(stack)
    writer.write(written(CHAT, b"", f"content-length: {len(body)}", "expect: 100-continue", "connection: close"))
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()
    assert requests[0].json == {"model": model} and requests[0].header("expect") is None


async def test_requests_that_follow_each_other_unanswered_are_answered_in_order(stack, provider, model):
    data = b""
    for number in range(5):
        provider.answers(f"{model}-{number}", 200, JSON, b'{"number":%d}' % number)
        body = json.dumps({"model": f"openai/{model}-{number}"}).encode()
        data += written(CHAT, body, f"content-length: {len(body)}", *(["connection: close"] if number == 4 else []))
    reader, writer = await connect(stack)
    writer.write(data)
    got = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    assert [got.index(b'{"number":%d}' % number) for number in range(5)] == sorted(got.index(b'{"number":%d}' % n) for n in range(5))
    assert got.count(b"HTTP/1.1 200 OK\r\n") == 5


@pytest.mark.parametrize("framing", ["content-length: 100000", "transfer-encoding: chunked"])
async def test_an_upload_that_breaks_off_reaches_no_provider_and_is_accounted(stack, client, provider, model, framing):
    def broken_off():
        return [line for line in stack.server_log() if line.get("ending") == "aborted" and line["stage"] == "request"]

    def upstream():
        return stack.stat(f"cluster.http_127.0.0.1_{provider.port}.upstream_rq_total")

    provider.answers(model, 200, JSON, b"{}")
    await client.post(CHAT, json={"model": f"openai/{model}"})
    before, asked = len(broken_off()), upstream()
    piece = b'{"model":"openai/broken-off","x":"'
    if framing.startswith("transfer"):
        piece = b"%x\r\n%s\r\n" % (len(piece), piece)
    _, writer = await connect(stack)
    writer.write(written(CHAT, piece, framing))
    await writer.drain()
    await until(lambda: "meseta_exchanges_in_flight 1\n" in stack.admin("/metrics")[1], "the request is running")
    writer.close()
    await until(lambda: len(broken_off()) > before, "an exchange line")
    line = broken_off()[-1]
    assert (line["answered_by"], line["status"], line.get("provider")) == ("none", 0, None)
    await until(lambda: "meseta_exchanges_in_flight 0\n" in stack.admin("/metrics")[1], "nothing is running")
    assert upstream() == asked > 0


@DIALECTS
async def test_a_provider_that_does_not_answer_in_time_is_said_to_be_late(tight_client, provider, model, path, vendor):
    async def behaviour(exchange):
        await exchange.client_gone()

    provider.on(model, behaviour)
    response = await tight_client.post(path, json={"model": f"{vendor}/{model}"})
    assert_error(response, path, 504, "provider")


@DIALECTS
async def test_a_stream_over_its_time_out_never_looks_complete(tight_client, provider, model, path, vendor):
    async def behaviour(exchange):
        await exchange.head(headers=STREAM)
        await exchange.send(CHUNK)
        await exchange.client_gone()

    provider.on(model, behaviour)
    with pytest.raises(httpx.RemoteProtocolError):
        await tight_client.post(path, json={"model": f"{vendor}/{model}", "stream": True})


@pytest.mark.parametrize("size", [60_000, 70_000, 3_000_000])
async def test_an_event_larger_than_the_limit_passes_whole(tight_client, provider, model, size):
    event = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * size + b'"}}]}\n\n'
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
    provider.answers(model, 200, STREAM, CHUNK + event + CHUNK + usage + DONE, "chunked", 9999)
    response = await tight_client.post(CHAT, json={"model": f"openai/{model}", "stream": True})
    assert response.content == CHUNK + event + CHUNK + DONE


@DIALECTS
@pytest.mark.parametrize(
    "said, status",
    [
        (b"", 503),
        (b"this is no http\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 5\r\n\r\n{}", 502),
        (b"HTTP/1.1 200 OK\r\nx-much: " + b"y" * 100_000 + b"\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}", 502),
    ],
    ids=["nothing", "no HTTP", "two lengths", "large headers", "bad chunk"],
)
async def test_a_provider_that_speaks_no_proper_http_is_an_error_in_dialect(client, provider, model, path, vendor, said, status):
    async def behaviour(exchange):
        exchange.keep_alive = False
        exchange.writer.write(said)
        await exchange.writer.drain()

    provider.on(model, behaviour)
    response = await client.post(path, json={"model": f"{vendor}/{model}"})
    assert_error(response, path, status, "provider")
    for internal in ("127.0.0.1", "reset", "codec", "protocol error", "http1"):
        assert internal not in response.json()["error"]["message"]


async def test_a_stream_that_ends_with_trailers_ends_as_any_other(client, provider, model):
    def ending(with_):
        async def behaviour(exchange):
            await exchange.head(headers=STREAM)
            await exchange.send(CHUNK + with_)
            exchange.writer.write(b"0\r\nx-trailer: 1\r\n\r\n")
            await exchange.writer.drain()

        return behaviour

    provider.on(model, ending(DONE))
    body = {"model": f"openai/{model}", "stream": True}
    assert (await client.post(CHAT, json=body)).content == CHUNK + DONE
    provider.on(model, ending(b""))
    cut = (await client.post(CHAT, json=body)).content
    assert cut.startswith(CHUNK) and b'"upstream_truncated"' in cut and b"[DONE]" not in cut


async def test_hints_that_come_before_an_answer_do_not_disturb_it(client, provider, model):
    async def behaviour(exchange):
        exchange.writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n")
        await exchange.reply(200, JSON, b'{"a":1}')

    provider.on(model, behaviour)
    response = await client.post(CHAT, json={"model": f"openai/{model}"})
    assert (response.status_code, response.content) == (200, b'{"a":1}')


async def test_content_types_and_slashes_that_clients_write_are_taken(client, provider, model):
    requests = provider.answers(model, 200, JSON, b"{}")
    body = json.dumps({"model": f"openai/{model}"}).encode()
    for content_type in ("application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json", None):
        headers = {"content-type": content_type} if content_type else {}
        response = await client.post(CHAT, content=body, headers=headers)
        assert response.status_code == 200, (content_type, response.text)
    response = await client.post(f"{CHAT}/?a=1&b=%20c&a=2", content=body, headers=dict(JSON))
    assert response.status_code == 200
    assert requests[-1].path == f"{CHAT}?a=1&b=%20c&a=2"
    response = await client.post(CHAT, content=gzip.compress(body), headers={**dict(JSON), "content-encoding": "gzip"})
    assert_error(response, CHAT, 415, "compressed")


@pytest.mark.parametrize("name", ["a\nb", "a\r\nx-evil: 1", "a\0b", "a\x7fb"], ids=["LF", "CRLF", "NUL", "DEL"])
async def test_a_model_name_that_is_no_header_value_does_no_harm(client, provider, model, name):
    """Either it is refused before it costs anything, or its answer arrives."""
    name = model + name
    requests = provider.answers(name, 200, JSON, b'{"a":1}')
    response = await client.post(CHAT, json={"model": f"openai/{name}"})
    assert "x-evil" not in response.headers
    if requests:
        assert (response.status_code, response.content) == (200, b'{"a":1}')
    else:
        assert_error(response, CHAT, 400, "model")


@pytest.mark.parametrize("name", ["模型", "a b", "a/b/c:d@e", "../../x?y#z", "%2e%2e", 'a"b\\c', "x" * 900])
async def test_odd_model_names_reach_the_provider_as_they_are(stack, client, provider, model, name):
    name = f"{model}-{name}"
    requests = provider.answers(name, 200, JSON, b"{}")
    response = await client.post(CHAT, json={"model": f"openai/{name}"})
    assert response.status_code == 200, response.text
    assert (requests[0].path, requests[0].json["model"]) == (CHAT, name)
    assert (await stack.access_line(name))["model"] == f"openai/{name}"
    assert (await stack.exchange_line(name))["model"] == f"openai/{name}"


@pytest.mark.parametrize(
    "request_, status",
    [
        (
            "GET /v1/responses HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n",
            403,
        ),
        ("GET /v1/models HTTP/1.1\r\nconnection: close\r\n\r\n", 400),
    ],
    ids=["upgrade", "no host"],
)
async def test_what_envoy_refuses_by_itself_keeps_its_status(stack, request_, status):
    reader, writer = await connect(stack)
    writer.write(request_.encode())
    got = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert got.startswith(f"HTTP/1.1 {status} ".encode()), got
    assert set(json.loads(got.split(b"\r\n\r\n", 1)[1])) == {"error"}
