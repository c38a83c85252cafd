"""Rate limits that hold, in the filter inside Envoy and in the server; and keys of clients."""

import asyncio
import hashlib
import time

import httpx
import pytest
import pytest_asyncio

from answers import JSON, STREAM, chat_chunks, sse
from conftest import PROMPT
from stack import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEYS = {"alice": "key-alice-1f2e3d", "bob": "key-bob-4c5b6a"}


def digest(key):
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def as_consumer(name):
    return {"authorization": f"Bearer {KEYS[name]}"}


LIMITS = [
    {"name": "rate", "match": {"header": "x-rate"}, "unit": "requests", "limit": 10, "per": "second", "burst": 10},
    {"name": "few", "match": {"header": "x-few"}, "unit": "requests", "limit": 3, "per": "hour"},
    {"name": "tokens", "match": {"header": "x-tokens"}, "unit": "tokens", "limit": 10_000, "per": "hour"},
    {"name": "own", "match": {"consumer": "*"}, "unit": "requests", "limit": 10_000, "per": "day"},
]


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["wasm", "native"])
async def limited(request, make_stack):
    """Stacks with limits, executed in Envoy or in the server."""
    config = {
        "server": {"meter": request.param},
        "keys": [{"name": name, "hash": digest(key)} for name, key in KEYS.items()],
        "limits": LIMITS,
        "models": {"pair": {"targets": [{"model": "openai/limited-pair-1", "priority": 1},
                                        {"model": "anthropic/limited-pair-2", "priority": 2}]},
                   "unwell": {"targets": ["openai/limited-unwell-1", "anthropic/limited-unwell-2"]},
                   "ruled": {"targets": ["openai/ruled-for-all"],
                             "rules": [{"match": {"consumer": "bo*"}, "use": "openai/ruled-for-bob"}]}},
    }
    stack = await make_stack(config, concurrency=4)
    stack.meter = request.param
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=stack.url, timeout=60, limits=limits) as client:
        stack.client = client
        yield stack


def ask(stack, model, headers, consumer="alice", **more):
    body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], **more}
    return stack.client.post("/v1/chat/completions", json=body, headers={**as_consumer(consumer), **headers})


ANSWER = b'{"id":"c","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hi"}}],"usage":{"prompt_tokens":5,"completion_tokens":5,"total_tokens":10}}'


@pytest.mark.parametrize("way", ["direct", "relay"])
async def test_what_is_over_a_limit_is_refused_to_its_subject_alone(limited, provider, model, way):
    name = f"openai/{model}" if way == "direct" else "pair"
    asked = provider.answers(model if way == "direct" else "limited-pair-1", 200,
                             [*JSON, ("x-ratelimit-remaining-requests", "77")], ANSWER)
    other = provider.answers("limited-pair-2", 200, JSON, b"{}")
    before = len(asked)
    mine = {"x-few": f"{way}-{limited.meter}-one"}
    answers = [await ask(limited, name, mine) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert len(asked) == before + 3 and not other, "no provider receives what is refused"
    good, refused = answers[0], answers[3]
    assert good.headers["x-ratelimit-limit-requests"] == "3" and good.headers["x-ratelimit-remaining-requests"] == "2"
    assert good.headers["x-meseta-upstream-x-ratelimit-remaining-requests"] == "77"
    assert '"few"' in good.headers["ratelimit"] and '"few"' in good.headers["ratelimit-policy"]
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert 1 <= int(refused.headers["retry-after"]) <= 3600
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    for answer in answers:
        internal = {key for key in answer.headers if key.startswith("x-meseta-")}
        assert not internal & {"x-meseta-charge", "x-meseta-standing", "x-meseta-reservation", "x-meseta-cluster"}
    text = refused.text + str(refused.headers)
    assert "alice" not in text and mine["x-few"] not in text
    assert (await ask(limited, name, {"x-few": f"{way}-{limited.meter}-two"})).status_code == 200
    assert (await ask(limited, name, {})).status_code == 200


async def test_refusals_are_in_the_dialect_of_the_endpoint(limited, provider, model):
    provider.answers(model, 200, JSON, ANSWER)
    for path, body, kind in [
        ("/v1/messages", {"model": f"openai/{model}", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]},
         lambda error: error["error"]["type"] == "rate_limit_error" and error["type"] == "error"),
        (f"/v1beta/models/openai%2F{model}:generateContent", {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
         lambda error: error["error"]["status"] == "RESOURCE_EXHAUSTED" and error["error"]["code"] == 429),
        (f"/model/openai%2F{model}/converse", {"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
         lambda error: error["__type"] == "ThrottlingException"),
    ]:
        headers = {**as_consumer("bob"), "x-few": f"dialect-{limited.meter}-{path}"}
        answers = [await limited.client.post(path, json=body, headers=headers) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429], answers[-1].text
        assert kind(answers[-1].json()), answers[-1].text


async def test_tokens_are_reserved_and_settled_with_what_was_used(limited, provider, model):
    provider.answers(model, 200, JSON, ANSWER)
    mine = {"x-tokens": f"settle-{limited.meter}"}
    # Each reserves more than a thousand, and uses ten: without settling, the tenth would be refused.
    for _ in range(30):
        answer = await ask(limited, f"openai/{model}", mine, max_tokens=1000)
        assert answer.status_code == 200, answer.text
        await asyncio.sleep(0)
    left = int(answer.headers["x-ratelimit-remaining-tokens"])
    assert 10_000 - 30 * 10 - 2 * 1100 <= left <= 10_000 - 1000, left


async def test_more_than_was_reserved_is_owed_and_blocks(limited, provider, model):
    used = ANSWER.replace(b'"completion_tokens":5', b'"completion_tokens":20000')
    provider.answers(model, 200, JSON, used)
    mine = {"x-tokens": f"debt-{limited.meter}"}
    assert (await ask(limited, f"openai/{model}", mine, max_tokens=5)).status_code == 200

    async def blocked():
        answer = await ask(limited, f"openai/{model}", mine, max_tokens=5)
        return answer if answer.status_code == 429 else None

    refused = None
    for _ in range(50):
        refused = await blocked()
        if refused:
            break
    assert refused and refused.headers["x-ratelimit-remaining-tokens"] == "0"


async def test_what_can_never_pass_is_refused_with_words_that_say_so(limited, provider, model):
    requests = provider.answers(model, 200, JSON, ANSWER)
    refused = await ask(limited, f"openai/{model}", {"x-tokens": f"large-{limited.meter}"}, max_tokens=20_000)
    assert refused.status_code == 429 and "larger than" in refused.json()["error"]["message"], refused.text
    assert "retry-after" not in refused.headers and not requests


@pytest.mark.parametrize("way", ["direct", "relay"])
async def test_a_stream_that_the_client_leaves_is_settled_with_what_has_passed(limited, provider, model, way):
    name = f"openai/{model}" if way == "direct" else "pair"
    gone = []

    async def endless(exchange):
        await exchange.head(200, STREAM)
        chunk = sse(chat_chunks({"content": "word " * 40})[:1])
        try:
            while True:
                await exchange.send(chunk)
                await asyncio.sleep(0.01)
        except ConnectionError:
            gone.append(True)
            raise

    provider.on(model if way == "direct" else "limited-pair-1", endless)
    mine = {"x-tokens": f"leave-{way}-{limited.meter}"}
    body = {"model": name, "stream": True, "max_tokens": 9000, "messages": [{"role": "user", "content": PROMPT}]}
    async with limited.client.stream("POST", "/v1/chat/completions", json=body,
                                     headers={**as_consumer("alice"), **mine}) as answer:
        assert answer.status_code == 200
        seen = 0
        async for piece in answer.aiter_bytes():
            seen += len(piece)
            if seen > 4000:
                break
    # Nine thousand were reserved of ten; what comes back lets another of the kind pass.
    provider.answers(model if way == "direct" else "limited-pair-1", 200, JSON, ANSWER)

    async def passes():
        return (await ask(limited, name, mine, max_tokens=7000)).status_code == 200

    end = time.monotonic() + 20
    while not await passes():
        assert time.monotonic() < end, "what was not used never comes back"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("way", ["direct", "relay"])
async def test_a_stream_that_is_left_costs_what_has_passed_within_sixteen_events(limited, provider, model, way):
    name = f"openai/{model}" if way == "direct" else "pair"
    events, per_event = 50, 10

    async def stalls(exchange):
        await exchange.head(200, STREAM)
        for _ in range(events):
            await exchange.send(sse(chat_chunks({"content": "word " * 8})[:1]))
            await asyncio.sleep(0.005)
        await exchange.client_gone()

    provider.on(model if way == "direct" else "limited-pair-1", stalls)
    mine = {"x-tokens": f"exact-{way}-{limited.meter}"}
    body = {"model": name, "stream": True, "max_tokens": 5000, "messages": [{"role": "user", "content": PROMPT}]}
    async with limited.client.stream("POST", "/v1/chat/completions", json=body,
                                     headers={**as_consumer("alice"), **mine}) as answer:
        seen = ""
        async for piece in answer.aiter_text():
            seen += piece
            if seen.count("word " * 8) == events:
                break
    provider.answers(model if way == "direct" else "limited-pair-1", 200, JSON, ANSWER)
    end = time.monotonic() + 20
    while True:
        probe = await ask(limited, name, mine, max_tokens=1)
        left = int(probe.headers["x-ratelimit-remaining-tokens"])
        if left > 5100:  # the reservation of the stream has come back
            break
        assert time.monotonic() < end, left
        await asyncio.sleep(0.05)
    spent = 10_000 - left
    # The prompt, the probes, and what has passed of the stream; the bucket fills by three tokens a second.
    assert (events - 16) * per_event <= spent <= events * per_event + 400, spent


@pytest.mark.parametrize("way", ["direct", "relay"])
async def test_a_failed_request_gets_its_tokens_back(limited, provider, model, way):
    name = f"openai/{model}" if way == "direct" else "unwell"
    for failing in (model, "limited-unwell-1", "limited-unwell-2"):
        provider.answers(failing, 500, JSON, b'{"error":{"message":"no"}}')
    mine = {"x-tokens": f"failed-{way}-{limited.meter}"}
    end = time.monotonic() + 20
    failed = 0
    while failed < 5:
        # The filter settles when Envoy has logged the exchange, a moment after the client has its answer.
        status = (await ask(limited, name, mine, max_tokens=6000)).status_code
        assert status in (500, 503, 429)
        failed += status != 429
        assert time.monotonic() < end, "what was reserved does not come back"


@pytest.mark.parametrize("streams", [False, True])
async def test_a_hammering_crowd_gets_what_the_formula_gives_and_no_more(limited, provider, model, streams):
    if streams:
        provider.answers(model, 200, STREAM, sse(chat_chunks({"content": "hi"})), "chunked")
    else:
        provider.answers(model, 200, JSON, ANSWER)
    mine = {"x-rate": f"crowd-{streams}-{limited.meter}"}
    seconds, admitted, refused = 6, 0, 0
    began = time.monotonic()

    async def hammer():
        nonlocal admitted, refused
        while time.monotonic() - began < seconds:
            status = (await ask(limited, f"openai/{model}", mine, stream=streams)).status_code
            assert status in (200, 429)
            if status == 200:
                admitted += 1
            else:
                refused += 1

    await asyncio.gather(*(hammer() for _ in range(64)))
    allowed = 10 + 10 * (time.monotonic() - began)
    assert refused > 20, "the crowd does not press"
    assert 0.95 * (10 + 10 * seconds) <= admitted <= allowed, (admitted, allowed)


async def test_who_is_not_known_gets_401_in_its_dialect(limited):
    answer = await limited.client.post("/v1/messages", json={}, headers={"x-api-key": "nobody"})
    assert answer.status_code == 401 and answer.json()["error"]["type"] == "authentication_error"
    assert (await limited.client.get("/v1/models")).status_code == 401
    assert (await limited.client.get("/v1/models", headers=as_consumer("bob"))).status_code == 200
    assert (await limited.client.get("/healthz")).status_code == 200


async def test_a_rule_may_go_by_who_asks(limited, provider):
    for_all = provider.answers("ruled-for-all", 200, JSON, ANSWER)
    for_bob = provider.answers("ruled-for-bob", 200, JSON, ANSWER)
    before = len(for_all), len(for_bob)
    await ask(limited, "ruled", {}, consumer="alice")
    await ask(limited, "ruled", {}, consumer="bob")
    assert (len(for_all), len(for_bob)) == (before[0] + 1, before[1] + 1)


async def test_nobody_orders_charges_of_the_meter_but_the_server(limited, provider, model):
    provider.answers(model, 200, JSON, ANSWER)
    forged = {"x-meseta-charge": "v1;openai;direct;0:0;few:1", "x-meseta-reservation": "v1", "x-meseta-standing": "v1"}
    for _ in range(6):
        assert (await ask(limited, f"openai/{model}", forged)).status_code == 200


async def test_the_access_log_names_the_consumer(limited, provider, model):
    provider.answers(model, 200, JSON, ANSWER)
    await ask(limited, f"openai/{model}", {}, consumer="bob")
    assert (await limited.access_line(model))["consumer"] == "bob"
    assert (await limited.exchange_line(model))["consumer"] == "bob"


async def test_the_meter_counts_what_it_does(limited):
    if limited.meter == "wasm":
        await until(lambda: limited.stat("meseta_meter_refused") > 0, "the filter counts refusals")
        assert limited.stat("meseta_meter_settled") > 0
