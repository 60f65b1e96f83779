// Talking to the host: with the key of this tab, where the host asks for one.

import { find, say } from "./dom.js";

const ROOT = "/admin/page/";
const KEY = "edgefn-key";

let asking = null;

/** The answer to a request; asks for a key where the host wants one, as often as it takes. */
export async function reach(path, options = {}) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const headers = { ...options.headers, ...(key ? { "x-functions-key": key } : {}) };
    const response = await fetch(ROOT + path, { ...options, headers, cache: "no-store", credentials: "omit" });
    if (response.status !== 401) return response;
    await askForKey(key ? "This key does not open it." : "");
  }
}

/** What the host answers, as JSON; raises an Error with its reason. */
export async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await reach(path, options);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `the host answers ${response.status}`);
  return answer;
}

function askForKey(fault) {
  const dialog = find("#key");
  say(find(".fault", dialog), fault);
  asking ??= new Promise((resolve) => {
    const entered = () => {
      const input = find("input", dialog);
      sessionStorage.setItem(KEY, input.value.trim());
      input.value = "";
      asking = null;
      resolve();
    };
    dialog.addEventListener("close", entered, { once: true });
    dialog.showModal();
  });
  return asking;
}

/** Calls `take` with each server-sent event of a stream, until that ends. */
export async function readEvents(path, take) {
  const reader = (await opened(path, {})).pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const [name, data] = event.split("\n");
      take(name.slice("event: ".length), JSON.parse(data.slice("data: ".length)));
    }
  }
}

/** Calls `take` with each record of a stream, whose length is in the four bytes before it, until that ends. */
export async function readRecords(path, signal, take) {
  const reader = (await opened(path, { signal })).getReader();
  let held = new Uint8Array();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const joined = new Uint8Array(held.length + value.length);
    joined.set(held);
    joined.set(value, held.length);
    held = joined;
    for (let size; held.length >= 4 && held.length >= 4 + (size = number(held, 0)); held = held.slice(4 + size)) {
      await take(held.slice(4, 4 + size));
    }
  }
}

/** The number in four bytes, big endian. */
export const number = (data, at) => new DataView(data.buffer, data.byteOffset).getUint32(at);

async function opened(path, options) {
  const response = await reach(path, options);
  if (!response.ok) throw new Error(`the host answers ${response.status}`);
  return response.body;
}

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
