"""Which target of a pool a request goes to, and which names there are."""

import asyncio
from collections import Counter

import pytest
import pytest_asyncio

from answers import JSON
from conftest import gather_limited, relaying
from readers import READERS, Chat, post, read
from stack import until
from targets import answers, document, said
from test_edges import assert_error


def equals(name, weights=(1, 1), **more):
    """Two targets of the same priority."""
    targets = [{"model": f"openai/{name}-{place}", "weight": weight} for place, weight in enumerate(weights)]
    return {"targets": targets, **more}


MODELS = {
    "weighted": equals("weighted", (9, 1)),
    "sticky": equals("sticky", sticky={"header": "x-user"}),
    "ruled": equals("ruled", rules=[
        {"match": {"header": {"x-tier": "gold", "x-region": "*"}}, "use": "ruled-gold"},
        {"match": {"header": {"x-tier": "silver"}}, "use": "anthropic/ruled-silver"}]),
    "ruled-gold": equals("gold", rules=[{"match": {"header": {"x-tier": "gold"}}, "use": "ruled"}]),
    "fastest": equals("fastest", select="fastest"),
    "least-busy": equals("least-busy", select="least_busy"),
    "least-busy-weighted": equals("least-busy-weighted", (3, 1), select="least_busy"),
    "of-default": {**equals("of-default"), "default": True},
    # A name that providers have as well.
    "openai/named-like-a-model": {"targets": ["anthropic/named-like-a-model"]},
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pools(make_stack, provider):
    base = f"http://127.0.0.1:{provider.port}"
    providers = [
        {"model": "openai/*", "access_key": "$OPENAI_TEST_KEY", "base_url": f"{base}/v1"},
        {"model": "anthropic/*", "access_key": "$ANTHROPIC_TEST_KEY", "base_url": base}]
    async with relaying(make_stack, "direct", MODELS, model_providers=providers,
                        model_aliases={"nickname": {"target": "sticky"}}) as stack:
        yield stack


def serve(provider, name, streaming=False, pause=0):
    return [provider.on(f"{name}-{place}", answers("openai", said(f"{name}-{place}"), streaming, pause)) for place in (0, 1)]


async def place_of(stack, name, streaming=False, **more):
    response = await post(stack.client, Chat, name, streaming, **more)
    assert response.status_code == 200, response.text
    served = response.headers["x-meseta-model"].split("/")[1]
    assert read(Chat, response, streaming).text == said(served)
    return int(served[-1])


async def test_shares_are_as_the_weights(pools, provider):
    serve(provider, "weighted")
    places = Counter(await gather_limited(20, (place_of(pools, "weighted") for _ in range(500))))
    # Nine of ten, within four and a half standard deviations.
    assert 420 <= places[0] <= 480, places


async def test_a_user_stays_at_one_target(pools, provider):
    serve(provider, "sticky")
    seen = {}
    for _ in range(4):
        for user in range(40):
            place = await place_of(pools, "sticky" if user % 2 else "nickname", headers={"x-user": f"user-{user}"})
            assert seen.setdefault(user, place) == place
    assert 8 <= list(seen.values()).count(0) <= 32
    # Without the header it is anew for each request.
    assert len({await place_of(pools, "sticky") for _ in range(30)}) == 2


async def test_a_target_of_its_own_that_fails_is_left_for_the_time_being(pools, provider):
    seen = serve(provider, "sticky")
    user = {"x-user": "user-7"}
    home = await place_of(pools, "sticky", headers=user)

    async def fails(exchange):
        await exchange.reply(500, JSON, b"{}")

    provider.on(f"sticky-{home}", fails)
    assert await place_of(pools, "sticky", headers=user) == 1 - home
    provider.on(f"sticky-{home}", answers("openai", said(f"sticky-{home}"), False))
    assert await place_of(pools, "sticky", headers=user) == home
    assert seen


async def test_rules_send_requests_elsewhere_by_their_headers(pools, provider):
    for name in ("ruled", "gold"):
        serve(provider, name)
    provider.on("ruled-silver", answers("anthropic", said("ruled-silver"), False))

    async def served(**headers):
        response = await post(pools.client, Chat, "ruled", False, headers={key.replace("_", "-"): value for key, value in headers.items()})
        assert response.status_code == 200, response.text
        return response.headers["x-meseta-model"].rsplit("-", 1)[0]

    assert await served() == "openai/ruled"
    assert await served(x_tier="gold") == "openai/ruled"
    assert await served(x_tier="gold", x_region="anything") == "openai/gold"
    assert await served(x_tier="golden", x_region="anything") == "openai/ruled"
    assert await served(x_tier="silver") == "anthropic/ruled"


async def test_the_fastest_is_preferred_once_both_are_measured(pools, provider):
    provider.on("fastest-0", answers("openai", said("fastest-0"), True, 0.06))
    provider.on("fastest-1", answers("openai", said("fastest-1"), True))
    for _ in range(2):
        await place_of(pools, "fastest", True)
    places = [await place_of(pools, "fastest", True) for _ in range(60)]
    # One in forty goes to the slower one, so that its figures stay fresh.
    assert places.count(1) >= 50, places


@pytest.mark.parametrize("name, most", [("least-busy", (20, 20)), ("least-busy-weighted", (30, 10))])
async def test_streams_are_spread_by_how_many_are_under_way(pools, provider, name, most):
    under_way, release = Counter(), asyncio.Event()

    def held(place):
        async def behaviour(exchange):
            under_way[place] += 1
            await release.wait()
            await answers("openai", said(f"{name}-{place}"), True)(exchange)

        return behaviour

    for place in (0, 1):
        provider.on(f"{name}-{place}", held(place))
    tasks = [asyncio.create_task(place_of(pools, name, True)) for _ in range(40)]
    await until(lambda: sum(under_way.values()) == 40, "all are under way")
    release.set()
    await asyncio.gather(*tasks)
    # Two that come at the very same time may choose alike.
    assert abs(under_way[0] - most[0]) <= 2, under_way


async def test_names_of_pools_aliases_and_the_default_lead_to_pools(pools, provider):
    serve(provider, "of-default"), serve(provider, "sticky")
    provider.answers("named-like-a-model", 200, JSON, document("anthropic", said("named-like-a-model")))
    for body in ({"messages": []}, {"model": "", "messages": []}, {"model": "of-default", "messages": []}):
        response = await pools.client.post("/v1/chat/completions", json=body)
        assert response.headers["x-meseta-model"].startswith("openai/of-default-"), response.text
    for name, served in (("nickname", "openai/sticky-"), ("openai/named-like-a-model", "anthropic/named-like-a-model")):
        response = await post(pools.client, Chat, name, False)
        assert response.status_code == 200 and response.headers["x-meseta-model"].startswith(served), response.text


@pytest.mark.parametrize("client", READERS)
async def test_an_unknown_name_is_told_which_pools_are_near(pools, client):
    reader = READERS[client]
    for name, near in (("stickyy", "sticky"), ("of-defalt", "of-default"), ("nicknam", "nickname")):
        response = await post(pools.client, reader, name, False)
        assert response.status_code == 404 and near in response.json().get("error", response.json())["message"], response.text
        assert not read(reader, response, False).complete
    if client in ("chat", "messages"):
        assert_error(await post(pools.client, reader, "stickyy", True), reader.path("", True), 404, "sticky")


async def test_pools_are_listed_among_the_models(pools):
    names = {*MODELS, "nickname"}
    assert names <= {one["id"] for one in (await pools.client.get("/v1/models")).json()["data"]}
    listed = (await pools.client.get("/v1/models?limit=1000", headers={"anthropic-version": "2023-06-01"})).json()
    assert names <= {one["id"] for one in listed["data"]}
    listed = (await pools.client.get("/v1beta/models?pageSize=1000")).json()
    assert {f"models/{name}" for name in names} <= {one["name"] for one in listed["models"]}
    assert (await pools.client.get("/v1/models/sticky")).json()["id"] == "sticky"
