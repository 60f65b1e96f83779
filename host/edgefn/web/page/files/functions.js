// The table of functions.

import { count, el, find, keep, kind, paint, say } from "./dom.js";

const LABELS = ["", "", "Rate", "p50", "p99", "Runs", "Errors", ""];

export function showFunctions(functions) {
  keep(find("#functions tbody"), functions, (each) => each.name, made, update);
}

function made(each) {
  const cells = LABELS.map((label) => (label ? el("td", { className: "number", "data-label": label }) : el("td")));
  cells[0].append(el("span", { className: "name", textContent: each.name }), el("small"));
  cells[1].append(el("span"));
  cells[7].append(el("small"), el("small", { className: "fault" }));
  return el("tr", { "data-function": each.name }, ...cells);
}

function update(row, each) {
  const [name, state, rate, p50, p99, runs, errors, works] = row.children;
  const wrong = each.failed + each.timed_out;
  say(name.lastChild, [each.type, each.place].filter(Boolean).join(" · "));
  paint(state.firstChild, each.state, kind(each.state));
  say(rate, `${each.rate.toFixed(1)}/s`);
  say(p50, each.invocations ? `${each.p50_ms.toFixed(1)} ms` : "–");
  say(p99, each.invocations ? `${each.p99_ms.toFixed(1)} ms` : "–");
  say(runs, count(each.invocations));
  say(errors, count(wrong));
  errors.classList.toggle("bad", wrong > 0);
  say(works.firstChild, parts(each).join(" · "));
  say(works.lastChild, [...each.errors, each.last_error].filter(Boolean).join("\n"));
}

/** What the function listens to, its models with their devices, and its settings. */
function parts(each) {
  const { input: message, method, route, schedule, next } = each.trigger;
  const named = message ? `input ${message}` : method && `method ${method}`;
  const trigger = named ?? route ?? (schedule && `${schedule}, next ${next}`);
  const inputs = Object.entries(each.inputs).map(([name, input]) => {
    const facts = [input.model, input.device, input.precision].filter(Boolean);
    return facts.length ? `${name}: ${facts.join(", ")}` : input.setting ? `${input.setting} by ${input.from}` : name;
  });
  return trigger ? [trigger, ...inputs] : inputs;
}
