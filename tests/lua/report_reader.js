// Added to a copy of a report by report_browser_spec.lua: reads the page from its beginning, with the keyboard and the
// mouse, and looks at its colours and its width.
"use strict";

const seen = [];
const see = (name, value) => seen.push(`${name}: ${value}`);

const plot = (i) => document.querySelectorAll(".chart .plot")[i];
const press = (target, key) => target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const soon = () => new Promise((done) => setTimeout(done, 50));
const legend = (i) => document.querySelectorAll(".chart .legend")[i].textContent;
const shownRange = () => charts[0].graph.xAxisRange().map(Math.round).join("-");
const faint = () => drawAll() ?? charts[0].series.map((line) =>
  `${line.setting.label ?? ""}${line.run ?? ""}${line.faint ? " faint" : ""}`).join(", ");
const rows = () => [...document.querySelectorAll("tr.picked")].map((row) => row.cells[0].textContent).join(", ");
const pressed = () => document.querySelectorAll(".pick[aria-pressed=true]").length;

function contrast(a, b) {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\d.]+/g).slice(0, 3).map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

// The least contrast of a text with what is behind it, and whose it is.
function leastContrast() {
  let least = [Infinity, ""];
  for (const element of document.querySelectorAll("body *")) {
    const texts = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!texts || !element.checkVisibility()) continue;
    let behind = element;
    while (behind.parentElement && getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") {
      behind = behind.parentElement;
    }
    const found = contrast(getComputedStyle(element).color, getComputedStyle(behind).backgroundColor);
    if (found < least[0]) least = [found, `${element.tagName} ${element.className}`];
  }
  return least;
}

// What of the page reaches beyond its right edge, but for what scrolls within itself.
function beyond() {
  return [...document.querySelectorAll("body *")].filter((element) => element.checkVisibility()
    && element.getBoundingClientRect().right > innerWidth + 1 && !element.closest(".table, .source, .frames"))
    .map((element) => `${element.tagName}.${element.className}`).join(" ");
}

async function read() {
  see("sections", [...document.querySelectorAll("main > section")].map(({ id }) => id).join(" "));
  see("first seen", document.querySelector("#outcome").getBoundingClientRect().top < innerHeight);
  const folded = [...document.querySelectorAll("details.folded")];
  see("folded", folded.map((one) => `${one.querySelector("h3").textContent} ${one.open}`).join(", "));
  const reached = folded.map((one) => {
    const summary = one.querySelector("summary");
    summary.focus();
    return document.activeElement === summary;
  });
  see("headings reached", reached.every(Boolean));
  const before = charts.filter(({ graph }) => graph).length;
  folded[0].querySelector("summary").click(); // which is what Enter does
  await soon();
  see("drawn when opened", charts.filter(({ graph }) => graph).length - before);
  see("words", folded[0].querySelector(".words").textContent);

  plot(0).focus();
  see("chart reached", document.activeElement === plot(0));
  press(plot(0), "End");
  see("at the end", legend(0));
  press(plot(0), "ArrowLeft");
  see("one before", legend(0));
  press(plot(0), "+");
  drawAll();
  see("closer", shownRange());
  press(plot(0), "-");
  drawAll();
  see("wider", shownRange());
  press(plot(0), "+");
  press(plot(0), "0");
  drawAll();
  see("whole", shownRange());

  const cell = document.querySelector(".to-step");
  if (cell) {
    cell.click();
    see("a step of a table", `${cell.textContent}: ${legend(0)}; ${document.activeElement === plot(0)}`);
  }

  const button = document.querySelector("#outcome .pick");
  if (button) {
    button.click();
    see("picked by a row", `${rows()}; ${pressed()} pressed; ${faint()}`);
    see("way back", document.querySelector("#all-curves").textContent);
    press(document.body, "Escape");
    see("after Escape", `${rows()}; ${pressed()} pressed; ${faint()}`);
    drawAll();
    plot(0).focus();
    press(plot(0), "End");
    press(plot(0), "ArrowDown");
    press(plot(0), "Enter");
    await soon();
    see("picked by a line", `${rows()}; ${faint()}`);
    document.querySelector("#all-curves").click();
    drawAll();
    const canvas = plot(0).querySelectorAll("canvas")[1], box = canvas.getBoundingClientRect();
    const { graph, series } = charts[0], last = series[series.length - 1];
    const x = graph.toDomXCoord(last.curve.steps.at(-1)), y = graph.toDomYCoord(last.curve.means.at(-1));
    const [clientX, clientY] = [box.left + x - 1, box.top + y];
    for (const [type, target] of [["mousemove", canvas], ["mousedown", canvas], ["mouseup", document]]) {
      target.dispatchEvent(new MouseEvent(type, { bubbles: true, view: window, detail: 1, clientX, clientY,
        screenX: clientX, screenY: clientY }));
    }
    await soon();
    see("picked by a click on a line", `${rows()}; ${faint()}`);
    see("kept", (remember(), JSON.stringify(JSON.parse(sessionStorage.getItem(place)).picked)));
    const run = document.querySelector("#settings details .pick");
    run.closest("details").open = true;
    run.click();
    drawAll();
    see("picked by a run", `${rows()}; ${faint()}`);
    see("lines with it", charts[0].graph.numColumns() - 1);
  }

  for (const details of document.querySelectorAll("details")) details.open = true;
  await soon();
  drawAll();
  const [least, whose] = leastContrast();
  see("least contrast", `${least.toFixed(2)} ${whose}`);
  see("page", getComputedStyle(document.body).backgroundColor);
  see("wider than the window", document.documentElement.scrollWidth > innerWidth);
  see("beyond", beyond());
  reachScrollers();
  see("scrollers reached", [...document.querySelectorAll(".table")].every((box) =>
    (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) === (box.tabIndex === 0)));
  document.querySelector(".moment").focus({ focusVisible: true });
  see("focus", getComputedStyle(document.activeElement).outlineStyle);
}

addEventListener("load", () => read().catch((problem) => see("problem", problem.stack.replaceAll("\n", " ")))
  .then(() => parent.postMessage(seen.join("\n"), "*")));
