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
let picked = null; // {setting, run (or undefined)} whose curves are shown alone, or null for all

function remember() {
  const kept = { range, picked, scroll: window.scrollY, inputs: {}, open: {} };
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
  picked = kept.picked ?? null;
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

// One finger moves the page, two move and stretch the curves.
const usual = Dygraph.defaultInteractionModel;
const gestures = { ...usual, touchstart: (event, graph, context) => {
  if (event.touches.length > 1) usual.touchstart(event, graph, context);
} };

let charts = [], settings = [], wholeRange = [0, 1], following = false, waiting = null;

// How far a chart is from what the reader sees, in pixels; infinitely where it is folded.
function distance({ element }) {
  if (element.closest("details:not([open])")) return Infinity;
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
  const due = charts.filter((chart) => chart.due && distance(chart) < Infinity)
    .sort((a, b) => distance(a) - distance(b));
  const near = due.filter((chart) => distance(chart) === 0);
  for (const chart of near.length > 0 ? near : due.slice(0, 1)) drawDue(chart);
  if (due.some((chart) => chart.due)) waiting = setTimeout(drawSome);
}

function drawAll() {
  clearTimeout(waiting);
  for (const chart of charts) if (chart.due && distance(chart) < Infinity) drawDue(chart);
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
  demand({ curves: { reach, logarithmic: one("#logarithmic").checked, picked } });
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

// --- Rows of tables and their curves ----------------------------------------------------------------------

const curveOf = ({ setting, run }) => run === undefined ? String(setting) : `${setting} ${run}`;

// Shows what is picked: in the rows of tables, in the button above the charts, and in the charts.
function showPicked() {
  for (const button of all(".pick")) {
    const pressed = picked !== null && button.dataset.curve === curveOf(picked);
    button.setAttribute("aria-pressed", pressed);
    button.closest("tr").classList.toggle("picked", pressed);
  }
  const back = one("#all-curves");
  back.hidden = picked === null;
  if (picked) {
    const { label } = settings[picked.setting];
    const run = picked.run === undefined ? "" : `run ${picked.run + 1}`;
    back.textContent = `all curves (now ${[label, run].filter(Boolean).join(", ")})`;
  }
  redraw();
}

// Picks a setting or a run; the same once more, none.
function pick(wanted) {
  const same = picked && wanted && curveOf(picked) === curveOf(wanted);
  picked = same || !settings[wanted?.setting]?.runs[wanted.run ?? 0] ? null : wanted;
  showPicked();
}

// Rows say which curves are theirs by their colour, where there are several settings.
function colourPicks(palette) {
  for (const button of all(".pick")) {
    const colour = palette.length > 1 ? palette[Number(button.dataset.curve.split(" ")[0])] : undefined;
    one(".swatch", button).style.background = colour ?? "none";
  }
}

function preparePicks(palette) {
  colourPicks(palette);
  for (const button of all(".pick")) {
    const [setting, run] = button.dataset.curve.split(" ").map(Number);
    button.closest("tr").addEventListener("click", () => {
      if (String(getSelection())) return; // somebody copies the row
      pick({ setting, run });
      if (picked && !charts.some((chart) => distance(chart) === 0)) one("#curves").scrollIntoView();
    });
  }
  if (picked && !settings[picked.setting]?.runs[picked.run ?? 0]) picked = null; // recalled, and no longer there
  one("#all-curves").addEventListener("click", () => pick(null));
  addEventListener("keydown", ({ key }) => { if (key === "Escape" && picked) pick(null); });
}

// A cell that tells of a step shows it in the curves.
function prepareSteps() {
  for (const button of all(".to-step")) {
    button.addEventListener("click", (event) => {
      event.stopPropagation();
      if (!charts.some((chart) => distance(chart) === 0)) one("#curves").scrollIntoView();
      drawAll();
      for (const chart of charts) chart.show(Number(button.dataset.step));
      one(".chart .plot").focus({ preventScroll: true });
    });
  }
}

// What is larger than its place can be scrolled with the keyboard.
function reachScrollers() {
  for (const box of all(".table, .frames")) {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

function prepareCurves() {
  const elements = all("pre.metrics");
  if (elements.length === 0) return;
  const switches = all(".setting"), palette = colours(switches.length);
  settings = [];
  for (const element of elements) {
    const number = Number(element.dataset.setting), label = switches[number];
    settings[number] ??= {
      label: label?.dataset.label, runs: [], shown: () => !label || one("input", label).checked,
    };
    settings[number].runs.push(new Metrics(element.textContent));
  }
  switches.forEach((label, i) => { one(".swatch", label).style.background = palette[i]; });
  charts = all(".chart").map((element) => new Chart(element, settings));
  for (const plot of all(".chart .plot")) {
    const legend = one(".legend", plot.closest(".chart"));
    plot.addEventListener("keydown", (event) => charts.find(({ element }) => element.contains(plot)).key(event));
    plot.addEventListener("focus", () => legend.setAttribute("aria-live", "polite"));
    plot.addEventListener("blur", () => legend.removeAttribute("aria-live"));
  }
  for (const details of all("details.folded")) details.addEventListener("toggle", drawSome);
  preparePicks(palette);
  prepareSteps();
  for (const input of all("#curves input")) input.addEventListener("input", redraw);
  for (const run of settings.flatMap((setting) => setting.runs)) {
    const { steps } = run.get("step");
    wholeRange = [Math.min(wholeRange[0], ...steps.slice(0, 1)), Math.max(wholeRange[1], ...steps.slice(-1))];
  }
  one("#whole-range").addEventListener("click", () => showRange(null, { valueRange: null }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const { graph } of charts) graph?.destroy();
    charts = all(".chart").map((element) => new Chart(element, settings));
    colourPicks(colours(switches.length));
    showPicked();
  });
  addEventListener("beforeprint", drawAll);
  showPicked();
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
reachScrollers();
addEventListener("resize", reachScrollers);
addEventListener("toggle", reachScrollers, true);
if (kept) window.scrollTo(0, kept.scroll);
addEventListener("pagehide", remember);
const { reload, until } = document.body.dataset; // of a page about runs that go on: seconds, and a time in seconds
if (reload && Date.now() < 1000 * until) {
  setTimeout(lookAgain, 1000 * reload);
} else if (reload) {
  one("#following").textContent = "; half an hour has brought no news, and it looks for none any longer: training may "
    + "have been stopped. Reload it to look again.";
}
