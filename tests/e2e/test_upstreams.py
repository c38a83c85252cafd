"""Providers as they are in earnest: behind TLS, over HTTP/2, and never one whose certificate does not fit."""

import asyncio
import json
import ssl

import h2.config
import h2.connection
import h2.events
import httpx
import pytest
import pytest_asyncio
import trustme

from conftest import configuration
from test_edges import assert_error
from test_http import CHAT, CHUNK, DONE

ANSWER = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}'


class SecureProvider:
    """A provider behind TLS that speaks what the client offers of `protocols`. Its answers go by the model."""

    def __init__(self, certificate, protocols):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_alpn_protocols(protocols)
        certificate.configure_cert(self.context)
        self.context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self.names, self.requests, self.connections = [], [], 0

    async def start(self):
        self.server = await asyncio.start_server(self.connection, "127.0.0.1", 0, ssl=self.context)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def connection(self, reader, writer):
        self.connections += 1
        try:
            if writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
                await self.http2(reader, writer)
            else:
                await self.http1(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def http1(self, reader, writer):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length: ")[1].split("\r\n")[0])
            self.requests.append(("http/1.1", json.loads(await reader.readexactly(length))))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER)

    async def http2(self, reader, writer):
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        bodies = {}
        while data := await reader.read(1 << 16):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                elif isinstance(event, h2.events.StreamEnded):
                    request = json.loads(bodies.pop(event.stream_id))
                    self.requests.append(("h2", request))
                    self.answer(connection, event.stream_id, request)
            writer.write(connection.data_to_send())

    def answer(self, connection, stream, request):
        kind = "text/event-stream" if request.get("stream") else "application/json"
        connection.send_headers(stream, [(":status", "200"), ("content-type", kind)])
        if request["model"] == "breaks-off":
            connection.send_data(stream, CHUNK)
            connection.reset_stream(stream, 2)
        elif request["model"] == "trailers":
            connection.send_data(stream, CHUNK + DONE)
            connection.send_headers(stream, [("x-trailer", "1")], end_stream=True)
        else:
            connection.send_data(stream, CHUNK + DONE if request.get("stream") else ANSWER, end_stream=True)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def secure(make_stack, provider, tmp_path_factory):
    """A stack that trusts one authority, and providers with certificates of that one and of another."""
    async for started in secured(make_stack, provider, tmp_path_factory):
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["envoy", "direct"])
async def secure_relay(request, make_stack, provider, tmp_path_factory):
    """The same with a name for each provider that the server calls itself, through Envoy or straight."""
    names = ("modern", "plain", "numbered", "misnamed", "untrusted")
    models = {f"relayed-{name}": {"targets": [f"{name}/relayed"], "path": "relay"} for name in names}
    more = {"models": models, "server": {"egress": request.param}}
    async for started in secured(make_stack, provider, tmp_path_factory, more):
        yield started


async def secured(make_stack, provider, tmp_path_factory, more=None):
    authority, stranger = trustme.CA(), trustme.CA()
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(file)
    providers = {
        "modern": SecureProvider(authority.issue_cert("localhost"), ["h2", "http/1.1"]),
        "plain": SecureProvider(authority.issue_cert("localhost"), ["http/1.1"]),
        "numbered": SecureProvider(authority.issue_cert("127.0.0.1"), ["h2", "http/1.1"]),
        "misnamed": SecureProvider(authority.issue_cert("another.example"), ["h2", "http/1.1"]),
        "untrusted": SecureProvider(stranger.issue_cert("localhost"), ["h2", "http/1.1"]),
    }
    for one in providers.values():
        await one.start()
    host = {"numbered": "127.0.0.1"}
    entries = [
        {
            "model": f"{name}/*",
            "base_url": f"https://{host.get(name, 'localhost')}:{one.port}/v1",
            "provider_interface": "openai",
            "access_key": "$OPENAI_TEST_KEY",
        }
        for name, one in providers.items()
    ]
    model_providers = configuration(provider)["model_providers"] + entries
    overrides = {"upstream_tls_ca_path": str(file)}
    stack = await make_stack({"model_providers": model_providers, "overrides": overrides, **(more or {})})
    async with httpx.AsyncClient(base_url=stack.url, timeout=30) as client:
        yield stack, client, providers
    for one in providers.values():
        one.server.close()


@pytest.mark.parametrize("name, protocol", [("modern", "h2"), ("plain", "http/1.1"), ("numbered", "h2")])
async def test_a_provider_behind_tls_is_asked_in_the_newest_http_that_it_offers(secure, model, name, protocol):
    stack, client, providers = secure
    response = await client.post(CHAT, json={"model": f"{name}/{model}"})
    assert (response.status_code, response.content) == (200, ANSWER)
    assert providers[name].requests == [(protocol, {"model": model})]
    assert set(providers[name].names) == {None if name == "numbered" else "localhost"}
    line = await stack.access_line(model)
    assert (line["provider"], line["input_tokens"], line["output_tokens"]) == (name, 3, 4)


async def test_streams_over_http_2_arrive_whole_with_and_without_trailers(secure, model):
    _, client, _ = secure
    for name in (model, "trailers"):
        response = await client.post(CHAT, json={"model": f"modern/{name}", "stream": True})
        assert (response.status_code, response.content) == (200, CHUNK + DONE)


async def test_many_requests_share_connections_to_an_http_2_provider(secure, model):
    _, client, providers = secure
    before = providers["modern"].connections
    responses = await asyncio.gather(*(client.post(CHAT, json={"model": f"modern/{model}-{n}"}) for n in range(50)))
    assert {(response.status_code, response.content) for response in responses} == {(200, ANSWER)}
    assert providers["modern"].connections - before <= 4


async def test_a_stream_that_an_http_2_provider_resets_never_looks_complete(secure):
    _, client, _ = secure
    try:
        response = await client.post(CHAT, json={"model": "modern/breaks-off", "stream": True})
    except httpx.RemoteProtocolError:
        return
    # The reset may have overtaken the headers.
    assert_error(response, CHAT, 503)


@pytest.mark.parametrize("name, counted", [("misnamed", "ssl.fail_verify_san"), ("untrusted", "ssl.fail_verify_error")])
async def test_a_provider_whose_certificate_does_not_fit_is_told_nothing(secure, model, name, counted):
    stack, client, providers = secure
    before = stack.stat(counted)
    response = await client.post(CHAT, json={"model": f"{name}/{model}"})
    assert_error(response, CHAT, 503, "provider")
    for internal in ("TLS", "CERTIFICATE", "certificate", "localhost"):
        assert internal not in response.text
    assert not providers[name].requests
    assert stack.stat(counted) > before


@pytest.mark.parametrize("name, protocol", [("modern", "h2"), ("plain", "http/1.1"), ("numbered", "h2")])
async def test_the_servers_own_calls_are_verified_and_share_connections(secure_relay, name, protocol):
    _, client, providers = secure_relay
    ask = {"model": f"relayed-{name}"}
    assert (await client.post(CHAT, json=ask)).content == ANSWER
    before = providers[name].connections
    responses = [await client.post(CHAT, json=ask) for _ in range(20)]
    assert {(response.status_code, response.content) for response in responses} == {(200, ANSWER)}
    assert providers[name].connections == before, "connections are kept"
    assert {own[0] for own in providers[name].requests} == {protocol}
    assert set(providers[name].names) == {None if name == "numbered" else "localhost"}


@pytest.mark.parametrize("name", ["misnamed", "untrusted"])
async def test_the_servers_own_calls_tell_nothing_to_who_cannot_prove_who_they_are(secure_relay, name):
    _, client, providers = secure_relay
    response = await client.post(CHAT, json={"model": f"relayed-{name}"})
    assert_error(response, CHAT, 503, "provider")
    for internal in ("TLS", "CERTIFICATE", "certificate", "localhost"):
        assert internal not in response.text
    assert not providers[name].requests
