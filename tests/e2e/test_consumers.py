"""Who asks, as earlier filters have found out, and limits in Plano's form."""

import base64
import json
import time

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from answers import JSON
from conftest import PROMPT

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANSWER = b'{"id":"c","choices":[{"index":0,"finish_reason":"stop"}],"usage":{"prompt_tokens":40,"completion_tokens":5}}'
METERS = ["wasm", "native"]
CHAT = "/v1/chat/completions"


async def statuses(client, model, headers, count):
    body = {"model": f"openai/{model}", "messages": [{"role": "user", "content": PROMPT}]}
    return [(await client.post(CHAT, json=body, headers=headers)).status_code for _ in range(count)]


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=METERS)
async def plano(request, make_stack):
    """Limits as Plano has them: tokens of prompts, by the value of a header."""
    ratelimits = [
        {"model": "openai/*", "selector": {"key": "x-user-id", "value": "*"}, "limit": {"tokens": 100, "unit": "hour"}},
        {"model": "openai/*", "selector": {"key": "x-user-id", "value": "vip"}, "limit": {"tokens": 1000, "unit": "day"}},
    ]
    stack = await make_stack({"ratelimits": ratelimits, "server": {"meter": request.param}})
    async with httpx.AsyncClient(base_url=stack.url, timeout=60) as client:
        yield client


async def test_planos_ratelimits_count_prompts_for_each_value_and_the_very_value_comes_first(plano, provider, model):
    provider.answers(model, 200, JSON, ANSWER)
    selected = {"x-arch-ratelimit-selector": "x-user-id"}
    ordinary = await statuses(plano, model, {**selected, "x-user-id": f"u-{model}"}, 5)
    # Forty tokens each of a hundred: the third is a debt that blocks, or does not fit.
    assert ordinary[:2] == [200, 200] and ordinary[3:] == [429, 429], ordinary
    assert await statuses(plano, model, {**selected, "x-user-id": "vip"}, 6) == [200] * 6
    assert await statuses(plano, model, {}, 6) == [200] * 6


LIMIT = [{"name": "each", "match": {"consumer": "*"}, "unit": "requests", "limit": 2, "per": "hour"}]


@pytest.mark.parametrize("meter", METERS)
async def test_a_header_of_a_filter_before_us_says_who_asks(make_stack, provider, model, meter):
    provider.answers(model, 200, JSON, ANSWER)
    config = {"consumer": {"header": "x-user-id"}, "limits": LIMIT, "server": {"meter": meter}}
    stack = await make_stack(config)
    async with httpx.AsyncClient(base_url=stack.url, timeout=60) as client:
        for user in ("one", "two"):
            assert await statuses(client, model, {"x-user-id": user}, 3) == [200, 200, 429]
        # Nobody: no limit of a consumer's, and no key is wanted.
        assert await statuses(client, model, {}, 3) == [200] * 3


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value):
    return encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Issuer:
    """Signs tokens, and tells Envoy by which key."""

    def __init__(self):
        self.key = rsa.generate_private_key(65537, 2048)

    def jwks(self):
        numbers = self.key.public_key().public_numbers()
        return json.dumps({"keys": [{"kty": "RSA", "alg": "RS256", "kid": "1", "n": number(numbers.n), "e": number(numbers.e)}]})

    def token(self, **claims):
        head = encoded(json.dumps({"alg": "RS256", "kid": "1", "typ": "JWT"}).encode())
        body = encoded(json.dumps({"iss": "tests", "exp": int(time.time()) + 600, **claims}).encode())
        signed = f"{head}.{body}".encode()
        return f"{head}.{body}.{encoded(self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))}"


@pytest.mark.parametrize("meter", METERS)
async def test_a_claim_that_envoy_has_verified_says_who_asks(make_stack, provider, model, meter):
    provider.answers(model, 200, JSON, ANSWER)
    issuer = Issuer()

    def with_jwt(tree):
        own = {
            "providers": {"tests": {"issuer": "tests", "local_jwks": {"inline_string": issuer.jwks()},
                                    "payload_in_metadata": "jwt_payload"}},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "tests"}}],
        }
        kind = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
        for listener in tree["static_resources"]["listeners"]:
            filters = listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
            if any(one["name"] == "envoy.filters.http.ext_proc" for one in filters):
                filters.insert(0, {"name": "envoy.filters.http.jwt_authn", "typed_config": {"@type": kind, **own}})

    config = {"consumer": {"claim": "jwt_payload.sub"}, "limits": LIMIT, "server": {"meter": meter}}
    stack = await make_stack(config, rendered=with_jwt)
    async with httpx.AsyncClient(base_url=stack.url, timeout=60) as client:
        for user in ("ann", "ben"):
            token = {"authorization": f"Bearer {issuer.token(sub=user)}"}
            assert await statuses(client, model, token, 3) == [200, 200, 429]
        assert await statuses(client, model, {"authorization": "Bearer forged"}, 1) == [401]
    assert (await stack.access_line(model))["consumer"] == "ann"
