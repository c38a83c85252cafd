"""Many at once, and stopping in the midst of it."""

import asyncio
import json

import httpx

from conftest import gather_limited

STREAM = [("content-type", "text/event-stream")]


def stream_of(number, events=40):
    chunks = [json.dumps({"choices": [{"index": 0, "delta": {"content": f"{number}-{n}"}}]}) for n in range(events)]
    return "".join(f"data: {chunk}\n\n" for chunk in chunks).encode() + b"data: [DONE]\n\n"


def slowly(number, pause, events=40):
    async def behaviour(exchange):
        await exchange.head(headers=STREAM)
        for event in stream_of(number, events).split(b"\n\n")[:-1]:
            await exchange.send(event + b"\n\n")
            await asyncio.sleep(pause)
        await exchange.end()

    return behaviour


async def ask(client, model):
    return await client.post("/v1/chat/completions", json={"model": f"openai/{model}", "stream": True})


def many_connections(stack):
    limits = httpx.Limits(max_connections=300, max_keepalive_connections=300)
    return httpx.AsyncClient(base_url=stack.url, timeout=60, limits=limits)


async def test_200_streams_at_once_each_get_their_own_bytes(stack, provider, model):
    together = 0
    most = 0

    def counted(number):
        inner = slowly(number, 0.02)

        async def behaviour(exchange):
            nonlocal together, most
            together += 1
            most = max(most, together)
            await inner(exchange)
            together -= 1

        return behaviour

    for number in range(200):
        provider.on(f"{model}-{number}", counted(number))
    async with many_connections(stack) as client:
        responses = await asyncio.gather(*(ask(client, f"{model}-{number}") for number in range(200)))
    for number, response in enumerate(responses):
        assert (response.status_code, response.content) == (200, stream_of(number)), number
    assert most == 200


async def test_sigterm_lets_running_streams_finish(make_stack, provider, model):
    stack = await make_stack()
    for number in range(20):
        provider.on(f"{model}-{number}", slowly(number, 0.05))
    async with many_connections(stack) as client:
        requests = [asyncio.create_task(ask(client, f"{model}-{number}")) for number in range(20)]
        while not all(provider.requests[f"{model}-{number}"] for number in range(20)):
            await asyncio.sleep(0.01)
        stack.server.terminate()
        for number, response in enumerate(await asyncio.gather(*requests)):
            assert response.content == stream_of(number)
    assert await asyncio.to_thread(stack.server.wait, 10) == 0
    assert any(line.get("message") == "drained" for line in stack.server_log())


async def test_the_end_of_the_drain_time_out_is_no_clean_end(make_stack, provider, model):
    stack = await make_stack(serve_flags=["--drain-timeout", "300ms"])
    provider.on(model, slowly(0, 0.1, events=600))
    async with many_connections(stack) as client:
        request = asyncio.create_task(ask(client, model))
        while not provider.requests[model]:
            await asyncio.sleep(0.01)
        stack.server.terminate()
        try:
            response = await request
            raise AssertionError(f"a clean end: {response.status_code} {response.content[-100:]}")
        except httpx.RemoteProtocolError:
            pass
    assert await asyncio.to_thread(stack.server.wait, 10) == 0


async def test_restarts_under_traffic_lose_nothing(make_stack, provider, model):
    stack = await make_stack()
    for number in range(8):
        provider.on(f"{model}-{number}", slowly(number, 0.005))
    stop = asyncio.Event()
    results = {"good": 0}
    wrong = []

    async def traffic(client, number):
        while not stop.is_set():
            response = await ask(client, f"{model}-{number}")
            if (response.status_code, response.content) == (200, stream_of(number)):
                results["good"] += 1
            else:
                wrong.append((response.status_code, response.content[-200:]))

    async with many_connections(stack) as client:
        running = [asyncio.create_task(traffic(client, number)) for number in range(8)]
        for _ in range(3):
            await asyncio.sleep(0.7)
            old = await stack.restart_server()
            assert await asyncio.to_thread(old.wait, 20) == 0
        await asyncio.sleep(0.3)
        stop.set()
        await gather_limited(8, running)
    assert not wrong, wrong[:5]
    assert results["good"] > 50, results
