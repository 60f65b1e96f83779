// Charts of the last minutes, drawn from samples that the host keeps.

import { el, find, keep, say } from "./dom.js";

const LENGTH = 300;
const LEAST = 60;
const COLOURS = 10;
const samples = [];
const [rate, latency, drops] = document.querySelectorAll("#charts figure");

export function showSamples(fresh) {
  if (fresh.length && samples.length && fresh[0].number <= samples.at(-1).number) samples.length = 0;
  samples.push(...fresh);
  samples.splice(0, Math.max(0, samples.length - LENGTH));
  if (fresh.length) drawAll();
}

function drawAll() {
  if (document.hidden || !samples.length) return;
  const functions = [...new Set(samples.flatMap((sample) => Object.keys(sample.functions)))];
  const sources = [...new Set(samples.flatMap((sample) => Object.keys(sample.sources)))];
  const causes = [...new Set(samples.flatMap((sample) => Object.values(sample.sources).flatMap((source) => Object.keys(source.dropped))))];
  const of = (name, figure) => (sample) => sample.functions[name]?.[figure] ?? null;
  chart(rate, [
    ...functions.map((name) => ({ name, value: of(name, "rate") })),
    ...sources.map((name) => ({ name: `${short(name)} fps`, value: (sample) => sample.sources[name]?.fps ?? null })),
  ]);
  chart(latency, [
    ...functions.map((name) => ({ name, value: of(name, "p50") })),
    ...functions.map((name, index) => ({ name: `${name} p99`, value: of(name, "p99"), dashed: true, colour: index, quiet: true })),
  ]);
  chart(drops, causes.map((cause) => ({
    name: cause,
    value: (sample) => Object.values(sample.sources).reduce((sum, source) => sum + (source.dropped[cause] ?? 0), 0),
  })));
}

const short = (name) => name.split("/").at(-1);

/** Draws lines over time, one to five minutes, newest at the right; `series` say name and value of a sample. */
function chart(figure, series) {
  const canvas = find("canvas", figure);
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width) return;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  const top = ceiling(Math.max(0, ...series.flatMap((one) => samples.map((sample) => one.value(sample) ?? 0))));
  const area = { left: 34, right: width - 2, top: 6, bottom: height - 6, ceiling: top };
  drawGrid(context, area, style);
  series.forEach((one, index) => drawLine(context, area, one, style.getPropertyValue(`--s${(one.colour ?? index) % COLOURS}`)));
  showLegend(find(".legend", figure), series.filter((one) => !one.quiet));
}

/** The round number above a value. */
function ceiling(value) {
  if (value <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  return unit * [1, 2, 4, 5, 10].find((step) => step * unit >= value * 1.05 || step === 10);
}

function drawGrid(context, area, style) {
  context.font = `10px system-ui, "DejaVu Sans", sans-serif`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const share of [0, 0.5, 1]) {
    const y = area.bottom - share * (area.bottom - area.top);
    context.strokeStyle = style.getPropertyValue("--line");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(area.left, Math.round(y) + 0.5);
    context.lineTo(area.right, Math.round(y) + 0.5);
    context.stroke();
    context.fillStyle = style.getPropertyValue("--soft");
    context.fillText(String(Number((area.ceiling * share).toPrecision(3))), area.left - 6, y);
  }
}

function drawLine(context, area, one, colour) {
  context.strokeStyle = colour;
  context.lineWidth = one.dashed ? 1 : 1.6;
  context.setLineDash(one.dashed ? [3, 3] : []);
  context.beginPath();
  let isDown = false;
  samples.forEach((sample, index) => {
    const value = one.value(sample);
    const x = area.right - ((samples.length - 1 - index) / (Math.max(LEAST, samples.length) - 1)) * (area.right - area.left);
    const y = area.bottom - (Math.min(value ?? 0, area.ceiling) / area.ceiling) * (area.bottom - area.top);
    if (value !== null) context[isDown ? "lineTo" : "moveTo"](x, y);
    isDown = value !== null;
  });
  context.stroke();
  context.setLineDash([]);
}

function showLegend(legend, series) {
  const make = () => el("li", {}, el("i"), el("span"), el("b"));
  keep(legend, series.map((one, index) => ({ ...one, index })), (one) => one.name, make, (item, one) => {
    item.children[0].className = `s${(one.colour ?? one.index) % COLOURS}`;
    say(item.children[1], one.name);
    say(item.children[2], Number((one.value(samples.at(-1)) ?? 0).toFixed(1)));
  });
}

window.addEventListener("resize", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
