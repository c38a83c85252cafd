// Stop strings in a text that arrives in pieces.

/** Passes text on, holds back what may be the beginning of a stop string, and ends before the first whole one. */
export class StopFilter {
    #held = "";
    #stops;
    stopped = false;

    constructor(stops) {
        this.#stops = stops;
    }

    push(text) {
        if (this.stopped) return "";
        const all = this.#held + text;
        const found = this.#stops.map((stop) => all.indexOf(stop)).filter((at) => at >= 0);
        this.stopped = found.length > 0;
        const end = this.stopped ? Math.min(...found) : all.length - this.#beginning(all);
        this.#held = this.stopped ? "" : all.slice(end);
        return all.slice(0, end);
    }

    finish() {
        const rest = this.#held;
        this.#held = "";
        return rest;
    }

    // The length of the longest end of `text` that begins a stop string.
    #beginning(text) {
        const longest = Math.max(0, ...this.#stops.map((stop) => stop.length - 1));
        for (let length = Math.min(longest, text.length); length > 0; length -= 1) {
            if (this.#stops.some((stop) => stop.startsWith(text.slice(-length)))) return length;
        }
        return 0;
    }
}
