"""Nobody holds what another does not take: back-pressure from end to end, and bounded memory."""

import asyncio
import contextlib
import gzip
import hashlib
import os

import httpx
import pytest

from test_http import CHAT, DONE, JSON, STREAM

MIB = 1 << 20


def resident(process):
    """Memory of a process in bytes."""
    with open(f"/proc/{process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("content_type", ["application/json", "audio/mpeg"])
async def test_an_answer_of_30_mib_passes_intact_and_is_not_held(stack, provider, client, model, content_type):
    body = os.urandom(30 * MIB) if content_type == "audio/mpeg" else b'{"data":"' + os.urandom(15 * MIB).hex().encode() + b'"}'
    provider.answers(model, 200, [("content-type", content_type)], body)
    before = resident(stack.server)
    digest, most = hashlib.sha256(), 0
    async with client.stream("POST", CHAT, json={"model": f"openai/{model}"}) as response:
        assert response.headers["content-length"] == str(len(body))
        async for chunk in response.aiter_raw():
            digest.update(chunk)
            most = max(most, resident(stack.server))
    assert digest.digest() == hashlib.sha256(body).digest()
    assert most - before < 16 * MIB, (before, most)


class Flood:
    """A provider that sends a long stream as fast as it is taken."""

    event = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 60_000 + b'"}}]}\n\n'

    def __init__(self, count):
        self.count = count
        self.sent = 0

    async def __call__(self, exchange):
        await exchange.head(headers=STREAM)
        for _ in range(self.count):
            await exchange.send(self.event)
            self.sent += 1
        await exchange.send(DONE)
        await exchange.end()


async def stalled(floods):
    """Returns once none of the providers has been able to send anything for a second."""
    seen, unchanged = None, 0
    while unchanged < 20:
        sent = [flood.sent for flood in floods]
        unchanged = unchanged + 1 if sent == seen and all(sent) else 0
        seen = sent
        await asyncio.sleep(0.05)


def ask(client, model, asks=False):
    body = {"model": f"openai/{model}", "stream": True, **({"stream_options": {"include_usage": True}} if asks else {})}
    return client.stream("POST", CHAT, json=body)


async def read_all(response, flood):
    """Takes an answer, which has to be all that the provider had to say."""
    digest = hashlib.sha256()
    async for chunk in response.aiter_raw():
        digest.update(chunk)
    assert digest.digest() == hashlib.sha256(flood.event * flood.count + DONE).digest()


@pytest.mark.parametrize("asks", [True, False], ids=["verbatim", "stripped"])
async def test_a_slow_reader_makes_the_provider_wait(stack, client, provider, model, asks):
    flood = Flood(1600)
    provider.on(model, flood)
    before = resident(stack.server), resident(stack.envoy)
    async with ask(client, model, asks) as response:
        await stalled([flood])
        assert flood.sent < flood.count / 2, f"{flood.sent} of {flood.count} events are somewhere on the way"
        assert resident(stack.server) - before[0] < 32 * MIB
        assert resident(stack.envoy) - before[1] < 64 * MIB
        await read_all(response, flood)


async def test_slow_readers_do_not_hold_up_others(stack, client, provider, model):
    floods = {f"{model}-{number}": Flood(800) for number in range(5)}
    for name, flood in floods.items():
        provider.on(name, flood)
    provider.answers(model, 200, JSON, b"{}")
    before = resident(stack.server), resident(stack.envoy)
    async with contextlib.AsyncExitStack() as stalled_ones:
        slow = {name: await stalled_ones.enter_async_context(ask(client, name)) for name in floods}
        await stalled(floods.values())
        # Each of Envoy's workers has stalled streams on its one connection to the server.
        for _ in range(20):
            assert (await client.post(CHAT, json={"model": f"openai/{model}"})).status_code == 200
        assert max(flood.sent for flood in floods.values()) < 700
        assert resident(stack.server) - before[0] < 5 * 16 * MIB
        assert resident(stack.envoy) - before[1] < 5 * 32 * MIB
        await asyncio.gather(*(read_all(slow[name], flood) for name, flood in floods.items()))


async def test_a_small_answer_that_unpacks_to_a_huge_one_does_not_fill_the_memory(stack, client, provider, model):
    packed = gzip.compress(b'{"a":"' + b"z" * (300 * MIB) + b'"}', 6)
    provider.answers(model, 200, [*JSON, ("content-encoding", "gzip")], packed)
    before, most = resident(stack.server), 0
    size = 0
    try:
        async with client.stream("POST", CHAT, json={"model": f"openai/{model}"}) as response:
            async for chunk in response.aiter_raw():
                size += len(chunk)
                most = max(most, resident(stack.server))
        complete = response.status_code == 200
    except httpx.RemoteProtocolError:
        complete = False
    assert not complete or size == (300 * MIB) + 8
    assert most - before < 128 * MIB
