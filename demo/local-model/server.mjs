// A language model behind OpenAI's HTTP API, on loopback, for the demo: POST /v1/chat/completions and GET /v1/models.
//
//   node server.mjs --model FILE.gguf [--id NAME] [--threads N] [--ready-file FILE]
//
// Owns: the API's shapes. Never: listens beyond loopback, logs a prompt or an answer, pretends to support what it does not
// (such requests get an error in OpenAI's form). The port is the system's pick; it is printed, and written to the ready file.

import { randomUUID } from "node:crypto";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { parseArgs } from "node:util";

import { ContextOverflow, loadModel } from "./model.mjs";

const MAX_BODY_BYTES = 4 << 20;
// The cap of an answer for which the client names none: a model this small may never find an end by itself.
const DEFAULT_MAX_TOKENS = 512;
const ROLES = { system: "system", developer: "system", user: "user", assistant: "assistant" };
const METHODS = { "/v1/chat/completions": "POST", "/v1/models": "GET" };
const empty = (value) => value === null || (Array.isArray(value) && value.length === 0);
// What the model behind this server cannot do, with the values that ask for nothing.
const UNSUPPORTED = {
    n: (value) => value === null || value === 1,
    tools: empty, functions: empty, audio: empty, modalities: (value) => empty(value) || String(value) === "text",
    logprobs: (value) => !value, top_logprobs: (value) => !value, logit_bias: (value) => value === null || Object.keys(value).length === 0,
    frequency_penalty: (value) => !value, presence_penalty: (value) => !value,
    response_format: (value) => value === null || value?.type === "text",
};

class ApiError extends Error {
    constructor(status, message, { code = null, param = null, allow } = {}) {
        super(message);
        Object.assign(this, { status, code, param, allow });
    }

    body() {
        const type = this.status >= 500 ? "server_error" : "invalid_request_error";
        return { error: { message: this.message, type, param: this.param, code: this.code } };
    }
}

const { values: options } = parseArgs({
    options: { model: { type: "string" }, id: { type: "string", default: "smollm2-135m-instruct" }, threads: { type: "string", default: "1" }, "ready-file": { type: "string" } },
});
if (!options.model || !(Number(options.threads) >= 1)) {
    console.error("usage: node server.mjs --model FILE.gguf [--id NAME] [--threads N] [--ready-file FILE]");
    process.exit(2);
}

const started = Math.floor(Date.now() / 1000);
const model = await loadModel(options.model, Number(options.threads));
const server = createServer((request, response) => {
    answer(request, response).catch((error) => fail(response, error));
});
server.listen(0, "127.0.0.1", () => {
    const url = `http://127.0.0.1:${server.address().port}`;
    if (options["ready-file"]) {
        const partial = `${options["ready-file"]}.${process.pid}`;
        writeFileSync(partial, `${JSON.stringify({ url, model: options.id, pid: process.pid })}\n`, { mode: 0o600 });
        renameSync(partial, options["ready-file"]);
    }
    console.log(`${options.id} listens on ${url}/v1`);
});
for (const signal of ["SIGTERM", "SIGINT"]) {
    process.on(signal, () => {
        if (options["ready-file"]) rmSync(options["ready-file"], { force: true });
        process.exit(0);
    });
}

async function answer(request, response) {
    const path = request.url.split("?", 1)[0];
    const single = path.startsWith("/v1/models/") ? path.slice("/v1/models/".length) : undefined;
    const method = METHODS[path] ?? (single === undefined ? undefined : "GET");
    if (method === undefined) throw new ApiError(404, `this server has no ${path}`, { code: "unknown_url" });
    if (request.method !== method) {
        throw new ApiError(405, `${path} takes ${method}, not ${request.method}`, { code: "method_not_allowed", allow: method });
    }
    if (method === "POST") return chat(parse(await read(request)), response);
    const card = { id: options.id, object: "model", created: started, owned_by: "local" };
    if (single !== undefined) return send(response, 200, knownModel(single) && card);
    send(response, 200, { object: "list", data: [card] });
}

async function read(request) {
    const chunks = [];
    let size = 0;
    for await (const chunk of request) {
        size += chunk.length;
        // Past the cap the rest is read and dropped, so that the client sees the answer and not a reset.
        if (size <= MAX_BODY_BYTES) chunks.push(chunk);
    }
    if (size > MAX_BODY_BYTES) throw new ApiError(413, `the body is larger than ${MAX_BODY_BYTES} bytes`);
    return Buffer.concat(chunks).toString("utf8");
}

function parse(text) {
    let body;
    try {
        body = JSON.parse(text);
    } catch {
        throw new ApiError(400, "the body is not valid JSON");
    }
    const invalid = (param, reason, code = null) => new ApiError(400, `${param}: ${reason}`, { param, code });
    const number = (name, fallback, least, most, whole) => {
        const value = body[name] ?? fallback;
        const good = typeof value === "number" && value >= least && value <= most && (!whole || Number.isInteger(value));
        if (value !== undefined && !good) throw invalid(name, `expected ${whole ? "an integer" : "a number"} from ${least} to ${most}`);
        return value;
    };
    if (body === null || typeof body !== "object" || Array.isArray(body)) throw new ApiError(400, "the body is not a JSON object");
    knownModel(body.model);
    for (const [param, asksNothing] of Object.entries(UNSUPPORTED)) {
        if (body[param] !== undefined && !asksNothing(body[param])) throw invalid(param, "not supported by this model", "unsupported_parameter");
    }
    const stop = [body.stop ?? []].flat();
    if (stop.length > 4 || !stop.every((one) => typeof one === "string" && one !== "")) throw invalid("stop", "expected up to four strings that are not empty");
    if (body.stream_options && !body.stream) throw invalid("stream_options", "only allowed with stream: true");
    return {
        messages: messages(body.messages, invalid),
        stream: Boolean(body.stream),
        includeUsage: Boolean(body.stream_options?.include_usage),
        maxTokens: number("max_completion_tokens", number("max_tokens", DEFAULT_MAX_TOKENS, 1, 1e9, true), 1, 1e9, true),
        // The model's authors advise these two; OpenAI's own default of 1 makes so small a model ramble.
        temperature: number("temperature", 0.2, 0, 2),
        topP: number("top_p", 0.9, 0, 1),
        seed: number("seed", undefined, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, true),
        stop,
    };
}

function messages(list, invalid) {
    if (!Array.isArray(list) || list.length === 0) throw invalid("messages", "expected a list of at least one message");
    return list.map((message, index) => {
        const param = `messages[${index}]`;
        const role = Object.hasOwn(ROLES, message?.role) ? ROLES[message.role] : undefined;
        if (!role) throw invalid(`${param}.role`, `expected one of ${Object.keys(ROLES).join(", ")}`);
        const parts = typeof message.content === "string" ? [{ type: "text", text: message.content }] : message.content;
        if (!Array.isArray(parts) || !parts.every((part) => part?.type === "text" && typeof part.text === "string")) {
            throw invalid(`${param}.content`, "expected text; this model reads nothing else");
        }
        return { role, content: parts.map((part) => part.text).join("\n") };
    });
}

function knownModel(id) {
    if (typeof id !== "string" || id === "") throw new ApiError(400, "model: expected the id of a model", { param: "model" });
    if (id === options.id) return true;
    throw new ApiError(404, `the model ${JSON.stringify(id.slice(0, 100))} does not exist; this server has ${options.id}`, { code: "model_not_found", param: "model" });
}

async function chat(request, response) {
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    if (response.destroyed) gone.abort();
    const base = { id: `chatcmpl-${randomUUID().replaceAll("-", "")}`, created: Math.floor(Date.now() / 1000), model: options.id };
    const event = (choices, usage) => {
        const chunk = { ...base, object: "chat.completion.chunk", choices, ...(request.includeUsage ? { usage } : {}) };
        if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
        response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    };
    const choice = (delta, finish_reason = null) => [{ index: 0, delta, logprobs: null, finish_reason }];
    let text = "";
    const onText = (piece) => {
        if (request.stream) {
            if (text === "") event(choice({ role: "assistant", content: "" }), null);
            event(choice({ content: piece }), null);
        }
        text += piece;
    };
    let result;
    try {
        result = await model.generate(request.messages, { ...request, signal: gone.signal }, onText);
    } catch (error) {
        if (gone.signal.aborted) return;
        if (error instanceof ContextOverflow) throw new ApiError(400, error.message, { code: "context_length_exceeded", param: "messages" });
        throw error;
    }
    const usage = {
        prompt_tokens: result.promptTokens,
        completion_tokens: result.completionTokens,
        total_tokens: result.promptTokens + result.completionTokens,
    };
    if (!request.stream) {
        const message = { role: "assistant", content: text, refusal: null };
        const choices = [{ index: 0, message, logprobs: null, finish_reason: result.finishReason }];
        return send(response, 200, { ...base, object: "chat.completion", choices, usage });
    }
    if (text === "") event(choice({ role: "assistant", content: "" }), null);
    event(choice({}, result.finishReason), null);
    if (request.includeUsage) event([], usage);
    response.end("data: [DONE]\n\n");
}

function send(response, status, body, headers = {}) {
    const bytes = Buffer.from(JSON.stringify(body));
    response.writeHead(status, { "content-type": "application/json", "content-length": bytes.length, ...headers });
    response.end(bytes);
}

function fail(response, error) {
    const known = error instanceof ApiError ? error : new ApiError(500, "the model failed to answer");
    // The error's text may quote the request; its name and place do not.
    if (known !== error && !response.destroyed) console.error(`failed: ${error?.name}`, error?.stack?.split("\n").slice(1, 4).join("\n"));
    if (response.destroyed) return;
    if (!response.headersSent) return send(response, known.status, known.body(), known.allow ? { allow: known.allow } : {});
    // Mid-stream: the error event, and no [DONE], so that nobody takes the answer for whole.
    response.end(`data: ${JSON.stringify(known.body())}\n\n`);
}
