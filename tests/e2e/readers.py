"""Clients of five APIs, as strict as an API allows: what is not well-formed to the last byte is an assertion that fails."""

import json
from dataclasses import dataclass

from botocore.eventstream import EventStreamBuffer

from conftest import PROMPT


@dataclass
class Answer:
    """What a client has got: a text and its regular end, or an error, possibly after a part of the text."""

    text: str
    error: dict | None = None
    signs: int = 0

    @property
    def complete(self):
        return self.error is None


def events(body):
    """The events of a stream of Server-Sent Events: name and data; and how many signs of life there were, which are comments
    or blank lines after nothing."""
    if not body:
        return [], 0
    text = body.decode().replace("\r\n", "\n")  # either ends a line
    assert text.endswith("\n\n"), f"the last event is not ended: {text[-200:]!r}"
    found, signs, fields = [], 0, {}
    after_comment = False
    for line in text[:-1].split("\n"):
        if not line and fields:
            assert "data" in fields, fields
            found.append((fields.get("event"), fields["data"]))
            fields = {}
        elif not line:
            signs += not after_comment
        elif line.startswith(":"):
            assert not fields, f"a comment within an event: {line!r} after {fields}"
            signs += 1
        else:
            name, colon, value = line.partition(": ")
            assert colon and name in ("event", "data") and name not in fields, f"within an event: {line!r} after {fields}"
            fields[name] = value
        after_comment = line.startswith(":")
    return found, signs


def ended_once(found, is_end):
    """The last of the events is the only one that ends the stream."""
    assert [is_end(event) for event in found] == [False] * (len(found) - 1) + [True], found


class Chat:
    path = staticmethod(lambda model, stream: "/v1/chat/completions")

    @staticmethod
    def body(model, stream):
        return {"model": model, "stream": stream, "messages": [{"role": "user", "content": PROMPT}]}

    @staticmethod
    def error(document):
        assert set(document) == {"error"}, document
        assert {"message", "type"} <= set(document["error"]), document
        return document["error"]

    @staticmethod
    def document(document):
        [choice] = document["choices"]
        assert choice["finish_reason"] == "stop" and document["object"] == "chat.completion", document
        return choice["message"]["content"]

    @classmethod
    def stream(cls, body):
        found, signs = events(body)
        datas = [data for _, data in found]
        ended_once(datas, lambda data: data == "[DONE]" or "error" in json.loads(data))
        chunks = [json.loads(data) for data in datas[:-1]]
        choices = [choice for chunk in chunks for choice in chunk["choices"]]
        text = "".join(choice["delta"].get("content") or "" for choice in choices)
        finishes = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
        if datas[-1] != "[DONE]":
            assert not finishes, datas
            return Answer(text, cls.error(json.loads(datas[-1])), signs)
        assert finishes == ["stop"] and choices[-1]["finish_reason"], datas
        assert len({chunk["id"] for chunk in chunks}) == 1, "chunks of two answers"
        assert sum(bool(choice["delta"].get("role")) for choice in choices) <= 1, "two beginnings"
        return Answer(text, signs=signs)


class Messages:
    path = staticmethod(lambda model, stream: "/v1/messages")

    @staticmethod
    def body(model, stream):
        return {"model": model, "stream": stream, "max_tokens": 50, "messages": [{"role": "user", "content": PROMPT}]}

    @staticmethod
    def error(document):
        assert document["type"] == "error" and {"type", "message"} <= set(document["error"]), document
        return document["error"]

    @staticmethod
    def document(document):
        assert document["type"] == "message" and document["stop_reason"] == "end_turn", document
        return "".join(block["text"] for block in document["content"])

    @classmethod
    def stream(cls, body):
        found, signs = events(body)
        datas = [json.loads(data) for _, data in found]
        assert [name for name, _ in found] == [data["type"] for data in datas], found
        ended_once(datas, lambda data: data["type"] in ("message_stop", "error"))
        kinds = [data["type"] for data in datas if data["type"] != "ping"]
        deltas = [data["delta"] for data in datas if data["type"] == "content_block_delta"]
        text = "".join(delta["text"] for delta in deltas)
        if kinds[-1] == "error":
            assert "message_delta" not in kinds and kinds.count("message_start") <= 1, kinds
            return Answer(text, cls.error(datas[-1]), signs)
        assert kinds[0] == "message_start" and kinds.count("message_start") == kinds.count("message_delta") == 1, kinds
        assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 1, kinds
        return Answer(text, signs=signs)


class Responses:
    path = staticmethod(lambda model, stream: "/v1/responses")

    @staticmethod
    def body(model, stream):
        return {"model": model, "stream": stream, "input": PROMPT}

    error = staticmethod(Chat.error)

    @staticmethod
    def document(document):
        assert document["object"] == "response" and document["status"] == "completed", document
        return "".join(part["text"] for item in document["output"] for part in item["content"])

    @classmethod
    def stream(cls, body):
        found, signs = events(body)
        datas = [json.loads(data) for _, data in found]
        assert [name for name, _ in found] == [data["type"] for data in datas], found
        numbers = [data["sequence_number"] for data in datas]
        assert numbers == list(range(len(numbers))), numbers
        kinds = [data["type"] for data in datas]
        text = "".join(data["delta"] for data in datas if data["type"] == "response.output_text.delta")
        if kinds[-2:] == ["error", "response.failed"]:  # as OpenAI ends a response that has begun
            assert datas[-1]["response"]["status"] == "failed" and datas[-1]["response"]["error"], datas[-1]
            del datas[-1], kinds[-1]
        ended_once(datas, lambda data: data["type"] in ("response.completed", "response.failed", "response.incomplete", "error"))
        if kinds[-1] == "error":
            assert kinds.count("response.created") <= 1, kinds
            return Answer(text, datas[-1], signs)
        assert kinds[-1] == "response.completed" and kinds[0] == "response.created", kinds
        assert kinds.count("response.created") == 1, kinds
        assert cls.document(datas[-1]["response"]) == text, datas[-1]
        return Answer(text, signs=signs)


class Gemini:
    @staticmethod
    def path(model, stream):
        return f"/v1beta/models/{model}:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}"

    @staticmethod
    def body(model, stream):
        return {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}

    @staticmethod
    def error(document):
        assert set(document) == {"error"} and {"code", "message", "status"} <= set(document["error"]), document
        return document["error"]

    @staticmethod
    def text(document):
        found = [part for one in document.get("candidates", []) for part in one.get("content", {}).get("parts", [])]
        return "".join(part["text"] for part in found)

    @classmethod
    def document(cls, document):
        assert [one["finishReason"] for one in document["candidates"]] == ["STOP"], document
        return cls.text(document)

    @classmethod
    def stream(cls, body):
        found, signs = events(body)
        datas = [json.loads(data) for _, data in found]
        finish = lambda data: any(one.get("finishReason") for one in data.get("candidates", []))
        ended_once(datas, lambda data: "error" in data or finish(data))
        text = "".join(cls.text(data) for data in datas)
        return Answer(text, cls.error(datas[-1]) if "error" in datas[-1] else None, signs)


class Converse:
    # What a stream ends with.
    end = ["messageStop", "metadata"]

    @staticmethod
    def path(model, stream):
        return f"/model/{model}/converse{'-stream' if stream else ''}"

    @staticmethod
    def body(model, stream):
        return {"messages": [{"role": "user", "content": [{"text": PROMPT}]}]}

    @staticmethod
    def error(document):
        assert "message" in {key.lower() for key in document}, document
        return document

    @staticmethod
    def document(document):
        assert document["stopReason"] == "end_turn", document
        return "".join(block["text"] for block in document["output"]["message"]["content"])

    @classmethod
    def stream(cls, body):
        buffer = EventStreamBuffer()
        buffer.add_data(body)
        messages = [message.to_response_dict() for message in buffer]
        assert not buffer._data, "the last message is not ended"
        kinds, datas = [], []
        for message in messages:
            headers = message["headers"]
            kinds.append(headers.get(":event-type") or headers.get(":exception-type") or headers.get(":error-code"))
            datas.append(json.loads(message["body"] or b"{}"))
        text = "".join(data["delta"]["text"] for kind, data in zip(kinds, datas) if kind == "contentBlockDelta")
        if messages[-1]["headers"][":message-type"] != "event":
            assert "messageStop" not in kinds and kinds.count("messageStart") <= 1, kinds
            assert [message["headers"][":message-type"] for message in messages[:-1]] == ["event"] * (len(messages) - 1), kinds
            return Answer(text, {"type": kinds[-1], **datas[-1]})
        assert kinds[0] == "messageStart" and kinds.count("messageStart") == 1, kinds
        assert kinds[-len(cls.end) :] == cls.end and kinds.count("messageStop") == 1, kinds
        return Answer(text)


class ConverseWithoutUsage(Converse):
    """Of a provider that tells no usage: no figures are made up."""

    end = ["messageStop"]


READERS = {"chat": Chat, "messages": Messages, "responses": Responses, "gemini": Gemini, "converse": Converse}


def post(client, reader, model, streaming, **more):
    return client.post(reader.path(model, streaming), json=reader.body(model, streaming), **more)


def read(reader, response, streaming):
    """What the client has got, well-formed."""
    kind = response.headers["content-type"].split(";")[0]
    if response.status_code != 200:
        assert kind == "application/json", (response.status_code, response.headers)
        return Answer("", reader.error(response.json()))
    if not streaming:
        assert kind == "application/json", response.headers
        return Answer(reader.document(response.json()))
    assert kind == ("application/vnd.amazon.eventstream" if issubclass(reader, Converse) else "text/event-stream"), response.headers
    return reader.stream(response.content)
