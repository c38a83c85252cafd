"""Another target answers when one fails, and the client sees nothing of it: each way to fail, at each place."""

import time

import httpx
import pytest
import pytest_asyncio

from conftest import EGRESS, configuration, gather_limited, relaying
from readers import READERS, post, read
from targets import FAILURES, TELLTALES, VENDORS, answers, dead_providers, pool, said

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
    async with relaying(make_stack, request.param, models(request.param), model_providers=providers) as stack:
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
        requests = provider.on(target, behaviour)
        seen.append((requests, len(requests)))
    reader = READERS[client]
    try:
        response = await post(stack.client, reader, name, streaming)
        answer = read(reader, response, streaming)
        asked = [len(one[0]) - one[1] if one else 1 for one in seen]
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


@pytest.mark.parametrize("failure", ["closed_before_headers", "reset_before_headers", "reset_after_headers", "reset_before_content"])
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
async def test_a_target_that_breaks_off_is_passed_over_at_once(relayed, provider, failure, streaming):
    began = time.monotonic()
    wrong = await one(relayed, provider, ("chat", failure, 3, streaming))
    assert not wrong, wrong
    assert time.monotonic() - began < 0.6, "seconds, for three attempts that failed at once"
