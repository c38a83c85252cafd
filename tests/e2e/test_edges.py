"""Requests that are answered without a provider, or not at all."""

import pytest

from stack import until

OPENAI, ANTHROPIC = "/v1/chat/completions", "/v1/messages"


def assert_error(response, path, status, text=""):
    """The error is in the dialect of the path, and says what the test expects."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error = response.json()
    if path.startswith("/v1/messages"):
        assert error["type"] == "error"
        assert set(error["error"]) == {"type", "message"}
    else:
        assert set(error) == {"error"}
        assert set(error["error"]) == {"message", "type", "param", "code"}
    assert text in error["error"]["message"]
    assert response.headers["x-request-id"]


@pytest.mark.parametrize("path", [OPENAI, ANTHROPIC, "/v1/responses", "/v1/embeddings", "/v1/completions", "/v1/messages/count_tokens"])
async def test_each_endpoint_refuses_in_its_own_dialect(client, path):
    assert_error(await client.post(path, content=b"{", headers={"content-type": "application/json"}), path, 400, "JSON")
    assert_error(await client.post(path, content=b"[]", headers={"content-type": "application/json"}), path, 400)
    assert_error(await client.post(path, json={"model": 7}), path, 400, "model")
    assert_error(await client.post(path, content=b"model=x", headers={"content-type": "application/x-www-form-urlencoded"}), path, 415)
    assert_error(await client.post(path, json={"model": "no-such-model"}), path, 404, "no-such-model")
    refused = await client.get(path)
    assert_error(refused, path, 405)
    assert refused.headers["allow"] == "POST, OPTIONS"
    head = await client.head(path)
    assert (head.status_code, head.content) == (405, b"")


@pytest.mark.parametrize("path", ["/", "/v1/unknown", "/v1/chat", "/v1/messages/batches", "/v1/chat/completions/x"])
async def test_an_unknown_path_is_not_found(client, path):
    assert_error(await client.post(path, json={}), path, 404)
    assert_error(await client.get(path), path, 404)


async def test_a_near_miss_is_told_what_was_meant(client):
    # A wildcard takes any name of its provider; another prefix does not.
    response = await client.post(OPENAI, json={"model": "the-defaul"})
    assert_error(response, OPENAI, 404, "openai/the-default")


async def test_no_model_means_the_default_and_an_alias_means_its_target(provider, client):
    requests = provider.answers("the-default", 200, [("content-type", "application/json")], b"{}")
    for body in ({"messages": []}, {"model": "", "messages": []}, {"model": "fast"}, {"model": "openai/the-default"}):
        before = len(requests)
        response = await client.post(OPENAI, json=body)
        assert response.status_code == 200, response.text
        assert requests[before].json["model"] == "the-default"


async def test_without_a_default_a_missing_model_is_said_to_be_missing(make_stack):
    import httpx

    stack = await make_stack({"model_providers": [{"model": "openai/only", "access_key": "$OPENAI_TEST_KEY"}], "model_aliases": {}})
    async with httpx.AsyncClient(base_url=stack.url) as client:
        assert_error(await client.post(OPENAI, json={"messages": []}), OPENAI, 400, "model")
        assert_error(await client.post(ANTHROPIC, json={"messages": []}), ANTHROPIC, 400, "model")


async def test_a_provider_that_lacks_the_api_is_named(client):
    response = await client.post("/v1/embeddings", json={"model": "anthropic/x", "input": "hi"})
    assert_error(response, "/v1/embeddings", 400, "anthropic")


async def test_a_body_over_the_limit_is_refused_and_reaches_no_provider(make_stack, provider):
    import httpx

    stack = await make_stack({"server": {"max_request_bytes": "64KiB"}})
    cluster = next(c["name"] for c in stack_clusters(stack) if c["name"] != "meseta_server")
    before = len(provider.unexpected)
    connections = stack.stat(f"cluster.{cluster}.upstream_cx_total")
    headers = {"content-type": "application/json", "x-meseta-cluster": cluster}
    body = b'{"model":"openai/the-default","padding":"' + b"x" * 200_000 + b'"}'

    async def chunks():
        for start in range(0, len(body), 8192):
            yield body[start : start + 8192]

    async with httpx.AsyncClient(base_url=stack.url) as client:
        for path in (OPENAI, ANTHROPIC):
            assert_error(await client.post(path, content=body, headers=headers), path, 413)
            # Without a length, the limit is only found on the way.
            response = await client.post(path, content=chunks(), headers=headers)
            assert_error(response, path, 413)
        # Nor does the header alone lead anywhere.
        assert (await client.get("/nothing", headers=headers)).status_code == 404
    assert len(provider.unexpected) == before
    assert stack.stat(f"cluster.{cluster}.upstream_cx_total") == connections


def stack_clusters(stack):
    import yaml

    return yaml.safe_load(stack.file("envoy.yaml").read_text())["static_resources"]["clusters"]


async def test_model_lists_come_in_both_shapes_with_aliases_in_a_stable_order(client):
    openai = (await client.get("/v1/models")).json()
    assert openai["object"] == "list"
    names = [model["id"] for model in openai["data"]]
    assert names.index("openai/the-default") < names.index("fast")
    assert all(set(model) == {"id", "object", "created", "owned_by"} for model in openai["data"])
    assert (await client.get("/v1/models")).json() == openai

    headers = {"anthropic-version": "2023-06-01"}
    anthropic = (await client.get("/v1/models?limit=1000", headers=headers)).json()
    assert [model["id"] for model in anthropic["data"]] == names
    assert anthropic["data"][0]["type"] == "model" and anthropic["has_more"] is False

    one = (await client.get("/v1/models/openai/the-default")).json()
    assert one["id"] == "openai/the-default"
    assert (await client.get("/v1/models/fast", headers=headers)).json()["type"] == "model"
    head = await client.head("/v1/models")
    assert (head.status_code, head.content) == (200, b"")
    assert (await client.get("/v1/models/none")).status_code == 404


async def test_pages_of_this_machine_may_call_and_others_may_not(provider, client, model):
    provider.answers(model, 200, [("content-type", "application/json")], b"{}")
    ask = {"access-control-request-method": "POST", "access-control-request-headers": "authorization, content-type"}
    for path in (OPENAI, ANTHROPIC, "/v1/models"):
        preflight = await client.options(path, headers={"origin": "http://localhost:3000", **ask})
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "http://localhost:3000"
        assert "authorization" in preflight.headers["access-control-allow-headers"]
        refused = await client.options(path, headers={"origin": "https://example.com", **ask})
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers
    body = {"model": f"openai/{model}"}
    allowed = await client.post(OPENAI, json=body, headers={"origin": "http://127.0.0.1:8080"})
    assert allowed.headers["access-control-allow-origin"] == "http://127.0.0.1:8080"
    refused = await client.post(OPENAI, json=body, headers={"origin": "https://example.com"})
    assert_error(refused, OPENAI, 403, "origin")
    assert (await client.options("/nothing", headers={"origin": "http://localhost"})).status_code == 404
    plain = await client.options(OPENAI)
    assert (plain.status_code, plain.headers["allow"]) == (204, "POST, OPTIONS")


async def test_health_is_answered_on_the_listener(client):
    assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_envoy_finds_the_server_healthy_by_grpc(stack):
    await until(lambda: stack.stat("cluster.meseta_server.health_check.success") > 0, "a health check has passed")
    hosts = [line for line in stack.envoy_admin("/clusters").splitlines() if line.startswith("meseta_server::/")]
    assert any(line.endswith("::health_flags::healthy") for line in hosts), hosts
