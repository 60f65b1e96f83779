// Live pictures: one stream for all that are watched, only while this page can be seen.

import { number, pause, readRecords } from "./api.js";

const HUES = ["#ffc94d", "#5cd6ff", "#8df08a", "#ff8fb3", "#d3a6ff", "#ffa56b", "#6ff0d8", "#f4f47a"];

const watched = new Map();
let stopping = null;

/** Draws the pictures of the functions, by their names each on its canvas, from now on; those of others no more. */
export function watch(canvases) {
  const same = canvases.size === watched.size && [...canvases.keys()].every((name) => watched.has(name));
  watched.clear();
  for (const [name, canvas] of canvases) watched.set(name, canvas);
  if (!same) restart();
}

function restart() {
  stopping?.abort();
  stopping = null;
  if (watched.size && !document.hidden) follow((stopping = new AbortController()).signal);
}

async function follow(signal) {
  const query = [...watched.keys()].map((name) => `function=${encodeURIComponent(name)}`).join("&");
  for (let wait = 500; !signal.aborted; wait = Math.min(wait * 2, 8000)) {
    try {
      await readRecords(`pictures?${query}`, signal, show);
    } catch {
      // The host is away, or this stream is not wanted any more.
    }
    if (!signal.aborted) await pause(wait);
  }
}

async function show(record) {
  const size = number(record, 0);
  const head = JSON.parse(new TextDecoder().decode(record.subarray(4, 4 + size)));
  const canvas = watched.get(head.function);
  if (!canvas) return;
  const picture = await createImageBitmap(new Blob([record.subarray(4 + size)], { type: "image/jpeg" }));
  draw(canvas, picture, head);
  picture.close();
  canvas.dispatchEvent(new CustomEvent("picture", { detail: head }));
}

/** Draws a picture, and what was found in it over it. */
function draw(canvas, picture, head) {
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  const context = canvas.getContext("2d", { willReadFrequently: false });
  context.drawImage(picture, 0, 0);
  const scale = canvas.clientWidth ? canvas.width / canvas.clientWidth : 1;
  const boxes = head.marks.filter((mark) => mark.box);
  for (const mark of boxes) drawBox(context, mark, Math.max(2, 2 * scale));
  for (const mark of boxes) drawLabel(context, mark, mark.box[0] * canvas.width, mark.box[1] * canvas.height, scale, true);
  head.marks
    .filter((mark) => !mark.box)
    .forEach((mark, row) => drawLabel(context, mark, 6 * scale, (6 + 20 * row) * scale, scale, false));
}

function drawBox(context, mark, line) {
  const { width, height } = context.canvas;
  const [left, top, right, bottom] = mark.box;
  context.strokeStyle = hue(mark);
  if (mark.colour) context.strokeStyle = mark.colour;
  context.lineWidth = line;
  context.strokeRect(left * width, top * height, (right - left) * width, (bottom - top) * height);
}

function drawLabel(context, mark, left, top, scale, above) {
  const text = [mark.text, mark.score === null ? "" : `${Math.round(mark.score * 100)} %`].filter(Boolean).join(" ");
  if (!text) return;
  const tall = 17 * scale;
  context.font = `600 ${12 * scale}px system-ui, "DejaVu Sans", sans-serif`;
  const wide = context.measureText(text).width + 8 * scale;
  const x = Math.max(0, Math.min(left - scale, context.canvas.width - wide));
  const y = above ? (top - tall >= 0 ? top - tall : top) : top;
  context.fillStyle = hue(mark);
  if (mark.colour) context.fillStyle = mark.colour;
  context.fillRect(x, y, wide, tall);
  context.fillStyle = "#101418";
  context.textBaseline = "middle";
  context.fillText(text, x + 4 * scale, y + tall / 2);
}

/** The colour of a class: the same one each time. */
function hue(mark) {
  if (mark.index !== null) return HUES[Math.abs(mark.index) % HUES.length];
  return HUES[[...mark.text].reduce((sum, letter) => sum + letter.codePointAt(0), 0) % HUES.length];
}

document.addEventListener("visibilitychange", restart);
