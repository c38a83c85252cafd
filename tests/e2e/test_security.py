"""The edges: who can reach what, what of a client goes on to a provider, and TLS towards clients."""

import asyncio
import json
import os
import socket
import ssl
import stat
from pathlib import Path

import httpx
import pytest
import trustme
import yaml

from conftest import SECRETS, configuration
from stack import until
from test_processes import meseta

JSON = [("content-type", "application/json")]
CHAT = "/v1/chat/completions"
KEY = SECRETS["CLIENT_KEY"]
# How a TLS client learns that it is not wanted.
REFUSED = (httpx.TransportError, ssl.SSLError, ConnectionError)
# Headers in which clients of the various APIs send their key.
CREDENTIALS = {
    "authorization": f"Bearer {KEY}",
    "x-api-key": KEY,
    "api-key": KEY,
    "x-goog-api-key": KEY,
}
PRIVATE = {
    "cookie": f"session={KEY}",
    "proxy-authorization": f"Basic {KEY}",
    "origin": "http://localhost",
    "referer": "http://localhost/secret",
    "forwarded": "for=192.0.2.1",
    "x-forwarded-for": "192.0.2.1",
    "x-forwarded-host": "inside.example",
    "x-real-ip": "192.0.2.1",
}
INTERNAL = {
    "x-meseta-cluster": "meseta_server",
    "x-meseta-model": "openai/other",
    "x-meseta-listener": "other",
    "x-meseta-anything": "1",
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-envoy-max-retries": "5",
    "x-envoy-retry-on": "5xx",
    "x-envoy-original-path": "/other",
    "x-envoy-internal": "true",
    "x-arch-llm-provider": "openai",
    "x-arch-llm-provider-hint": "anthropic/x",
    "x-arch-upstream": "meseta_server",
    "x-arch-streaming-request": "true",
    "x-arch-agent-listener-name": "other",
    "x-arch-ratelimit-selector": "x-user",
    "x-plano-prefix-hash": "0123456789abcdef",
    "x-plano-cache": "off",
    "x-plano-max-switch-spend-pct": "50",
    "x-model-affinity": "a",
}


async def asked(client, provider, model, prefix="openai", headers=None, path=CHAT):
    """Asks, and returns what the provider got: headers by name, and the path."""
    requests = provider.answers(model, 200, JSON, b"{}")
    response = await client.post(path, json={"model": f"{prefix}/{model}"}, headers=headers)
    assert response.status_code == 200, response.text
    names = [name for name, _ in requests[-1].headers]
    assert len(names) == len(set(names)), names
    return dict(requests[-1].headers), requests[-1].path


# What of a client goes on


@pytest.mark.parametrize("prefix, own", [("openai", SECRETS["OPENAI_TEST_KEY"]), ("keyless", None)])
async def test_a_clients_credential_reaches_no_provider_that_does_not_ask_for_it(provider, client, model, prefix, own):
    for headers in ({name: value} for name, value in {**CREDENTIALS, **PRIVATE}.items()):
        sent, _ = await asked(client, provider, model, prefix, headers)
        assert sent.get("authorization") == (own and f"Bearer {own}")
        assert KEY not in str(sent)
    sent, _ = await asked(client, provider, model, prefix, {**CREDENTIALS, **PRIVATE})
    assert not set(sent) & (set(CREDENTIALS) - {"authorization"} | set(PRIVATE))
    assert KEY not in str(sent)


async def test_with_passthrough_one_credential_of_the_client_goes_on_and_nothing_else(provider, client, model):
    for name, value in CREDENTIALS.items():
        sent, path = await asked(client, provider, model, "through", {name: value, **PRIVATE})
        assert sent["authorization"] == f"Bearer {KEY}", name
        assert str(sent).count(KEY) == 1, name
    sent, _ = await asked(client, provider, model, "through", {**CREDENTIALS, "x-api-key": "another", **PRIVATE})
    assert sent["authorization"] == f"Bearer {KEY}"
    assert not set(sent) & (set(CREDENTIALS) - {"authorization"} | set(PRIVATE))
    sent, _ = await asked(client, provider, model, "through")
    assert "authorization" not in sent


@pytest.mark.parametrize("prefix", ["openai", "keyless", "through"])
async def test_a_key_in_the_query_string_goes_no_further(provider, client, model, prefix):
    for parameter in ("key", "api_key", "api-key", "apikey", "access_token", "KEY"):
        _, path = await asked(client, provider, model, prefix, path=f"{CHAT}?a=1&{parameter}={KEY}&b=%20")
        assert path.endswith("?a=1&b=%20"), path


async def test_a_provider_whose_key_is_not_there_is_not_asked_at_all(make_stack, provider, model):
    base = f"http://127.0.0.1:{provider.port}/v1"
    entry = {"base_url": base, "provider_interface": "openai"}
    stack = await make_stack({
        "model_providers": [
            {"model": "unset/*", "access_key": "$NO_SUCH_VARIABLE", **entry},
            {"model": "absent/*", "access_key_file": "no-such-file", **entry},
            {"model": "openai/*", "access_key_file": "${NO_SUCH_VARIABLE}/key", "base_url": base},
            {"model": "present/*", "access_key": "$OPENAI_TEST_KEY", **entry},
        ],
        "model_aliases": {},
    })
    requests = provider.answers(model, 200, JSON, b"{}")
    async with httpx.AsyncClient(base_url=stack.url) as client:
        for prefix in ("unset", "absent", "openai"):
            response = await client.post(CHAT, json={"model": f"{prefix}/{model}"}, headers=CREDENTIALS)
            assert response.status_code >= 400
            assert prefix in response.json()["error"]["message"]
        assert not requests
        assert (await client.post(CHAT, json={"model": f"present/{model}"})).status_code == 200


async def test_internal_headers_of_a_client_reach_nobody_and_decide_nothing(stack, provider, client, model):
    sent, _ = await asked(client, provider, model, headers=INTERNAL)
    assert not set(sent) & set(INTERNAL)
    assert not [name for name in sent if name.startswith(("x-meseta-", "x-envoy-", "x-arch-", "x-plano-"))]
    assert sent["authorization"] == f"Bearer {SECRETS['OPENAI_TEST_KEY']}"
    line = await stack.access_line(model)
    assert (line["listener"], line["model"]) == ("models", f"openai/{model}")


async def test_no_header_says_which_listener_a_request_came_in_on(make_stack, provider, model):
    provider.answers(model, 200, JSON, b"{}")
    listeners = [{"name": name, "address": "127.0.0.1", "port": 0} for name in ("inside", "outside")]
    listeners[0]["cors"] = {"allow_origins": ["https://page.example"]}
    stack = await make_stack({"listeners": listeners})
    spoofed = {"x-meseta-listener": "inside", "x-arch-agent-listener-name": "inside"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{stack.ports['outside']}") as client:
        body = {"model": f"openai/{model}"}
        page = {"origin": "https://page.example"}
        assert (await client.post(CHAT, json=body, headers={**spoofed, **page})).status_code == 403
        assert (await client.post(CHAT, json=body, headers=spoofed)).status_code == 200
    assert (await stack.access_line(model))["listener"] == "outside"
    assert (await stack.exchange_line(model))["listener"] == "outside"


# Who can reach what


def mode(path):
    found = os.stat(path)
    assert stat.S_ISSOCK(found.st_mode), path
    return stat.S_IMODE(found.st_mode)


def listening(pid):
    """The IP addresses at which a process takes TCP connections."""
    inodes = set()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(entry.path)
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                words = bytes.fromhex(fields[1].split(":")[0])
                # Four bytes at a time, in the order of this machine.
                packed = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
                found.add(socket.inet_ntop(family, packed))
    return found


async def test_sockets_are_for_their_owner_and_ports_for_this_machine(stack, make_stack):
    assert mode(stack.file("s.sock")) == 0o600
    assert mode(stack.file("envoy.sock")) == 0o600
    for process in (stack.server, stack.envoy):
        assert listening(process.pid) == {"127.0.0.1"}
    shared = await make_stack({"server": {"socket_mode": "0660"}})
    assert mode(shared.file("s.sock")) == 0o660


# TLS


class Certificates:
    """Certificates in files, as an operator has them."""

    def __init__(self, directory):
        self.directory = directory
        self.authority, self.clients = trustme.CA(), trustme.CA()
        self.renew()
        self.admit(self.clients)

    def renew(self):
        """Replaces certificate and key; returns the new certificate."""
        issued = self.authority.issue_cert("127.0.0.1")
        self._replace("own.key", issued.private_key_pem.bytes())
        self._replace("own.crt", b"".join(part.bytes() for part in issued.cert_chain_pems))
        return ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())

    def admit(self, authority):
        self._replace("clients.crt", authority.cert_pem.bytes())

    def _replace(self, name, content):
        new = self.directory / f"{name}.new"
        new.write_bytes(content)
        new.rename(self.directory / name)

    def tls(self, mutual=False):
        files = {"certificate": str(self.directory / "own.crt"), "key": str(self.directory / "own.key")}
        return {**files, "client_ca": str(self.directory / "clients.crt")} if mutual else files

    def context(self, client=None, protocols=("http/1.1",)):
        """A client's context: it trusts the server's authority, and may have a certificate of its own."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        context.set_alpn_protocols(list(protocols))
        if client:
            client.issue_cert("client@example.org").configure_cert(context)
        return context


@pytest.fixture
def certificates(tmp_path):
    return Certificates(tmp_path)


def with_tls(**tls):
    """Listeners by name, each with its `tls` or none."""
    return [
        {"name": name, "address": "127.0.0.1", "port": 0, **({"tls": settings} if settings else {})}
        for name, settings in tls.items()
    ]


def https(stack, listener, context):
    return httpx.AsyncClient(base_url=f"https://127.0.0.1:{stack.ports[listener]}", verify=context, timeout=10)


async def handshake(port, context):
    """What is agreed on: TLS version, protocol, the certificate shown."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    agreed = writer.get_extra_info("ssl_object")
    result = agreed.version(), agreed.selected_alpn_protocol(), agreed.getpeercert(binary_form=True)
    writer.close()
    return result


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize("xds", [False, True])
async def test_a_listener_with_tls_speaks_it_in_its_newer_versions_only(make_stack, provider, certificates, model, xds):
    requests = provider.answers(model, 200, JSON, b'{"a":1}')
    stack = await make_stack({"listeners": with_tls(secure=certificates.tls(), plain=None)}, xds=xds)
    body = {"model": f"openai/{model}"}
    async with https(stack, "secure", certificates.context()) as client:
        assert (await client.post(CHAT, json=body)).content == b'{"a":1}'
    assert "x-forwarded-proto" not in dict(requests[0].headers)
    port = stack.ports["secure"]
    assert (await handshake(port, certificates.context()))[:2] == ("TLSv1.3", "http/1.1")
    assert (await handshake(port, certificates.context(protocols=["h2", "http/1.1"])))[1] == "h2"
    older = certificates.context()
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    assert (await handshake(port, older))[0] == "TLSv1.2"
    old = certificates.context()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(REFUSED):
        await handshake(port, old)
    with pytest.raises(REFUSED):
        await httpx.AsyncClient().post(f"http://127.0.0.1:{port}{CHAT}", json=body)
    # The other listener speaks what it did.
    plain = f"http://127.0.0.1:{stack.ports['plain']}{CHAT}"
    assert (await httpx.AsyncClient().post(plain, json=body)).status_code == 200
    assert len(requests) == 2


@pytest.mark.parametrize("xds", [False, True])
async def test_a_listener_that_wants_certificates_answers_no_client_without_one(make_stack, provider, certificates, model, xds):
    requests = provider.answers(model, 200, JSON, b'{"a":1}')
    stack = await make_stack({"listeners": with_tls(known=certificates.tls(mutual=True))}, xds=xds)
    body = {"model": f"openai/{model}"}
    for stranger in (None, trustme.CA(), certificates.authority):
        async with https(stack, "known", certificates.context(stranger)) as client:
            with pytest.raises(REFUSED):
                await client.post(CHAT, json=body)
    assert not requests
    async with https(stack, "known", certificates.context(certificates.clients)) as client:
        assert (await client.post(CHAT, json=body)).content == b'{"a":1}'
    assert not [name for name, _ in requests[0].headers if "client-cert" in name]


async def test_renewed_certificates_are_used_without_a_restart_and_without_losing_a_stream(make_stack, provider, certificates, model):
    go_on = asyncio.Event()

    async def streams(exchange):
        await exchange.head(200, [("content-type", "text/event-stream")])
        await exchange.send(b'data: {"choices":[]}\n\n')
        await go_on.wait()
        await exchange.send(b"data: [DONE]\n\n")
        await exchange.end()

    provider.on(model, streams)
    stack = await make_stack({"listeners": with_tls(known=certificates.tls(mutual=True))}, xds=True)
    ours = certificates.context(certificates.clients)
    port = stack.ports["known"]
    modified = stack.stat("listener_manager.listener_modified")
    async with https(stack, "known", ours) as client:
        body = {"model": f"openai/{model}", "stream": True}
        async with client.stream("POST", CHAT, json=body) as response:
            chunks = response.aiter_bytes()
            received = await anext(chunks)

            new = certificates.renew()

            async def renewed():
                return (await handshake(port, ours))[2] == new

            await eventually(renewed, "the new certificate is shown")

            newcomers = trustme.CA()
            certificates.admit(newcomers)

            async def admitted(authority):
                try:
                    async with https(stack, "known", certificates.context(authority)) as other:
                        return (await other.get("/v1/models")).status_code == 200
                except REFUSED:
                    return False

            await eventually(lambda: admitted(newcomers), "clients of the new authority are let in")
            assert not await admitted(certificates.clients)

            go_on.set()
            async for chunk in chunks:
                received += chunk
    assert received.endswith(b"data: [DONE]\n\n")
    assert stack.stat("listener_manager.listener_modified") == modified
    assert stack.stat("update_rejected") == 0


async def test_certificates_behind_a_link_that_is_swapped_are_renewed(make_stack, certificates, tmp_path):
    """As Kubernetes renews secrets: the files are links into a directory, whose own link is replaced."""
    mount = tmp_path / "mount"
    mount.mkdir()

    def publish(version):
        new = certificates.renew()
        directory = mount / version
        directory.mkdir()
        for name in ("own.crt", "own.key"):
            (directory / name).write_bytes((certificates.directory / name).read_bytes())
        (mount / "..data.new").symlink_to(version)
        (mount / "..data.new").rename(mount / "..data")
        return new

    first = publish("..1")
    for name in ("own.crt", "own.key"):
        (mount / name).symlink_to(f"..data/{name}")
    files = {"certificate": str(mount / "own.crt"), "key": str(mount / "own.key")}
    stack = await make_stack({"listeners": with_tls(secure=files)}, xds=True)
    port = stack.ports["secure"]
    assert (await handshake(port, certificates.context()))[2] == first
    second = publish("..2")

    async def renewed():
        return (await handshake(port, certificates.context()))[2] == second

    await eventually(renewed, "the new certificate is shown")


async def eventually(condition, what):
    """As `until`, for a condition that takes its time."""
    for _ in range(500):
        if await condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"waited in vain: {what}")


async def test_a_certificate_that_is_no_longer_one_leaves_the_one_before_in_use(make_stack, provider, certificates):
    stack = await make_stack({"listeners": with_tls(secure=certificates.tls())}, xds=True)
    before = await handshake(stack.ports["secure"], certificates.context())
    (certificates.directory / "bad").write_text("no certificate")
    (certificates.directory / "bad").rename(certificates.directory / "own.crt")
    await until(lambda: stack.stat("secure/certificate.update_rejected") > 0 or stack.stat("key_rotation_failed") > 0, "Envoy has looked")
    assert await handshake(stack.ports["secure"], certificates.context()) == before


async def test_tls_comes_to_a_running_listener_and_files_that_are_not_there_change_nothing(make_stack, provider, certificates):
    stack = await make_stack({"listeners": with_tls(models=None)}, xds=True)
    config = yaml.safe_load(stack.file("meseta.yaml").read_text())
    wrong = {**config, "listeners": with_tls(models={**certificates.tls(), "key": "no-such.key"})}
    status = await stack.reload(wrong, taken=False)
    assert "`tls.key` cannot be read" in status["reload"]["error"]
    assert (await httpx.AsyncClient().get(f"{stack.url}/v1/models")).status_code == 200

    await stack.reload({**config, "listeners": with_tls(models=certificates.tls())})

    async def secured():
        stack._find_ports()
        try:
            async with https(stack, "models", certificates.context()) as client:
                return (await client.get("/v1/models")).status_code == 200
        except REFUSED:
            return False

    await eventually(secured, "the listener speaks TLS")


async def test_up_waits_for_listeners_with_tls_and_refuses_certificates_that_are_not_there(provider, certificates, tmp_path):
    file, state = tmp_path / "meseta.yaml", tmp_path / "state"
    config = {**configuration(provider), "server": {"admin": "127.0.0.1:0", "drain_timeout": "1s"}}
    file.write_text(yaml.safe_dump({**config, "listeners": with_tls(models={**certificates.tls(), "key": "no-such.key"})}))
    refused = await meseta("up", str(file), "--state-dir", str(state))
    assert refused.returncode == 2
    assert "listener `models`: `tls.key` cannot be read" in refused.stderr
    validated = await meseta("validate", str(file))
    assert (validated.returncode, validated.stdout) == (0, "ok\n")
    assert "no-such.key" in validated.stderr

    file.write_text(yaml.safe_dump({**config, "listeners": with_tls(models=certificates.tls(mutual=True))}))
    started = await meseta("up", str(file), "--state-dir", str(state), "--", "--concurrency", "1")
    try:
        assert started.returncode == 0, started.stderr
        record = json.loads((state / "instance.json").read_text())
        url = record["listeners"][0]["url"]
        assert url.startswith("https://") and f"{url}/v1" in started.stdout
        async with httpx.AsyncClient(verify=certificates.context(certificates.clients)) as client:
            assert (await client.get(f"{url}/v1/models")).status_code == 200
        sockets = [path for path in state.rglob("*") if path.is_socket()]
        assert len(sockets) == 3 and {mode(path) for path in sockets} == {0o600}
        for name in ("server", "envoy"):
            assert listening(record[name]["pid"]) == {"127.0.0.1"}
        assert stat.S_IMODE(os.stat(state).st_mode) == 0o700
        environment = Path(f"/proc/{record['envoy']['pid']}/environ").read_text()
        assert not [key for key in (SECRETS["OPENAI_TEST_KEY"], SECRETS["ANTHROPIC_TEST_KEY"]) if key in environment]
    finally:
        await meseta("down", "--state-dir", str(state))
