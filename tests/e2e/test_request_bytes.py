"""Requests as they are written: whitespace, order, numbers and escapes of the client reach the provider untouched."""

import json
import re

import corpus
from conftest import gather_limited

JSON = {"content-type": "application/json"}
USAGE = '"stream_options":{"include_usage":true}'


def members(text, start=0):
    """The members of the JSON object that begins at `start`: key, and where its value begins and ends in the text."""
    decoder = json.JSONDecoder()
    space = re.compile(r"[\s,:]*")
    at = space.match(text, start + 1).end()
    while text[at] != "}":
        key, at = decoder.raw_decode(text, at)
        at = space.match(text, at).end()
        _, end = decoder.raw_decode(text, at)
        yield key, at, end
        at = space.match(text, end).end()


def with_model(text, name):
    """The request with another model, everything else as it stands."""
    for key, start, end in members(text):
        if key == "model":
            return text[:start] + json.dumps(name) + text[end:]
    return '{"model": ' + json.dumps(name) + "," + text[text.index("{") + 1 :]


def asking(options):
    """The ways to write these stream options so that they ask for usage, and nothing else changes."""
    if not options.startswith("{"):
        return {'{"include_usage":true}'}
    for key, start, end in members(options):
        if key == "include_usage":
            return {options[:start] + "true" + options[end:]}
    rest = options[1:]
    inside = options[:-1].rstrip()
    if inside == "{":
        return {'{"include_usage":true' + rest}
    return {'{"include_usage":true,' + rest, inside + ',"include_usage":true' + options[len(inside) :]}


def raw_requests():
    """Recorded requests as they stand in their files, which are indented, and as libraries write them."""
    for path in sorted(corpus.FOLDER.glob("*/*/*.json")):
        endpoint = path.parts[-2]
        if endpoint not in corpus.SERVED:
            continue
        text = path.read_text()
        for key, start, end in members(text, text.index("{")):
            if key == "request_body" and text[start] == "{":
                yield path.stem, endpoint, text[start:end]
                yield path.stem, endpoint, json.dumps(json.loads(text[start:end]), separators=(",", ":"))


async def test_recorded_requests_arrive_as_they_were_written(provider, client, need_corpus):
    counts = {"same": 0, "asked": 0}
    wrong = []

    async def one(number, name, endpoint, text):
        vendor, path = corpus.SERVED[endpoint]
        model = f"written-{number}"
        requests = provider.answers(model, 200, [("content-type", "application/json")], b"{}")
        response = await client.post(path, content=with_model(text, f"{vendor}/{model}").encode(), headers=JSON)
        if response.status_code != 200 or len(requests) != 1:
            return wrong.append(f"{name}: {response.status_code} {response.text[:200]}")
        expected = with_model(text, model)
        arrived = requests[0].body.decode()
        if requests[0].header("content-length") != str(len(requests[0].body)):
            wrong.append(f"{name}: content-length is {requests[0].header('content-length')}")
        if arrived == expected:
            counts["same"] += 1
            asks = json.loads(text).get("stream") is True and endpoint in ("chat_completions", "completions")
            if asks and not (json.loads(text).get("stream_options") or {}).get("include_usage"):
                wrong.append(f"{name}: a stream without usage")
            return
        # All that may change is the question for usage: a member of its own, one more option, or the option that says no.
        if options := next((member for member in members(expected) if member[0] == "stream_options"), None):
            _, start, end = options
            good = arrived in {expected[:start] + changed + expected[end:] for changed in asking(expected[start:end])}
        else:
            good = expected in (arrived.replace(f",{USAGE}", "", 1), arrived.replace(f"{USAGE},", "", 1))
        if not good:
            return wrong.append(f"{name}: {expected[:300]} -> {arrived[:300]}")
        counts["asked"] += 1

    requests = list(raw_requests())
    await gather_limited(16, (one(number, *request) for number, request in enumerate(requests)))
    assert not wrong, "\n".join(wrong)
    assert counts["same"] > 800 and counts["asked"] > 100, counts


async def test_odd_but_valid_json_arrives_as_it_was_written(provider, client, model):
    for number, odd in enumerate(
        [
            r'"\u00e9 \ud83d\ude00 \/ \ud800"',
            '"é 😀 \u2028"',
            "1e400, -0.0, 1.10, 123456789012345678901234567890, 1E+2".replace(", ", ",\r\n\t").join("[]"),
            '{"same": 1, "same": 2, "model": "within", "": {"stream_options": null}}',
            "[" * 200 + "]" * 200,
        ]
    ):
        name = f"{model}-{number}"
        requests = provider.answers(name, 200, [("content-type", "application/json")], b"{}")
        text = ' {\n "x" : %s ,"model":\t"openai/%s","stream":false , "y":[ ] }\r\n' % (odd, name)
        response = await client.post("/v1/chat/completions", content=text.encode(), headers=JSON)
        assert response.status_code == 200, response.text
        assert requests[0].body == text.replace(f"openai/{name}", name, 1).encode()


async def test_every_model_of_a_request_that_names_it_twice_is_the_one_that_was_chosen(provider, client, model):
    requests = provider.answers(model, 200, [("content-type", "application/json")], b"{}")
    text = '{"model":"openai/another","m\\u006fdel":"openai/%s"}' % model
    assert (await client.post("/v1/chat/completions", content=text.encode(), headers=JSON)).status_code == 200
    pairs = json.loads(requests[0].body, object_pairs_hook=list)
    assert pairs == [["model", model], ["model", model]] or pairs == [("model", model), ("model", model)]
