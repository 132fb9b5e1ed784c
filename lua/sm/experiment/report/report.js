// What moves on a report: the curves, the pictures over training, and the page that follows its run.
"use strict";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (selector, within = document) => within.querySelector(selector);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const keyOf = (element) => element.dataset.key ?? element.id;
const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ",");

// --- Remembering: what the reader has set lasts over a reload ---------------------------------------------

const place = "smrun report " + location.pathname;
let range = null; // [first, last] of the steps that all curves show, or null for all

function remember() {
  const kept = { range, scroll: window.scrollY, inputs: {}, open: {} };
  for (const input of all("input")) {
    kept.inputs[keyOf(input)] = input.type === "checkbox" ? input.checked
      : input.matches(".moment") ? { step: stepAt(input), last: input.value === input.max } : input.value;
  }
  for (const details of all("details")) kept.open[keyOf(details)] = details.open;
  try { sessionStorage.setItem(place, JSON.stringify(kept)); } catch { /* forbidden: nothing is kept */ }
}

function recall() {
  let kept = null;
  try { kept = JSON.parse(sessionStorage.getItem(place)); } catch { /* as above */ }
  if (!kept) return null;
  range = kept.range;
  for (const input of all("input")) {
    const was = kept.inputs[keyOf(input)];
    if (was === undefined) continue;
    if (input.type === "checkbox") input.checked = was;
    else if (!input.matches(".moment")) input.value = was;
    else if (!was.last) input.value = Math.max(0, stepsOf(input).findLastIndex((step) => step <= was.step));
  }
  for (const details of all("details")) details.open = kept.open[keyOf(details)] ?? details.open;
  return kept;
}

// --- Pictures: one slider over training for those of one name ---------------------------------------------

const stepsOf = (slider) => slider.closest(".pictures").dataset.steps.split(" ").map(Number);
const stepAt = (slider) => stepsOf(slider)[slider.value];

function showMoment(slider) {
  const step = stepAt(slider);
  slider.setAttribute("aria-valuetext", "step " + step);
  one("output", slider.closest(".pictures")).textContent = grouped(step);
  for (const frames of all(".frames", slider.closest(".pictures"))) {
    const images = all("img", frames); // of a run that was not drawn at this step: the one before
    const shown = Math.max(0, images.findLastIndex((image) => Number(image.dataset.step) <= step));
    images.forEach((image, i) => { image.hidden = i !== shown; });
    const at = one(".at", frames.parentElement);
    if (at) at.textContent = "step " + grouped(images[shown].dataset.step);
  }
}

function preparePictures() {
  for (const slider of all("input.moment")) {
    slider.addEventListener("input", () => showMoment(slider));
    showMoment(slider);
  }
  for (const box of all("input.whole")) {
    const apply = () => box.closest(".pictures").classList.toggle("whole", box.checked);
    box.addEventListener("input", apply);
    apply();
  }
}

// --- Curves -----------------------------------------------------------------------------------------------

// A run's rows: an array of {column: number}, without what has no figure.
function readMetrics(element) {
  const [header, ...lines] = element.textContent.trim().split("\n").map((line) => line.split(","));
  return lines.map((cells) => {
    const row = Object.create(null); // a column may have any name
    cells.forEach((cell, i) => {
      if (cell !== "" && Number.isFinite(Number(cell))) row[header[i]] = Number(cell);
    });
    return row;
  });
}

// [[step, value]…], each value a mean with `reach` neighbours on both sides, near ones weighing more. Neighbours are
// points, not steps: rows without a figure have none.
function smooth(points, reach) {
  return points.map(([step], i) => {
    let sum = 0, weights = 0;
    for (let j = Math.max(0, i - reach); j <= Math.min(points.length - 1, i + reach); j++) {
      const weight = reach + 1 - Math.abs(i - j);
      sum += weight * points[j][1];
      weights += weight;
    }
    return [step, sum / weights];
  });
}

// A column over the seeds of a setting: step → [mean - deviation, mean, mean + deviation], and how many seeds.
function summarise(runs, column, reach) {
  const values = new Map();
  for (const rows of runs) {
    const points = rows.filter((row) => column in row).map((row) => [row.step, row[column]]);
    for (const [step, value] of smooth(points, reach)) {
      if (!values.has(step)) values.set(step, []);
      values.get(step).push(value);
    }
  }
  const summary = new Map();
  for (const [step, list] of values) {
    const mean = list.reduce((sum, value) => sum + value, 0) / list.length;
    const squares = list.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    const deviation = list.length > 1 ? Math.sqrt(squares / (list.length - 1)) : 0;
    summary.set(step, { bar: [mean - deviation, mean, mean + deviation], deviation, count: list.length });
  }
  return summary;
}

// Few settings get colours that everybody can tell apart (Okabe and Ito); more, being in order, get a ramp.
function colours(count) {
  const few = css("--colours").split(" ");
  if (count <= few.length) return few.slice(0, count);
  const ramp = css("--ramp").split(" ").map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  return Array.from({ length: count }, (_, i) => {
    const at = i / (count - 1) * (ramp.length - 1), low = Math.min(Math.floor(at), ramp.length - 2);
    const mixed = ramp[low].map((value, c) => Math.round(value + (ramp[low + 1][c] - value) * (at - low)));
    return `rgb(${mixed.join(",")})`;
  });
}

function figure(value, percent) {
  return percent ? (100 * value).toFixed(2) + " %" : String(Number(value.toPrecision(4)));
}

const patterns = { solid: null, dashed: [4, 3], dotted: [1, 3] };

class Chart {
  constructor(element, settings) {
    this.element = element;
    this.settings = settings;
    this.columns = element.dataset.columns.split(",");
    this.percent = this.columns.every((column) => column.endsWith("accuracy"));
    const several = settings.length > 1, palette = colours(several ? settings.length : this.columns.length);
    this.series = settings.flatMap((setting, s) => this.columns.map((column, c) => ({
      setting, column, colour: palette[several ? s : c], line: this.lineOf(column, c),
    })));
  }

  // Training data are dashed, so that the eye follows validation. Where colours tell settings apart, lines must
  // tell columns apart: the last one is solid.
  lineOf(column, c) {
    if (column.startsWith("train_")) return "dashed";
    if (this.settings.length === 1 || c === this.columns.length - 1) return "solid";
    return c === 0 ? "dashed" : "dotted";
  }

  // The rows of dygraphs: [step, bar of each series…], null where a series has nothing.
  data(reach, logarithmic) {
    for (const one of this.series) one.points = summarise(one.setting.runs, one.column, reach);
    this.logarithmic = logarithmic;
    this.note = logarithmic ? this.keepPositive() : "";
    const steps = [...new Set(this.series.flatMap((one) => [...one.points.keys()]))].sort((a, b) => a - b);
    return steps.map((step) => [step, ...this.series.map((one) => one.points.get(step)?.bar ?? null)]);
  }

  // A logarithm has no place for nothing and less: such points of what is shown go, and no band reaches below the
  // least that stays. Where none would stay, the axis is not logarithmic. The legend says which.
  keepPositive() {
    const shown = this.series.filter((one) => one.setting.shown()).map((one) => one.points);
    const bars = shown.flatMap((points) => [...points.values()].map((point) => point.bar));
    const least = bars.reduce((low, [, mean]) => mean > 0 && mean < low ? mean : low, Infinity);
    const gone = bars.filter(([, mean]) => !(mean > 0)).length;
    this.logarithmic = least < Infinity;
    if (!this.logarithmic) return bars.length ? "not logarithmic: nothing is above 0" : "";
    for (const points of shown) {
      for (const [step, { bar }] of points) {
        if (bar[1] > 0) bar[0] = Math.max(bar[0], least);
        else points.delete(step);
      }
    }
    return gone ? `without ${gone} point${gone > 1 ? "s" : ""} at 0 or below` : "";
  }

  options() {
    const names = this.series.map((_, i) => "series " + i);
    return {
      labels: ["step", ...names],
      colors: this.series.map((one) => one.colour),
      series: Object.fromEntries(this.series.map(({ line }, i) => [names[i], { strokePattern: patterns[line] }])),
      visibility: this.series.map((one) => one.setting.shown()),
      logscale: this.logarithmic,
      dateWindow: range ?? wholeRange,
      gridLineColor: css("--rule"), axisLineColor: css("--rule"),
      highlightSeriesBackgroundColor: css("--page"),
    };
  }

  draw(reach, logarithmic) {
    const file = this.data(reach, logarithmic);
    if (this.graph) {
      this.graph.updateOptions({ file, ...this.options() });
      return;
    }
    this.graph = new Dygraph(one(".plot", this.element), file, {
      ...this.options(),
      customBars: true, connectSeparatedPoints: true, fillAlpha: 0.18, strokeWidth: 1.5, legend: "always",
      labelsDiv: one(".legend", this.element), legendFormatter: (data) => this.legend(data),
      highlightCircleSize: 3, pointSize: 3, animatedZooms: false, axisLabelFontSize: 12, xRangePad: 4, yRangePad: 6,
      highlightSeriesOpts: this.series.length > 1 ? { strokeWidth: 2.5 } : null,
      highlightSeriesBackgroundAlpha: 0.7,
      axes: {
        x: { axisLabelFormatter: (step) => grouped(step), pixelsPerLabel: 70 },
        y: {
          axisLabelFormatter: (value) => figure(value, this.percent).replace(/\.?0+ %$/, " %"),
          axisLabelWidth: 56,
        },
      },
      interactionModel: gestures,
      drawCallback: (graph, first) => { if (!first) follow(graph); },
    });
  }

  // What the lines are, or what they say at the step under the pointer. As nodes, so that no stranger's name is
  // markup.
  legend(data) {
    const several = this.settings.length > 1;
    const words = (column) => column.replaceAll("_", " ");
    const fragment = document.createDocumentFragment();
    const add = (text, colour, line) => {
      const item = document.createElement("span");
      if (colour) {
        const mark = document.createElement("span");
        mark.className = "mark";
        mark.style.borderTopStyle = line;
        mark.style.borderColor = colour;
        item.append(mark);
      }
      item.append(text);
      fragment.append(item);
    };
    if (data.x === undefined) {
      const first = this.columns.length > 1 ? this.series.slice(0, this.columns.length) : [];
      for (const { column, colour, line } of first) add(words(column), several ? css("--ink") : colour, line);
      if (this.note) add(this.note);
      return fragment;
    }
    add("step " + grouped(data.x));
    data.series.forEach((shown, i) => {
      const { setting, column, colour, line, points } = this.series[i], point = points.get(data.x);
      const room = this.series.length <= 4 || shown.isHighlighted;
      if (!point || !shown.isVisible || !room) return;
      const name = [several && setting.label, this.columns.length > 1 && words(column)].filter(Boolean).join(" ");
      const spread = point.count > 1 ? ` ± ${figure(point.deviation, this.percent)} (n = ${point.count})` : "";
      add(`${name} ${figure(point.bar[1], this.percent)}${spread}`, colour, line);
    });
    return fragment;
  }
}

// One finger moves the page, two move and stretch the curves.
const usual = Dygraph.defaultInteractionModel;
const gestures = { ...usual, touchstart: (event, graph, context) => {
  if (event.touches.length > 1) usual.touchstart(event, graph, context);
} };

let charts = [], wholeRange = [0, 1], following = false;

function redraw() {
  const reach = Number(one("#smoothing").value);
  one("output[for=smoothing]").textContent = reach ? `± ${reach} point${reach > 1 ? "s" : ""}` : "none";
  following = true;
  for (const chart of charts) chart.draw(reach, one("#logarithmic").checked);
  following = false;
}

function showRange(wanted, options = {}) {
  range = wanted;
  following = true;
  for (const { graph } of charts) graph.updateOptions({ dateWindow: range ?? wholeRange, ...options });
  following = false;
}

// All curves show the same steps. After a double click a chart has no window of its own.
function follow(graph) {
  if (following) return;
  const shown = graph.isZoomed("x") ? graph.xAxisRange() : null;
  const wanted = String(shown) === String(wholeRange) ? null : shown;
  if (!shown || String(wanted) !== String(range)) showRange(wanted);
}

function prepareCurves() {
  const elements = all("pre.metrics");
  if (elements.length === 0) return;
  const switches = all(".setting"), palette = colours(switches.length);
  const settings = [];
  for (const element of elements) {
    const number = Number(element.dataset.setting), label = switches[number];
    settings[number] ??= {
      label: label?.dataset.label, runs: [], shown: () => !label || one("input", label).checked,
    };
    settings[number].runs.push(readMetrics(element));
  }
  switches.forEach((label, i) => { one(".swatch", label).style.background = palette[i]; });
  charts = all(".chart").map((element) => new Chart(element, settings));
  for (const input of all("#curves input")) input.addEventListener("input", redraw);
  const steps = settings.flatMap((setting) => setting.runs.flat()).map((row) => row.step);
  wholeRange = steps.reduce(([low, high], step) => [Math.min(low, step), Math.max(high, step)], [0, 1]);
  one("#whole-range").addEventListener("click", () => showRange(null, { valueRange: null }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const { graph } of charts) graph.destroy();
    charts = all(".chart").map((element) => new Chart(element, settings));
    redraw();
  });
  redraw();
}

// --- Following a run that goes on -------------------------------------------------------------------------

let touching = false;
addEventListener("pointerdown", () => { touching = true; });
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { touching = false; });

function lookAgain() {
  if (document.hidden || touching) setTimeout(lookAgain, 1000);
  else location.reload();
}

const kept = recall();
prepareCurves();
preparePictures();
if (kept) window.scrollTo(0, kept.scroll);
addEventListener("pagehide", remember);
const { reload, until } = document.body.dataset; // of a page about runs that go on: seconds, and a time in seconds
if (reload && Date.now() < 1000 * until) {
  setTimeout(lookAgain, 1000 * reload);
} else if (reload) {
  one("#following").textContent = "; half an hour has brought no news, and it looks for none any longer: training may "
    + "have been stopped. Reload it to look again.";
}
