// The newest invocations, each with its log lines and its traceback.

import { ask } from "./api.js";
import { clock, el, find, keep, kind, paint, say, tell } from "./dom.js";

const MOST = 60;
const part = find("#invocations");
const [list, select, failed] = [".rows", "select", "input"].map((each) => find(each, part));
const open = new Set();
let newest = {};

export function showInvocations(told) {
  newest = told;
  const names = ["", ...Object.keys(told)];
  keep(select, names, (name) => name, (name) => el("option", { value: name, textContent: name || "all functions" }));
  const isRead = open.size > 0 || list.matches(":hover, :focus-within");
  find(".held", part).hidden = !isRead;
  if (!isRead) show(); // what somebody reads does not run away
}

function show() {
  const rows = Object.entries(newest)
    .filter(([name]) => !select.value || select.value === name)
    .flatMap(([name, { ended, failures }]) => [...ended.map((each) => ({ ...each, name })), ...older(name, ended, failures)])
    .filter((each) => !failed.checked || each.status !== "ok")
    .sort((one, other) => other.ended - one.ended)
    .slice(0, MOST);
  for (const id of open) if (!rows.some((each) => each.id === id)) open.delete(id);
  find(".none", part).hidden = rows.length > 0;
  keep(list, rows, (each) => each.id, made);
}

/** Failures that are remembered longer than the rest. */
function older(name, ended, failures) {
  const known = new Set(ended.map((each) => each.id));
  return Object.keys(failures)
    .filter((id) => !known.has(id))
    .map((id) => ({ id, name, ended: 0, ms: null, status: "failed" }));
}

function made(each) {
  const state = el("span");
  paint(state, each.status === "timed_out" ? "timed out" : each.status, kind(each.status));
  const head = el(
    "button",
    { type: "button", className: "row", "aria-expanded": "false" },
    el("time", { textContent: each.ended ? clock(each.ended) : "earlier" }),
    el("b", { className: "grow", textContent: each.name }),
    el("span", { textContent: each.ms === null ? "" : `${each.ms.toFixed(1)} ms` }),
    state,
    el("span", { className: "soft", textContent: each.id.slice(0, 8) }),
  );
  const lines = el("pre", { hidden: true, tabIndex: 0 });
  head.addEventListener("click", () => toggle(each, head, lines));
  return el("li", { "data-invocation": each.id }, head, lines);
}

async function toggle(each, head, lines) {
  lines.hidden = !lines.hidden;
  head.setAttribute("aria-expanded", String(!lines.hidden));
  if (lines.hidden) {
    open.delete(each.id);
    return;
  }
  open.add(each.id);
  try {
    say(lines, words(await ask(`invocations/${encodeURIComponent(each.id)}`)));
  } catch (error) {
    tell(error.message);
  }
}

function words(found) {
  const told = found.lines.map((line) => [`${line.time.slice(11)} ${line.level} ${line.message}`, line.exception].filter(Boolean).join("\n"));
  const all = told.join("\n");
  const error = found.error && !all.includes(found.error) ? found.error : "";
  return [`id ${found.id}`, all, error].filter(Boolean).join("\n") + (all || error ? "" : "\nNo log line of it is left.");
}

select.addEventListener("change", show);
failed.addEventListener("change", show);
