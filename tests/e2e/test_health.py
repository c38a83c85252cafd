"""Targets that fail are left alone and tried again; rate limits are kept; a slow one is not waited for alone."""

import asyncio
import itertools
import time

import pytest
import pytest_asyncio

from answers import JSON
from conftest import EGRESS, gather_limited, relaying
from readers import Chat, post, read
from stack import until
from targets import FAILURES, answers, error, said

COOLDOWN = {"failures": 3, "first": "1s", "longest": "10s", "error_rate": "100%"}
# Three times in ten, as a provider may.
OFTEN = ("500", None, None, "reset_before_headers", None, None, None, "reset_before_content", None, None)
# How a provider says that there is nothing left for two seconds.
LIMITS = {
    "retry_after": [("retry-after", "2")],
    "retry_after_ms": [("retry-after-ms", "2000"), ("retry-after", "600")],
    "openai": [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "2s")],
    "tokens": [("x-ratelimit-remaining-requests", "5"), ("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "2.0s")],
}


def pair(name, **more):
    """Two targets, asked in turn."""
    targets = [{"model": f"{vendor}/{name}-{place}", "priority": place} for place, vendor in enumerate(("openai", "anthropic"))]
    return {"targets": targets, "failover": {"cooldown": COOLDOWN}, **more}


def models(egress):
    pools = {f"{egress}-{name}": pair(f"{egress}-{name}") for name in ("dead", "probe", "all", *LIMITS)}
    pools[f"{egress}-load"] = pair(f"{egress}-load", timeout={"first_token": "6s"})
    for name in ("hedge", "hedge-first", "hedge-none", "hedge-both"):
        pools[f"{egress}-{name}"] = pair(f"{egress}-{name}", hedge_after="100ms")
    return pools


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=EGRESS)
async def relayed(request, make_stack):
    async with relaying(make_stack, request.param, models(request.param)) as stack:
        yield stack


async def ask(stack, name, streaming=True):
    """The answer, and at which place of the pool its target is; what is not well-formed fails."""
    response = await post(stack.client, Chat, name, streaming)
    answer = read(Chat, response, streaming)
    return answer, int(response.headers.get("x-meseta-model", "-1")[-1]), response


def serve(provider, name, place, streaming=True, pause=0):
    target = f"{name}-{place}"
    return provider.on(target, answers(("openai", "anthropic")[place], said(target), streaming, pause))


def fail(provider, name, place, failure="500", streaming=True):
    return provider.on(f"{name}-{place}", FAILURES[failure].behaviour(("openai", "anthropic")[place], streaming))


async def test_a_target_that_fails_three_times_in_ten_costs_no_client_anything(relayed, provider):
    name = f"{relayed.egress}-load"
    ways = itertools.cycle(
        FAILURES[failure].behaviour("openai", True) if failure else answers("openai", said(f"{name}-0"), True)
        for failure in (*OFTEN, *OFTEN, *OFTEN, "first_token_timeout", *OFTEN[1:]))

    async def flaky(exchange):
        await next(ways)(exchange)

    first = provider.on(f"{name}-0", flaky)
    second = serve(provider, name, 1)
    wrong = []

    async def one():
        try:
            answer, place, response = await ask(relayed, name)
            if response.status_code != 200 or not answer.complete or answer.text != said(f"{name}-{place}"):
                wrong.append((response.status_code, answer))
        except Exception as error:  # each is one that a client has seen
            wrong.append(error)

    await gather_limited(200, (one() for _ in range(1000)))
    told = [line for line in relayed.admin("/metrics")[1].splitlines() if line.startswith("meseta_attempts") and name in line]
    # The limit is far beyond what a healthy target takes, on a busy machine too.
    assert not [line for line in told if f"{name}-1" in line and "answered" not in line], "\n".join(told)
    assert not wrong, f"{len(wrong)} of 1000: {wrong[:5]}\n" + "\n".join(told)
    assert len(first) > 50 and len(second) > 50 and len(first) + len(second) > 1000, (len(first), len(second))


async def test_a_dead_target_is_asked_three_times_and_then_by_one_probe_for_each_cool_down(relayed, provider):
    name = f"{relayed.egress}-dead"
    first, second = fail(provider, name, 0), serve(provider, name, 1)
    began = time.monotonic()
    for _ in range(20):
        answer, place, _ = await ask(relayed, name)
        assert (answer.text, place) == (said(f"{name}-1"), 1)
    assert time.monotonic() - began < 1, "the cool-down has passed meanwhile"
    assert (len(first), len(second)) == (3, 20)
    # A probe that fails doubles the cool-down.
    while len(first) < 4:
        assert (await ask(relayed, name))[0].complete and time.monotonic() - began < 3
    probed = time.monotonic()
    assert 0.9 < probed - began < 1.7
    serve(provider, name, 0)
    while (found := await ask(relayed, name))[1] == 1:
        assert found[0].complete and len(first) == 4 and time.monotonic() - probed < 4
    # The one that succeeds brings all traffic back.
    assert 1.9 < time.monotonic() - probed < 2.7
    for _ in range(5):
        assert (await ask(relayed, name))[1] == 0
    assert (len(first), found[2].headers["x-meseta-attempts"]) == (10, "1")


async def test_never_are_two_probes_of_a_target_under_way(relayed, provider):
    name = f"{relayed.egress}-probe"
    fail(provider, name, 0)
    serve(provider, name, 1)
    for _ in range(3):
        await ask(relayed, name)
    under_way, most, release = 0, 0, asyncio.Event()

    async def held(exchange):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await release.wait()
        under_way -= 1
        await answers("openai", said(f"{name}-0"), True)(exchange)

    provider.on(f"{name}-0", held)
    asked = []

    def probing():
        asked.append(asyncio.create_task(ask(relayed, name)))
        return under_way

    await until(probing, "a probe is under way", 5)
    await asyncio.gather(*(asyncio.wait_for(ask(relayed, name), 5) for _ in range(50)))
    assert most == 1
    release.set()
    places = [place for _, place, _ in await asyncio.gather(*asked)]
    assert places.count(0) == 1, places
    assert [(await ask(relayed, name))[1] for _ in range(3)] == [0, 0, 0]


async def test_when_all_are_left_alone_the_least_bad_is_tried_all_the_same(relayed, provider):
    name = f"{relayed.egress}-all"
    first, second = fail(provider, name, 0), serve(provider, name, 1)
    for _ in range(3):
        await ask(relayed, name)
    fail(provider, name, 1, "503")
    for _ in range(3):
        await ask(relayed, name)
    # Both are in cool-down now. The first one's ends sooner: it is asked, and the other after it.
    before = len(first), len(second)
    answer, _, response = await ask(relayed, name)
    assert response.status_code in (500, 503) and answer.error["message"] == "the words of the provider"
    assert len(first) > before[0] and len(second) > before[1]
    assert response.headers["x-meseta-attempts"] == "3"
    serve(provider, name, 0)
    answer, place, response = await ask(relayed, name)
    assert (answer.text, place, response.headers["x-meseta-attempts"]) == (said(f"{name}-0"), 0, "1")


async def test_a_target_at_its_limit_is_left_alone_at_once_and_for_as_long_as_it_says(relayed, provider):
    async def one(limit):
        name, times = f"{relayed.egress}-{limit}", []

        async def limited(exchange):
            times.append(time.monotonic())
            if len(times) == 1:
                return await exchange.reply(429, [*JSON, *LIMITS[limit]], error("openai", 429))
            await answers("openai", said(f"{name}-0"), True)(exchange)

        provider.on(f"{name}-0", limited)
        serve(provider, name, 1)
        while len(times) < 2:
            answer, place, response = await ask(relayed, name)
            assert answer.complete and answer.text == said(f"{name}-{place}")
            assert not times or time.monotonic() - times[0] < 4
            await asyncio.sleep(0.02)
        assert 1.95 < times[1] - times[0] < 3, limit
        assert (await ask(relayed, name))[1] == 0

    await asyncio.gather(*(one(limit) for limit in LIMITS))


async def test_beside_a_target_that_is_slow_to_begin_the_next_is_asked_and_the_first_is_let_go(relayed, provider):
    name, gone = f"{relayed.egress}-hedge", asyncio.Event()

    async def slow(exchange):
        await exchange.client_gone()
        gone.set()

    first, second = provider.on(f"{name}-0", slow), serve(provider, name, 1)
    began = time.monotonic()
    answer, place, response = await ask(relayed, name)
    assert (answer.text, place, response.headers["x-meseta-attempts"]) == (said(f"{name}-1"), 1, "2")
    assert 0.1 < time.monotonic() - began < 0.6
    await asyncio.wait_for(gone.wait(), 1)
    # It is not held against the first, which is asked first each time.
    for _ in range(4):
        assert (await ask(relayed, name))[1] == 1
    assert len(first) == len(second) == 5


async def test_a_hedge_that_is_slower_than_the_first_is_let_go_and_nothing_of_it_is_seen(relayed, provider):
    name, gone, asked = f"{relayed.egress}-hedge-first", asyncio.Event(), asyncio.Event()

    async def slow(exchange):
        await asked.wait()
        await answers("openai", said(f"{name}-0"), True, 0.02)(exchange)

    async def slower(exchange):
        asked.set()
        await exchange.client_gone()
        gone.set()

    provider.on(f"{name}-0", slow)
    provider.on(f"{name}-1", slower)
    answer, place, response = await ask(relayed, name)
    assert (answer.text, place, response.headers["x-meseta-attempts"]) == (said(f"{name}-0"), 0, "2")
    await asyncio.wait_for(gone.wait(), 1)


async def test_nothing_is_hedged_that_begins_in_time_and_both_may_fail(relayed, provider):
    name = f"{relayed.egress}-hedge-none"
    serve(provider, name, 0, pause=0.03)
    second = serve(provider, name, 1)
    assert (await ask(relayed, name))[1] == 0 and not second

    name = f"{relayed.egress}-hedge-both"

    async def late(exchange):
        await asyncio.sleep(0.25)
        await exchange.reply(500, JSON, error("openai", 500))

    provider.on(f"{name}-0", late)
    fail(provider, name, 1)
    answer, _, response = await ask(relayed, name)
    assert response.status_code == 500 and answer.error["message"] == "the words of the provider"
    assert response.headers["x-meseta-attempts"] == "3"
