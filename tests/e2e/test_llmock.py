"""Providers as llmock plays them, a server of others' making that injects faults and judges how its clients bear them."""

import asyncio
import itertools
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from conftest import EGRESS, PROMPT, gather_limited, relaying
from readers import READERS, ConverseWithoutUsage, post, read
from stack import until

# What each provider's base_url is there.
FACES = {"openai": "/v1", "anthropic": "/anthropic/v1", "gemini": "/gemini/v1beta", "cohere": "/cohere", "mistral": "/mistral/v1",
         "groq": "/groq/openai/v1", "xai": "/xai/v1"}
VENDORS = tuple(FACES)
# These have OpenAI's Responses in truth, and not there.
WITHOUT_RESPONSES = ("groq", "xai")
_numbers = itertools.count()
OUTAGES = (429, 500, 503)
# What llmock finds wrong with a client that does not switch targets, but waits and asks again.
OF_RETRIES = {"retry_after_ignored", "retried_non_retryable", "retry_storm", "no_backoff"}


def chain(name, vendors, **more):
    targets = [{"model": f"{vendor}/{name}-{vendor}", "priority": place} for place, vendor in enumerate(vendors)]
    return {"targets": targets, "failover": {"max_attempts": len(vendors) + 1}, **more}


def rotated(place):
    """All faces, beginning with this one."""
    return (VENDORS + VENDORS)[place : place + 4]


def models(egress):
    pools = {}
    for place, vendor in enumerate(VENDORS):
        for name in ("fine", *(f"fail{status}" for status in OUTAGES), "refuse", "stream", "chaos"):
            timeout = {"first_token": "800ms"} if name == "stream" else {}
            pools[f"{egress}-{name}-{vendor}"] = chain(f"{egress}-{name}", rotated(place), **({"timeout": timeout} if timeout else {}))
    pools[f"{egress}-again"] = {
        "targets": [f"openai/{egress}-again"], "path": "relay", "failover": {"max_attempts": 3}}
    pools[f"{egress}-waits"] = {
        "targets": [f"anthropic/{egress}-waits"], "path": "relay", "failover": {"max_attempts": 2}}
    return pools


class LLMock:
    """llmock in a process of its own, at a port that the system has picked."""

    def __init__(self, log):
        self.log = log
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LLMOCK_")}
        command = Path(sys.executable).with_name("llmock")
        self.process = subprocess.Popen(
            [sys.executable, str(command), "serve", "--port", "0", "--log-level", "info"],
            stdout=log.open("wb"), stderr=subprocess.STDOUT, env=environment)

    def port(self):
        assert self.process.poll() is None, self.log.read_text()
        found = re.search(r"running on http://127\.0\.0\.1:(\d+)", self.log.read_text())
        return found and int(found[1])

    async def start(self):
        port = await until(self.port, "llmock listens")
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.AsyncClient(base_url=self.url, timeout=30)
        return self

    async def stop(self):
        await self.client.aclose()
        self.process.terminate()
        await asyncio.to_thread(self.process.wait, 10)

    async def behave(self, *behaviours):
        """Forgets all there was, and misbehaves so from now on."""
        assert (await self.client.post("/_llmock/reset")).status_code == 200
        if behaviours:
            response = await self.client.post("/_llmock/scenario", json={"behaviors": behaviours})
            assert response.status_code == 201, response.text

    async def requests(self):
        return (await self.client.get("/_llmock/requests")).json()["requests"]

    async def findings(self):
        return (await self.client.get("/_llmock/verdict")).json()["findings"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def llmock(tmp_path_factory):
    server = await LLMock(tmp_path_factory.mktemp("llmock") / "log").start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=EGRESS)
async def relayed(request, make_stack, llmock):
    providers = [{"model": f"{vendor}/*", "access_key": "$OPENAI_TEST_KEY", "base_url": llmock.url + path} for vendor, path in FACES.items()]
    async with relaying(make_stack, request.param, models(request.param), model_providers=providers, model_aliases={}) as stack:
        yield stack


def bad_retries(findings):
    return [finding for finding in findings if finding["code"] in OF_RETRIES]


def permanent(vendor, egress, name, **behaviour):
    """A fault of the first target of a pool alone, for as long as the scenario lasts."""
    return {**behaviour, "times": None, "match": {"model": f"{egress}-{name}-{vendor}"}}


async def ask(stack, name, client="chat", streaming=False):
    """Each asks something else: by that llmock tells calls apart from repetitions of one."""
    reader = READERS[client]
    if (client, streaming) == ("converse", True) and name.endswith("-fine-mistral"):
        reader = ConverseWithoutUsage  # it tells none in streams there
    body = json.dumps(reader.body(name, streaming)).replace(PROMPT, f"{PROMPT} {next(_numbers)}")
    headers = {"content-type": "application/json"}
    response = await stack.client.post(reader.path(name, streaming), content=body, headers=headers)
    return read(reader, response, streaming), response


@pytest.mark.parametrize("client", READERS)
async def test_each_face_answers_clients_of_each_api(relayed, llmock, client):
    await llmock.behave()

    async def one(vendor, streaming):
        try:
            answer, response = await ask(relayed, f"{relayed.egress}-fine-{vendor}", client, streaming)
        except AssertionError as error:
            raise AssertionError(f"{vendor}, {streaming}: {error}") from None
        assert answer.complete and answer.text, response.text
        assert response.headers["x-meseta-model"] == f"{vendor}/{relayed.egress}-fine-{vendor}"

    vendors = [vendor for vendor in VENDORS if client != "responses" or vendor not in WITHOUT_RESPONSES]
    await asyncio.gather(*(one(vendor, streaming) for vendor in vendors for streaming in (False, True)))
    assert not await llmock.findings()


@pytest.mark.parametrize("status", OUTAGES)
async def test_an_outage_of_one_face_is_borne_by_the_next(relayed, llmock, status):
    egress = relayed.egress
    wait = {"retry_after": 30} if status == 429 else {}
    # Three pools that have no target in common but for the last.
    for vendor, after, _ in (VENDORS[:3], VENDORS[2:5], VENDORS[4:7]):
        await llmock.behave(permanent(vendor, egress, f"fail{status}", type="fail", status=status, **wait))
        for client in ("chat", "messages"):
            for streaming in (False, True):
                answer, response = await ask(relayed, f"{egress}-fail{status}-{vendor}", client, streaming)
                assert answer.complete and answer.text, response.text
                assert response.headers["x-meseta-model"] == f"{after}/{egress}-fail{status}-{after}"
        seen = Counter(request["model"] for request in await llmock.requests())
        # With `retry-after` it is left alone at once, else after three failures.
        assert seen[f"{egress}-fail{status}-{vendor}"] == (1 if status == 429 else 3), seen
        assert not bad_retries(await llmock.findings())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_what_no_retry_can_mend_is_not_retried(relayed, llmock, status):
    await llmock.behave(*(
        permanent(vendor, relayed.egress, "refuse", type="fail", status=status, message=f"refused with {status}") for vendor in VENDORS))

    async def one(vendor, streaming):
        response = await post(relayed.client, READERS["chat"], f"{relayed.egress}-refuse-{vendor}", streaming)
        # In the words of the provider, which pass as they are where it speaks the client's API.
        assert response.status_code == status and f"refused with {status}" in response.text, response.text

    await asyncio.gather(*(one(vendor, streaming) for vendor in VENDORS for streaming in (False, True)))
    requests = await llmock.requests()
    assert len(requests) == 2 * len(VENDORS), [(request["model"], request["status"]) for request in requests]
    assert not await llmock.findings()


@pytest.mark.parametrize("kind", ["disconnect", "truncate", "stall"])
async def test_streams_that_break_before_content_are_taken_over_and_later_ones_end_with_an_error(relayed, llmock, kind):
    egress = relayed.egress
    fault = {"type": "stream_fault", "kind": kind, **({"stall_seconds": 20} if kind == "stall" else {})}
    for after in (0, 4):
        await llmock.behave(*(permanent(vendor, egress, "stream", after_chunks=after, **fault) for vendor in VENDORS[:3]))

        async def one(vendor):
            answer, response = await ask(relayed, f"{egress}-stream-{vendor}", "chat", True)
            served = response.headers.get("x-meseta-model", "").split("/")[0]
            if after == 0:
                assert answer.complete and answer.text and served == "cohere", (vendor, response.headers, response.text)
            elif kind != "stall":
                # Whether four events hold content is the face's own matter: it is an answer of one, or an error.
                assert not answer.complete or served == "cohere", response.text

        if (after, kind) != (4, "stall"):
            await one("openai")
            assert not bad_retries(await llmock.findings())


async def test_a_target_that_is_alone_is_asked_again_with_pauses_and_not_before_it_says(relayed, llmock):
    egress = relayed.egress
    await llmock.behave(
        {"type": "fail", "status": 503, "times": 2, "match": {"model": f"{egress}-again"}},
        {"type": "fail", "status": 429, "retry_after": 1, "times": 1, "match": {"model": f"{egress}-waits"}})
    for name, attempts in ((f"{egress}-again", 3), (f"{egress}-waits", 2)):
        answer, response = await ask(relayed, name)
        assert answer.complete and answer.text and response.headers["x-meseta-attempts"] == str(attempts), response.text
    requests = await llmock.requests()
    assert [request["status"] for request in requests] == [503, 503, 200, 429, 200]
    # Pauses are by chance, so that requests that failed together do not come back together.
    assert not [finding for finding in bad_retries(await llmock.findings()) if finding["code"] != "no_backoff"]
    refused, answered = requests[3:]
    assert answered["started_at"] - refused["ended_at"] >= 1


async def test_under_faults_of_all_faces_at_once_no_client_sees_one(relayed, llmock):
    egress = relayed.egress
    faults = []
    for place, vendor in enumerate(VENDORS):
        match = {"model": f"{egress}-chaos-{vendor}"}
        # A third of the first hundred requests; two targets of four are always well.
        if place % 2 == 0:
            faults += [{"type": "fail", "status": 503, "times": 10, "match": match}, {"type": "fail", "status": 500, "times": 10, "match": match},
                       {"type": "stream_fault", "kind": "disconnect", "after_chunks": 0, "times": 5, "match": {**match, "stream": True}}]
    await llmock.behave(*faults)

    async def one(number):
        vendor, streaming = VENDORS[number % len(VENDORS)], number % 2 == 0
        client = ("chat", "messages", "gemini", "converse")[number % 4]
        answer, response = await ask(relayed, f"{egress}-chaos-{vendor}", client, streaming)
        return None if answer.complete and answer.text else (vendor, client, response.status_code, answer)

    wrong = [found for found in await gather_limited(20, (one(number) for number in range(140))) if found]
    assert not wrong, f"{len(wrong)} of 140: {wrong[:5]}"
    assert len(await llmock.requests()) > 150
    assert not bad_retries(await llmock.findings())
