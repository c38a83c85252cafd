"""Which model answers in the demo: one behind a provider key, else a local Ollama, else a small model run here.

Owns: the order of preference and the check, before anything is started, that a model would answer.
Never: prints a key, or sends one anywhere but to its own provider.
"""

import json
import os
import re
import urllib.error
import urllib.request
from dataclasses import dataclass, field

TIMEOUT_SECONDS = 5
OLLAMA = "http://127.0.0.1:11434"


@dataclass(frozen=True)
class Choice:
    """`model` is its name in Meseta's configuration, `settings` are the further keys of its provider there.

    `local`: it is still to be started on this machine.
    """

    said: str
    model: str
    settings: dict = field(default_factory=dict)
    local: bool = False


@dataclass(frozen=True)
class Provider:
    """`preferred` are patterns of whole model ids, the best first."""

    name: str
    variable: str
    models_url: str
    preferred: tuple
    messages: bool = False

    def headers(self, key):
        if self.messages:
            return {"x-api-key": key, "anthropic-version": "2023-06-01"}
        return {"authorization": f"Bearer {key}"}


PROVIDERS = (
    Provider("openai", "OPENAI_API_KEY", "https://api.openai.com/v1/models", (r"gpt-4o-mini", r"gpt-[\d.]+-mini", r"gpt-[\d.]+")),
    Provider("groq", "GROQ_API_KEY", "https://api.groq.com/openai/v1/models", (r"llama-3\.1-8b-instant", r"llama-.*(instant|versatile)")),
    Provider("mistral", "MISTRAL_API_KEY", "https://api.mistral.ai/v1/models", (r"mistral-small-latest", r"mistral-.*-latest")),
    Provider("deepseek", "DEEPSEEK_API_KEY", "https://api.deepseek.com/models", (r"deepseek-chat", r"deepseek-.*")),
    Provider(
        "gemini", "GEMINI_API_KEY", "https://generativelanguage.googleapis.com/v1beta/openai/models", (r"gemini-[\d.]+-flash-lite", r"gemini-[\d.]+-flash")
    ),
    Provider("xai", "XAI_API_KEY", "https://api.x.ai/v1/models", (r"grok-.*mini.*", r"grok-.*fast.*", r"grok-[\d.]+")),
    Provider(
        "anthropic", "ANTHROPIC_API_KEY", "https://api.anthropic.com/v1/models?limit=100", (r"claude-haiku-.*", r"claude-.*haiku.*", r"claude-.*"), True
    ),
)


def choose(say, env=os.environ, providers=PROVIDERS, ollama=OLLAMA):
    """The first model that would answer; `say` is told why others are passed over."""
    for provider in providers:
        key = env.get(provider.variable, "").strip()
        if not key:
            continue
        try:
            ids = [_id(card) for card in _json(provider.models_url, provider.headers(key))["data"]]
            model = _pick(ids, provider.preferred)
        except (OSError, ValueError, KeyError, TypeError) as error:
            say(f"{provider.variable} is set, but {provider.name} does not answer with it ({_reason(error)}); trying the next")
            continue
        if model is None:
            say(f"{provider.variable} is set, but {provider.name} offers none of the models that the demo knows; trying the next")
            continue
        settings = {"access_key": f"${provider.variable}"}
        return Choice(f"{model} at {provider.name}, with {provider.variable}", f"{provider.name}/{model}", settings)
    try:
        cards = _json(f"{ollama}/api/tags", {})["models"]
        # The smallest: the demo shows the way, not the answer.
        names = [card["name"] for card in sorted(cards, key=lambda card: card.get("size", 0)) if "embed" not in card["name"]]
        if names:
            return Choice(f"{names[0]} in the Ollama on this machine", f"ollama/{names[0]}", {"base_url": ollama})
        say("an Ollama runs on this machine, but it has no model that chats")
    except (OSError, ValueError, KeyError, TypeError):
        say("no provider key in the environment that works, and no Ollama on this machine")
    return Choice("SmolLM2-135M-Instruct, a small model run on this machine", "", local=True)


def _pick(ids, preferred):
    for pattern in preferred:
        fitting = [one for one in ids if re.fullmatch(pattern, one)]
        if fitting:
            return min(fitting, key=lambda one: (len(one), one))
    return None


def _id(card):
    return card["id"].removeprefix("models/")


def _json(url, headers):
    request = urllib.request.Request(url, headers={"user-agent": "meseta-demo", **headers})
    # What runs on this machine is not asked through a proxy.
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if url.startswith("http://127.0.0.1") else []))
    with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
        return json.load(response)


def _reason(error):
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return "an answer that is not a list of models" if not isinstance(error, OSError) else str(error)
