"""`make demo`, `make up` and `make down`: builds Meseta, finds a model, starts the stack, shows it, cleans up.

    python3 demo/run.py            show everything, then stop it all
    python3 demo/run.py --keep     leave it running and say how to talk to it
    python3 demo/run.py --stop     stop what --keep left running

Needs nothing but Python's standard library. What it writes is below .cache/. Whatever happens, Ctrl-C included, what it
started is stopped again, unless it was asked to keep it.
"""

import argparse
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import models
from processes import Clock, Failed, Processes, end_recorded, record, recorded

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
MESETA = ROOT / (os.environ.get("CARGO_TARGET_DIR") or "target") / "release" / "meseta"
CLIENTS = CACHE / "venv-demo"
ALIAS = "assistant"
PORT, ADMIN_PORT = 12000, 9902
MODEL_START_SECONDS = 120
LOG_LINES = 15
# Envoy writes its access log when a buffer is full or this much time has passed; its default of ten seconds is long to watch.
ENVOY_FLAGS = ("--file-flush-interval-msec", "200")


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo.sh", description="Meseta and a model that answers, from nothing.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--keep", action="store_true", help="leave it running and say how to talk to it")
    mode.add_argument("--stop", action="store_true", help="stop what --keep left running")
    arguments = parser.parse_args()
    for sign in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, _interrupted)
    run = Run("up" if arguments.keep or arguments.stop else "demo")
    try:
        run.lock()
        if arguments.stop:
            return run.down()
        return run.up() if arguments.keep else run.demo()
    except Failed as failure:
        explain(failure)
        return 1
    except KeyboardInterrupt:
        say("\nInterrupted.", file=sys.stderr)
        return 130
    finally:
        # Nothing may cut the cleaning short.
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, signal.SIG_IGN)
        run.clean_up()


class Run:
    """One run and its files: `demo` is the one that cleans up, `up` the one that stays."""

    def __init__(self, name):
        self.home = CACHE / name
        self.home.mkdir(parents=True, exist_ok=True)
        self.state = self.home / "state"
        self.config = self.home / "meseta.yaml"
        self.model_record = self.home / "model.pid.json"
        self.model_log = self.home / "model.log"
        self.kept = self.home / "running.json"
        self.processes = Processes()
        self.stack_started = False

    def lock(self):
        """One run at a time; the lock goes with the process."""
        self._lock = open(self.home / "lock", "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed(f"another run is at work in {shown(self.home)}: wait for its end") from None

    def demo(self):
        started = time.monotonic()
        choice, url = self.start()
        heading("6/6  Talking to it with the official clients")
        self.talk(url, choice)
        heading("Cleaning up")
        self.clean_up()
        say(f"\nThat was the demo: a real model behind a real Envoy, in {time.monotonic() - started:.0f} s. To keep it running: make up")
        return 0

    def up(self):
        if self.already_running():
            return 0
        choice, url = self.start()
        self.kept.write_text(json.dumps({"url": url, "model": choice.model, "said": choice.said, "local": choice.local}))
        self.stack_started = False
        self.processes.release()
        tell(url, choice.model, choice.said)
        return 0

    def down(self):
        if not self.state.exists() and recorded(self.model_record) is None:
            say("nothing is running")
            return 0
        self.stop_stack()
        if end_recorded(self.model_record):
            say("the local model is stopped")
        self.kept.unlink(missing_ok=True)
        return 0

    def start(self):
        """All the steps from a fresh clone to a stack that answers; returns the model chosen and the listener's URL."""
        heading("1/6  Checking the tools")
        self.processes.run([ROOT / "scripts" / "check-tools.sh"], "the check of the tools")
        heading("2/6  Building Meseta (the first time about five minutes on two cores, later seconds)")
        self.processes.run(["cargo", "xtask", "wasm"], "the build of the filter", cwd=ROOT)
        self.processes.run(["cargo", "build", "--release", "-p", "meseta"], "the build of meseta", cwd=ROOT)
        # A run that was killed outright may have left something.
        self.down_quietly()
        heading("3/6  Installing Envoy and the official clients (the first time half a minute, later at once)")
        envoy = self.install_envoy()
        self.install_clients()
        heading("4/6  Finding a model that can answer")
        choice = models.choose(lambda line: say(f"    {line}"))
        say(f"    the answers will come from {choice.said}")
        if choice.local:
            choice = self.start_model(choice)
        heading("5/6  Starting Envoy and the Meseta server")
        return choice, self.start_stack(envoy, choice)

    def install_envoy(self):
        output = self.processes.run_quietly([ROOT / "scripts" / "setup-envoy.sh"], "the installation of Envoy", CACHE / "setup-envoy.log")
        envoy = Path(output.strip().rpartition("\n")[2])
        if not os.access(envoy, os.X_OK):
            raise Failed("the installation of Envoy did not name a program", [CACHE / "setup-envoy.log"])
        say(f"    Envoy: {shown(envoy)}")
        return envoy

    def install_clients(self):
        """A virtual environment with exactly requirements.txt, made anew when that file changes."""
        wanted = ROOT / "demo" / "requirements.txt"
        stamp = CLIENTS / "installed.txt"
        if not (stamp.is_file() and stamp.read_bytes() == wanted.read_bytes() and (CLIENTS / "bin" / "python").exists()):
            shutil.rmtree(CLIENTS, ignore_errors=True)
            log = CACHE / "setup-clients.log"
            self.processes.run_quietly([sys.executable, "-m", "venv", CLIENTS], "making a virtual environment (Debian: install python3-venv)", log)
            pip = [CLIENTS / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r", wanted]
            self.processes.run_quietly(pip, "the installation of the clients", log)
            shutil.copyfile(wanted, stamp)
        say(f"    clients: {shown(CLIENTS)}")

    def start_model(self, choice):
        """Installs the small model, starts it and waits until it listens; returns the choice with its address."""
        script = ROOT / "scripts" / "local-model.sh"
        say("    installing it (the first time about 150 MB, later at once)")
        self.processes.run_quietly([script, "--install"], "the installation of the local model", CACHE / "setup-model.log")
        ready = self.home / "model.json"
        ready.unlink(missing_ok=True)
        process = self.processes.start([script, "--ready-file", ready], self.model_log)
        record(self.model_record, process.pid)
        clock, deadline = Clock(), time.monotonic() + MODEL_START_SECONDS
        while not ready.exists():
            if process.poll() is not None:
                raise Failed("the local model ended before it was ready", [self.model_log])
            if time.monotonic() > deadline:
                raise Failed(f"the local model was not ready after {MODEL_START_SECONDS} s", [self.model_log])
            clock.tick("loading the model")
            time.sleep(0.1)
        clock.clear()
        answer = json.loads(ready.read_text())
        say(f"    it listens on {answer['url']}, which only this machine reaches")
        settings = {"provider_interface": "openai", "base_url": answer["url"]}
        return models.Choice(choice.said, f"local/{answer['model']}", settings, local=True)

    def start_stack(self, envoy, choice):
        port = free_port(PORT)
        self.config.write_text(configuration(choice, port, free_port(ADMIN_PORT)))
        say(f"    configuration: {shown(self.config)}")
        self.stack_started = True
        command = [MESETA, "up", self.config, "--state-dir", self.state, "--envoy", envoy, "--", *ENVOY_FLAGS]
        self.run_with_logs(command, "meseta up")
        return f"http://127.0.0.1:{port}"

    def talk(self, url, choice):
        command = [CLIENTS / "bin" / "python", "-u", ROOT / "demo" / "demo.py", "--url", url, "--model", choice.model]
        command += ["--alias", ALIAS, "--logs", self.state / "logs"]
        # The clients take settings from the environment that would lead them elsewhere.
        env = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "ANTHROPIC_"))}
        env["NO_PROXY"] = env["no_proxy"] = "127.0.0.1"
        self.run_with_logs(command, "the conversation", env=env)

    def run_with_logs(self, command, what, **options):
        try:
            self.processes.run(command, what, **options)
        except Failed as failure:
            raise Failed(str(failure), [self.model_log, *sorted(self.state.glob("logs/*.log"))]) from None

    def already_running(self):
        """Whether an earlier `up` still answers; says how to talk to it if so."""
        try:
            entry = json.loads(self.kept.read_text())
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            direct.open(f"{entry['url']}/v1/models", timeout=5).close()
        except (OSError, ValueError):
            return False
        if entry["local"] and recorded(self.model_record) is None:
            return False
        tell(entry["url"], entry["model"], entry["said"])
        return True

    def stop_stack(self, **streams):
        if not MESETA.exists():
            raise Failed(f"{shown(MESETA)} is gone, and it alone can stop what runs: cargo build --release -p meseta")
        code = subprocess.call([MESETA, "down", "--state-dir", self.state], stdin=subprocess.DEVNULL, **streams)
        if code != 0:
            raise Failed(f"meseta down failed with exit code {code}", sorted(self.state.glob("logs/*.log")))

    def down_quietly(self):
        if self.state.exists():
            self.stop_stack(stdout=subprocess.DEVNULL)
        end_recorded(self.model_record)
        self.kept.unlink(missing_ok=True)

    def clean_up(self):
        """Stops the stack, then the model, if this run started them; harmless when there is nothing to stop."""
        if self.stack_started:
            self.stack_started = False
            try:
                self.stop_stack()
            except Failed as failure:
                explain(failure)
        self.processes.stop()


def configuration(choice, port, admin_port):
    quoted = json.dumps  # a JSON string is a YAML string
    lines = [
        "# Written by scripts/demo.sh; the next run writes it anew.",
        "version: v0.4.0",
        "listeners:",
        "  - type: model",
        "    name: demo",
        "    address: 127.0.0.1",
        f"    port: {port}",
        "model_providers:",
        f"  - model: {quoted(choice.model)}",
        *(f"    {key}: {quoted(value)}" for key, value in choice.settings.items()),
        "    default: true",
        "model_aliases:",
        f"  {ALIAS}:",
        f"    target: {quoted(choice.model)}",
        "server:",
        f"  admin: 127.0.0.1:{admin_port}",
    ]
    return "\n".join(lines) + "\n"


def tell(url, model, said):
    """How to talk to a stack that runs, and how to stop it."""
    body = json.dumps({"model": ALIAS, "messages": [{"role": "user", "content": "What is the capital of Italy?"}]})
    heading("It runs")
    say(f"    models     {model}, or {ALIAS} for short ({said})")
    say(f"    base URL   {url}/v1 for OpenAI's clients, {url} for Anthropic's; any API key will do\n")
    say(f"    curl {url}/v1/chat/completions -H 'content-type: application/json' \\\n      -d '{body}'\n")
    say("    to stop it: make down")


def free_port(wanted):
    """`wanted` if nobody listens there, else one that the system picks."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
            except OSError:
                continue
    raise Failed("no free port on 127.0.0.1")


def explain(failure):
    say(f"\nfailed: {failure}", file=sys.stderr)
    for log in failure.logs:
        try:
            lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        except OSError:
            continue
        if lines:
            say(f"\nthe last lines of {shown(log)}:", *(f"  {line}" for line in lines), sep="\n", file=sys.stderr)


def heading(text):
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    say(f"\n{bold}== {text}{plain}")


def say(*parts, **options):
    print(*parts, flush=True, **options)


def shown(path):
    try:
        return Path(path).relative_to(ROOT)
    except ValueError:
        return path


def _interrupted(_number, _frame):
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
