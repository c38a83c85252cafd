"""Writes inputs for the fuzz targets to start from: python3 fuzz/seeds.py OUTPUT.

They come from recorded traffic (MESETA_CORPUS, else ../shared/corpus), from configurations of
Plano's (../shared/reference) and from this repository's own files. What is absent is said and left
out: fuzzing works without, only more slowly. The layout of an input is in fuzz/src/lib.rs and at
the top of each target.
"""

import base64
import hashlib
import json
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
# As in scripts/fuzz.sh: small inputs are tried far more often.
LONGEST = 4 * 1024
LONGEST_CONFIGURATION = 16 * 1024
# The order of the targets' own lists.
ENDPOINTS = ["chat_completions", "completions", "responses", "messages", "embeddings", "count_tokens"]

EVENTS, JSON, STRIP = 0, 2, 8
SET_MODEL, ASK_USAGE = 16, 32
WHOLE = 255


class Seeds:
    """The folders of inputs, one for each target."""

    def __init__(self, output: pathlib.Path) -> None:
        self.output = output
        self.counts: dict[str, int] = {}

    def add(self, target: str, data: bytes) -> None:
        """Adds an input, named by its content, so that each is there once."""
        if len(data) > (LONGEST_CONFIGURATION if target == "config_load" else LONGEST):
            return
        folder = self.output / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"seed-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)
        self.counts[target] = self.counts.get(target, 0) + 1


def compact(value: object) -> bytes:
    """A JSON body as most programs write it; what it looked like on the wire is not recorded."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def shortened_stream(stream: bytes) -> bytes:
    """The head and the tail of a stream that is too long for an input."""
    if len(stream) <= LONGEST - 64:
        return stream
    blocks = re.split(rb"(?<=\n\n)", stream)
    return b"".join(blocks[:2] + blocks[-4:])


def from_recordings(seeds: Seeds, corpus: pathlib.Path) -> None:
    for file in sorted(corpus.glob("*/*/*.json")):
        recording = json.loads(file.read_text())
        if recording.get("endpoint") not in ENDPOINTS:
            continue
        endpoint = ENDPOINTS.index(recording["endpoint"])
        if recording.get("request_body") is not None:
            request = compact(recording["request_body"])
            form = SET_MODEL | ASK_USAGE | len(request) % 4
            seeds.add("request_scan", bytes([endpoint, form, 0, 0]) + request)
        if "response_stream" in recording:
            stream = shortened_stream(recording["response_stream"].encode())
            seeds.add("sse", bytes([WHOLE, 200, 0, 0]) + stream)
            seeds.add("transcoder", bytes([endpoint, EVENTS | STRIP, 200, 32]) + stream)
            for data in re.findall(rb"^data: ?(\{.*)", stream, re.MULTILINE)[-2:]:
                seeds.add("json_tap", bytes([7, 0, 0, 0]) + data.strip())
        elif "response_body" in recording:
            answer = compact(recording["response_body"])
            seeds.add("json_tap", bytes([7, 0, 0, 0]) + answer)
            seeds.add("transcoder", bytes([endpoint, JSON, 200, 32]) + answer)


# The kinds of input of the target `translate`, and all APIs in the order of its own list, by the endpoint of their
# recordings.
REQUEST, RESPONSE, STREAM, ARRAY, OBSERVED = range(5)
TRANSLATED = [
    "chat_completions", "responses", "completions", "embeddings", "messages", "generate_content", "converse", "v2_chat",
    "v2_embed",
]
# The kinds of input of the target `event_stream`.
FRAMES, ITEMS = range(2)


def for_translation(seeds: Seeds, corpus: pathlib.Path) -> None:
    for file in sorted(corpus.glob("*/*/*.json")):
        recording = json.loads(file.read_text())
        if recording.get("endpoint") not in TRANSLATED:
            continue
        api = TRANSLATED.index(recording["endpoint"])
        other = (api + 1 + len(recording["id"]) % (len(TRANSLATED) - 1)) % len(TRANSLATED)
        if recording.get("request_body") is not None:
            seeds.add("translate", bytes([REQUEST, api, other, 0]) + compact(recording["request_body"]))
        stream = None
        if "response_stream" in recording:
            stream = shortened_stream(recording["response_stream"].encode())
        elif "response_stream_base64" in recording:
            stream = base64.b64decode(recording["response_stream_base64"])
            seeds.add("event_stream", bytes([FRAMES, 32, 0, 0]) + stream)
        elif isinstance(recording.get("response_body"), list):
            stream = compact(recording["response_body"])
            seeds.add("event_stream", bytes([ITEMS, 32, 0, 0]) + stream)
        elif "response_body" in recording:
            seeds.add("translate", bytes([RESPONSE, api, other, 0]) + compact(recording["response_body"]))
        if stream is not None:
            for kind in (STREAM, ARRAY, OBSERVED):
                seeds.add("translate", bytes([kind, api, other, 32]) + stream)


def from_configurations(seeds: Seeds, folder: pathlib.Path) -> None:
    for file in sorted(folder.glob("*.yaml")):
        seeds.add("config_load", file.read_bytes())


def from_this_repository(seeds: Seeds) -> None:
    """YAML blocks of the documentation, and a line of each kind for the targets without recordings."""
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for block in re.findall(r"^```ya?ml\n(.*?)^```", file.read_text(), re.MULTILINE | re.DOTALL):
            seeds.add("config_load", block.encode())
    for file in [*(ROOT / "demo").rglob("*.yaml"), *(ROOT / "docs").rglob("*.yaml")]:
        seeds.add("config_load", file.read_bytes())
    seeds.add(
        "config_load",
        b"""listeners: [{type: model, name: a, address: '::1', port: 1, timeout: 2m, cors: {allow_origins: '*'}}]
model_providers:
  - {model: openai/gpt-4o, access_key: $OPENAI_API_KEY, default: true, name: big, headers: {x-team: sk-literal1}}
  - {model: mine/*, base_url: 'http://$HOST:$PORT/v1', http_host: h, provider_interface: openai, access_key: sk-literal2}
  - {model: groq/*, access_key: $UNSET}
model_aliases: {fast: {target: gpt-4o}, faster: {target: fast}}
server: {listen: 'unix:/s', admin: '127.0.0.1:1', max_request_bytes: 1MiB, drain_timeout: 1s, log: json}
tracing: {otlp_endpoint: 'http://h:1', random_sampling: 5}
overrides: {upstream_connect_timeout: 1s}
""",
    )
    # Keys that slipped into places where they do not belong.
    for slip in (
        "base_url: 'http://user:$KEY@h/v1'",
        "base_url: 'http://h/v1?key=$KEY'",
        "base_url: $KEY",
        "base_url: 'http://h/v1', http_host: $KEY",
        "base_url: 'http://h/v1', access_key: $BROKEN",
        "base_url: 'http://h/v1', access_key: 'sk-literal3\u00e9'",
        "base_url: 'http://h/v1', acces_key: sk-literal4",
        "base_url: 'http://h/v1', headers: {x-a: $BROKEN, 'x b': sk-literal5, host: $KEY}",
        "base_url: 'http://h/v1', access_key: [sk-literal6]",
    ):
        entry = f"model: mine/m, provider_interface: openai, {slip}"
        seeds.add("config_load", f"model_providers: [{{{entry}}}]\n".encode())
    seeds.add("config_load", b"model_providers: [{model: openai/*}]\ntracing: {otlp_endpoint: 'http://u:$KEY@h:1'}\n")
    source = (ROOT / "hermesllm/src/endpoint.rs").read_text()
    for path in sorted(set(re.findall(r'"(/[a-z0-9/_]+)"', source))):
        for method in ("GET", "POST", "OPTIONS"):
            seeds.add("endpoint", f"{method}\n{path}?a=b".encode())
    seeds.add("endpoint", b"GET\n/v1/models/openai%2Fgpt-4o%C3%A9")
    seeds.add("dotenv", b"\xef\xbb\xbf# c\nexport A = two words # c\nB=\"x\\ny\\\"\" # c\r\nC='q'\nbad line\n_D1=\n")
    for target in ("sse", "transcoder"):
        head = bytes([WHOLE, 200, 0, 0]) if target == "sse" else bytes([0, EVENTS | STRIP, 200, 3])
        chunk = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}'
        usage = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
        for end in (b"\n", b"\r\n", b"\r"):
            lines = [b": hi", b"", b"event: x", b"id: 1", chunk, b"", usage, b"", b"data: [DONE]", b"", b""]
            seeds.add(target, head + end.join(lines))
    seeds.add("json_tap", b"\x07\0\0\0" + b'{"a":{"b":{"c":{"d":[1]}}},"usage":{"x":1},"choices":[{"index":0,"delta":{"content":"a\\n"}}]}')
    for text in (
        b"v1 a=requests:10/second b=tokens:1000/minute:2000 c=output_tokens:5/month",
        b"v1;a:tm:abc:500:10;b:rd:1:1:6",
    ):
        seeds.add("limits_shard", bytes([0, 1, 2, 3]) + text)
    record = (1).to_bytes(8, "little") + (1 << 62).to_bytes(8, "little") + bytes(8) + bytes(7)
    seeds.add("limits_shard", bytes([1, 1, 0, 4]) + b"MLS\x01\x01\0\0\0" + record + b"\x02")
    seeds.add(
        "request_scan",
        bytes([0, SET_MODEL | ASK_USAGE, 0, 0])
        + b'{"model":"m","stream":true,"stream_options":{"include_usage":false},"messages":[],"max_tokens":5}',
    )


def main() -> None:
    [output] = sys.argv[1:]
    seeds = Seeds(pathlib.Path(output))
    from_this_repository(seeds)
    corpus = pathlib.Path(os.environ.get("MESETA_CORPUS") or SHARED / "corpus")
    if corpus.is_dir():
        from_recordings(seeds, corpus)
        for_translation(seeds, corpus)
    else:
        print(f"no recorded traffic to start from: {corpus}", file=sys.stderr)
    configurations = SHARED / "reference/plano-configs"
    if configurations.is_dir():
        from_configurations(seeds, configurations)
    else:
        print(f"no configurations to start from: {configurations}", file=sys.stderr)
    print("seeds: " + ", ".join(f"{count} {target}" for target, count in sorted(seeds.counts.items())))


if __name__ == "__main__":
    main()
