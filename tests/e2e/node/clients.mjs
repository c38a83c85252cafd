// Runs one case through an official Node client and prints what it got as one JSON line.
//
//   node clients.mjs BASE_URL CASE MODEL
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const [baseURL, name, model] = process.argv.slice(2);
const openai = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: "sk-client-91b7e6d2", maxRetries: 0 });
const anthropic = new Anthropic({ baseURL, apiKey: "sk-client-91b7e6d2", maxRetries: 0 });
const messages = [{ role: "user", content: "prompt-marker-4c1f8a" }];

async function collected(stream, text) {
  let out = "";
  for await (const event of stream) out += text(event) ?? "";
  return out;
}

const cases = {
  chat: async () => {
    const answer = await openai.chat.completions.create({ model, messages });
    return { text: answer.choices[0].message.content, calls: answer.choices[0].message.tool_calls?.map((call) => call.function.name), tokens: answer.usage?.completion_tokens };
  },
  chat_stream: async () => {
    const stream = await openai.chat.completions.create({ model, messages, stream: true });
    return { text: await collected(stream, (chunk) => chunk.choices[0]?.delta?.content) };
  },
  responses: async () => {
    const answer = await openai.responses.create({ model, input: "prompt-marker-4c1f8a" });
    return { text: answer.output_text, tokens: answer.usage?.output_tokens };
  },
  responses_stream: async () => {
    const stream = await openai.responses.create({ model, input: "prompt-marker-4c1f8a", stream: true });
    return { text: await collected(stream, (event) => (event.type === "response.output_text.delta" ? event.delta : "")) };
  },
  embeddings: async () => {
    const answer = await openai.embeddings.create({ model, input: "x", encoding_format: "float" });
    return { dimensions: answer.data[0].embedding.length };
  },
  models: async () => {
    const names = [];
    for await (const one of openai.models.list()) names.push(one.id);
    return { names };
  },
  openai_error: async () => {
    try {
      await openai.chat.completions.create({ model, messages });
    } catch (error) {
      return { kind: error.constructor.name, status: error.status, code: error.code, message: error.message };
    }
  },
  messages: async () => {
    const answer = await anthropic.messages.create({ model, messages, max_tokens: 64 });
    return { blocks: answer.content.map((block) => block.type), tokens: answer.usage.output_tokens };
  },
  messages_stream: async () => {
    const stream = anthropic.messages.stream({ model, messages, max_tokens: 64 });
    const answer = await stream.finalMessage();
    return { blocks: answer.content.map((block) => block.type), tokens: answer.usage.output_tokens };
  },
  anthropic_models: async () => {
    const names = [];
    for await (const one of anthropic.models.list({ limit: 1000 })) names.push(one.id);
    return { names };
  },
  anthropic_error: async () => {
    try {
      await anthropic.messages.create({ model, messages, max_tokens: 64 });
    } catch (error) {
      return { kind: error.constructor.name, status: error.status, type: error.error?.error?.type, message: error.message };
    }
  },
};

console.log(JSON.stringify(await cases[name]()));
