// What moves on a report: the curves, the pictures over training, and the page that follows its run.
"use strict";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (selector, within = document) => within.querySelector(selector);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const keyOf = (element) => element.dataset.key ?? element.id;
const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ",");
// A step below an axis: there are whole ones alone, and a long number would be cut off.
const onAxis = (step) => step % 1 ? "" : step < 1e8 ? grouped(step) : step.toExponential();

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

// One outline around a series' band. (That of dygraphs has one of every two points, for which many take minutes.)
function drawBand({ points, drawingContext: context, plotArea, color, dygraph }) {
  const drawn = points.filter((point) => point.yval !== null && !Number.isNaN(point.y_top));
  if (drawn.every((point) => point.y_top === point.y_bottom)) return;
  const y = (part) => plotArea.y + plotArea.h * part;
  context.save();
  context.fillStyle = color;
  context.globalAlpha = dygraph.getOption("fillAlpha");
  context.beginPath();
  for (const point of drawn) context.lineTo(point.canvasx, y(point.y_top));
  for (const point of drawn.reverse()) context.lineTo(point.canvasx, y(point.y_bottom));
  context.fill();
  context.restore();
}

const { linePlotter } = Dygraph.Plotters;
// The legend of dygraphs measures a letter by a style that the page's policy forbids. A chart has its own.
Dygraph.PLUGINS = Dygraph.PLUGINS.filter((plugin) => plugin !== Dygraph.Plugins.Legend);
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
    this.bands = settings.some((setting) => setting.runs.length > 1);
    this.due = null; // what is to be drawn, or null where all is
  }

  // Training data are dashed, so that the eye follows validation. Where colours tell settings apart, lines must
  // tell columns apart: the last one is solid.
  lineOf(column, c) {
    if (column.startsWith("train_")) return "dashed";
    if (this.settings.length === 1 || c === this.columns.length - 1) return "solid";
    return c === 0 ? "dashed" : "dotted";
  }

  // The curves of all series as they are to be drawn.
  compute(reach, logarithmic) {
    for (const one of this.series) one.curve = summarise(one.setting.runs, one.column, reach);
    this.logarithmic = logarithmic;
    this.note = logarithmic ? this.keepPositive() : "";
  }

  // A logarithm has no place for nothing and less: such points of what is shown go, and no band reaches below the
  // least that stays. Where none would stay, the axis is not logarithmic. The legend says which.
  keepPositive() {
    const shown = this.series.filter((one) => one.setting.shown());
    let least = Infinity, gone = 0, count = 0;
    for (const { curve } of shown) {
      for (const mean of curve.means) {
        count++;
        if (!(mean > 0)) gone++;
        else if (mean < least) least = mean;
      }
    }
    this.logarithmic = least < Infinity;
    if (!this.logarithmic) return count ? "not logarithmic: nothing is above 0" : "";
    for (const one of shown) one.curve = positivePart(one.curve, least);
    return gone ? `without ${gone} point${gone > 1 ? "s" : ""} at 0 or below` : "";
  }

  // The rows of dygraphs for the steps that are shown: [step, point of each series…], null where a series has none. A
  // point is a number, or low, mean and high where the chart has bands.
  rows(shown) {
    const width = one(".plot", this.element).clientWidth || 600;
    // Coarser where lines are many.
    const pixels = Math.min(width, Math.max(50, Math.floor(20000 / this.series.length)));
    const kept = this.series.map(({ curve }) => thin(curve, shown, pixels)), rows = new Map();
    this.series.forEach(({ curve }, s) => {
      for (const i of kept[s]) {
        const step = curve.steps[i], mean = curve.means[i];
        if (!rows.has(step)) rows.set(step, [step, ...this.series.map(() => null)]);
        rows.get(step)[s + 1] = this.bands ? [curve.lows?.[i] ?? mean, mean, curve.highs?.[i] ?? mean] : mean;
      }
    });
    return [...rows.values()].sort((a, b) => a[0] - b[0]);
  }

  options() {
    const names = this.series.map((_, i) => "series " + i);
    return {
      labels: ["step", ...names],
      colors: this.series.map((one) => one.colour),
      series: Object.fromEntries(this.series.map(({ line }, i) => [names[i], { strokePattern: patterns[line] }])),
      visibility: this.series.map((one) => one.setting.shown()),
      logscale: this.logarithmic,
      gridLineColor: css("--rule"), axisLineColor: css("--rule"),
      highlightSeriesBackgroundColor: css("--page"),
    };
  }

  // Draws what is due: new curves, or other steps of the same.
  draw() {
    const { curves, shown, options } = this.due;
    this.due = null;
    if (curves) this.compute(curves.reach, curves.logarithmic);
    const file = this.rows(shown), dateWindow = shown;
    if (this.graph) {
      this.graph.updateOptions({ file, dateWindow, ...(curves ? this.options() : {}), ...options });
      return;
    }
    this.graph = new Dygraph(one(".plot", this.element), file, {
      ...this.options(), dateWindow, ...options,
      customBars: this.bands, plotter: this.bands ? [drawBand, linePlotter] : linePlotter, connectSeparatedPoints: true,
      fillAlpha: 0.18, strokeWidth: 1.5, plugins: [this.legend()],
      highlightCircleSize: 3, pointSize: 3, animatedZooms: false, axisLabelFontSize: 12, xRangePad: 4, yRangePad: 6,
      highlightSeriesOpts: this.series.length > 1 ? { strokeWidth: 2.5 } : null,
      highlightSeriesBackgroundAlpha: 0.7,
      axes: {
        x: { axisLabelFormatter: onAxis, pixelsPerLabel: 70 },
        y: {
          axisLabelFormatter: (value) => figure(value, this.percent).replace(/\.?0+ %$/, " %"),
          axisLabelWidth: 56,
        },
      },
      interactionModel: gestures,
      drawCallback: (graph, first) => { if (!first) follow(graph); },
    });
  }

  // A plugin of dygraphs that says what the lines are, or what they say at the step under the pointer.
  legend() {
    const write = ({ dygraph, selectedX }) => {
      one(".legend", this.element).replaceChildren(this.legendAt(dygraph, selectedX));
    };
    const forget = ({ dygraph }) => write({ dygraph });
    return { activate: () => ({ select: write, deselect: forget, didDrawChart: forget }) };
  }

  // As nodes, so that no stranger's name is markup.
  legendAt(graph, step) {
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
    if (step === undefined) {
      const first = this.columns.length > 1 ? this.series.slice(0, this.columns.length) : [];
      for (const { column, colour, line } of first) add(words(column), several ? css("--ink") : colour, line);
      if (this.note) add(this.note);
      return fragment;
    }
    add("step " + grouped(step));
    this.series.forEach(({ setting, column, colour, line, curve }, i) => {
      const at = position(curve.steps, step), label = "series " + i;
      const room = this.series.length <= 4 || graph.getHighlightSeries() === label;
      if (curve.steps[at] !== step || !graph.getPropertiesForSeries(label).visible || !room) return;
      const name = [several && setting.label, this.columns.length > 1 && words(column)].filter(Boolean).join(" ");
      const spread = curve.counts?.[at] > 1
        ? ` ± ${figure(curve.deviations[at], this.percent)} (n = ${curve.counts[at]})` : "";
      add(`${name} ${figure(curve.means[at], this.percent)}${spread}`, colour, line);
    });
    return fragment;
  }
}

// One finger moves the page, two move and stretch the curves.
const usual = Dygraph.defaultInteractionModel;
const gestures = { ...usual, touchstart: (event, graph, context) => {
  if (event.touches.length > 1) usual.touchstart(event, graph, context);
} };

let charts = [], wholeRange = [0, 1], following = false, waiting = null;

// How far a chart is from what the reader sees, in pixels.
function distance({ element }) {
  const { top, bottom } = element.getBoundingClientRect();
  return Math.max(0, top - innerHeight, -bottom);
}

function drawDue(chart) {
  following = true;
  chart.draw();
  following = false;
}

// Draws the charts that the reader sees at once and the others one by one, the nearest first, so that the page is never
// busy for long.
function drawSome() {
  waiting = null;
  const due = charts.filter((chart) => chart.due).sort((a, b) => distance(a) - distance(b));
  const near = due.filter((chart) => distance(chart) === 0);
  for (const chart of near.length > 0 ? near : due.slice(0, 1)) drawDue(chart);
  if (due.some((chart) => chart.due)) waiting = setTimeout(drawSome);
}

function drawAll() {
  clearTimeout(waiting);
  for (const chart of charts) if (chart.due) drawDue(chart);
}

// What every chart is to show from now on; what is due already stays due.
function demand({ curves, options }) {
  for (const chart of charts) {
    chart.due = {
      curves: curves ?? chart.due?.curves, shown: range ?? wholeRange, options: { ...chart.due?.options, ...options },
    };
  }
  clearTimeout(waiting);
  drawSome();
}

function redraw() {
  const reach = Number(one("#smoothing").value);
  one("output[for=smoothing]").textContent = reach ? `± ${reach} point${reach > 1 ? "s" : ""}` : "none";
  demand({ curves: { reach, logarithmic: one("#logarithmic").checked } });
}

function showRange(wanted, options = {}) {
  range = wanted;
  demand({ options });
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
    settings[number].runs.push(readMetrics(element.textContent));
  }
  switches.forEach((label, i) => { one(".swatch", label).style.background = palette[i]; });
  charts = all(".chart").map((element) => new Chart(element, settings));
  for (const input of all("#curves input")) input.addEventListener("input", redraw);
  for (const run of settings.flatMap((setting) => setting.runs)) {
    const { steps } = run.get("step");
    wholeRange = [Math.min(wholeRange[0], ...steps.slice(0, 1)), Math.max(wholeRange[1], ...steps.slice(-1))];
  }
  one("#whole-range").addEventListener("click", () => showRange(null, { valueRange: null }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const { graph } of charts) graph?.destroy();
    charts = all(".chart").map((element) => new Chart(element, settings));
    redraw();
  });
  addEventListener("beforeprint", drawAll);
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
