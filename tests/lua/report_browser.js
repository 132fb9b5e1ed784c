// Added to a copy of a report by report_browser_spec.lua: uses the page as a reader would, and tells the page around
// it what it saw, one "name: value" a line.
"use strict";

const seen = [];
const see = (name, value) => seen.push(`${name}: ${value}`);

function press(element, value) {
  if (element.type === "checkbox") element.checked = value;
  else element.value = value;
  element.dispatchEvent(new Event("input", { bubbles: true }));
  drawAll();
}

// The canvas of a chart's lines: dygraphs has a second one above it for what the pointer does.
const canvas = (chart) => chart.querySelector("canvas");

function painted(chart) {
  const { width, height } = canvas(chart);
  const pixels = canvas(chart).getContext("2d").getImageData(0, 0, width, height).data;
  return new Set(new Uint32Array(pixels.buffer)).size;
}

function drag(chart, from, to) {
  const target = chart.querySelectorAll("canvas")[1], box = target.getBoundingClientRect();
  const at = (part) => ({ bubbles: true, view: window, detail: 1,
    clientX: box.left + part * box.width, clientY: box.top + box.height / 2,
    screenX: box.left + part * box.width, screenY: box.top + box.height / 2 });
  target.dispatchEvent(new MouseEvent("mousedown", at(from)));
  document.dispatchEvent(new MouseEvent("mousemove", at(to)));
  document.dispatchEvent(new MouseEvent("mouseup", at(to)));
}

function hover(chart, part) {
  const target = chart.querySelectorAll("canvas")[1], box = target.getBoundingClientRect();
  target.dispatchEvent(new MouseEvent("mousemove", { bubbles: true, view: window,
    clientX: box.left + part * box.width, clientY: box.top + box.height / 2 }));
}

const shownSteps = () => [...document.querySelectorAll(".frames img:not([hidden])")]
  .map((image) => `${image.dataset.step}${image.naturalWidth > 0 ? "" : " without picture"}`).join(" ");
const ranges = () => drawAll() ?? charts.map(({ graph }) => graph.xAxisRange().map((step) => Math.round(step)).join("-")).join(" ");

function use() {
  const figures = [...document.querySelectorAll(".chart")];
  drawAll();
  see("drawn while folded", charts.filter(({ due }) => !due).length);
  for (const details of document.querySelectorAll("details.folded")) details.open = true;
  drawAll();
  see("charts", figures.length);
  see("least colours of a chart", Math.min(...figures.map(painted)));
  see("titles", figures.map((chart) => chart.querySelector(".title").textContent).join(", "));
  see("at first", ranges());
  see("pictures at first", shownSteps());
  const slider = document.querySelector(".moment");
  press(slider, 1);
  see("pictures at 1", shownSteps());
  see("spoken", slider.getAttribute("aria-valuetext"));
  see("captions", [...document.querySelectorAll("figcaption")].filter((one) => one.querySelector(".at"))
    .map((one) => one.textContent).join("|"));
  see("key of a slider", slider.dataset.key);
  const before = canvas(figures[0]).toDataURL();
  press(document.querySelector("#smoothing"), 3);
  see("smoothing changes the curve", canvas(figures[0]).toDataURL() !== before);
  press(document.querySelector("#smoothing"), 0);
  press(document.querySelector("#logarithmic"), true);
  see("the axis changes the curve", canvas(figures[0]).toDataURL() !== before);
  see("axes", charts.map(({ graph }) => graph.getOption("logscale") ? "logarithmic" : "linear").join(" "));
  const legend = (i) => figures[i].querySelector(".legend").textContent;
  see("legend of a loss", legend(0));
  see("legend of what ends at 0", legend(6));
  see("legend of nothing", legend(7));
  press(document.querySelector("#logarithmic"), false);
  see("and back", canvas(figures[0]).toDataURL() === before);
  hover(figures[0], 0.99);
  see("legend", legend(0));
  const box = document.querySelector("#setting-1");
  if (box) {
    press(box, false);
    remember();
    see("what is kept of a setting", `${box.dataset.key} ${JSON.parse(sessionStorage.getItem(place))
      .inputs[box.dataset.key]}`);
    see("hiding changes the curve", canvas(figures[0]).toDataURL() !== before);
    press(box, true);
  }
  document.querySelector("#whole-range").click();
  see("at large", ranges());
  drag(figures[0], 0.25, 0.75);
  see("closer", ranges());
  see("resources", performance.getEntriesByType("resource").length);
  hover(figures[0], 0.99);
  see("wider than the window", [...document.querySelectorAll("fieldset, .legend")].some((one) =>
    one.getBoundingClientRect().right > innerWidth || one.scrollWidth > one.clientWidth) || document.documentElement.scrollWidth > innerWidth);
}

const visits = Number(sessionStorage.getItem("visits")) + 1;
sessionStorage.setItem("visits", visits);
addEventListener("load", () => {
  if (visits === 1) {
    use();
  } else {
    see("after a reload", ranges());
    see("pictures after a reload", shownSteps());
  }
  see("following", document.querySelector("#following").textContent);
  see("visits", visits);
  parent.postMessage(seen.join("\n"), "*");
});
