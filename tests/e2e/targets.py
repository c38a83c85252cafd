"""Targets of a relay, as providers of four APIs answer them, and how each fails."""

import asyncio
import json
import struct
import zlib

from answers import JSON, STREAM, named, sse

# In the order in which the pools of the tests ask them.
VENDORS = ("openai", "anthropic", "amazon_bedrock", "gemini")
PATHS = {"openai": "/v1", "anthropic": "", "amazon_bedrock": "", "gemini": ""}
# What a failed target adds to its answers, and nobody may see.
TELLTALES = [
    ("set-cookie", "telltale=1"), ("x-ratelimit-remaining-requests", "17"), ("x-ratelimit-limit-tokens", "telltale"),
    ("x-custom", "telltale"), ("server", "telltale"), ("openai-processing-ms", "telltale"), ("openai-organization", "telltale"),
]


def frame(kind, payload, message="event"):
    """A message of an AWS event stream."""
    body = json.dumps(payload).encode()
    tell = {":message-type": message, f":{message}-type": kind, ":content-type": "application/json"}
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in tell.items())
    head = struct.pack("!II", len(headers) + len(body) + 16, len(headers))
    whole = head + struct.pack("!I", zlib.crc32(head)) + headers + body
    return whole + struct.pack("!I", zlib.crc32(whole))


def said(model):
    """The text of a target, which tells it from all others."""
    return f"I am {model}, and this is all I say."


def halves(text):
    return text[: len(text) // 2], text[len(text) // 2 :]


def spoken(exchange, vendor):
    """The API that a target is asked in: OpenAI has two."""
    return "responses" if exchange.request.path.endswith("/responses") else vendor


def response(status, text=None):
    """The object of OpenAI's Responses."""
    content = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}
    usage = {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13, "input_tokens_details": {"cached_tokens": 0},
             "output_tokens_details": {"reasoning_tokens": 0}}
    return {"id": "resp_1", "object": "response", "created_at": 1700000000, "status": status, "model": "gpt-x", "error": None,
            "incomplete_details": None, "output": [item] if text else [], "usage": usage if text else None}


def numbered(sequence, **event):
    return named([{**event, "sequence_number": sequence}])


def document(vendor, text):
    """A complete answer."""
    if vendor == "responses":
        return json.dumps(response("completed", text)).encode()
    if vendor == "openai":
        return json.dumps({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "gpt-x",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}).encode()
    if vendor == "anthropic":
        return json.dumps({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "end_turn",
            "stop_sequence": None, "content": [{"type": "text", "text": text}],
            "usage": {"input_tokens": 9, "output_tokens": 4}}).encode()
    if vendor == "amazon_bedrock":
        return json.dumps({
            "output": {"message": {"role": "assistant", "content": [{"text": text}]}}, "stopReason": "end_turn",
            "usage": {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}, "metrics": {"latencyMs": 1}}).encode()
    return json.dumps(candidate(text, "STOP")).encode()


def candidate(text, finish=None):
    answer = {"index": 0, "content": {"role": "model", "parts": [{"text": text}] if text else []}}
    if finish:
        answer["finishReason"] = finish
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13}
    return {"candidates": [answer], "usageMetadata": usage, "modelVersion": "gemini-x", "responseId": "r1"}


def stream(vendor, text):
    """A complete stream in three parts: what comes before content, the content, and the end; each a list of events."""
    if vendor == "responses":
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        part = {"type": "output_text", "text": "", "annotations": []}
        done = response("completed", text)
        return (
            [numbered(0, type="response.created", response=response("in_progress")),
             numbered(1, type="response.output_item.added", output_index=0, item=item),
             numbered(2, type="response.content_part.added", part=part, **place)],
            [numbered(3 + n, type="response.output_text.delta", delta=half, logprobs=[], **place) for n, half in enumerate(halves(text))],
            [numbered(5, type="response.output_text.done", text=text, logprobs=[], **place),
             numbered(6, type="response.content_part.done", part={**part, "text": text}, **place),
             numbered(7, type="response.output_item.done", output_index=0, item=done["output"][0]),
             numbered(8, type="response.completed", response=done)])
    if vendor == "openai":
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x"}
        delta = lambda delta, finish=None: {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        usage = {**chunk, "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}
        return (
            [sse([delta({"role": "assistant", "content": ""})])],
            [sse([delta({"content": half})]) for half in halves(text)],
            [sse([delta({}, "stop")]), sse([usage]), sse(["[DONE]"])])
    if vendor == "anthropic":
        usage = {"input_tokens": 9, "output_tokens": 1}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [],
                   "stop_reason": None, "stop_sequence": None, "usage": usage}
        start = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        return (
            [named([event]) for event in ({"type": "message_start", "message": message}, start, {"type": "ping"})],
            [named([{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": half}}]) for half in halves(text)],
            [named([event]) for event in (
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 4}},
                {"type": "message_stop"})])
    if vendor == "amazon_bedrock":
        return (
            [frame("messageStart", {"role": "assistant"})],
            [frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": half}}) for half in halves(text)],
            [frame("contentBlockStop", {"contentBlockIndex": 0}), frame("messageStop", {"stopReason": "end_turn"}),
             frame("metadata", {"usage": {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}, "metrics": {"latencyMs": 1}})])
    return (
        [sse([{"usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}, "modelVersion": "gemini-x", "responseId": "r1"}])],
        [sse([candidate(half)]) for half in halves(text)],
        [sse([candidate("", "STOP")])])


def stream_type(vendor):
    return [("content-type", "application/vnd.amazon.eventstream")] if vendor == "amazon_bedrock" else STREAM


def error(vendor, status, message="the words of the provider"):
    """The body of an error answer."""
    if vendor in ("openai", "responses"):
        return json.dumps({"error": {"message": message, "type": "server_error", "param": None, "code": None}}).encode()
    if vendor == "anthropic":
        return json.dumps({"type": "error", "error": {"type": "api_error", "message": message}, "request_id": "req_1"}).encode()
    if vendor == "amazon_bedrock":
        return json.dumps({"message": message}).encode()
    return json.dumps({"error": {"code": status, "message": message, "status": "INTERNAL"}}).encode()


# How each says that a request is too large, and how OpenAI says that its filter refuses it.
CONTEXT = {
    "openai": json.dumps({"error": {
        "message": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}}).encode(),
    "anthropic": json.dumps({"type": "error", "error": {
        "type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"}}).encode(),
    "amazon_bedrock": json.dumps({"message": "Input is too long for requested model."}).encode(),
    "gemini": json.dumps({"error": {
        "code": 400, "status": "INVALID_ARGUMENT",
        "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}}).encode(),
}
FILTER = json.dumps({"error": {
    "message": "The response was filtered due to the prompt triggering content management policy.", "type": None,
    "param": "prompt", "code": "content_filter"}}).encode()


def error_event(vendor, sequence=0):
    """An error in the midst of a stream."""
    if vendor == "responses":
        return numbered(sequence, type="error", code="server_error", message="the words of the provider", param=None)
    if vendor == "openai":
        return sse([json.loads(error("openai", 500))])
    if vendor == "anthropic":
        return named([{"type": "error", "error": {"type": "overloaded_error", "message": "the words of the provider"}}])
    if vendor == "amazon_bedrock":
        return frame("modelStreamErrorException", {"message": "the words of the provider"}, "exception")
    return sse([json.loads(error("gemini", 500))])


def answers(vendor, text, streaming, pause=0, headers=()):
    """Answers as it should."""

    async def behaviour(exchange):
        api = spoken(exchange, vendor)
        if not streaming:
            return await exchange.reply(200, [*JSON, *headers], document(api, text))
        await exchange.head(200, [*stream_type(api), *headers])
        for part in stream(api, text):
            for event in part:
                await exchange.send(event)
                await asyncio.sleep(pause)
        await exchange.end()

    return behaviour


class Failure:
    """A way to fail before any content. `limits` is what the pool's `timeout` has to say for it."""

    def __init__(self, fails, limits=None, streaming=(False, True), result=None):
        self.fails, self.limits, self.streaming, self.result = fails, limits, streaming, result

    def behaviour(self, vendor, streaming):
        async def behaviour(exchange):
            await self.fails(exchange, spoken(exchange, vendor), streaming)

        return behaviour


def status(code):
    async def fails(exchange, vendor, streaming):
        await exchange.reply(code, [*JSON, *TELLTALES], error(vendor, code))

    return Failure(fails, result=code)


def kind(vendor, streaming):
    return [*(stream_type(vendor) if streaming else JSON), *TELLTALES]


async def _closes(exchange, vendor, streaming):
    exchange.keep_alive = False


async def _resets_at_once(exchange, vendor, streaming):
    exchange.reset()


async def _resets_after_headers(exchange, vendor, streaming):
    await exchange.head(200, kind(vendor, streaming))
    exchange.reset()


async def _resets_after_bytes(exchange, vendor, streaming):
    await exchange.head(200, kind(vendor, streaming))
    await exchange.send(b"".join(stream(vendor, "none")[0]) if streaming else document(vendor, "none")[:20])
    exchange.reset()


async def _begins_with_an_error(exchange, vendor, streaming):
    await exchange.head(200, kind(vendor, streaming))
    await exchange.send(error_event(vendor))
    await exchange.end()


async def _has_an_error_before_content(exchange, vendor, streaming):
    await exchange.head(200, kind(vendor, streaming))
    before = stream(vendor, "none")[0]
    await exchange.send(b"".join(before))
    await exchange.send(error_event(vendor, len(before)))
    await exchange.end()


HTML = b"<!doctype html><html><body><h1>Bad gateway</h1>data: {}</body></html>"


async def _html(exchange, vendor, streaming):
    await exchange.reply(200, [("content-type", "text/html"), *TELLTALES], HTML)


async def _html_under_the_right_type(exchange, vendor, streaming):
    await exchange.reply(200, kind(vendor, streaming), HTML)


async def _truncated_json(exchange, vendor, streaming):
    body = document(vendor, "the text that nobody may see")
    await exchange.reply(200, [*JSON, *TELLTALES], body[: len(body) * 2 // 3])


async def _error_body(exchange, vendor, streaming):
    await exchange.reply(200, [*JSON, *TELLTALES], error(vendor, 500))


async def _nothing(exchange, vendor, streaming):
    await exchange.reply(200, kind(vendor, streaming), b"")


async def _ends_cleanly_before_content(exchange, vendor, streaming):
    await exchange.head(200, kind(vendor, streaming), "eof")
    await exchange.send(b"".join(stream(vendor, "none")[0]) if streaming else document(vendor, "none")[:30])


async def _says_nothing(exchange, vendor, streaming):
    await exchange.client_gone()


async def _stops_after_headers(exchange, vendor, streaming):
    await exchange.head(200, kind(vendor, streaming))
    await exchange.client_gone()


async def _stops_before_content(exchange, vendor, streaming):
    await exchange.head(200, kind(vendor, streaming))
    await exchange.send(b"".join(stream(vendor, "none")[0]))
    await exchange.client_gone()


STREAMED = (True,)
# By name. `refused` is nobody's behaviour: nothing listens there.
FAILURES = {
    **{str(code): status(code) for code in (429, 500, 502, 503, 504, 529)},
    "refused": Failure(None),
    "closed_before_headers": Failure(_closes),
    "reset_before_headers": Failure(_resets_at_once),
    "reset_after_headers": Failure(_resets_after_headers),
    "reset_before_content": Failure(_resets_after_bytes),
    "error_event_first": Failure(_begins_with_an_error, streaming=STREAMED),
    "error_event_before_content": Failure(_has_an_error_before_content, streaming=STREAMED),
    "html": Failure(_html),
    "html_as_declared": Failure(_html_under_the_right_type),
    "truncated_json": Failure(_truncated_json),
    "error_body": Failure(_error_body),
    "empty_body": Failure(_nothing),
    "clean_end_before_content": Failure(_ends_cleanly_before_content),
    "headers_timeout": Failure(_says_nothing, {"headers": "300ms"}),
    "first_token_timeout": Failure(_stops_after_headers, {"first_token": "300ms"}, STREAMED),
    "first_token_timeout_before_headers": Failure(_says_nothing, {"first_token": "300ms"}, STREAMED),
    "idle_timeout_after_headers": Failure(_stops_after_headers, {"idle": "300ms"}, STREAMED),
    "idle_timeout_before_content": Failure(_stops_before_content, {"idle": "300ms"}, STREAMED),
}


def pool(name, vendors=VENDORS, dead=0, **more):
    """A pool whose targets are asked in turn, the first `dead` of them where nobody listens."""
    targets = [
        {"model": f"{'dead-' if place < dead else ''}{vendor}/{name}-{place}", "priority": place + 1}
        for place, vendor in enumerate(vendors)]
    return {"targets": targets, "failover": {"max_attempts": len(vendors)}, **more}


def dead_providers():
    """Providers of each API at a port where nobody listens."""
    return [
        {"model": f"dead-{vendor}/*", "base_url": f"http://127.0.0.1:1{PATHS[vendor]}", "provider_interface": vendor,
         "access_key": "$OPENAI_TEST_KEY"}
        for vendor in VENDORS]
