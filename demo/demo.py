"""A conversation with Meseta through the official clients; every answer printed here came from the model.

    python demo.py --url http://127.0.0.1:12000 --model local/smollm2-135m-instruct --alias assistant --logs DIR

Owns: what is asked, what is shown, and what an answer must have to be shown as a success. Never: starts or stops anything,
repeats a request that failed. Exit code 0 only if every step showed what its heading says.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import anthropic
import openai

UNKNOWN = "no-such-model"
KEY = "any-key-will-do"
TIMEOUT_SECONDS = 120
LOG_SECONDS = 15


class Unexpected(Exception):
    """An answer came, but not the one that a step shows."""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True, help="the listener, without /v1")
    parser.add_argument("--model", required=True)
    parser.add_argument("--alias", required=True)
    parser.add_argument("--dialect", choices=("openai", "anthropic"), default="openai", help="the API that the model's provider serves")
    parser.add_argument("--logs", type=Path, required=True, help="the folder that the access log is written to")
    arguments = parser.parse_args()
    talk = Talk(arguments)
    log = AccessLog(arguments.logs)
    try:
        talk.chat(arguments.model, "What is the capital of France?")
        talk.stream(arguments.model, "Write two sentences about the sea.")
        talk.chat(arguments.alias, "What is the capital of Italy?", f"The alias `{arguments.alias}` in the model's place")
        talk.list_models()
        talk.openai_error()
        talk.anthropic_error()
        show_log(log, talk.asked)
    except (openai.OpenAIError, anthropic.AnthropicError, Unexpected) as error:
        say(f"    {type(error).__name__}: {error}")
        return 1
    return 0


class Talk:
    """`asked` counts the requests that were sent, `answered` the ones among them that the model answered."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.openai = openai.OpenAI(base_url=f"{arguments.url}/v1", api_key=KEY, max_retries=0, timeout=TIMEOUT_SECONDS)
        self.anthropic = anthropic.Anthropic(base_url=arguments.url, api_key=KEY, max_retries=0, timeout=TIMEOUT_SECONDS)
        self.native = arguments.dialect == "anthropic"
        self.client = "Anthropic client" if self.native else "OpenAI client"
        self.asked = 0

    def chat(self, model, question, title="Chat"):
        heading(f"{title} ({self.client}, model {model})")
        self.asked += 1
        say(f"    > {question}")
        started = time.monotonic()
        if self.native:
            answer = self.anthropic.messages.create(model=model, max_tokens=300, messages=user(question))
            text = "".join(block.text for block in answer.content if block.type == "text")
            tokens = (answer.usage.input_tokens, answer.usage.output_tokens)
        else:
            answer = self.openai.chat.completions.create(model=model, messages=user(question))
            text = answer.choices[0].message.content
            tokens = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
        require(text and text.strip(), "the model answered with no text")
        say(indent(text))
        say(f"    [{tokens[0]} tokens in, {tokens[1]} out, {time.monotonic() - started:.2f} s, answered by {answer.model}]")

    def stream(self, model, question):
        heading(f"Streaming: the text appears as the model makes it ({self.client}, model {model})")
        self.asked += 1
        say(f"    > {question}\n    ", end="")
        started = time.monotonic()
        times = []
        for piece in self.anthropic_pieces(model, question) if self.native else self.openai_pieces(model, question):
            times.append(time.monotonic() - started)
            say(piece.replace("\n", "\n    "), end="")
        say()
        require(len(times) > 1, f"the text came in {len(times)} piece(s), not as a stream")
        say(f"    [{len(times)} pieces: the first after {times[0]:.2f} s, the last after {times[-1]:.2f} s]")

    def openai_pieces(self, model, question):
        finished = False
        for chunk in self.openai.chat.completions.create(model=model, messages=user(question), stream=True):
            for choice in chunk.choices:
                finished = finished or choice.finish_reason is not None
                if choice.delta.content:
                    yield choice.delta.content
        require(finished, "the stream ended without a finish_reason")

    def anthropic_pieces(self, model, question):
        with self.anthropic.messages.stream(model=model, max_tokens=300, messages=user(question)) as stream:
            yield from stream.text_stream
            require(stream.get_final_message().stop_reason, "the stream ended without a stop_reason")

    def list_models(self):
        heading("GET /v1/models (OpenAI client)")
        self.asked += 1
        cards = self.openai.models.list().data
        for card in cards:
            say(f"    {card.id:<40} {card.owned_by}")
        ids = {card.id for card in cards}
        for wanted in (self.arguments.model, self.arguments.alias):
            require(wanted in ids, f"{wanted} is not in the list")

    def openai_error(self):
        heading("A model that does not exist, in OpenAI's dialect (OpenAI client)")
        self.asked += 1
        try:
            self.openai.chat.completions.create(model=UNKNOWN, messages=user("Hello"))
        except openai.NotFoundError as error:
            say(f"    openai.{type(error).__name__}, HTTP {error.status_code}")
            say(indent(json.dumps(error.response.json())))
            require(error.code == "model_not_found", f"the code is {error.code!r}, not 'model_not_found'")
            return
        raise Unexpected(f"a request for {UNKNOWN} was answered")

    def anthropic_error(self):
        heading("The same in Anthropic's dialect (Anthropic client)")
        self.asked += 1
        try:
            self.anthropic.messages.create(model=UNKNOWN, max_tokens=16, messages=user("Hello"))
        except anthropic.NotFoundError as error:
            say(f"    anthropic.{type(error).__name__}, HTTP {error.status_code}")
            body = error.response.json()
            say(indent(json.dumps(body)))
            require(body.get("type") == "error" and body["error"]["type"] == "not_found_error", "the body is not Anthropic's not_found_error")
            return
        raise Unexpected(f"a request for {UNKNOWN} was answered")


class AccessLog:
    """The lines that Envoy adds to its access log from now on, wherever below `folder` it writes it."""

    def __init__(self, folder):
        self._folder = folder
        self._seen = {path: path.stat().st_size for path in folder.glob("*")}

    def lines(self):
        found = []
        for path in sorted(self._folder.glob("*")):
            with open(path, "rb") as file:
                file.seek(self._seen.get(path, 0))
                # A line that is still being written has no end yet.
                for line in file.read().splitlines(keepends=True):
                    if line.endswith(b"\n") and line.startswith(b"{"):
                        found.append(line)
        entries = []
        for line in found:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            # Our server logs JSON too; Envoy's lines are the ones with response flags.
            if "response_flags" in entry or "flags" in entry:
                entries.append(entry)
        return entries


def show_log(log, asked):
    heading("What Envoy's access log says of it")
    deadline = time.monotonic() + LOG_SECONDS
    while len(entries := log.lines()) < asked:
        require(time.monotonic() < deadline, f"the access log has {len(entries)} lines for {asked} requests after {LOG_SECONDS} s")
        time.sleep(0.1)
    for entry in entries:
        brief = {key: entry.get(key) for key in ("method", "path", "status", "model", "input_tokens", "output_tokens")}
        say("    " + "  ".join(str(value if value is not None else "-") for value in brief.values()))
    counted = [entry for entry in entries if entry.get("output_tokens")]
    require(len(counted) == 3, f"{len(counted)} of the lines have token counts; the model answered 3 requests")
    say("\n    the streamed one in full:")
    streamed = next((entry for entry in counted if entry.get("stream") in (True, "true")), None)
    require(streamed is not None, "no line says that its answer was streamed")
    say(indent(json.dumps(streamed)))


def user(text):
    return [{"role": "user", "content": text}]


def require(condition, reason):
    if not condition:
        raise Unexpected(reason)


def indent(text):
    return "\n".join(f"    {line}" for line in text.strip().splitlines())


def heading(text):
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    say(f"\n{bold}-- {text}{plain}")


def say(*parts, **options):
    print(*parts, flush=True, **options)


if __name__ == "__main__":
    sys.exit(main())
