"""Recorded provider exchanges, where there are any: MESETA_CORPUS, else ../shared/corpus beside the checkout."""

import base64
import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("MESETA_CORPUS", ROOT.parent / "shared" / "corpus"))

# The endpoints that are served, with the provider of our configuration that speaks them.
SERVED = {
    "chat_completions": ("openai", "/v1/chat/completions"),
    "completions": ("openai", "/v1/completions"),
    "responses": ("openai", "/v1/responses"),
    "embeddings": ("openai", "/v1/embeddings"),
    "messages": ("anthropic", "/v1/messages"),
    "count_tokens": ("anthropic", "/v1/messages/count_tokens"),
}
# Recorded under an endpoint's name, in another API's shape.
FOREIGN = {"gemini", "vertexai", "bedrock", "cohere"}


def available():
    return FOLDER.is_dir()


def recordings():
    """Recordings of served endpoints, with their files' names."""
    for path in sorted(FOLDER.glob("*/*/*.json")):
        provider, endpoint = path.parts[-3], path.parts[-2]
        if endpoint not in SERVED:
            continue
        if provider in FOREIGN and endpoint in ("count_tokens", "embeddings"):
            continue
        yield f"{provider}/{endpoint}/{path.stem}", json.loads(path.read_text())


def request_body(recording):
    """The request as bytes, or None where it was not recorded."""
    if isinstance(recording.get("request_body"), dict):
        return json.dumps(recording["request_body"], ensure_ascii=False).encode()
    return None


def answer(recording):
    """Status, content type and body of the answer."""
    content_type = next(
        (value for key, value in (recording.get("response_headers") or {}).items() if key.lower() == "content-type"), None
    )
    if "response_stream" in recording:
        return recording["response_status"], content_type or "text/event-stream", recording["response_stream"].encode()
    if "response_stream_base64" in recording:
        return recording["response_status"], content_type, base64.b64decode(recording["response_stream_base64"])
    if "response_body_base64" in recording:
        return recording["response_status"], content_type, base64.b64decode(recording["response_body_base64"])
    if recording.get("response_text") is not None:
        return recording["response_status"], content_type, recording["response_text"].encode()
    body = json.dumps(recording.get("response_body"), ensure_ascii=False).encode()
    return recording["response_status"], content_type or "application/json", body


def find(endpoint, provider=None, streaming=False, tags=()):
    """The first complete, successful recording of this kind."""
    for name, recording in recordings():
        if not name.startswith(f"{provider or name.split('/')[0]}/{endpoint}/"):
            continue
        features = recording.get("features") or []
        if (
            recording["response_status"] == 200
            and bool(recording["streaming"]) == streaming
            and (not streaming or recording.get("stream_complete"))
            and request_body(recording)
            and all(tag in features for tag in tags)
        ):
            return recording
    raise AssertionError(f"no recording of {endpoint} by {provider} with {tags}")
