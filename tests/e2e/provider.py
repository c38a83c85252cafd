"""A provider under full control: raw HTTP/1.1 over asyncio, every byte and every pause decided by the test.

A behaviour is a coroutine that takes an `Exchange` and answers it. It is chosen by the model in the request body (each
test uses model names of its own), so that tests can share one provider at the same time.
"""

import asyncio
import json
import re
import socket
import struct
from dataclasses import dataclass, field
from urllib.parse import unquote


@dataclass
class Request:
    method: str
    path: str
    headers: list
    body: bytes

    def header(self, name):
        values = [value for key, value in self.headers if key == name]
        return values[0] if values else None

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Exchange:
    """One request and the means to answer it."""

    request: Request
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    framing: str = "chunked"
    keep_alive: bool = True
    _gone: asyncio.Task = field(default=None, repr=False)

    async def head(self, status=200, headers=(), framing="chunked", length=None):
        """Sends status and headers. Framing: `chunked`, `length` (needs a length) or `eof` (until the connection ends)."""
        self.framing = framing
        lines = [f"HTTP/1.1 {status} X"]
        lines += [f"{key}: {value}" for key, value in headers]
        if framing == "chunked":
            lines.append("transfer-encoding: chunked")
        elif framing == "length":
            lines.append(f"content-length: {length}")
        else:
            lines.append("connection: close")
            self.keep_alive = False
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self.writer.drain()

    async def send(self, data):
        if not data:
            return
        if self.framing == "chunked":
            data = b"%x\r\n%s\r\n" % (len(data), data)
        self.writer.write(data)
        await self.writer.drain()

    async def end(self):
        if self.framing == "chunked":
            self.writer.write(b"0\r\n\r\n")
            await self.writer.drain()

    def reset(self):
        """Breaks the connection off with a TCP reset."""
        self.keep_alive = False
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def client_gone(self):
        """Returns once the other side has closed the connection."""
        self.keep_alive = False
        while await self.reader.read(1024):
            pass

    async def reply(self, status, headers, body, framing="length", step=None):
        """Answers with a whole body, in pieces of `step` bytes."""
        await self.head(status, headers, framing, len(body))
        step = step or max(len(body), 1)
        for start in range(0, len(body), step):
            await self.send(body[start : start + step])
        await self.end()


class Provider:
    def __init__(self):
        self.behaviours = {}
        self.requests = {}
        self.unexpected = []
        self.failures = []
        self._server = None
        self._tasks = set()

    async def start(self):
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=1 << 22)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self):
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def on(self, model, behaviour):
        """Answers requests for this model by `behaviour`. Returns the list of requests as they come."""
        self.behaviours[model] = behaviour
        return self.requests.setdefault(model, [])

    def answers(self, model, status, headers, body, framing="length", step=None):
        """Answers requests for this model always the same."""

        async def behaviour(exchange):
            await exchange.reply(status, headers, body, framing, step)

        return self.on(model, behaviour)

    async def _connection(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                request = await _read(reader)
                if request is None:
                    break
                exchange = Exchange(request, reader, writer)
                await self._answer(exchange)
                if not exchange.keep_alive:
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except Exception as error:  # a defect of a test: shown by the fixture
            self.failures.append(error)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, exchange):
        try:
            # Some APIs have the model in the path, whatever the body says.
            in_path = re.search(r"/models?/([^/:]+)[:/]", exchange.request.path)
            model = unquote(in_path[1]) if in_path else json.loads(exchange.request.body).get("model")
        except (ValueError, AttributeError):
            model = None
        behaviour = self.behaviours.get(model)
        if behaviour is None:
            self.unexpected.append(exchange.request)
            await exchange.reply(500, [("content-type", "text/plain")], b"no behaviour for this model")
            return
        self.requests[model].append(exchange.request)
        await behaviour(exchange)


async def _read(reader):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = []
    for line in lines:
        if line:
            key, _, value = line.partition(":")
            headers.append((key.lower(), value.strip()))
    length = next((value for key, value in headers if key == "content-length"), None)
    if length is not None:
        body = await reader.readexactly(int(length))
    elif ("transfer-encoding", "chunked") in headers:
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
    else:
        body = b""
    return Request(method, path, headers, body)
