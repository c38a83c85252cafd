"""Once content has gone to the client there is no other target: what breaks then ends with one error, and never looks complete."""

import asyncio
import time

import httpx
import pytest
import pytest_asyncio

from conftest import EGRESS, gather_limited, relaying
from readers import READERS, post, read
from targets import VENDORS, answers, error_event, halves, pool, said, spoken, stream, stream_type

ENDINGS = {
    "reset": None,
    "closed": None,
    "clean_end": None,
    "idle_timeout": {"idle": "400ms"},
    "error_event": None,
    "total_timeout": {"total": "600ms"},
}


def name_of(egress, client, vendor, ending):
    return f"{egress}-{client}-{vendor}-{ending}"


def models(egress):
    pools = {
        name_of(egress, client, vendor, ending): pool(
            name_of(egress, client, vendor, ending), (vendor, "openai"), **({"timeout": limits} if limits else {}))
        for client in READERS for vendor in VENDORS for ending, limits in ENDINGS.items()}
    for client in READERS:
        for way in ("stream", "whole"):
            name = f"{egress}-{client}-{way}-total"
            pools[name] = pool(name, timeout={"total": "850ms", "headers": "300ms"})
    return pools


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=EGRESS)
async def relayed(request, make_stack):
    async with relaying(make_stack, request.param, models(request.param)) as stack:
        yield stack


def breaks(vendor, text, ending, arrived):
    """Answers with half of a text, and breaks when the client has that."""

    async def behaviour(exchange):
        api = spoken(exchange, vendor)
        before, content, _ = stream(api, text)
        await exchange.head(200, stream_type(api), "eof" if ending == "clean_end" else "chunked")
        await exchange.send(b"".join(before) + content[0])
        await arrived.wait()
        if ending == "reset":
            exchange.reset()
        elif ending in ("closed", "clean_end"):
            exchange.keep_alive = False
        elif ending == "error_event":
            await exchange.send(error_event(api, len(before) + 1))
            await exchange.end()
        else:
            await exchange.client_gone()

    return behaviour


async def one(stack, provider, client, vendor, ending):
    name = name_of(stack.egress, client, vendor, ending)
    reader, text, arrived = READERS[client], said(f"{name}-0"), asyncio.Event()
    provider.on(f"{name}-0", breaks(vendor, text, ending, arrived))
    second = provider.on(f"{name}-1", answers("openai", said(f"{name}-1"), True))
    try:
        got = b""
        async with stack.client.stream("POST", reader.path(name, True), json=reader.body(name, True)) as response:
            async for chunk in response.aiter_raw():
                got += chunk
                if halves(text)[0].encode() in got:
                    arrived.set()
        answer = reader.stream(got)
        assert not answer.complete, "it looks complete"
        assert answer.text == halves(text)[0], answer
        assert not second, "the next target was asked"
        assert response.headers["x-meseta-attempts"] == "1"
    except (AssertionError, KeyError, ValueError, httpx.HTTPError) as error:
        return f"{client}/{vendor}/{ending}: {type(error).__name__} {str(error)[-300:]} … {got[-300:]!r}"


@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_answer_that_breaks_after_content_ends_with_one_error_and_no_other_target(relayed, provider, ending):
    asked = [one(relayed, provider, client, vendor, ending) for client in READERS for vendor in VENDORS]
    wrong = [found for found in await gather_limited(30, asked) if found]
    assert not wrong, f"{len(wrong)} of {len(asked)}:\n" + "\n".join(wrong)
    line = await relayed.exchange_line(f"{name_of(relayed.egress, 'chat', 'anthropic', ending)}-0")
    # A provider that says itself that it failed has ended its stream regularly.
    assert line["error"] and (line["ending"] == "complete") == (ending == "error_event"), line


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
async def test_the_total_time_counts_all_attempts(relayed, provider, streaming):
    async def silent(exchange):
        await exchange.client_gone()

    async def one(client):
        name = f"{relayed.egress}-{client}-{'stream' if streaming else 'whole'}-total"
        seen = [provider.on(f"{name}-{place}", silent) for place in range(4)]
        began = time.monotonic()
        response = await post(relayed.client, READERS[client], name, streaming)
        assert 0.84 < time.monotonic() - began < 2
        answer = read(READERS[client], response, streaming)
        assert not answer.complete and response.status_code == 504, response.text
        assert [len(requests) for requests in seen] == [1, 1, 1, 0]

    await asyncio.gather(*(one(client) for client in READERS))
