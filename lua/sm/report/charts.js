// One chart: its curves, computed when they are drawn, and the legend that says what they are.

// Few settings get colours that everybody can tell apart (Okabe and Ito); more, being in order, get a ramp.
function colours(count) {
  const few = css("--colours").split(" ");
  if (count <= few.length) return few.slice(0, count);
  const ramp = css("--ramp").split(" ");
  return Array.from({ length: count }, (_, i) => {
    const at = i / (count - 1) * (ramp.length - 1), low = Math.min(Math.floor(at), ramp.length - 2);
    return mixed(ramp[low], ramp[low + 1], at - low);
  });
}

// A colour with some of another, both as #rrggbb.
function mixed(colour, other, share) {
  const [from, to] = [colour, other].map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  const parts = from.map((value, c) => Math.round(value + (to[c] - value) * share).toString(16).padStart(2, "0"));
  return "#" + parts.join("");
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
    this.bands = settings.some((setting) => setting.runs.length > 1);
    this.due = null; // what is to be drawn, or null where all is
    this.step = null; // where the keyboard is
    this.arrange(null);
  }

  // The lines. Where a setting is picked, or a run of one, which then has lines of its own, the others are faint and
  // lie below.
  arrange(picked) {
    const several = this.settings.length > 1;
    const palette = colours(several ? this.settings.length : this.columns.length);
    const linesOf = (setting, s, about) => this.columns.map((column, c) => ({
      setting, number: s, runs: setting.runs, column, colour: palette[several ? s : c], line: this.lineOf(column, c),
      ...about,
    }));
    const alone = picked && picked.run === undefined ? picked.setting : null;
    const lines = this.settings.flatMap((setting, s) => linesOf(setting, s, { faint: picked && s !== alone }));
    if (picked && picked.run !== undefined) {
      const setting = this.settings[picked.setting], run = setting.runs[picked.run];
      lines.push(...linesOf(setting, picked.setting, { runs: [run], run: picked.run }));
    }
    this.series = [...lines.filter(({ faint }) => faint), ...lines.filter(({ faint }) => !faint)];
    this.legendOf = lines.slice(0, this.columns.length);
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
    for (const one of this.series) one.curve = summarise(one.runs, one.column, reach);
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
      colors: this.series.map(({ colour, faint }) => faint ? mixed(colour, css("--page"), 0.65) : colour),
      series: Object.fromEntries(this.series.map(({ line, faint }, i) => [names[i], {
        strokePattern: patterns[line], strokeWidth: faint ? 1 : 1.5,
      }])),
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
    if (curves) {
      this.arrange(curves.picked);
      this.compute(curves.reach, curves.logarithmic);
    }
    const file = this.rows(shown), dateWindow = shown;
    if (this.graph) {
      this.graph.updateOptions({ file, dateWindow, ...(curves ? this.options() : {}), ...options });
      return;
    }
    this.graph = new Dygraph(one(".plot", this.element), file, {
      ...this.options(), dateWindow, ...options,
      customBars: this.bands, plotter: this.bands ? [drawBand, linePlotter] : linePlotter, connectSeparatedPoints: true,
      fillAlpha: 0.18, plugins: [this.legend()],
      highlightCircleSize: 3, pointSize: 4, animatedZooms: false, axisLabelFontSize: 12, xRangePad: 8, yRangePad: 6,
      clickCallback: () => this.pickHighlighted(),
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
      const first = this.columns.length > 1 ? this.legendOf : [];
      for (const { column, colour, line } of first) add(words(column), several ? css("--ink") : colour, line);
      if (this.note) add(this.note);
      return fragment;
    }
    add("step " + grouped(step));
    this.series.forEach(({ setting, run, column, colour, line, curve }, i) => {
      const at = position(curve.steps, step), label = "series " + i;
      const room = this.series.length <= 4 || graph.getHighlightSeries() === label;
      if (curve.steps[at] !== step || !graph.getPropertiesForSeries(label).visible || !room) return;
      const name = [several && setting.label, run !== undefined && `run ${run + 1}`,
        this.columns.length > 1 && words(column)].filter(Boolean).join(" ");
      const spread = curve.counts?.[at] > 1
        ? ` ± ${figure(curve.deviations[at], this.percent)} (n = ${curve.counts[at]})` : "";
      add(`${name} ${figure(curve.means[at], this.percent)}${spread}`, colour, line);
    });
    return fragment;
  }

  highlighted() {
    const name = this.graph?.getHighlightSeries();
    return name ? this.series[Number(name.slice("series ".length))] : undefined;
  }

  // A click on a line, or Enter, shows it alone; once more, all.
  pickHighlighted() {
    const line = this.highlighted();
    if (line && this.settings.length > 1) setTimeout(pick, 0, { setting: line.number, run: line.run });
  }

  // Goes to the next step that a line has a figure at, or to the one before.
  go(by) {
    const { graph } = this, [low, high] = graph.xAxisRange();
    const line = Math.max(0, this.series.indexOf(this.highlighted() ?? this.series.at(-1)));
    const has = (row) => [graph.getValue(row, line + 1)].flat().some((value) => value !== null);
    const inside = (row) => graph.getValue(row, 0) >= low && graph.getValue(row, 0) <= high;
    const rows = [...Array(graph.numRows()).keys()].filter((row) => has(row) && inside(row));
    if (rows.length === 0) return;
    const steps = rows.map((row) => graph.getValue(row, 0)), at = this.step ?? (by > 0 ? -Infinity : Infinity);
    const next = by > 0 ? steps.findIndex((step) => step > at) : steps.findLastIndex((step) => step < at);
    this.select(steps[next >= 0 ? next : by > 0 ? steps.length - 1 : 0], line);
  }

  select(step, line) {
    this.step = step;
    this.graph.setSelection(this.graph.getRowForX(step), "series " + line);
  }

  // Shows the step that is nearest to another, of those that the chart has.
  show(step) {
    const { graph } = this;
    if (!graph || graph.numRows() === 0) return;
    const steps = [...Array(graph.numRows()).keys()].map((row) => graph.getValue(row, 0));
    this.step = steps.reduce((best, one) => Math.abs(one - step) < Math.abs(best - step) ? one : best);
    graph.setSelection(graph.getRowForX(this.step));
  }

  // The next line that is shown; it keeps the step, if it has a figure there.
  turn(by) {
    const shown = this.series.map((_, i) => i).filter((i) => this.series[i].setting.shown());
    const at = shown.indexOf(this.series.indexOf(this.highlighted() ?? this.series.at(-1)));
    if (shown.length === 0) return;
    const line = shown[(at + by + shown.length) % shown.length];
    this.graph.setSelection(this.graph.getRowForX(this.step ?? NaN), "series " + line);
    if (this.graph.getSelection() < 0 || this.step === null) this.go(1);
    else this.select(this.step, line);
  }

  // Half or twice as many steps around where the keyboard is.
  stretch(factor) {
    const [low, high] = this.graph.xAxisRange(), middle = this.step ?? (low + high) / 2;
    const reach = (high - low) / 2 * factor;
    const from = Math.max(wholeRange[0], middle - reach), to = Math.min(wholeRange[1], middle + reach);
    if (to - from < 1) return;
    showRange(from <= wholeRange[0] && to >= wholeRange[1] ? null : [from, to]);
    this.go(1);
    this.go(-1);
  }

  key(event) {
    const does = {
      ArrowRight: () => this.go(1), ArrowLeft: () => this.go(-1), ArrowDown: () => this.turn(1),
      ArrowUp: () => this.turn(-1), "+": () => this.stretch(0.5), "=": () => this.stretch(0.5),
      "-": () => this.stretch(2), 0: () => showRange(null, { valueRange: null }), Enter: () => this.pickHighlighted(),
      Home: () => { this.step = null; this.go(1); }, End: () => { this.step = null; this.go(-1); },
    }[event.key];
    if (!does || !this.graph || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    does();
  }
}
