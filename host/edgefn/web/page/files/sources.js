// The sources: each with the live picture of one of the functions on it.

import { el, find, keep, kind, paint, say } from "./dom.js";
import { watch } from "./pictures.js";

const chosen = new Map();

export function showSources(sources) {
  find("#sources .none").hidden = sources.length > 0;
  keep(find("#sources .sources"), sources, (source) => source.source, made, update);
  watchChosen();
}

function made(source) {
  const names = source.functions.map((each) => each.name);
  chosen.set(source.source, { name: names[0], runs: true, drawn: "" });
  const canvas = el("canvas", { role: "img", "aria-label": `Live picture of ${source.source}` });
  const note = el("p", { textContent: "Waiting for a frame" });
  const objects = el("span");
  canvas.addEventListener("picture", (event) => {
    note.hidden = true;
    say(objects, `frame ${event.detail.frame}${event.detail.item ? ` (${event.detail.item})` : ""}`);
    canvas.dataset.frame = event.detail.frame;
    canvas.dataset.function = event.detail.function;
    if (chosen.has(source.source)) describe(canvas, source, event.detail);
  });
  const title = el("div", { className: "title" }, el("h3", { textContent: source.source }), el("span"), el("div", { className: "tabs", role: "group", "aria-label": "Whose results" }));
  const under = el("p", { className: "under" }, objects, ...["fps", "age", "size", "drops"].map((name) => el("span", { className: name })));
  return el("article", { className: "source", "data-source": source.source }, title, el("div", { className: "screen" }, canvas, note), under);
}

function update(card, source) {
  const [title, , under] = card.children;
  paint(title.children[1], source.state, kind(source.state));
  showTabs(title.children[2], source);
  say(find(".screen p", card), source.state === "ended" ? "The source has ended" : "Waiting for a frame");
  const age = source.age_ms === null ? "none" : source.age_ms < 1000 ? `${Math.round(source.age_ms)} ms` : `${(source.age_ms / 1000).toFixed(1)} s`;
  figure(find(".fps", under), "fps", source.fps.toFixed(1));
  figure(find(".age", under), "age", age);
  figure(find(".size", under), "size", source.width ? `${source.width} × ${source.height}` : "unknown");
  figure(find(".drops", under), "dropped", drops(source));
}

function figure(element, name, value) {
  if (!element.firstChild) element.append(`${name} `, el("b"));
  say(element.lastChild, value);
}

/** Frames that functions did not get, by cause. */
function drops(source) {
  const told = source.functions.map((each) => {
    const causes = Object.entries(each.dropped).map(([cause, times]) => `${cause} ${times}`);
    return causes.length ? `${source.functions.length > 1 ? `${each.name}: ` : ""}${causes.join(", ")}` : "";
  });
  return told.filter(Boolean).join("; ") || "none";
}

function showTabs(tabs, source) {
  const mine = chosen.get(source.source);
  const choices = [...source.functions.map((each) => each.name), null];
  const make = (name) => {
    const button = el("button", { type: "button" });
    button.addEventListener("click", () => {
      if (name === null) mine.runs = !mine.runs;
      else Object.assign(mine, { name, runs: true });
      showTabs(tabs, source);
      watchChosen();
    });
    return button;
  };
  keep(tabs, choices, (name) => name ?? "", make, (button, name) => {
    say(button, name ?? (mine.runs ? "Pause" : "Go on"));
    if (name !== null) button.setAttribute("aria-pressed", String(mine.name === name));
    if (name !== null) button.hidden = choices.length === 2;
  });
}

function watchChosen() {
  const canvases = new Map();
  for (const card of document.querySelectorAll("#sources .source")) {
    const { name, runs } = chosen.get(card.dataset.source);
    if (runs && name) canvases.set(name, find("canvas", card));
  }
  watch(canvases);
}

let told = 0;

/** Says in words what is in the picture, for those who can not see it; once a second is enough. */
function describe(canvas, source, head) {
  if (Date.now() - told < 1000) return;
  told = Date.now();
  const texts = head.marks.map((mark) => mark.text).join(", ");
  canvas.setAttribute("aria-label", `Live picture of ${source.source}: ${texts || "nothing found"}`);
}
