// Added to a copy of a report of many rows by report_browser_spec.lua: looks at the first chart from afar and from near.
"use strict";

const seen = [];
const see = (name, value) => seen.push(`${name}: ${value}`);

// The points of the first line that lie in what is shown, as [step, figure], from the points that the chart was given.
function shownPoints({ graph }) {
  const [low, high] = graph.xAxisRange(), points = [];
  for (let row = 0; row < graph.numRows(); row++) {
    const step = graph.getValue(row, 0), cell = graph.getValue(row, 1), value = Array.isArray(cell) ? cell[1] : cell;
    if (step >= low && step <= high && value !== null) points.push([step, value]);
  }
  return points;
}

function look(name) {
  const points = shownPoints(charts[0]), values = points.map(([, value]) => value);
  see("steps " + name, `${points[0][0]}-${points.at(-1)[0]}`);
  see("rows " + name, points.length);
  see("figures " + name, `${Math.min(...values)} to ${Math.max(...values)}`);
}

// How many pixels of the chart are as transparent as a band.
function painted(chart) {
  const canvas = chart.element.querySelector("canvas"), { width, height } = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let count = 0;
  for (let i = 3; i < pixels.length; i += 4) {
    if (Math.abs(pixels[i] - 0.18 * 255) < 2) count++;
  }
  return count;
}

addEventListener("load", () => {
  drawAll();
  see("lines", charts[0].series.length);
  look("at first");
  const half = Math.floor(wholeRange[1] / 2);
  showRange([half - 10, half + 20]);
  drawAll();
  look("from near");
  charts[0].graph.setSelection(charts[0].graph.getRowForX(half + 5));
  see("legend", charts[0].element.querySelector(".legend").textContent);
  see("as transparent as a band", painted(charts[0]));
  showRange(null);
  drawAll();
  look("at large again");
  parent.postMessage(seen.join("\n"), "*");
});
