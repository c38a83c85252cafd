"""Runs last: nothing that any test has said or used as a key is in any log, metric or rendering of the run."""

from conftest import PROMPT, SECRETS


async def test_credentials_of_clients_go_no_further(provider, client, model):
    headers = {"authorization": f"Bearer {SECRETS['CLIENT_KEY']}", "x-api-key": SECRETS["CLIENT_KEY"], "cookie": "a=b"}
    for prefix, expected in (("openai", SECRETS["OPENAI_TEST_KEY"]), ("keyless", None), ("through", SECRETS["CLIENT_KEY"])):
        name = f"{model}-{prefix}"
        requests = provider.answers(name, 200, [("content-type", "application/json")], b"{}")
        response = await client.post("/v1/chat/completions", json={"model": f"{prefix}/{name}"}, headers=headers)
        assert response.status_code == 200, response.text
        sent = dict(requests[0].headers)
        assert sent.get("authorization") == (expected and f"Bearer {expected}")
        for private in ("x-api-key", "cookie", "x-forwarded-for", "x-forwarded-proto", "x-envoy-external-address"):
            assert private not in sent, private
        assert not [key for key in sent if key.startswith(("x-meseta-", "x-envoy-"))]


async def test_internal_headers_of_clients_are_taken_off(provider, client, model):
    requests = provider.answers(model, 200, [("content-type", "application/json")], b"{}")
    headers = {"x-meseta-cluster": "meseta_server", "x-envoy-upstream-rq-timeout-ms": "1", "x-arch-upstream": "x"}
    response = await client.post("/v1/chat/completions", json={"model": f"openai/{model}"}, headers=headers)
    assert response.status_code == 200
    assert not set(headers) & {key for key, _ in requests[0].headers}


async def test_internal_headers_of_providers_are_taken_off(provider, client, model):
    headers = [("content-type", "application/json"), ("x-meseta-cluster", "theirs"), ("x-meseta-model", "theirs")]
    provider.answers(model, 200, headers, b"{}")
    response = await client.post("/v1/chat/completions", json={"model": f"openai/{model}"})
    ours = {key: value for key, value in response.headers.items() if key.startswith("x-meseta-")}
    assert ours == {"x-meseta-model": f"openai/{model}", "x-meseta-attempts": "1"}


async def test_no_secret_and_no_prompt_is_in_any_log(stacks, stack, provider, client, model):
    said = f"{PROMPT} and more of it"
    answer = b'{"choices":[{"message":{"content":"answer-marker-9d2e"}}]}'
    provider.answers(model, 200, [("content-type", "application/json")], answer)
    headers = {"authorization": f"Bearer {SECRETS['CLIENT_KEY']}"}
    body = {"model": f"openai/{model}", "messages": [{"role": "user", "content": said}]}
    await client.post(f"/v1/chat/completions?key={SECRETS['CLIENT_KEY']}", json=body, headers=headers)
    await client.post("/v1/chat/completions", content=said.encode(), headers={"content-type": "application/json"})
    await stack.access_line(model)
    await stack.exchange_line(model)
    words = [*SECRETS.values(), PROMPT, "answer-marker-9d2e"]
    searched = 0
    for one in stacks:
        for path in one.directory.iterdir():
            if path.is_file() and path.suffix in (".log", ".out", ".yaml"):
                text = path.read_text(errors="replace")
                searched += 1
                assert not [word for word in words if word in text], path
    assert searched >= 4
    for text in (stack.envoy_admin("/config_dump"), stack.admin("/config")[1], stack.admin("/metrics")[1]):
        assert not [word for word in words if word in text]
