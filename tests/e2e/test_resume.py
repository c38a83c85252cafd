"""A stream that breaks in the middle is continued by the next target, and the client sees one answer."""

import asyncio
import itertools

import httpx
import pytest
import pytest_asyncio

from answers import STREAM, message_events, named
from conftest import EGRESS, SECRETS, gather_limited, relaying
from readers import READERS, Messages, post
from targets import VENDORS, answers, error_event, halves, spoken, stream, stream_type

# Those whose API goes on where a conversation ends with words of the model.
CONTINUERS = ("anthropic", "amazon_bedrock", "gemini")
ENDINGS = ("reset", "clean_end", "idle_timeout", "error_event")


def resumed(name, vendors):
    targets = [{"model": f"{vendor}/{name}-{place}", "priority": place} for place, vendor in enumerate(vendors)]
    return {"targets": targets, "resume": True, "timeout": {"idle": "600ms"}}


def cells():
    for client, first, second, ending in itertools.product(READERS, VENDORS, CONTINUERS, ENDINGS):
        # How it breaks is tried with one that continues.
        if ending in ("reset", "clean_end") or second == "anthropic":
            yield client, first, second, ending


def name_of(egress, *cell):
    return "-".join((egress, "resume", *cell))


def models(egress):
    pools = {name_of(egress, *cell): resumed(name_of(egress, *cell), cell[1:3]) for cell in cells()}
    pools[f"{egress}-chain"] = resumed(f"{egress}-chain", CONTINUERS)
    pools[f"{egress}-never"] = resumed(f"{egress}-never", ("openai", "openai"))
    pools[f"{egress}-passed-over"] = resumed(f"{egress}-passed-over", ("openai", "openai", "gemini"))
    for ending, alike in itertools.product(("clean_end", "reset"), (False, True)):
        pools[f"{egress}-lost-{ending}-{alike}"] = resumed(f"{egress}-lost-{ending}-{alike}", CONTINUERS)
    for client in READERS:
        pools[f"{egress}-{client}-tool"] = resumed(f"{egress}-{client}-tool", ("anthropic", "gemini"))
    return pools


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=EGRESS)
async def relayed(request, make_stack):
    async with relaying(make_stack, request.param, models(request.param)) as stack:
        yield stack


def whole(name):
    """A text in which no place is like another, without blanks that an API may trim."""
    return "".join(f"{number}:{name};" for number in range(4))


def breaks(vendor, text, ending, marker):
    """Says what is there of a text, and breaks once the client has it."""

    async def behaviour(exchange):
        api = spoken(exchange, vendor)
        before, content, _ = stream(api, text)
        await exchange.head(200, stream_type(api), "eof" if ending == "clean_end" else "chunked")
        await exchange.send(b"".join(before + content))
        await asyncio.wait_for(marker.wait(), 20)
        if ending == "reset":
            exchange.reset()
        elif ending == "clean_end":
            exchange.keep_alive = False
        elif ending == "error_event":
            await exchange.send(error_event(api, len(before) + len(content)))
            await exchange.end()
        else:
            await exchange.client_gone()

    return behaviour


async def listen(stack, reader, name, markers):
    """What the client has got; each part sets its marker when it is there."""
    got = b""
    async with stack.client.stream("POST", reader.path(name, True), json=reader.body(name, True)) as response:
        async for chunk in response.aiter_raw():
            got += chunk
            for part, marker in markers.items():
                if part.encode() in got:
                    marker.set()
    return response, reader.stream(got)


def given(vendor, body):
    """The beginning of the answer that a target was asked to go on with, and whose word it is."""
    if vendor == "gemini":
        last = body["contents"][-1]
        return last["role"], "".join(part["text"] for part in last["parts"])
    last = body["messages"][-1]
    content = last["content"]
    return last["role"], content if isinstance(content, str) else "".join(part["text"] for part in content)


async def one(stack, provider, cell):
    client, first, second, ending = cell
    name, reader, marker = name_of(stack.egress, *cell), READERS[client], asyncio.Event()
    text = whole(name)
    begun, rest = halves(text)
    provider.on(f"{name}-0", breaks(first, begun, ending, marker))
    asked = provider.on(f"{name}-1", answers(second, rest, True))
    try:
        response, answer = await listen(stack, reader, name, {halves(begun)[1]: marker})
        if (client, first) == ("responses", "openai"):
            # Its items have names that only its own provider knows.
            assert not answer.complete and answer.text == begun and not asked, answer
            return None
        assert answer.complete and answer.text == text, answer
        [request] = asked
        assert given(second, request.json) == ("model" if second == "gemini" else "assistant", begun), request.json
        assert response.headers["x-meseta-model"] == f"{first}/{name}-0"
    except (AssertionError, KeyError, ValueError, httpx.HTTPError) as error:
        return f"{'/'.join(cell)}: {type(error).__name__} {str(error)[:400]}"


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_stream_that_breaks_is_continued_and_the_client_gets_one_text_with_one_end(relayed, provider, ending):
    chosen = [cell for cell in cells() if cell[3] == ending]
    wrong = [found for found in await gather_limited(20, (one(relayed, provider, cell) for cell in chosen)) if found]
    assert not wrong, f"{len(wrong)} of {len(chosen)}:\n" + "\n".join(wrong)


async def test_what_continues_may_break_and_be_continued_and_the_usage_is_that_of_all(relayed, provider):
    name = f"{relayed.egress}-chain"
    parts = [whole(f"{place}-{name}-{place}") for place in range(3)]
    markers = {halves(part)[1]: asyncio.Event() for part in parts[:2]}
    seen = []
    for place, marker in enumerate(markers.values()):
        seen.append(provider.on(f"{name}-{place}", breaks(CONTINUERS[place], parts[place], "clean_end", marker)))
    seen.append(provider.on(f"{name}-2", answers("gemini", parts[2], True)))
    _, answer = await listen(relayed, Messages, name, markers)
    assert answer.complete and answer.text == "".join(parts)
    assert [given(vendor, requests[0].json)[1] for vendor, requests in zip(CONTINUERS[1:], seen[1:])] == [parts[0], parts[0] + parts[1]]
    line = await relayed.exchange_line(f"{name}-2")
    assert line["attempts"] == 3 and line["ending"] == "complete", line
    # The first has told 9 of its input, the second nothing, the third 9 and 4.
    assert line["input_tokens"] >= 18 and line["output_tokens"] > 4, line
    # Each with its own key, and none with another's.
    for requests, key in zip(seen, ("ANTHROPIC_TEST_KEY", "OPENAI_TEST_KEY", "OPENAI_TEST_KEY")):
        assert SECRETS[key] in str(requests[0].headers)
        assert not [other for other in SECRETS if other != key and SECRETS[other] in str(requests[0].headers)]


@pytest.mark.parametrize("kind, continued", [("never", False), ("passed-over", True)])
async def test_a_target_that_cannot_continue_is_passed_over_and_without_another_the_client_is_told(relayed, provider, kind, continued):
    name = f"{relayed.egress}-{kind}"
    marker, text = asyncio.Event(), whole(name)
    begun, rest = halves(text)
    provider.on(f"{name}-0", breaks("openai", begun, "reset", marker))
    unable = provider.on(f"{name}-1", answers("openai", rest, True))
    provider.on(f"{name}-2", answers("gemini", rest, True))
    _, answer = await listen(relayed, READERS["chat"], name, {halves(begun)[1]: marker})
    assert not unable, "a chat that begins anew"
    assert (answer.complete, answer.text) == ((True, text) if continued else (False, begun)), answer


@pytest.mark.parametrize("alike", [False, True], ids=["other", "alike"])
@pytest.mark.parametrize("ending", ["clean_end", "reset"])
async def test_nothing_is_lost_of_what_continues_and_breaks_at_once(relayed, provider, ending, alike):
    name = f"{relayed.egress}-lost-{ending}-{alike}"
    parts = [f"{place}:part-of-{name};" if alike else whole(f"{place}-{name}-{place}") for place in range(3)]
    marker, at_once = asyncio.Event(), asyncio.Event()
    at_once.set()
    provider.on(f"{name}-0", breaks("anthropic", parts[0], "clean_end", marker))
    provider.on(f"{name}-1", breaks("amazon_bedrock", parts[1], ending, at_once))
    third = provider.on(f"{name}-2", answers("gemini", parts[2], True))
    _, answer = await listen(relayed, Messages, name, {halves(parts[0])[1]: marker})
    assert answer.complete, answer
    # A reset may overtake what was sent before it; then the third has not been told of it either.
    told = given("gemini", third[0].json)[1]
    assert answer.text == told + parts[2] and told in ("".join(parts[:2]), *([parts[0], parts[0] + halves(parts[1])[0]] if ending == "reset" else [])), (told, answer)


async def test_the_call_of_a_tool_that_has_begun_is_not_continued(relayed, provider):
    async def one(client):
        name, begun = f"{relayed.egress}-{client}-tool", "Let-me-look-it-up."
        events = message_events(
            ({"type": "text", "text": ""}, [{"type": "text_delta", "text": begun}]),
            ({"type": "tool_use", "id": "t1", "name": "f", "input": {}}, [{"type": "input_json_delta", "partial_json": '{"a": 1'}]))

        async def behaviour(exchange):
            await exchange.head(200, STREAM, "eof")
            await exchange.send(named(events[:6]))

        provider.on(f"{name}-0", behaviour)
        second = provider.on(f"{name}-1", answers("gemini", "anything", True))
        reader = READERS[client]
        response = await post(relayed.client, reader, name, True)
        assert not second and "anything" not in response.text, response.text
        assert "error" in response.text.lower() or "exception" in response.text.lower(), response.text
        for end in ("[DONE]", "message_stop", "response.completed", "finishReason", "messageStop"):
            assert end not in response.text, response.text

    await asyncio.gather(*(one(client) for client in READERS))
