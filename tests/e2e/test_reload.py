"""Another configuration while exchanges run: nothing that runs is lost, and what is wrong changes nothing."""

import asyncio
import json
import signal
import socket

import httpx
import pytest
import pytest_asyncio
import yaml

import corpus
from provider import Provider
from stack import until
from test_load import ask, many_connections, slowly, stream_of

PLANO = corpus.FOLDER.parent / "reference" / "plano-configs"
ANSWER = b'{"choices": []}'
JSON = [("content-type", "application/json")]


@pytest_asyncio.fixture(loop_scope="session")
async def other():
    """A second provider."""
    provider = await Provider().start()
    yield provider
    await provider.stop()
    assert not provider.failures, provider.failures


def base(provider):
    return f"http://127.0.0.1:{provider.port}/v1"


def serving(*providers, **more):
    """A configuration with models `one/*`, `two/*`, ... at these providers."""
    names = ("one", "two")
    return {
        "listeners": [{"type": "model", "name": "models", "address": "127.0.0.1", "port": 0}],
        "model_providers": [
            {"model": f"{name}/*", "base_url": base(provider), "provider_interface": "openai", "access_key": "$OPENAI_TEST_KEY"}
            for name, provider in zip(names, providers) if provider
        ],
        **more,
    }


@pytest.fixture
def make(make_stack):
    async def make(config):
        stack = await make_stack(xds=True)
        assert (await stack.reload(config))["reload"]["error"] is None
        return stack

    return make


async def chat(client, model):
    return await client.post("/v1/chat/completions", json={"model": model})


def rejected(stack):
    return stack.stat("cluster_manager.cds.update_rejected") + stack.stat("listener_manager.lds.update_rejected")


async def test_200_streams_end_normally_while_their_provider_is_taken_away(make, provider, other, model):
    stack = await make(serving(provider))
    for number in range(200):
        provider.on(f"{model}-{number}", slowly(number, 0.06))
    other.answers(model, 200, JSON, ANSWER)
    old = f"http_127.0.0.1_{provider.port}"
    await until(lambda: stack.clusters() == {old}, "what the stack began with is taken away")

    async with many_connections(stack) as client:
        def stream(number):
            body = {"model": f"one/{model}-{number}", "stream": True}
            return asyncio.create_task(client.post("/v1/chat/completions", json=body))

        streams = [stream(number) for number in range(200)]
        while not all(provider.requests[f"{model}-{number}"] for number in range(200)):
            await asyncio.sleep(0.01)
        await stack.reload(serving(None, other))
        assert not any(task.done() for task in streams), "the streams were to last longer than the reload"
        assert (await chat(client, f"two/{model}")).content == ANSWER
        assert (await chat(client, f"one/{model}")).status_code == 404
        assert old in stack.clusters(), "its streams still run"
        for number, response in enumerate(await asyncio.gather(*streams)):
            assert (response.status_code, response.content) == (200, stream_of(number)), number
    await until(lambda: stack.clusters() == {f"http_127.0.0.1_{other.port}"}, "the old cluster is taken away")
    assert rejected(stack) == 0


async def test_a_request_that_is_still_coming_in_reaches_the_provider_it_was_meant_for(make, provider, other, model):
    stack = await make(serving(provider))
    seen = provider.answers(model, 200, JSON, ANSWER)
    half = asyncio.Event()

    async def body():
        yield f'{{"model": "one/{model}", '.encode()
        await half.wait()
        yield b'"messages": []}'

    async with httpx.AsyncClient(base_url=stack.url, timeout=30) as client:
        headers = {"content-type": "application/json"}
        request = asyncio.create_task(client.post("/v1/chat/completions", content=body(), headers=headers))
        await until(lambda: json.loads(stack.admin("/status")[1])["running"] == 1, "the exchange has begun")
        await stack.reload(serving(None, other))
        half.set()
        assert (await request).content == ANSWER
    assert len(seen) == 1


async def test_traffic_across_many_reloads_loses_nothing(make, provider, other, model):
    stack = await make(serving(provider))
    for number in range(8):
        provider.on(f"{model}-{number}", slowly(number, 0.002, events=10))
    stop, wrong, good = asyncio.Event(), [], 0

    async def traffic(client, number):
        nonlocal good
        while not stop.is_set():
            body = {"model": f"one/{model}-{number}", "stream": True}
            response = await client.post("/v1/chat/completions", json=body)
            if (response.status_code, response.content) == (200, stream_of(number, 10)):
                good += 1
            else:
                wrong.append((response.status_code, response.content[-200:]))

    async with many_connections(stack) as client:
        tasks = [asyncio.create_task(traffic(client, number)) for number in range(8)]
        for round_ in range(6):
            more = {"overrides": {"upstream_connect_timeout": f"{round_ + 2}s"}}
            status = await stack.reload(serving(provider, other if round_ % 2 else None, **more))
            assert status["generation"] == round_ + 3
        stop.set()
        await asyncio.gather(*tasks)
    assert not wrong and good > 20, (wrong[:3], good)
    assert rejected(stack) == 0


@pytest.mark.parametrize("text,why", [
    ("model_providers: [", "is not YAML"),
    ("model_providers: [{model: openai}]", "does not name a provider and a model"),
    ("", "is empty"),
])
async def test_a_broken_file_changes_nothing_and_says_why(make, provider, model, text, why):
    stack = await make(serving(provider))
    provider.answers(model, 200, JSON, ANSWER)
    before = json.loads(stack.admin("/status")[1])
    status = await stack.reload(text, taken=False)
    assert status["generation"] == before["generation"]
    assert why in status["reload"]["error"]
    assert stack.metric("meseta_config_last_reload_failed") == 1
    assert any(why in line["message"] for line in stack.server_log() if line.get("level") == "ERROR")
    async with httpx.AsyncClient(base_url=stack.url, timeout=30) as client:
        assert (await chat(client, f"one/{model}")).content == ANSWER
    # Each change is told, though it fails alike.
    again = await stack.reload(text + "\n", taken=False)
    assert why in again["reload"]["error"]
    await stack.reload(serving(provider, provider))
    assert stack.metric("meseta_config_last_reload_failed") == 0


async def test_a_key_that_is_replaced_in_its_file_is_used_by_the_next_request(make, provider, model):
    stack = await make(serving(provider))
    key = stack.file("key")
    key.write_text("sk-first-04a7\n")
    config = serving(provider)
    del config["model_providers"][0]["access_key"]
    config["model_providers"][0]["access_key_file"] = "key"
    await stack.reload(config)
    seen = provider.answers(model, 200, JSON, ANSWER)
    async with httpx.AsyncClient(base_url=stack.url, timeout=30) as client:
        await chat(client, f"one/{model}")
        await stack.change(lambda: key.write_text("sk-second-9be1\n"))
        await chat(client, f"one/{model}")
    assert [request.header("authorization") for request in seen] == ["Bearer sk-first-04a7", "Bearer sk-second-9be1"]
    assert "sk-second" not in "".join(map(str, stack.server_log()))


async def test_a_key_that_is_replaced_in_a_dotenv_file_is_used_by_the_next_request(make, provider, model):
    stack = await make(serving(provider))
    dotenv = stack.file(".env")
    dotenv.write_text("ROTATED_KEY=sk-first\n")
    config = serving(provider)
    config["model_providers"][0]["access_key"] = "$ROTATED_KEY"
    await stack.reload(config)
    seen = provider.answers(model, 200, JSON, ANSWER)
    async with httpx.AsyncClient(base_url=stack.url, timeout=30) as client:
        await chat(client, f"one/{model}")
        await stack.change(lambda: dotenv.write_text("ROTATED_KEY=sk-second\n"))
        await chat(client, f"one/{model}")
    assert [request.header("authorization") for request in seen] == ["Bearer sk-first", "Bearer sk-second"]


def with_listeners(provider, *listeners):
    config = serving(provider)
    config["listeners"] = [{"type": "model", "address": "127.0.0.1", "port": 0, **listener} for listener in listeners]
    return config


def ports(stack):
    stack._find_ports()
    return stack.ports


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


async def test_listeners_come_and_go_without_losing_a_request(make, provider, model):
    first, second = free_port(), free_port()
    stack = await make(with_listeners(provider, {"name": "first", "port": first}))
    await until(lambda: set(ports(stack)) == {"first"}, "the listener is there")
    provider.answers(model, 200, JSON, ANSWER)
    provider.on(f"{model}-slow", slowly(1, 0.05))
    old = httpx.AsyncClient(base_url=f"http://127.0.0.1:{first}", timeout=30)
    streaming = httpx.AsyncClient(base_url=f"http://127.0.0.1:{first}", timeout=30)
    async with old, streaming:
        assert (await chat(old, f"one/{model}")).content == ANSWER
        body = {"model": f"one/{model}-slow", "stream": True}
        running = asyncio.create_task(streaming.post("/v1/chat/completions", json=body))
        while not provider.requests[f"{model}-slow"]:
            await asyncio.sleep(0.01)
        await stack.reload(with_listeners(provider, {"name": "second", "port": second}))
        await until(lambda: set(ports(stack)) == {"second"}, "the listeners have changed")
        assert not running.done()
        # The connection that the client still holds is served once more, and closed in good order.
        held = await chat(old, f"one/{model}")
        assert (held.status_code, held.headers.get("connection")) == (200, "close")
        with pytest.raises(httpx.ConnectError):
            await chat(old, f"one/{model}")
        assert (await running).content == stream_of(1)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{second}", timeout=30) as new:
        assert (await chat(new, f"one/{model}")).content == ANSWER
    assert rejected(stack) == 0


async def test_a_listener_whose_port_is_taken_changes_nothing_until_it_is_free(make, provider, model):
    stack = await make(serving(provider))
    provider.answers(model, 200, JSON, ANSWER)
    before = ports(stack)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = with_listeners(provider, {"name": "models"}, {"name": "second", "port": port})
        status = await stack.reload(config, taken=False)
        assert f"127.0.0.1:{port}" in status["reload"]["error"]
        assert ports(stack) == before
        async with httpx.AsyncClient(base_url=stack.url, timeout=30) as client:
            assert (await chat(client, f"one/{model}")).content == ANSWER
    # The port is free now, and no file has to change for that to be noticed.
    await until(lambda: ports(stack).get("second") == port, "the listener is there after all")
    # Envoy takes the listener a moment before the server has heard so and tells the outcome.
    await until(lambda: stack.metric("meseta_config_last_reload_failed") == 0, "the outcome is told")


async def test_what_envoy_refuses_changes_nothing_and_says_why(make, provider, other, model):
    stack = await make(serving(provider))
    provider.answers(model, 200, JSON, ANSWER)
    before = ports(stack)
    config = serving(None, other)
    config["listeners"].append({"type": "model", "name": "elsewhere", "address": "192.0.2.1", "port": 0})
    status = await stack.reload(config, taken=False)
    assert "192.0.2.1" in status["reload"]["error"]
    assert set(ports(stack)) == set(before)
    async with httpx.AsyncClient(base_url=stack.url, timeout=30) as client:
        assert (await chat(client, f"one/{model}")).content == ANSWER
    await until(lambda: stack.clusters() == {f"http_127.0.0.1_{provider.port}"}, "the refused cluster is gone")


async def test_settings_that_need_a_restart_are_named(make, provider):
    stack = await make(serving(provider))
    status = await stack.reload(serving(provider, server={"drain_timeout": "7s", "max_request_bytes": "1MiB"}))
    assert status["reload"] == {"at": status["reload"]["at"], "error": None, "needs_restart": ["server.drain_timeout"]}
    # Until it is restarted, whatever else changes.
    status = await stack.reload(serving(provider, provider, server={"drain_timeout": "7s"}))
    assert status["reload"]["needs_restart"] == ["server.drain_timeout"]


async def test_a_stream_survives_a_new_server_whose_configuration_lacks_its_provider(make, provider, other, model):
    stack = await make(serving(provider))
    provider.on(model, slowly(1, 0.1))
    other.answers(model, 200, JSON, ANSWER)
    async with httpx.AsyncClient(base_url=stack.url, timeout=30) as client:
        body = {"model": f"one/{model}", "stream": True}
        running = asyncio.create_task(client.post("/v1/chat/completions", json=body))
        while not provider.requests[model]:
            await asyncio.sleep(0.01)
        # The old one must not follow the change: it ends.
        stack.server.send_signal(signal.SIGSTOP)
        stack.write(serving(None, other))
        old = await stack.restart_server()
        old.send_signal(signal.SIGCONT)
        assert (await chat(client, f"two/{model}")).content == ANSWER
        assert (await running).content == stream_of(1)
    assert await asyncio.to_thread(old.wait, 20) == 0


async def test_sighup_reads_the_configuration_again(make, provider):
    stack = await make(serving(provider))
    generation = json.loads(stack.admin("/status")[1])["generation"]
    status = await stack.change(lambda: stack.server.send_signal(signal.SIGHUP))
    assert status["generation"] == generation + 1


@pytest.mark.parametrize("path,body", [
    ("/v1/chat/completions", {"error": {"type": "server_error"}}),
    ("/v1/messages", {"type": "error", "error": {"type": "api_error"}}),
])
async def test_in_an_envoy_of_ones_own_a_model_without_a_cluster_is_refused_in_dialect(make_stack, other, model, path, body):
    stack = await make_stack()
    config = {"listeners": stack.config["listeners"], "model_providers": [
        {"model": "two/*", "base_url": base(other), "provider_interface": "openai"},
        {"model": "three/*", "base_url": base(other), "provider_interface": "anthropic"},
    ]}
    await stack.reload(config)
    async with httpx.AsyncClient(base_url=stack.url, timeout=30) as client:
        name = "two" if path.endswith("completions") else "three"
        response = await client.post(path, json={"model": f"{name}/{model}", "messages": [], "max_tokens": 1})
    assert response.status_code == 503
    error = response.json()
    assert error.get("type") == body.get("type")
    assert set(body["error"]) <= set(error["error"])
    assert not other.requests.get(model)
    assert str(other.port) not in response.text


@pytest.mark.parametrize("folder", [corpus.ROOT / "docs" / "examples", PLANO], ids=["examples", "plano"])
async def test_every_configuration_is_taken_by_a_live_envoy(make, provider, folder):
    files = sorted(file for file in folder.rglob("*.yaml") if file.name != "SCHEMA.yaml")
    if not files:
        pytest.skip(f"no configurations at {folder}")
    stack = await make(serving(provider))
    for file in files:
        tree = yaml.safe_load(file.read_text())
        # Ports that others may have are not for tests.
        listeners = tree.setdefault("listeners", [{"name": "model"}])
        for listener in listeners.values() if isinstance(listeners, dict) else listeners:
            listener["port"] = 0
        status = await stack.reload(tree)
        assert status["reload"]["error"] is None, file.name
        assert rejected(stack) == 0, file.name
