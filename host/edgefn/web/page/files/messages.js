// What the functions send: counts of each output, and the messages that went upstream.

import { bytes, count, el, find, keep, say } from "./dom.js";
import { access } from "./host.js";

export function showOutputs(functions) {
  const outputs = functions.flatMap((each) =>
    Object.entries(each.outputs).map(([name, output]) => ({ function: each.name, name, ...output })),
  );
  const shown = outputs.filter((output) => "published" in output);
  keep(find("#messages .outputs"), shown, (each) => `${each.function} ${each.name}`, () => el("li", {}, el("b"), " ", el("span")), (item, each) => {
    const held = Object.entries(each.held_back ?? {}).map(([cause, times]) => `${count(times)} ${cause}`);
    say(item.firstChild, each.output || each.name);
    say(item.lastChild, `${count(each.published)} sent${held.length ? `, held back ${held.join(", ")}` : ""}`);
  });
}

export function showMessages(messages) {
  const none = find("#messages .none");
  none.hidden = messages.length > 0;
  say(none, access.local ? "No message so far." : "They leave for the hub; only the hub inside the process shows them.");
  keep(find("#messages .rows"), messages.toReversed(), (message) => message.id, made);
}

function made(message) {
  const time = new Date(message.created);
  const properties = Object.entries(message.properties).map(([name, value]) => `${name}=${value}`);
  const head = el(
    "div",
    { className: "row" },
    el("b", { textContent: message.output || "(no output)" }),
    el("span", { className: "soft grow", textContent: properties.join(", ") }),
    el("span", { className: "soft", textContent: bytes(message.bytes) }),
    el("time", { textContent: Number.isNaN(+time) ? "" : time.toLocaleTimeString("en-GB") }),
  );
  return el("li", {}, head, el("p", { className: "body", textContent: message.body }));
}
