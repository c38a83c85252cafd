// One language model in this process, on the CPU.
//
// Owns: loading the model file, the chat template, the queue in front of the one context, generation and its stop rules.
// Never: speaks HTTP, reaches the network, builds or downloads an engine (the CPU engine comes with the npm package).
// Invariant: one generation runs at a time; the others wait their turn in order of arrival and can leave the queue.

import { getLlama } from "node-llama-cpp";

import { StopFilter } from "./stop-filter.mjs";

const CONTEXT_TOKENS = 4096;
// Said when the conversation brings no system message. The template in the model file introduces the model by its name and maker
// instead, with which so small a model answers plain questions worse.
const SYSTEM_PROMPT = "You are a helpful AI assistant.";
// What was said in the last tokens is made less likely: a small model otherwise falls into saying one thing for ever.
const REPEAT_PENALTY = 1.1;
const REPEAT_TOKENS = 64;
// A character of UTF-8 may need several tokens; past this many the bytes are simply not text.
const MAX_TOKENS_PER_CHARACTER = 8;

/** The prompt does not fit: `promptTokens` of `limit`. */
export class ContextOverflow extends Error {
    constructor(promptTokens, limit) {
        super(`the prompt has ${promptTokens} tokens; this model's context holds ${limit}, the answer included`);
    }
}

export async function loadModel(path, threads) {
    const llama = await getLlama({ gpu: false, build: "never", skipDownload: true, progressLogs: false, logLevel: "error" });
    const model = await llama.loadModel({ modelPath: path });
    // More threads than free cores make the engine spin: on a busy two-core machine one thread is many times faster than two.
    const context = await model.createContext({ contextSize: CONTEXT_TOKENS, threads });
    return new LocalModel(model, context.getSequence());
}

class LocalModel {
    #model;
    #sequence;
    #turn = Promise.resolve();

    constructor(model, sequence) {
        this.#model = model;
        this.#sequence = sequence;
    }

    /**
     * Answers `messages` ([{role: system|user|assistant, content: string}]), calling `onText` with each piece of text as it is made.
     * Resolves to {finishReason: "stop" | "length", promptTokens, completionTokens}; rejects with ContextOverflow, or with
     * the signal's reason as soon as it is aborted, in the queue or at work.
     */
    async generate(messages, { maxTokens, temperature, topP, seed, stop, signal }, onText) {
        const prompt = this.#prompt(messages);
        if (prompt.length >= CONTEXT_TOKENS) throw new ContextOverflow(prompt.length, CONTEXT_TOKENS);
        const limit = Math.min(maxTokens, CONTEXT_TOKENS - prompt.length);
        const leave = await this.#takeTurn(signal);
        try {
            await this.#sequence.clearHistory();
            return await this.#run(prompt, { limit, temperature, topP, seed, stop, signal }, onText);
        } finally {
            leave();
        }
    }

    async #run(prompt, { limit, temperature, topP, seed, stop, signal }, onText) {
        const done = (finishReason, completionTokens) => ({ finishReason, promptTokens: prompt.length, completionTokens });
        const filter = new StopFilter(stop);
        const repeatPenalty = { punishTokens: () => said, maxPunishTokens: REPEAT_TOKENS, penalty: REPEAT_PENALTY };
        let said = [];
        let spoken = [];
        let pending = [];
        let count = 0;
        // topK 0: the whole vocabulary, as OpenAI's API has no such cut.
        for await (const token of this.#sequence.evaluate(prompt, { temperature, topP, topK: 0, seed, repeatPenalty })) {
            signal.throwIfAborted();
            count += 1;
            said = [...said, token].slice(-REPEAT_TOKENS);
            pending.push(token);
            const text = this.#model.detokenize(pending, false, spoken);
            // U+FFFD at the end: the first tokens of a character whose rest is still to come.
            if (!text.endsWith("\uFFFD") || pending.length >= MAX_TOKENS_PER_CHARACTER) {
                spoken = [...spoken, ...pending].slice(-16);
                pending = [];
                const ready = filter.push(text);
                if (ready !== "") onText(ready);
                if (filter.stopped) return done("stop", count);
            }
            if (count >= limit) {
                this.#flush(filter, pending, spoken, onText);
                return done("length", count);
            }
        }
        signal.throwIfAborted();
        this.#flush(filter, pending, spoken, onText);
        return done("stop", count);
    }

    #flush(filter, pending, spoken, onText) {
        const rest = filter.push(this.#model.detokenize(pending, false, spoken)) + filter.finish();
        if (rest !== "") onText(rest);
    }

    // ChatML. What a user wrote is tokenised as plain text, so that it cannot forge a turn.
    #prompt(messages) {
        const turns = messages[0]?.role === "system" ? messages : [{ role: "system", content: SYSTEM_PROMPT }, ...messages];
        const special = (text) => this.#model.tokenize(text, true);
        return [
            ...turns.flatMap(({ role, content }) => [
                ...special(`<|im_start|>${role}\n`), ...this.#model.tokenize(content, false), ...special("<|im_end|>\n"),
            ]),
            ...special("<|im_start|>assistant\n"),
        ];
    }

    // Resolves, when it is this caller's turn, to the function that lets the next one in.
    async #takeTurn(signal) {
        const before = this.#turn;
        let leave;
        const left = new Promise((resolve) => { leave = resolve; });
        this.#turn = before.then(() => left);
        const gone = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        await Promise.race([before, gone]);
        if (signal.aborted) leave();
        signal.throwIfAborted();
        return leave;
    }
}
