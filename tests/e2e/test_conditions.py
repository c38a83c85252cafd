"""What counts as a failure, how many attempts there may be, and what is sent again."""

import asyncio
import time

import pytest
import pytest_asyncio

from answers import JSON
from conftest import EGRESS, gather_limited, relaying
from readers import READERS, Chat, post, read
from targets import CONTEXT, FILTER, VENDORS, answers, error, pool, said


def models(egress):
    name = lambda own: f"{egress}-{own}"
    pools = {name(own): pool(name(own)) for own in ("bulky", "final-context", "final-filter", "busy")}
    pools[name("listed")] = {**pool(name("listed")), "failover": {"on": [401, "4xx"], "max_attempts": 4}}
    pools[name("unlisted")] = {**pool(name("unlisted")), "failover": {"on": [429]}}
    pools[name("two")] = {**pool(name("two")), "failover": {"max_attempts": 2}}
    pools[name("context")] = {**pool(name("context")), "failover": {"on": ["context_length"], "max_attempts": 4}}
    windows = pool(name("windows"))
    for target, window in zip(windows["targets"], (8_000, 4_000, 1_000_000, 2_000_000)):
        target["context_window"] = window
    pools[name("windows")] = {**windows, "failover": {"on": ["context_length"], "max_attempts": 4}}
    pools[name("filter")] = {**pool(name("filter"), ("openai", "openai", "anthropic")), "failover": {"on": ["content_filter"]}}
    pools[name("budget")] = {
        **pool(name("budget"), ("openai", "anthropic")),
        "failover": {"retry_budget": "10%", "cooldown": {"failures": 1000, "error_rate": "100%"}}}
    pools[name("hedged")] = {**pool(name("hedged"), ("openai", "anthropic")), "hedge_after": "50ms"}
    return pools


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=EGRESS)
async def relayed(request, make_stack):
    async with relaying(make_stack, request.param, models(request.param), {"max_request_bytes": "32MiB"}) as stack:
        yield stack


def serve(provider, name, behaviours, vendors=VENDORS):
    """The targets of a pool: each fails with a status and a body, or answers where there is none."""
    seen = []
    for place, vendor in enumerate(vendors):
        refusal = behaviours[place] if place < len(behaviours) else None

        async def refuses(exchange, refusal=refusal):
            await exchange.reply(refusal[0], JSON, refusal[1])

        target = f"{name}-{place}"
        seen.append(provider.on(target, refuses if refusal else answers(vendor, said(target), False)))
    return seen, [len(requests) for requests in seen]


async def outcome(stack, name, seen, before):
    response = await post(stack.client, Chat, name, False)
    return response, read(Chat, response, False), [len(requests) - number for requests, number in zip(seen, before)]


async def test_what_counts_as_a_failure_is_as_configured(relayed, provider):
    refused = lambda status: [(status, error(vendor, status)) for vendor in VENDORS]
    for own, status, asked in (
            ("listed", 401, [1, 1, 1, 1]), ("listed", 418, [1, 1, 1, 1]), ("listed", 500, [1, 0, 0, 0]),
            ("unlisted", 500, [1, 0, 0, 0]), ("unlisted", 429, [1, 1, 1, 0]), ("two", 503, [1, 1, 0, 0])):
        name = f"{relayed.egress}-{own}"
        seen, before = serve(provider, name, refused(status))
        response, answer, counts = await outcome(relayed, name, seen, before)
        assert response.status_code == status and counts == asked, (own, status, counts)
        assert not answer.complete and answer.error["message"] == "the words of the provider"


async def test_a_request_too_large_for_a_model_goes_to_one_with_a_larger_window(relayed, provider):
    refusals = [(400, CONTEXT[vendor]) for vendor in VENDORS]
    name = f"{relayed.egress}-context"
    seen, before = serve(provider, name, refusals[:2])
    response, answer, counts = await outcome(relayed, name, seen, before)
    assert answer.text == said(f"{name}-2") and counts == [1, 1, 1, 0], (response.text, counts)
    # The second has a smaller window than the one that refused.
    name = f"{relayed.egress}-windows"
    seen, before = serve(provider, name, refusals[:1])
    response, answer, counts = await outcome(relayed, name, seen, before)
    assert answer.text == said(f"{name}-2") and counts == [1, 0, 1, 0], (response.text, counts)
    name = f"{relayed.egress}-final-context"
    seen, before = serve(provider, name, refusals)
    response, answer, counts = await outcome(relayed, name, seen, before)
    assert response.status_code == 400 and counts == [1, 0, 0, 0]


async def test_what_one_providers_filter_refuses_goes_to_another_provider(relayed, provider):
    vendors = ("openai", "openai", "anthropic")
    name = f"{relayed.egress}-filter"
    seen, before = serve(provider, name, [(400, FILTER), (400, FILTER)], vendors)
    response, answer, counts = await outcome(relayed, name, seen, before)
    assert answer.text == said(f"{name}-2") and counts == [1, 0, 1], (response.text, counts)
    name = f"{relayed.egress}-final-filter"
    seen, before = serve(provider, name, [(400, FILTER)])
    response, answer, counts = await outcome(relayed, name, seen, before)
    assert response.status_code == 400 and counts == [1, 0, 0, 0]


async def test_a_large_request_reaches_each_target_whole(relayed, provider):
    name = f"{relayed.egress}-bulky"
    seen, _ = serve(provider, name, [(503, error(vendor, 503)) for vendor in VENDORS[:2]])
    prompt = "".join(f"{number:x}" for number in range(1_500_000))
    assert len(prompt) > 6 << 20
    body = {"model": name, "messages": [{"role": "user", "content": prompt}]}
    response = await relayed.client.post("/v1/chat/completions", json=body)
    assert read(Chat, response, False).text == said(f"{name}-2")
    for requests in seen[:3]:
        assert prompt.encode() in requests[0].body and requests[0].header("content-length") == str(len(requests[0].body))


async def test_retries_of_many_requests_that_fail_at_once_are_a_share_of_them(relayed, provider):
    name, vendors = f"{relayed.egress}-budget", ("openai", "anthropic")
    seen, _ = serve(provider, name, [(503, error(vendor, 503)) for vendor in vendors], vendors)
    began = time.monotonic()
    responses = await gather_limited(50, (post(relayed.client, Chat, name, False) for _ in range(400)))
    seconds = time.monotonic() - began
    assert {response.status_code for response in responses} == {503}
    assert all(not read(Chat, response, False).complete for response in responses)
    # For each target: a tenth of the requests, ten a second, and those of the first second.
    allowed = 2 * (0.1 * 400 + 10 * seconds + 10)
    assert 400 < sum(map(len, seen)) <= 400 + allowed, (list(map(len, seen)), allowed)


async def test_a_client_that_goes_away_ends_both_calls_of_a_hedge(relayed, provider):
    name, reached, gone = f"{relayed.egress}-hedged", asyncio.Queue(), asyncio.Queue()

    async def silent(exchange):
        reached.put_nowait(None)
        await exchange.client_gone()
        gone.put_nowait(None)

    provider.on(f"{name}-0", silent)
    provider.on(f"{name}-1", silent)
    task = asyncio.create_task(post(relayed.client, Chat, name, True))
    for _ in range(2):
        await asyncio.wait_for(reached.get(), 10)
    task.cancel()
    for _ in range(2):
        await asyncio.wait_for(gone.get(), 1)
    await asyncio.gather(task, return_exceptions=True)


async def test_what_all_targets_refuse_is_told_to_each_client_with_how_long_to_wait(relayed, provider):
    name = f"{relayed.egress}-busy"
    for place, vendor in enumerate(VENDORS):
        async def busy(exchange, vendor=vendor):
            await exchange.reply(429, [*JSON, ("retry-after", "17")], error(vendor, 429))

        provider.on(f"{name}-{place}", busy)
    for client, reader in READERS.items():
        response = await post(relayed.client, reader, name, False)
        # Asked, or left alone because each has said for how long.
        assert response.status_code in (429, 503), (client, response.text)
        assert not read(reader, response, False).complete
        assert response.status_code == 503 or 1 <= int(response.headers["retry-after"]) <= 17, response.headers
