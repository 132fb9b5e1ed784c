// The figures behind the curves: read from metrics.csv, smoothed, summed up over seeds, thinned to what a chart can
// show. A curve is {steps, means, lows, highs}, arrays of equal length in the order of the steps; one of a single seed
// has neither lows nor highs, for it has no band.

// The first position of a sorted array whose element is at least `value`.
function position(sorted, value) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

// A run's columns. Each is read when it is first asked for: of many rows most columns are in charts that are folded.
class Metrics {
  constructor(text) {
    const [header, ...lines] = text.trim().split("\n");
    this.names = header.split(",");
    this.lines = lines;
    this.columns = new Map();
  }

  // {steps, values} of the rows that have a figure in a column; undefined where there is no such column.
  get(name) {
    const at = this.names.indexOf(name);
    if (at >= 0 && !this.columns.has(name)) this.columns.set(name, this.read(at));
    return this.columns.get(name);
  }

  read(at) {
    this.steps ??= this.lines.map((line) => Number(cell(line, this.names.indexOf("step"))));
    const steps = [], values = [];
    this.lines.forEach((line, i) => {
      const text = cell(line, at), value = Number(text);
      if (text === "" || !Number.isFinite(value)) return;
      steps.push(this.steps[i]);
      values.push(value);
    });
    return { steps, values };
  }
}

// One cell of a line, without a string for each of the others.
function cell(line, at) {
  let from = 0;
  for (let i = 0; i < at; i++) from = line.indexOf(",", from) + 1;
  const end = line.indexOf(",", from);
  return end < 0 ? line.slice(from) : line.slice(from, end);
}

// Each value a mean with `reach` neighbours on both sides, near ones weighing more. Neighbours are points, not steps:
// rows without a figure have none.
function smooth(values, reach) {
  if (reach === 0) return values;
  return values.map((_, i) => {
    let sum = 0, weights = 0;
    for (let j = Math.max(0, i - reach); j <= Math.min(values.length - 1, i + reach); j++) {
      const weight = reach + 1 - Math.abs(i - j);
      sum += weight * values[j];
      weights += weight;
    }
    return sum / weights;
  });
}

// A column over the seeds of a setting: at each step the mean, and a band of one standard deviation to both sides.
function summarise(runs, column, reach) {
  const curves = runs.map((run) => run.get(column)).filter((one) => one && one.steps.length > 0)
    .map(({ steps, values }) => ({ steps, values: smooth(values, reach) }));
  if (curves.length === 0) return { steps: [], means: [] };
  if (curves.length === 1) return { steps: curves[0].steps, means: curves[0].values };
  const steps = Float64Array.from(new Set(curves.flatMap((one) => one.steps))).sort();
  const zeros = () => new Float64Array(steps.length);
  const counts = zeros(), means = zeros(), deviations = zeros();
  const each = (visit) => {
    for (const one of curves) {
      let at = 0;
      one.steps.forEach((step, i) => {
        while (steps[at] < step) at++;
        visit(at, one.values[i]);
      });
    }
  };
  const first = zeros(); // means are sums of distances from it, so that equal figures have their own value as mean
  each((at, value) => {
    if (counts[at]++ === 0) first[at] = value;
    means[at] += value - first[at];
  });
  means.forEach((sum, at) => { means[at] = first[at] + sum / counts[at]; });
  each((at, value) => { deviations[at] += (value - means[at]) ** 2; });
  deviations.forEach((sum, at) => { deviations[at] = counts[at] > 1 ? Math.sqrt(sum / (counts[at] - 1)) : 0; });
  return {
    steps, means, counts, deviations,
    lows: means.map((mean, at) => mean - deviations[at]), highs: means.map((mean, at) => mean + deviations[at]),
  };
}

// Without the points at 0 and below, which a logarithm has no place for; no band reaches below `least`.
function positivePart(curve, least) {
  const kept = [...curve.means.keys()].filter((i) => curve.means[i] > 0);
  const part = {};
  for (const [name, array] of Object.entries(curve)) part[name] = kept.map((i) => array[i]);
  if (part.lows) part.lows = part.lows.map((low) => Math.max(low, least));
  return part;
}

// The positions of a curve's points that a chart of so many pixels needs to look as with all of them, from one step to
// another: of every pixel's points the lowest and the highest. With them its ends, and for the lines that leave the
// chart, the points before and after.
function thin(curve, [first, last], pixels) {
  const { steps, means } = curve, lows = curve.lows ?? means, highs = curve.highs ?? means;
  const from = Math.max(0, position(steps, first) - 1);
  const end = Math.min(steps.length, position(steps, last) + 2);
  const kept = [];
  if (end - from <= 4 * pixels) {
    for (let i = from; i < end; i++) kept.push(i);
    return kept;
  }
  const pixel = (i) => Math.floor((steps[i] - first) / (last - first) * pixels);
  for (let i = from; i < end;) {
    const here = pixel(i), marks = [i, i, i, i]; // the least and the greatest of the curve and of its band
    for (; i < end && pixel(i) === here; i++) {
      if (means[i] < means[marks[0]]) marks[0] = i;
      if (means[i] > means[marks[1]]) marks[1] = i;
      if (lows[i] < lows[marks[2]]) marks[2] = i;
      if (highs[i] > highs[marks[3]]) marks[3] = i;
    }
    kept.push(...marks);
  }
  return [...new Set([from, ...kept, end - 1])].sort((a, b) => a - b);
}
