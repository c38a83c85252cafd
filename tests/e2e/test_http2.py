"""HTTP/2 clients, in clear text: many streams on one connection, trailers, resets."""

import asyncio
import json
import os

import h2.config
import h2.connection
import h2.events
import httpx
import pytest

from test_http import CHAT, CHUNK, DONE, JSON, MESSAGES, STREAM


class Connection:
    """One HTTP/2 connection, frame by frame."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.streams = {}
        self.moved = asyncio.Event()

    @classmethod
    async def open(cls, stack):
        connection = cls(*await asyncio.open_connection("127.0.0.1", next(iter(stack.ports.values()))))
        connection.h2.initiate_connection()
        connection.flush()
        connection.task = asyncio.create_task(connection.run())
        return connection

    async def close(self):
        self.writer.close()
        await asyncio.gather(self.task, return_exceptions=True)

    def flush(self):
        self.writer.write(self.h2.data_to_send())

    async def run(self):
        while data := await self.reader.read(1 << 16):
            for event in self.h2.receive_data(data):
                stream = self.streams.get(getattr(event, "stream_id", None))
                if isinstance(event, h2.events.DataReceived):
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    stream["body"] += event.data
                elif isinstance(event, h2.events.ResponseReceived):
                    stream["headers"] = dict(event.headers)
                elif isinstance(event, h2.events.StreamEnded):
                    stream["end"] = "clean"
                elif isinstance(event, h2.events.StreamReset):
                    stream["end"] = "reset"
            self.flush()
            self.moved.set()

    async def until(self, condition):
        async def wait():
            while not condition():
                self.moved.clear()
                await self.moved.wait()

        await asyncio.wait_for(wait(), 30)

    def begin(self, path, content_type):
        number = self.h2.get_next_available_stream_id()
        headers = [(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "x"), ("content-type", content_type)]
        self.h2.send_headers(number, headers)
        self.flush()
        stream = self.streams[number] = {"body": b"", "headers": None, "end": None, "number": number}
        return stream

    async def send(self, path, body, trailers=None):
        stream = self.begin(path, "application/json")
        number = stream["number"]
        while body:
            await self.until(lambda: self.h2.local_flow_control_window(number) > 0)
            size = min(len(body), self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)
            self.h2.send_data(number, body[:size])
            body = body[size:]
            self.flush()
            await self.writer.drain()
        if trailers:
            self.h2.send_headers(number, trailers, end_stream=True)
        else:
            self.h2.end_stream(number)
        self.flush()
        return stream

    async def ask(self, path, body, **options):
        stream = await self.send(path, json.dumps(body).encode(), **options)
        await self.until(lambda: stream["end"])
        return stream


@pytest.fixture
async def connection(stack):
    connection = await Connection.open(stack)
    yield connection
    await connection.close()


async def test_a_client_library_that_speaks_http_2_gets_answers_and_streams(stack, provider, model):
    provider.answers(f"{model}-a", 200, JSON, b'{"a":1}')
    provider.answers(f"{model}-b", 200, STREAM, CHUNK * 3 + DONE, "chunked", 11)
    async with httpx.AsyncClient(base_url=stack.url, http1=False, http2=True) as client:
        answer = await client.post(CHAT, json={"model": f"openai/{model}-a"})
        assert (answer.http_version, answer.status_code, answer.content) == ("HTTP/2", 200, b'{"a":1}')
        stream = await client.post(CHAT, json={"model": f"openai/{model}-b", "stream": True})
        assert (stream.status_code, stream.content) == (200, CHUNK * 3 + DONE)
        refused = await client.post(MESSAGES, json={"model": "no-such"})
        assert (refused.status_code, refused.json()["error"]["type"]) == (404, "not_found_error")


async def test_streams_of_one_connection_each_get_their_own_bytes(provider, connection, model):
    count = 100
    together, all_are_here = 0, asyncio.Event()

    def stream_of(number):
        return b"".join(CHUNK.replace(b"word", b"%d-%d" % (number, n)) for n in range(20))

    def behaviour(number):
        async def answer(exchange):
            nonlocal together
            together += 1
            if together == count:
                all_are_here.set()
            await exchange.head(headers=STREAM)
            await all_are_here.wait()
            await exchange.send(stream_of(number))
            await exchange.send(DONE)
            await exchange.end()

        return answer

    for number in range(count):
        provider.on(f"{model}-{number}", behaviour(number))
    asked = (connection.ask(CHAT, {"model": f"openai/{model}-{number}", "stream": True}) for number in range(count))
    for number, stream in enumerate(await asyncio.gather(*asked)):
        assert (stream["headers"][":status"], stream["end"]) == ("200", "clean")
        assert stream["body"] == stream_of(number) + DONE


async def test_a_request_with_trailers_arrives_once_and_whole(provider, connection, model):
    requests = provider.answers(model, 200, JSON, b'{"a":1}')
    body = {"model": f"openai/{model}", "padding": "x" * 200_000}
    stream = await connection.ask(CHAT, body, trailers=[("x-checksum", "1")])
    assert (stream["headers"][":status"], stream["body"], stream["end"]) == ("200", b'{"a":1}', "clean")
    assert [request.json for request in requests] == [{**body, "model": model}]


async def test_a_body_of_20_mib_passes_intact(provider, connection, model):
    requests = provider.answers(model, 200, JSON, b"{}")
    body = {"model": f"openai/{model}", "padding": os.urandom(10 << 20).hex()}
    assert (await connection.ask(CHAT, body))["headers"][":status"] == "200"
    assert requests[0].json == {**body, "model": model}


async def test_a_stream_that_the_client_resets_stops_its_provider_and_no_other(stack, provider, connection, model):
    gone, goes_on = asyncio.Event(), asyncio.Event()

    async def left(exchange):
        await exchange.head(headers=STREAM)
        await exchange.send(CHUNK)
        await exchange.client_gone()
        gone.set()

    async def stays(exchange):
        await exchange.head(headers=STREAM)
        await exchange.send(CHUNK)
        await goes_on.wait()
        await exchange.send(DONE)
        await exchange.end()

    provider.on(f"{model}-left", left)
    provider.on(f"{model}-stays", stays)
    one, other = [
        await connection.send(CHAT, json.dumps({"model": f"openai/{model}-{name}", "stream": True}).encode()) for name in ("left", "stays")
    ]
    await connection.until(lambda: one["body"] == CHUNK and other["body"] == CHUNK)
    connection.h2.reset_stream(one["number"], 8)
    connection.flush()
    await asyncio.wait_for(gone.wait(), 10)
    goes_on.set()
    await connection.until(lambda: other["end"])
    assert (other["end"], other["body"]) == ("clean", CHUNK + DONE)
    line = await stack.exchange_line(f"{model}-left")
    assert (line["ending"], line["stage"]) == ("aborted", "response")


async def test_a_provider_that_dies_resets_its_own_stream_and_no_other(provider, connection, model):
    arrived = asyncio.Event()

    def behaviour(end):
        async def answer(exchange):
            await exchange.head(headers=STREAM)
            await exchange.send(CHUNK)
            await arrived.wait()
            await end(exchange)

        return answer

    async def dies(exchange):
        exchange.reset()

    async def finishes(exchange):
        await exchange.send(DONE)
        await exchange.end()

    provider.on(f"{model}-dies", behaviour(dies))
    provider.on(f"{model}-lives", behaviour(finishes))
    dead, alive = [
        await connection.send(CHAT, json.dumps({"model": f"openai/{model}-{name}", "stream": True}).encode()) for name in ("dies", "lives")
    ]
    await connection.until(lambda: dead["body"] == alive["body"] == CHUNK)
    arrived.set()
    await connection.until(lambda: dead["end"] and alive["end"])
    assert (dead["end"], dead["body"]) == ("reset", CHUNK)
    assert (alive["end"], alive["body"]) == ("clean", CHUNK + DONE)


async def test_a_request_that_is_refused_by_its_headers_is_answered_before_its_body(connection):
    stream = connection.begin(CHAT, "text/plain")
    await connection.until(lambda: stream["end"])
    assert stream["headers"][":status"] == "415"
    assert "application/json" in json.loads(stream["body"])["error"]["message"]
