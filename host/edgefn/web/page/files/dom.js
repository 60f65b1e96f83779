// Elements of the page. All text goes in as text: nothing that comes from the host is ever read as HTML.

export const find = (selector, parent = document) => parent.querySelector(selector);

/** An element: `properties` are its own, or attributes where their names have a dash or are `role`; then its children. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "scope") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** Sets the text of an element, if it is another: what is selected stays selected. */
export function say(element, text) {
  const wanted = String(text ?? "");
  if (element.textContent !== wanted) element.textContent = wanted;
}

const known = new WeakMap();

/** Makes the children of an element those of the items, in their order; those that stay are the same elements. */
export function keep(parent, items, key, make, update = () => {}) {
  const old = known.get(parent) ?? new Map();
  const now = new Map(items.map((item) => [key(item), item]));
  for (const [name, child] of old) if (!now.has(name)) child.remove();
  let index = 0;
  for (const [name, item] of now) {
    const child = old.get(name) ?? make(item);
    update(child, item);
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
    now.set(name, child);
    index += 1;
  }
  known.set(parent, now);
}

/** A state in its colour. */
export function paint(element, text, kind) {
  say(element, text);
  element.className = `state ${kind}`;
}

const KINDS = {
  good: ["running", "online", "open", "ok"],
  bad: ["error", "lost", "failed", "timed_out", "unusable", "stopped"],
  warn: ["waiting", "starting", "silent", "offline", "connecting", "draining", "drained", "stopping"],
};

export const kind = (state) => Object.keys(KINDS).find((name) => KINDS[name].includes(state)) ?? "";

let silence = 0;

/** Tells what became of an act, for some seconds. */
export function tell(text) {
  say(find("#said"), text);
  clearTimeout(silence);
  silence = setTimeout(() => say(find("#said"), ""), 4000);
}

export const count = (number) => (number ?? 0).toLocaleString("en");
export const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString("en-GB");

/** Seconds in words. */
export function span(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/** Bytes in words. */
export function bytes(size) {
  if (size < 1000) return `${size} B`;
  return size < 1e6 ? `${(size / 1000).toFixed(1)} kB` : `${(size / 1e6).toFixed(1)} MB`;
}
