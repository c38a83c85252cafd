"""Targets know nothing of each other, and the client nothing of those that failed."""

import json

import pytest
import pytest_asyncio

from answers import JSON
from conftest import EGRESS, PROMPT, SECRETS, gather_limited, relaying
from readers import READERS, read
from targets import TELLTALES, VENDORS, answers, error, pool, said

KEYS = dict(zip(VENDORS, ("OPENAI_TEST_KEY", "ANTHROPIC_TEST_KEY", "BEDROCK_TEST_KEY", "GEMINI_TEST_KEY")))
# Where each has its key.
CREDENTIALS = {
    "openai": ("authorization", "Bearer {}"), "anthropic": ("x-api-key", "{}"),
    "amazon_bedrock": ("authorization", "Bearer {}"), "gemini": ("x-goog-api-key", "{}"),
}
# What tells the bodies of the APIs apart: the members of each that no other has, for this request.
SHAPES = {"openai": {"model", "messages"}, "anthropic": {"model", "messages", "max_tokens"},
          "amazon_bedrock": {"messages"}, "gemini": {"contents"}}
FINAL = (400, 401, 403, 404, 413, 422)
OF_THE_CLIENT = {
    "authorization": f"Bearer {SECRETS['CLIENT_KEY']}", "x-api-key": SECRETS["CLIENT_KEY"], "x-goog-api-key": SECRETS["CLIENT_KEY"],
    "cookie": f"session={SECRETS['CLIENT_KEY']}", "proxy-authorization": f"Basic {SECRETS['CLIENT_KEY']}",
    "x-amz-security-token": SECRETS["CLIENT_KEY"], "api-key": SECRETS["CLIENT_KEY"],
}


def models(egress):
    names = [f"{egress}-{client}-{kind}-{way}" for client in READERS for way in ("stream", "whole")
             for kind in ("apart", *(f"final{status}" for status in FINAL))]
    pools = {name: pool(name) for name in names}
    pools[f"{egress}-through"] = {"targets": [
        {"model": f"through/{egress}-through-0", "priority": 1}, {"model": f"openai/{egress}-through-1", "priority": 2}]}
    return pools


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=EGRESS)
async def relayed(request, make_stack, provider):
    base = f"http://127.0.0.1:{provider.port}"
    providers = [
        {"model": f"{vendor}/*", "access_key": f"${key}", "base_url": f"{base}{'/v1' if vendor == 'openai' else ''}"}
        for vendor, key in KEYS.items()]
    providers.append({"model": "through/*", "base_url": f"{base}/v1", "provider_interface": "openai", "passthrough_auth": True})
    async with relaying(make_stack, request.param, models(request.param), model_providers=providers, model_aliases={}) as stack:
        yield stack


def refuses(vendor, status, number):
    """An error with all that a provider may say beside it."""
    headers = [*TELLTALES, ("retry-after", "0"), ("x-request-id", f"req-of-{number}"), ("x-should-retry", "true"),
               ("x-secret-of-target", str(number)), ("cf-ray", "telltale"), ("alt-svc", "telltale"), ("www-authenticate", "telltale")]

    async def behaviour(exchange):
        await exchange.reply(status, [*JSON, *headers], error(vendor, status, f"the words of target {number}"))

    return behaviour


def everything(request):
    return f"{request.path}\n{request.headers}\n{request.body.decode()}"


def shape(body):
    return set(body) & {"model", "messages", "max_tokens", "contents", "input", "stream"}


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
async def test_no_target_sees_the_key_or_the_body_of_another_or_what_is_the_clients(relayed, provider, streaming):
    async def one(client):
        name = f"{relayed.egress}-{client}-apart-{'stream' if streaming else 'whole'}"
        seen = [provider.on(f"{name}-{place}", refuses(vendor, 503, place)) for place, vendor in enumerate(VENDORS)]
        reader = READERS[client]
        response = await relayed.client.post(
            f"{reader.path(name, streaming)}{'&' if '?' in reader.path(name, streaming) else '?'}key={SECRETS['CLIENT_KEY']}",
            json=reader.body(name, streaming), headers=OF_THE_CLIENT)
        for place, vendor in enumerate(VENDORS):
            [request] = seen[place]
            header, form = CREDENTIALS[vendor]
            assert [value for key, value in request.headers if key == header] == [form.format(SECRETS[KEYS[vendor]])], request.headers
            for key, secret in SECRETS.items():
                assert key == KEYS[vendor] or secret not in everything(request), f"{vendor} sees {key}"
            assert PROMPT in request.body.decode()
            for other in range(4):
                assert other == place or f"{name}-{other}" not in everything(request), f"{vendor} sees the name of target {other}"
                assert f"the words of target {other}" not in everything(request)
            assert name not in everything(request).replace(f"{name}-{place}", ""), f"{vendor} sees the name of the pool"
            if vendor != "openai" or client != "responses":
                assert shape(request.json) - {"stream"} >= SHAPES[vendor], (vendor, request.json)
            others = {"contents"} if vendor != "gemini" else {"messages", "model", "max_tokens", "input", "stream"}
            assert not set(request.json) & others, (vendor, request.json)
            host = request.header("host")
            assert host == f"127.0.0.1:{provider.port}", host
            assert not [key for key, _ in request.headers if key.startswith("x-meseta")], request.headers
        # Of the error of the last the client gets its words, and the headers that help.
        assert response.status_code == 503 and "the words of target 3" in response.text, response.text
        assert response.headers["retry-after"] == "0" and response.headers["x-request-id"] == "req-of-3"
        allowed = {"content-type", "content-length", "date", "retry-after", "x-request-id", "x-should-retry", "x-amzn-errortype",
                   "x-meseta-attempts", "x-meseta-model", "x-meseta-loss", "x-meseta-translation-loss"}
        assert set(response.headers) <= allowed, set(response.headers) - allowed
        assert not read(reader, response, streaming).complete

    await gather_limited(5, (one(client) for client in READERS))


@pytest.mark.parametrize("status", FINAL)
async def test_a_refusal_of_the_request_is_final_and_told_in_the_clients_dialect(relayed, provider, status):
    async def one(client, streaming):
        name = f"{relayed.egress}-{client}-final{status}-{'stream' if streaming else 'whole'}"
        seen = [provider.on(f"{name}-{place}", refuses(vendor, status, place)) for place, vendor in enumerate(VENDORS)]
        reader = READERS[client]
        response = await relayed.client.post(reader.path(name, streaming), json=reader.body(name, streaming))
        assert response.status_code == status, response.text
        answer = read(reader, response, streaming)
        assert "the words of target 0" in json.dumps(answer.error), answer
        assert [len(requests) for requests in seen] == [1, 0, 0, 0]
        assert response.headers["x-meseta-attempts"] == "1"
        assert "set-cookie" not in response.headers and "x-secret-of-target" not in response.headers

    await gather_limited(10, (one(client, streaming) for client in READERS for streaming in (False, True)))


async def test_a_credential_that_is_to_pass_goes_to_its_target_alone(relayed, provider):
    name = f"{relayed.egress}-through"
    first = provider.on(f"{name}-0", refuses("openai", 500, 0))
    second = provider.on(f"{name}-1", answers("openai", said("second"), False))
    reader = READERS["chat"]
    response = await relayed.client.post(reader.path(name, False), json=reader.body(name, False), headers=OF_THE_CLIENT)
    assert read(reader, response, False).text == said("second")
    assert first[0].header("authorization") == OF_THE_CLIENT["authorization"]
    assert not [secret for key, secret in SECRETS.items() if key != "CLIENT_KEY" and secret in everything(first[0])]
    assert second[0].header("authorization") == f"Bearer {SECRETS['OPENAI_TEST_KEY']}"
    assert SECRETS["CLIENT_KEY"] not in everything(second[0])


async def test_a_targets_own_headers_come_with_its_answer_alone(relayed, provider):
    name = f"{relayed.egress}-chat-apart-whole"
    provider.on(f"{name}-0", refuses("openai", 500, 0))
    own = [("x-ratelimit-remaining-requests", "99"), ("anthropic-ratelimit-requests-limit", "50")]
    provider.on(f"{name}-1", answers("anthropic", said("it"), False, headers=own))
    reader = READERS["chat"]
    response = await relayed.client.post(reader.path(name, False), json=reader.body(name, False))
    assert read(reader, response, False).text == said("it")
    assert response.headers["x-ratelimit-remaining-requests"] == "99"
    assert not {"retry-after", "set-cookie", "x-custom", "x-secret-of-target", "x-should-retry"} & set(response.headers)
    assert response.headers["x-request-id"] != "req-of-0"
