"""How it is put together: `meseta up`, `status` and `down` as a user types them, several listeners, other addresses."""

import asyncio
import json
import os
import re
import subprocess

import httpx
import pytest
import yaml

from conftest import PROMPT, SECRETS, configuration
from stack import until


async def meseta(*arguments):
    def run():
        environment = {**os.environ, **SECRETS}
        return subprocess.run([os.environ["MESETA_BIN"], *arguments], capture_output=True, text=True, env=environment, timeout=60)

    return await asyncio.to_thread(run)


@pytest.fixture
def instance(provider, tmp_path):
    """Starts instances in state directories of their own; all are stopped at the end."""
    started = []

    async def up(name):
        file, state = tmp_path / f"{name}.yaml", tmp_path / name
        file.write_text(yaml.safe_dump({**configuration(provider), "server": {"admin": "127.0.0.1:0", "drain_timeout": "5s"}}))
        started.append(state)
        done = await meseta("up", str(file), "--state-dir", str(state), "--", "--concurrency", "1", "--file-flush-interval-msec", "50")
        assert done.returncode == 0, done.stderr
        return state, done.stdout

    yield up
    for state in started:
        subprocess.run([os.environ["MESETA_BIN"], "down", "--state-dir", str(state)], capture_output=True, timeout=60)


def url_in(text):
    return re.search(r"(http://127\.0\.0\.1:\d+)/v1", text).group(1)


def processes(state):
    record = json.loads((state / "instance.json").read_text())
    return {name: record[name]["pid"] for name in ("supervisor", "server", "envoy")}


def runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def ask(url, model):
    async with httpx.AsyncClient(base_url=url) as client:
        body = {"model": f"openai/{model}", "messages": [{"role": "user", "content": PROMPT}]}
        return await client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {SECRETS['CLIENT_KEY']}"})


async def test_two_instances_serve_side_by_side_until_each_is_stopped(provider, instance, model):
    provider.answers(model, 200, [("content-type", "application/json")], b'{"a":1}')
    (first, said), (second, said_too) = await asyncio.gather(instance("first"), instance("second"))
    url, url_too = url_in(said), url_in(said_too)
    assert url != url_too
    for part in ("openai", "anthropic", "admin", f"meseta down --state-dir {first}"):
        assert part in said
    assert (await ask(url, model)).content == (await ask(url_too, model)).content == b'{"a":1}'
    status = await meseta("status", "--state-dir", str(first))
    assert status.returncode == 0 and url in status.stdout

    pids = processes(first)
    assert all(runs(pid) for pid in pids.values())
    down = await meseta("down", "--state-dir", str(first))
    assert down.returncode == 0, down.stderr
    assert not [name for name, pid in pids.items() if runs(pid)]
    with pytest.raises(httpx.ConnectError):
        await ask(url, model)
    assert (await meseta("status", "--state-dir", str(first))).returncode != 0
    assert (await ask(url_too, model)).status_code == 200
    assert all(runs(pid) for pid in processes(second).values())


async def test_no_file_of_an_instance_holds_a_secret_and_its_log_holds_the_exchange(provider, instance, model):
    provider.answers(model, 200, [("content-type", "application/json")], b'{"usage":{"prompt_tokens":3,"completion_tokens":4}}')
    state, said = await instance("only")
    assert (await ask(url_in(said), model)).status_code == 200

    def logged():
        return [line for line in (state / "logs" / "access.log").read_text().splitlines() if model in line]

    line = json.loads((await until(logged, "an access-log line"))[0])
    assert (line["provider"], line["model"], line["input_tokens"], line["output_tokens"]) == ("openai", f"openai/{model}", 3, 4)
    assert (await meseta("down", "--state-dir", str(state))).returncode == 0
    files = [path for path in state.rglob("*") if path.is_file()]
    assert {"envoy.yaml", "access.log", "server.log"} <= {path.name for path in files}
    for path in files:
        data = path.read_bytes()
        assert not [word for word in (*SECRETS.values(), PROMPT) if word.encode() in data], path
    assert oct(state.stat().st_mode & 0o777) == "0o700"


async def test_a_configuration_with_problems_starts_nothing_and_all_problems_are_told(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("model_providers:\n  - {model: openai/*, acces_key: x}\n  - {model: nonsense/x}\nlistners: []\n")
    done = await meseta("up", str(file), "--state-dir", str(tmp_path / "state"))
    assert done.returncode != 0
    for part in ("acces_key", "access_key", "nonsense", "listners", "listeners"):
        assert part in done.stderr, (part, done.stderr)
    assert not (tmp_path / "state" / "instance.json").exists()


async def test_each_listener_goes_by_its_name_and_has_settings_of_its_own(make_stack, provider, model):
    provider.answers(model, 200, [("content-type", "application/json")], b'{"a":1}')
    names = ["inside", "outside"]
    listeners = [{"type": "model", "name": name, "address": "127.0.0.1", "port": 0} for name in names]
    listeners[1]["cors"] = {"allow_origins": ["https://example.com"]}
    stack = await make_stack({"listeners": listeners})
    for name in names:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{stack.ports[name]}") as client:
            body = {"model": f"openai/{model}"}
            assert (await client.post("/v1/chat/completions", json=body)).content == b'{"a":1}'
            page = await client.post("/v1/chat/completions", json=body, headers={"origin": "https://example.com"})
            assert page.status_code == (200 if name == "outside" else 403)

    def lines():
        return [line["listener"] for line in stack.access_log() if line.get("model") == f"openai/{model}"]

    await until(lambda: len(lines()) == 3, "three lines")
    assert sorted(lines()) == ["inside", "outside", "outside"]


async def test_envoy_may_reach_the_server_over_tcp(make_stack, provider, model):
    provider.answers(model, 200, [("content-type", "application/json")], b'{"a":1}')
    stack = await make_stack(listen="tcp:127.0.0.1:0")
    assert re.fullmatch(r"tcp:127\.0\.0\.1:[1-9]\d*", stack.bound())
    assert (await ask(stack.url, model)).content == b'{"a":1}'
