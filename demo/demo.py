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
    parser.add_argument("--logs", type=Path, required=True, help="the folder that the access log is written to")
    arguments = parser.parse_args()
    talk = Talk(arguments)
    log = AccessLog(arguments.logs)
    try:
        talk.chat(arguments.model, "What is the capital of France?")
        talk.stream(arguments.model, "Write two sentences about the sea.")
        talk.chat(arguments.alias, "What is the capital of Italy?", f"The alias `{arguments.alias}` in the model's place")
        talk.message(arguments.model, "What is the capital of Spain?")
        talk.stream_message(arguments.model, "Write two sentences about the mountains.")
        talk.list_models()
        talk.openai_error()
        talk.anthropic_error()
        show_log(log, talk)
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
        self.asked = self.answered = 0

    def chat(self, model, question, title="Chat"):
        heading(f"{title} (OpenAI client, model {model})")
        say(f"    > {question}")
        self.asked += 1
        started = time.monotonic()
        answer = self.openai.chat.completions.create(model=model, messages=user(question))
        self.show(answer.choices[0].message.content, answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.model, started)

    def message(self, model, question):
        heading(f"Chat (Anthropic client, model {model})")
        say(f"    > {question}")
        self.asked += 1
        started = time.monotonic()
        answer = self.anthropic.messages.create(model=model, max_tokens=300, messages=user(question))
        text = "".join(block.text for block in answer.content if block.type == "text")
        self.show(text, answer.usage.input_tokens, answer.usage.output_tokens, answer.model, started)

    def show(self, text, tokens_in, tokens_out, model, started):
        require(text and text.strip(), "the model answered with no text")
        self.answered += 1
        say(indent(text))
        say(f"    [{tokens_in} tokens in, {tokens_out} out, {time.monotonic() - started:.2f} s, answered by {model}]")

    def stream(self, model, question):
        heading(f"Streaming: the text appears as the model makes it (OpenAI client, model {model})")
        say(f"    > {question}\n    ", end="")
        self.asked += 1
        started = time.monotonic()
        times, finished = [], False
        for chunk in self.openai.chat.completions.create(model=model, messages=user(question), stream=True):
            for choice in chunk.choices:
                finished = finished or choice.finish_reason is not None
                if choice.delta.content:
                    times.append(time.monotonic() - started)
                    say(choice.delta.content.replace("\n", "\n    "), end="")
        say()
        require(finished, "the stream ended without a finish_reason")
        require(len(times) > 1, f"the text came in {len(times)} piece(s), not as a stream")
        self.answered += 1
        say(f"    [{len(times)} pieces: the first after {times[0]:.2f} s, the last after {times[-1]:.2f} s]")

    def stream_message(self, model, question):
        heading(f"Streaming in Anthropic's API, whatever the model's provider speaks (Anthropic client, model {model})")
        say(f"    > {question}\n    ", end="")
        self.asked += 1
        pieces = 0
        with self.anthropic.messages.stream(model=model, max_tokens=300, messages=user(question)) as stream:
            for text in stream.text_stream:
                pieces += 1
                say(text.replace("\n", "\n    "), end="")
            message = stream.get_final_message()
        say()
        require(message.stop_reason is not None, "the stream ended without a stop_reason")
        require(pieces > 1, f"the text came in {pieces} piece(s), not as a stream")
        self.answered += 1
        say(f"    [{pieces} pieces, {message.usage.input_tokens} tokens in, {message.usage.output_tokens} out]")

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
    """The lines that Envoy adds from now on to its access log in `folder`."""

    def __init__(self, folder):
        self._path = folder / "access.log"
        self._start = self._path.stat().st_size if self._path.exists() else 0

    def lines(self):
        if not self._path.exists():
            return []
        with open(self._path, "rb") as file:
            file.seek(self._start)
            # A line that is still being written has no end yet.
            return [json.loads(line) for line in file if line.endswith(b"\n")]


def show_log(log, talk):
    heading("What Envoy's access log says of it")
    deadline = time.monotonic() + LOG_SECONDS
    while len(entries := log.lines()) < talk.asked:
        require(time.monotonic() < deadline, f"the access log has {len(entries)} lines for {talk.asked} requests after {LOG_SECONDS} s")
        time.sleep(0.1)
    for entry in entries:
        brief = [entry.get(key) for key in ("method", "path", "status", "model", "input_tokens", "output_tokens")]
        say("    " + "  ".join("-" if value in (None, "") else str(value) for value in brief))
    counted = [entry for entry in entries if entry.get("output_tokens")]
    require(len(counted) == talk.answered, f"{len(counted)} of the lines have token counts; the model answered {talk.answered} requests")
    streamed = next((entry for entry in counted if entry.get("stream") in (True, "true")), None)
    require(streamed is not None, "no line says that its answer was streamed")
    say("\n    the line of the stream, whole:")
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
