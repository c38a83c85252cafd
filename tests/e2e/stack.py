"""Our server and a real Envoy, as processes of their own, in a directory of their own."""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import yaml

DEADLINE = 30


async def until(condition, what, deadline=DEADLINE):
    """Polls until the condition gives something true, and returns that."""
    end = time.monotonic() + deadline
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline} s in vain: {what}")
        await asyncio.sleep(0.02)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


class Stack:
    """`config` is the content of meseta.yaml; `env` what it may refer to."""

    def __init__(self, directory, config, env, rendered=None, concurrency=2, serve_flags=(), listen=None,
                 xds=False):
        self.directory = Path(directory)
        self.config = config
        self.env = {**os.environ, **env, "MESETA_LOG": "debug,h2=info,hyper=info,tower=info"}
        # Edits the rendered bootstrap, for tests of what a foreign Envoy may be set to.
        self.rendered = rendered
        self.concurrency = concurrency
        # Envoy takes listeners and clusters from files, which the server replaces.
        self.xds = xds
        self.serve_flags = list(serve_flags)
        if xds:
            self.file("xds").mkdir()
            self.serve_flags += ["--xds", str(self.file("xds")), "--envoy-admin", f"unix:{self.file('envoy.sock')}",
                                 "--filter", str(self.file("filter.wasm")),
                                 "--access-log", str(self.file("access.log"))]
        self.listen = listen or f"unix:{self.file('s.sock')}"
        self.binary = os.environ["MESETA_BIN"]
        self.envoy_binary = os.environ["MESETA_ENVOY"]
        self.server = self.envoy = None
        self.starts = 0

    def file(self, name):
        return self.directory / name

    async def start(self):
        self.file("meseta.yaml").write_text(yaml.safe_dump(self.config))
        self.start_server()
        await until(lambda: self.file("ready").exists() or self._died(), "the server is ready")
        filter_file = self.file("filter.wasm")
        self._run("render", "filter", "--output", str(filter_file))
        bootstrap = self._run(
            "render", "envoy", str(self.file("meseta.yaml")),
            "--server", await until(self.bound, "the server has said where it listens"),
            "--filter", str(filter_file),
            "--admin", f"unix:{self.file('envoy.sock')}",
            "--access-log", str(self.file("access.log")),
            *(["--xds", str(self.file("xds"))] if self.xds else []),
        )
        if self.rendered:
            tree = yaml.safe_load(bootstrap)
            self.rendered(tree)
            bootstrap = yaml.safe_dump(tree)
        self.file("envoy.yaml").write_text(bootstrap)
        self.envoy = subprocess.Popen(
            [self.envoy_binary, "-c", str(self.file("envoy.yaml")), "--concurrency", str(self.concurrency),
             "--use-dynamic-base-id", "--drain-strategy", "immediate", "--file-flush-interval-msec", "50", "--log-level", "info"],
            stdout=self.file("envoy.log").open("wb"), stderr=subprocess.STDOUT, env={"PATH": os.environ["PATH"]},
        )
        await until(self._find_ports, "Envoy listens")
        return self

    def start_server(self):
        self.starts += 1
        self.file("ready").unlink(missing_ok=True)
        self.server = subprocess.Popen(
            [self.binary, "serve", "--config", str(self.file("meseta.yaml")), "--listen", self.listen,
             "--admin", "127.0.0.1:0", "--ready-file", str(self.file("ready")), "--log", "json", *self.serve_flags],
            stdout=self.file(f"server.{self.starts}.out").open("wb"),
            stderr=self.file(f"server.{self.starts}.log").open("wb"),
            env=self.env,
        )

    async def reload(self, config, taken=True):
        """Replaces the configuration's file and waits until it is taken, or refused; returns what /status says."""
        return await self.change(lambda: self.write(config), taken)

    def write(self, config):
        """Replaces the configuration's file as a whole."""
        new = self.file("meseta.new")
        new.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
        new.rename(self.file("meseta.yaml"))

    async def change(self, change, taken=True):
        """Does what should make the server read its configuration again, and waits for that."""
        metric = "meseta_config_reloads_total" if taken else "meseta_config_reload_failures_total"
        other = "meseta_config_reload_failures_total" if taken else "meseta_config_reloads_total"
        before, before_other = self.metric(metric), self.metric(other)
        change()
        await until(lambda: self.metric(metric) > before or self.metric(other) > before_other, f"{metric} grows")
        status = json.loads(self.admin("/status")[1])
        assert self.metric(other) == before_other, status
        return status

    def metric(self, name):
        """The sum of the server's metrics of that name."""
        lines = (line.split(" ") for line in self.admin("/metrics")[1].splitlines())
        return sum(float(line[1]) for line in lines if line[0].split("{")[0] == name)

    def clusters(self):
        """Names of the providers' clusters that Envoy has."""
        statuses = json.loads(self.envoy_admin("/clusters?format=json")).get("cluster_statuses", [])
        return {status["name"] for status in statuses} - {"meseta_server"}

    def bound(self):
        """Where the server listens, in its own words: the system may have picked the port. Its log may come late."""
        return next((line["listen"] for line in self.server_log() if line.get("message") == "serving"), None)

    async def restart_server(self):
        """Starts another server on the same socket and then asks the old one to stop."""
        old = self.server
        self.start_server()
        await until(lambda: self.file("ready").exists() or self._died(), "the new server is ready")
        old.terminate()
        return old

    def _died(self):
        if self.server.poll() is not None:
            log = self.file(f"server.{self.starts}.log").read_text()
            raise AssertionError(f"the server ended with {self.server.returncode}: {log[-2000:]}")

    def _run(self, *arguments):
        done = subprocess.run([self.binary, *arguments], env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _find_ports(self):
        if self.envoy.poll() is not None:
            raise AssertionError("Envoy ended: " + self.file("envoy.log").read_text()[-3000:])
        try:
            listeners = json.loads(self.envoy_admin("/listeners?format=json"))["listener_statuses"]
            ready = self.envoy_admin("/ready").strip() == "LIVE"
        except (OSError, KeyError, http.client.HTTPException):
            return False
        self.ports = {
            status["name"]: status["local_address"]["socket_address"]["port_value"]
            for status in listeners
            if "socket_address" in status["local_address"]  # not the egress listener
        }
        return ready and bool(self.ports)

    @property
    def url(self):
        return f"http://127.0.0.1:{next(iter(self.ports.values()))}"

    def envoy_admin(self, path):
        connection = _UnixConnection(self.file("envoy.sock"))
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def admin(self, path):
        connection = http.client.HTTPConnection(self.file("ready").read_text().strip(), timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def stat(self, suffix):
        """The sum of Envoy's counters whose name ends so."""
        total = 0
        for line in self.envoy_admin("/stats").splitlines():
            name, _, value = line.partition(": ")
            if name.endswith(suffix) and value.isdigit():
                total += int(value)
        return total

    def access_log(self):
        path = self.file("access.log")
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def server_log(self):
        lines = []
        for path in sorted(self.directory.glob("server.*.log")):
            for line in path.read_text().splitlines():
                try:
                    lines.append(json.loads(line))
                except ValueError:
                    lines.append({"message": line})
        return lines

    async def access_line(self, model):
        """The access-log line of a request for this model at the provider."""
        return await until(
            lambda: next((line for line in self.access_log() if (line.get("model") or "").endswith("/" + model)), None),
            f"an access-log line for {model}",
        )

    async def exchange_line(self, model):
        """The server's own line of a request for this model."""
        return await until(
            lambda: next(
                (line for line in self.server_log()
                 if line.get("message") == "exchange" and (line.get("model") or "").endswith("/" + model)), None),
            f"an exchange line for {model}",
        )

    def stop(self):
        for process in (self.envoy, self.server):
            if process and process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in (self.envoy, self.server):
            if process:
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
