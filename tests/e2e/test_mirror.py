"""Copies of requests go to a shadow whose answers no client sees, and no client waits for."""

import asyncio
import time

import pytest
import pytest_asyncio

from conftest import EGRESS, PROMPT, SECRETS, gather_limited, relaying
from readers import READERS, Chat, post, read
from stack import until
from targets import FAILURES, answers, said


def mirrored(name, percent=100, **more):
    return {"targets": [f"openai/{name}"], "mirror": {"model": f"anthropic/{name}-shadow", "percent": percent, **more}}


def models(egress):
    pools = {f"{egress}-{name}": mirrored(f"{egress}-{name}") for name in ("shadow", "stalls", "fails", *READERS)}
    return {**pools, f"{egress}-share": mirrored(f"{egress}-share", 20), f"{egress}-compare": mirrored(f"{egress}-compare", compare=True)}


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=EGRESS)
async def relayed(request, make_stack):
    async with relaying(make_stack, request.param, models(request.param)) as stack:
        yield stack


async def ask(stack, name, reader=Chat, streaming=False, headers=None):
    response = await post(stack.client, reader, name, streaming, headers=headers)
    return read(reader, response, streaming), response


async def mirrored_line(stack, name):
    return await until(
        lambda: next((line for line in stack.server_log() if line.get("message") == "mirrored" and line["model"].endswith(f"/{name}-shadow")), None),
        f"a line of the copy for {name}")


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
async def test_a_copy_goes_to_the_shadow_in_its_own_api_with_its_own_key(relayed, provider, streaming):
    async def one(client):
        name = f"{relayed.egress}-{client}"
        own = provider.on(name, answers("openai", said(name), streaming))
        copies = provider.on(f"{name}-shadow", answers("anthropic", said("the shadow"), streaming))
        before, before_copies = len(own), len(copies)
        headers = {"authorization": f"Bearer {SECRETS['CLIENT_KEY']}", "cookie": f"a={SECRETS['CLIENT_KEY']}"}
        answer, response = await ask(relayed, name, READERS[client], streaming, headers)
        assert answer.complete and answer.text == said(name) and response.headers["x-meseta-model"] == f"openai/{name}"
        copy = await until(lambda: copies[before_copies:], "the copy has come")
        await mirrored_line(relayed, name)
        assert len(own) == before + 1 and len(copy) == 1
        assert copy[0].path == "/v1/messages" and copy[0].header("x-api-key") == SECRETS["ANTHROPIC_TEST_KEY"]
        assert PROMPT.encode() in copy[0].body and copy[0].json["model"] == f"{name}-shadow"
        sent = f"{copy[0].headers}{copy[0].body}"
        assert not [key for key in ("CLIENT_KEY", "OPENAI_TEST_KEY") if SECRETS[key] in sent] and not copy[0].header("authorization")

    await asyncio.gather(*(one(client) for client in READERS))


async def test_no_client_waits_for_a_shadow_that_stalls_and_what_is_too_much_is_left_out(relayed, provider):
    name, release = f"{relayed.egress}-stalls", asyncio.Event()

    async def stalls(exchange):
        await release.wait()
        exchange.keep_alive = False

    provider.on(name, answers("openai", said(name), False))
    copies = provider.on(f"{name}-shadow", stalls)

    async def one():
        began = time.monotonic()
        answer, _ = await ask(relayed, name)
        assert answer.text == said(name)
        return time.monotonic() - began

    times = sorted(await gather_limited(10, (one() for _ in range(100))))
    assert times[50] < 0.5 and times[-1] < 3, times[-5:]
    # There are no more than 64 copies at a time.
    assert 50 <= len(copies) <= 64, len(copies)
    left_out = [line for line in relayed.admin("/metrics")[1].splitlines() if line.startswith("meseta_mirrors_total") and "left_out" in line]
    assert left_out and sum(float(line.split(" ")[1]) for line in left_out) >= 36, left_out
    release.set()
    await mirrored_line(relayed, name)


async def test_what_fails_at_the_shadow_is_counted_and_nothing_to_the_client(relayed, provider):
    name = f"{relayed.egress}-fails"
    provider.on(name, answers("openai", said(name), False))
    for failure, result in (("500", "status_500"), ("reset_before_headers", "reset"), ("truncated_json", None)):
        provider.on(f"{name}-shadow", FAILURES[failure].behaviour("anthropic", False))
        answer, response = await ask(relayed, name)
        assert answer.text == said(name) and "set-cookie" not in response.headers
        told = lambda: [line for line in relayed.admin("/metrics")[1].splitlines() if line.startswith("meseta_mirrors_total") and f"{name}-shadow" in line]
        if result:
            await until(lambda: any(f'result="{result}"' in line for line in told()), f"{result} is counted")
    # The shadow's failures say nothing of the pool.
    assert (await ask(relayed, name))[1].headers["x-meseta-attempts"] == "1"


async def test_a_share_is_copied(relayed, provider):
    name = f"{relayed.egress}-share"
    provider.on(name, answers("openai", said(name), False))
    copies = provider.on(f"{name}-shadow", answers("anthropic", said("the shadow"), False))
    await gather_limited(10, (ask(relayed, name) for _ in range(300)))
    counted = lambda: sum(
        float(line.split(" ")[1]) for line in relayed.admin("/metrics")[1].splitlines()
        if line.startswith("meseta_mirrors_total") and f"{name}-shadow" in line)
    await until(lambda: counted() >= len(copies), "all copies are counted")
    # A fifth, within four and a half standard deviations.
    assert 29 <= len(copies) <= 91, len(copies)


async def test_what_the_two_came_to_is_compared_and_neither_is_logged(relayed, provider):
    name = f"{relayed.egress}-compare"
    provider.on(name, answers("openai", said(name), False))
    provider.on(f"{name}-shadow", answers("anthropic", said(name), False))
    await ask(relayed, name)
    line = await mirrored_line(relayed, name)
    assert (line["status"], line["same_status"], line["same_finish"], line["same_text"], line["text_similarity_percent"]) == (
        200, True, True, True, 100), line
    assert (line["input_tokens"], line["output_tokens"]) == (9, 4)
    assert said(name) not in str(relayed.server_log())
    metrics = relayed.admin("/metrics")[1]
    assert [one for one in metrics.splitlines() if one.startswith("meseta_mirrored_answers_total") and 'same_status="true"' in one]
    assert relayed.metric("meseta_mirror_tokens_total") >= 13
