// Run with `node --test` in this folder; needs nothing installed.

import assert from "node:assert/strict";
import { test } from "node:test";

import { StopFilter } from "./stop-filter.mjs";

function through(pieces, stops) {
    const filter = new StopFilter(stops);
    const out = pieces.map((piece) => filter.push(piece)).join("") + filter.finish();
    return [out, filter.stopped];
}

test("without stop strings the text passes unchanged", () => {
    assert.deepEqual(through(["one ", "two"], []), ["one two", false]);
});

test("a stop string is found however the text is cut", () => {
    const text = "keep this STOP and not that";
    for (let first = 0; first <= text.length; first += 1) {
        for (let second = first; second <= text.length; second += 1) {
            const pieces = [text.slice(0, first), text.slice(first, second), text.slice(second)];
            assert.deepEqual(through(pieces, ["STOP", "never"]), ["keep this ", true]);
        }
    }
});

test("the beginning of a stop string that does not go on is given back", () => {
    assert.deepEqual(through(["a ST", "AY ", "ST"], ["STOP"]), ["a STAY ST", false]);
});

test("what cannot begin a stop string is not held back", () => {
    assert.equal(new StopFilter(["STOP"]).push("free S"), "free ");
});

test("the earliest of several stop strings ends the text", () => {
    assert.deepEqual(through(["a.b!c"], ["!", "."]), ["a", true]);
});
