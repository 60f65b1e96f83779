// The store: how much waits, and the messages that failed for good.

import { ask } from "./api.js";
import { bytes, clock, count, el, find, keep, say, tell } from "./dom.js";
import { access } from "./host.js";

const SURE = 4000;

const messages = (number) => `${count(number)} ${number === 1 ? "message" : "messages"}`;

export function showStore(store) {
  const figures = [
    ["Inbox", count(store.inbox.messages)],
    ["Outbox", count(store.outbox.messages)],
    ["Sent", count(store.outbox.sent)],
    ["Dead letters", count(store.dead_letters.messages)],
    ["Oldest", `${Math.max(store.inbox.oldest_seconds, store.outbox.oldest_seconds).toFixed(0)} s`],
    ["State", store.fault ? `${store.state}: ${store.fault}` : store.state],
  ];
  const unserved = [
    ...Object.entries(store.outbox.unserved ?? {}).map(([broker, waiting]) => `${messages(waiting)} for ${broker}, to which no function sends.`),
    ...Object.entries(store.inbox.unheard ?? {}).map(([input, dropped]) => `${messages(dropped)} for input ${input} dropped: no function listens to it.`),
  ];
  keep(find("#store .unserved"), unserved, (text) => text, (text) => el("li", { textContent: text }));
  keep(find("#store .figures"), figures, ([name]) => name, ([name]) => el("div", {}, el("dt", { textContent: name }), el("dd")), (item, [, value]) => say(item.lastChild, value));
}

export function showLetters(letters) {
  find("#store .none").hidden = letters.length > 0;
  keep(find("#store .rows"), letters, (letter) => letter.id, made);
}

function made(letter) {
  const where = letter.box === "inbox" ? `${letter.function} ← ${letter.name}` : `→ ${letter.name}`;
  const head = el(
    "div",
    { className: "row" },
    el("b", { textContent: `#${letter.id}` }),
    el("span", { className: "grow", textContent: where }),
    el("span", { className: "soft", textContent: `${letter.attempts} ${letter.attempts === 1 ? "attempt" : "attempts"}, ${bytes(letter.bytes)}` }),
    el("time", { textContent: clock(letter.died) }),
  );
  const whole = el("pre", { hidden: true, tabIndex: 0 });
  const look = el("button", { type: "button", textContent: "Look", "aria-expanded": "false" });
  look.addEventListener("click", () => toggle(letter, look, whole));
  const acts = el("div", { className: "acts" }, look);
  if (access.may_act) acts.append(act(letter, "Replay"), carefully(act(letter, "Discard")));
  return el("li", { "data-letter": letter.id }, head, el("p", { className: "fault", textContent: letter.reason }), acts, whole);
}

function act(letter, name) {
  const button = el("button", { type: "button", textContent: name, "aria-label": `${name} dead letter ${letter.id}` });
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await ask(`letters/${letter.id}/${name.toLowerCase()}`, {});
      tell(`Dead letter ${letter.id}: ${name === "Replay" ? "it is tried again" : "it is gone"}`);
    } catch (error) {
      tell(error.message);
      button.disabled = false;
    }
  });
  return button;
}

/** A button that wants a second click. */
function carefully(button) {
  const name = button.textContent;
  button.addEventListener(
    "click",
    (event) => {
      if (button.classList.contains("sure")) return;
      event.stopImmediatePropagation();
      button.classList.add("sure");
      say(button, "Sure?");
      setTimeout(() => {
        button.classList.remove("sure");
        say(button, name);
      }, SURE);
    },
    { capture: true },
  );
  return button;
}

async function toggle(letter, look, whole) {
  if (!whole.hidden) {
    whole.hidden = true;
  } else {
    try {
      const found = await ask(`letters/${letter.id}`);
      const properties = Object.entries(found.properties).map(([name, value]) => `${name}: ${value}`);
      say(whole, [...properties, found.body, found.traceback].filter(Boolean).join("\n\n"));
      whole.hidden = false;
    } catch (error) {
      tell(error.message);
    }
  }
  look.setAttribute("aria-expanded", String(!whole.hidden));
}
