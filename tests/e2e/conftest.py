import asyncio
import contextlib
import itertools
import os

import httpx
import pytest
import pytest_asyncio

import corpus
from provider import Provider
from stack import Stack

# Markers that no log may ever show: keys, and a word that every prompt and answer of ours holds.
SECRETS = {
    "OPENAI_TEST_KEY": "sk-openai-7f3c9e1b",
    "ANTHROPIC_TEST_KEY": "sk-ant-5d8a2c4e",
    "BEDROCK_TEST_KEY": "bedrock-api-key-2f6b8d0a",
    "GEMINI_TEST_KEY": "AIza-test-c3e5a7f9",
    "CLIENT_KEY": "sk-client-91b7e6d2",
}
PROMPT = "prompt-marker-4c1f8a"

# How the server's own calls get to providers.
EGRESS = ["envoy", "direct"]

_names = itertools.count()


def pytest_configure(config):
    for name in ("MESETA_BIN", "MESETA_ENVOY"):
        if not os.environ.get(name):
            pytest.exit(f"{name} is not set; run tests/run.sh", returncode=2)


def configuration(provider, **more):
    base = f"http://127.0.0.1:{provider.port}"
    return {
        "listeners": [{"type": "model", "name": "models", "address": "127.0.0.1", "port": 0}],
        "model_providers": [
            {"model": "openai/*", "access_key": "$OPENAI_TEST_KEY", "base_url": f"{base}/v1"},
            {"model": "openai/the-default", "access_key": "$OPENAI_TEST_KEY", "base_url": f"{base}/v1", "default": True},
            {"model": "anthropic/*", "access_key": "$ANTHROPIC_TEST_KEY", "base_url": base},
            {"model": "amazon_bedrock/*", "access_key": "$OPENAI_TEST_KEY", "base_url": base},
            {"model": "gemini/*", "access_key": "$OPENAI_TEST_KEY", "base_url": base},
            {"model": "cohere/*", "access_key": "$OPENAI_TEST_KEY", "base_url": base},
            {"model": "through/*", "base_url": f"{base}/v1", "provider_interface": "openai", "passthrough_auth": True},
            {"model": "keyless/*", "base_url": f"{base}/v1", "provider_interface": "openai"},
            {"model": "dead/*", "base_url": "http://127.0.0.1:1/v1", "provider_interface": "openai"},
        ],
        "model_aliases": {"fast": {"target": "openai/the-default"}},
        **more,
    }


@pytest.fixture(scope="session")
def stacks():
    """Every stack of the run, for the search for secrets at its end."""
    return []


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def provider():
    provider = await Provider().start()
    yield provider
    await provider.stop()
    assert not provider.failures, provider.failures


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def make_stack(provider, tmp_path_factory, stacks):
    """Starts stacks; all are stopped at the end."""

    async def make(more=None, prepare=None, **options):
        directory = tmp_path_factory.mktemp("stack")
        stack = Stack(directory, configuration(provider, **(more or {})), SECRETS, **options)
        if prepare:
            prepare(stack)
        stacks.append(stack)
        return await stack.start()

    yield make
    for stack in stacks:
        stack.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(make_stack):
    """The stack that tests share which do it no harm."""
    return await make_stack({"server": {"max_request_bytes": "32MiB"}})


@pytest_asyncio.fixture(loop_scope="session")
async def client(stack):
    async with httpx.AsyncClient(base_url=stack.url, timeout=60) as client:
        yield client


@pytest.fixture
def model():
    """A model name of the test's own."""
    return f"model-{next(_names)}"


@pytest.fixture
def need_corpus():
    if not corpus.available():
        pytest.skip(f"no recorded exchanges at {corpus.FOLDER} (set MESETA_CORPUS)")


async def gather_limited(limit, coroutines):
    semaphore = asyncio.Semaphore(limit)

    async def run(coroutine):
        async with semaphore:
            return await coroutine

    return await asyncio.gather(*(run(coroutine) for coroutine in coroutines))


@contextlib.asynccontextmanager
async def relaying(make_stack, egress, models, server=None, prepare=None, **more):
    """A stack that has these `models`, with a client for many requests at once. `prepare` gets it before it starts."""
    stack = await make_stack({"server": {"egress": egress, **(server or {})}, "models": models, **more}, prepare)
    stack.egress = egress
    limits = httpx.Limits(max_connections=300, max_keepalive_connections=300)
    async with httpx.AsyncClient(base_url=stack.url, timeout=60, limits=limits) as client:
        stack.client = client
        yield stack
