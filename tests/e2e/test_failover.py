"""Another target answers when one fails, and the client sees nothing of it: each way to fail, at each place."""

import asyncio

import httpx
import pytest
import pytest_asyncio

from conftest import configuration, gather_limited
from readers import READERS, post, read
from targets import FAILURES, TELLTALES, VENDORS, answers, dead_providers, pool, said

EGRESS = ["envoy", "direct"]


def cells():
    """Client, way to fail, how many of the four targets fail, streaming."""
    for failure, how in FAILURES.items():
        for streaming in how.streaming:
            for count in (1, 2, 3, 4):
                yield "chat", failure, count, streaming
            for client in ("messages", "responses", "gemini", "converse"):
                for count in (1, 4):
                    yield client, failure, count, streaming


def name_of(egress, client, failure, count, streaming):
    return f"{egress}-{client}-{failure}-{count}-{'stream' if streaming else 'whole'}"


def models(egress):
    pools = {}
    for client, failure, count, streaming in cells():
        name = name_of(egress, client, failure, count, streaming)
        limits = FAILURES[failure].limits
        pools[name] = pool(name, dead=count if failure == "refused" else 0, **({"timeout": limits} if limits else {}))
    return pools


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=EGRESS)
async def relayed(request, make_stack, provider):
    """A stack with a pool for each cell of the matrix; calls go through Envoy, or straight."""
    providers = configuration(provider)["model_providers"] + dead_providers()
    stack = await make_stack({"server": {"egress": request.param}, "models": models(request.param), "model_providers": providers})
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(base_url=stack.url, timeout=60, limits=limits) as client:
        stack.client, stack.egress = client, request.param
        yield stack


async def one(stack, provider, cell):
    """Asks for the pool of a cell; returns what is wrong with what came of it."""
    client, failure, count, streaming = cell
    name, how = name_of(stack.egress, *cell), FAILURES[failure]
    seen = []
    for place, vendor in enumerate(VENDORS):
        target = f"{name}-{place}"
        fails = place < count
        if fails and failure == "refused":
            seen.append(None)
            continue
        behaviour = how.behaviour(vendor, streaming) if fails else answers(vendor, said(target), streaming)
        seen.append(provider.on(target, behaviour))
    reader = READERS[client]
    try:
        response = await post(stack.client, reader, name, streaming)
        answer = read(reader, response, streaming)
        asked = [len(requests) if requests is not None else 1 for requests in seen]
        assert asked == [int(place <= count) for place in range(4)], f"the targets were asked {asked} times"
        assert response.headers["x-meseta-attempts"] == str(min(count + 1, 4)), response.headers
        if count < 4:
            assert answer.complete and answer.text == said(f"{name}-{count}"), (response.status_code, answer)
            assert response.headers["x-meseta-model"] == f"{VENDORS[count]}/{name}-{count}", response.headers
        else:
            assert not answer.complete and not answer.text, answer
            assert response.status_code == (how.result or response.status_code) and response.status_code >= 429, response.status_code
            assert "127.0.0.1" not in response.text and "nobody may see" not in response.text, response.text
        for header, value in TELLTALES:
            assert response.headers.get(header) != value, f"{header} of a failed target has gone on"
    except (AssertionError, KeyError, ValueError, httpx.HTTPError) as error:
        return f"{'/'.join(map(str, cell))}: {type(error).__name__} {str(error)[:700]}"


@pytest.mark.parametrize("failure", FAILURES)
async def test_targets_that_fail_before_content_are_passed_over_in_silence(relayed, provider, failure):
    chosen = [cell for cell in cells() if cell[1] == failure]
    wrong = [found for found in await gather_limited(24, (one(relayed, provider, cell) for cell in chosen)) if found]
    assert not wrong, f"{len(wrong)} of {len(chosen)}:\n" + "\n".join(wrong)
