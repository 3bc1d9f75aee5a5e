// timeseries and state-timeline, drawn by uPlot. A chart is made once and then given new data; only another set of lines makes it anew.
import { children, clock, ink, look, part, say, set, tell, written } from "./board-parts.js";

const GRID = "#2b313a", INK = "#b9c1ca";
const charts = new WeakMap();

export function series(body, view, marks) {
  look(body, view.legend.side ? "body chart side" : "body chart");
  const key = JSON.stringify([letters(), view.axes.map((a) => [a.unit, a.suffix, a.right, a.log, a.stacked]), view.lines.map((l) => [l.name, l.color, l.axis, l.style, l.fill, l.width, l.dash])]);
  const chart = kept(body, key, view, marks, lineOptions);
  tell(chart.root, "aria-label", `${view.title || "chart"}: ${view.says}`);
  chart.plot.setData([view.times, ...stacked(view)]);
  legend(chart, view, chart.plot.cursor.idx ?? null);
  say(chart.nothing, view.lines.some((line) => line.values.some((v) => v !== null)) ? "" : "no data");
}

export function states(body, view, marks) {
  look(body, "body chart");
  const chart = kept(body, JSON.stringify([letters(), view.rows.map((row) => row.name)]), view, marks, stateOptions);
  tell(chart.root, "aria-label", `${view.title || "states"}: ${view.says}`);
  chart.plot.setData([[view.start, view.stop], [null, null]]);
  say(chart.nothing, view.rows.some((row) => row.spans.length) ? "" : "no data");
}

// Free what a panel holds that leaves the page.
export function forget(body) {
  charts.get(body)?.plot.destroy();
  charts.get(body)?.watcher.disconnect();
  charts.delete(body);
}

export function redraw(body) {
  charts.get(body)?.plot.redraw(false, true);
}

function kept(body, key, view, marks, options) {
  let chart = charts.get(body);
  if (chart && chart.key !== key) forget(body), (chart = null);
  if (!chart) {
    const root = part("div", "plot"), list = part("div", "legend"), nothing = part("p", "nothing");
    body.replaceChildren(root, list);
    root.append(nothing);
    tell(root, "role", "img");
    tell(root, "tabindex", "0");
    chart = { key, root, list, nothing, view, marks };
    chart.plot = new uPlot(options(chart, root), view.times ? [view.times, ...stacked(view)] : [[view.start, view.stop], [null, null]], root);
    chart.watcher = new ResizeObserver(() => {
      const width = root.clientWidth, height = root.clientHeight;
      if (width && height && (width !== chart.plot.width || height !== chart.plot.height)) chart.plot.setSize({ width, height });
    });
    chart.watcher.observe(root);
    root.addEventListener("keydown", (event) => walk(chart, event));
    charts.set(body, chart);
  }
  chart.view = view;
  chart.marks = marks;
  return chart;
}

// On a wall letters grow with the screen, as all others do.
function letters(share = 1) {
  const root = parseFloat(getComputedStyle(document.documentElement).fontSize);
  return share * (document.body.classList.contains("wall") && innerWidth > 900 ? 2.2 * root : 12);
}

function font(weight = "") {
  return `${weight} ${letters()}px Inter, sans-serif`.trim();
}

function common(chart, root) {
  return {
    width: Math.max(50, root.clientWidth), height: Math.max(50, root.clientHeight), legend: { show: false }, padding: [8, 10, 0, 0],
    cursor: { drag: { setScale: false, x: false, y: false }, points: { size: 7 } },
    hooks: { drawClear: [(plot) => areas(chart, plot)], draw: [(plot) => lines(chart, plot)], setCursor: [(plot) => pointed(chart, plot)] },
  };
}

function hours(chart) {
  const days = () => chart.view.stop - chart.view.start > 2 * 86400;
  return {
    stroke: INK, font: font(), grid: { stroke: GRID, width: 1 }, ticks: { show: false }, space: letters(5.4), size: letters(2.3), gap: letters(0.6),
    values: (_plot, at) => at.map((t) => (days() ? (t % 86400 ? clock(t) : new Date(t * 1000).toISOString().slice(5, 10)) : clock(t))),
  };
}

function lineOptions(chart, root) {
  const { view } = chart, scales = { x: { time: true, range: () => [chart.view.start, chart.view.stop] } };
  const axes = [hours(chart)];
  view.axes.forEach((axis, number) => {
    const now = () => chart.view.axes.find((a) => a.unit === axis.unit) || axis;
    scales[axis.unit] = { distr: axis.log ? 3 : 1, range: (_plot, low, high) => bounds(now(), low, high) };
    axes.push({
      scale: axis.unit, side: axis.right || number ? 1 : 3, stroke: INK, font: font(), ticks: { show: false }, space: letters(2.7), gap: 6,
      grid: { show: number === 0, stroke: GRID, width: 1 }, label: axis.label || undefined, labelFont: font(), labelSize: letters(1.5),
      values: (_plot, at) => at.map((v) => (v === null ? "" : written(v, now()))),
      size: (_plot, words) => 16 + letters(0.6) * Math.max(2, ...(words || []).map((w) => w.length)),
    });
  });
  return {
    ...common(chart, root), scales, axes, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    series: [{}, ...view.lines.map((line) => ({
      label: line.name, scale: line.axis, stroke: line.color, width: line.style === "points" ? 0 : Math.max(line.width, 1), dash: line.dash.length ? line.dash : undefined,
      cap: line.dash.length ? "round" : "butt", fill: line.fill ? faded(line.color, line.fill / 100) : undefined, spanGaps: line.join, show: !line.hidden,
      points: { show: line.style === "points" || line.points === "always" ? true : (plot, index) => alone(plot.data[index]), size: 5, fill: line.color },
      paths: line.style === "bars" ? uPlot.paths.bars({ size: [0.7, 40] }) : line.style === "points" ? () => null : line.steps === "stepAfter" ? uPlot.paths.stepped({ align: 1 }) : line.steps === "stepBefore" ? uPlot.paths.stepped({ align: -1 }) : line.steps === "smooth" ? uPlot.paths.spline() : uPlot.paths.linear(),
    }))],
  };
}

// A single value would be invisible as a line.
function alone(values) {
  return values.filter((v) => v !== null && v !== undefined).length === 1;
}

function faded(colour, share) {
  return colour.startsWith("#") && colour.length === 7 ? colour + Math.round(share * 255).toString(16).padStart(2, "0") : colour;
}

function bounds(axis, low, high) {
  const marks = axis.thresholds.map((t) => t.at);
  let least = axis.min ?? Math.min(low ?? 0, axis.softMin ?? Infinity), most = axis.max ?? Math.max(high ?? 1, axis.softMax ?? -Infinity);
  if (axis.log) return [axis.min ?? Math.max(1e-6, low ?? 0.1), most];
  // A threshold in reach is shown; one far above would flatten the lines.
  if (axis.max === null) for (const at of marks) if (at > most && at < most * 1.6) most = at * 1.05;
  if (axis.min === null && least > 0 && least < most * 0.6) least = 0;
  if (most <= least) most = least + 1;
  return [least, axis.max ?? least + (most - least) * 1.06];
}

function stacked(view) {
  if (!view.axes.some((axis) => axis.stacked)) return view.lines.map((line) => line.values);
  const sums = {};
  return view.lines.map((line) => {
    if (!view.axes.find((axis) => axis.unit === line.axis)?.stacked) return line.values;
    const below = (sums[line.axis] ||= line.values.map(() => 0));
    return line.values.map((v, index) => (v === null ? null : (below[index] += v)));
  });
}

function stateOptions(chart, root) {
  const widest = () => Math.min(root.clientWidth * 0.34, 16 + letters(0.58) * Math.max(4, ...chart.view.rows.map((row) => row.name.length)));
  return {
    ...common(chart, root), tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    scales: { x: { time: true, range: () => [chart.view.start, chart.view.stop] }, y: { range: () => [0, Math.max(1, chart.view.rows.length)] } },
    series: [{}, { scale: "y" }],
    axes: [{ ...hours(chart), grid: { show: false } }, {
      scale: "y", stroke: INK, font: font(), grid: { show: false }, ticks: { show: false }, gap: 6, size: widest,
      splits: () => chart.view.rows.map((_row, index) => chart.view.rows.length - index - 0.5),
      values: () => chart.view.rows.map((row) => short(row.name, Math.floor((widest() - 16) / letters(0.56)))),
    }],
  };
}

function short(text, letters) {
  return text.length <= letters ? text : text.slice(0, Math.max(1, letters - 1)) + "…";
}

// Under the lines: marks that last, thresholds' areas.
function areas(chart, plot) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const mark of chart.marks || []) {
    const from = plot.valToPos(mark.from, "x", true), to = plot.valToPos(mark.to, "x", true);
    ctx.fillStyle = mark.color;
    ctx.globalAlpha = 0.14;
    if (to - from > 1) ctx.fillRect(from, bbox.top, to - from, bbox.height);
  }
  ctx.globalAlpha = 1;
  if (chart.view.rows) spans(chart, plot);
  ctx.restore();
}

function spans(chart, plot) {
  const { ctx } = plot, ratio = devicePixelRatio || 1, rows = chart.view.rows;
  ctx.font = `600 ${letters() * ratio}px Inter, sans-serif`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  rows.forEach((row, index) => {
    const top = plot.valToPos(rows.length - index - 0.06, "y", true), bottom = plot.valToPos(rows.length - index - 0.94, "y", true);
    for (const [from, to, words, colour] of row.spans) {
      const left = plot.valToPos(from, "x", true), width = Math.max(ratio, plot.valToPos(to, "x", true) - left);
      ctx.fillStyle = colour;
      ctx.fillRect(left, top, width, bottom - top);
      if (!chart.view.words || width < ctx.measureText(words).width + 10 * ratio || bottom - top < letters(1.1) * ratio) continue;
      ctx.fillStyle = ink(colour);
      ctx.fillText(words, left + 5 * ratio, (top + bottom) / 2);
    }
  });
}

// Over the lines: thresholds and moments.
function lines(chart, plot) {
  const { ctx, bbox } = plot, ratio = devicePixelRatio || 1;
  ctx.save();
  ctx.lineWidth = ratio;
  ctx.font = `${letters() * ratio}px Inter, sans-serif`;
  for (const axis of chart.view.axes || []) for (const mark of axis.thresholds) {
    const y = plot.valToPos(mark.at, axis.unit, true);
    if (!(y > bbox.top && y < bbox.top + bbox.height)) continue;
    stroke(ctx, mark.color, [6 * ratio, 4 * ratio], bbox.left, y, bbox.left + bbox.width, y);
    ctx.fillStyle = INK;
    ctx.textAlign = "right";
    ctx.fillText(`limit ${mark.text}`, bbox.left + bbox.width - 4 * ratio, y - 4 * ratio);
  }
  for (const mark of chart.marks || []) {
    const x = plot.valToPos(mark.from, "x", true);
    if (x >= bbox.left && x <= bbox.left + bbox.width) stroke(ctx, mark.color, [3 * ratio, 3 * ratio], x, bbox.top, x, bbox.top + bbox.height);
  }
  ctx.restore();
}

function stroke(ctx, colour, dash, x1, y1, x2, y2) {
  ctx.strokeStyle = colour;
  ctx.setLineDash(dash);
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}

// The legend has the newest values, and those under the pointer while there is one.
function pointed(chart, plot) {
  if (chart.view.rows) return tell(chart.root, "title", under(chart, plot));
  legend(chart, chart.view, plot.cursor.idx ?? null);
}

function under(chart, plot) {
  const { left, top } = plot.cursor;
  if (left === undefined || left < 0) return "";
  const at = plot.posToVal(left, "x"), row = chart.view.rows[Math.floor(chart.view.rows.length - plot.posToVal(top, "y"))];
  const found = row?.spans.find(([from, to]) => at >= from && at < to);
  return row ? `${row.name} at ${clock(at, true)} UTC: ${found ? `${found[2]}, ${clock(found[0])} to ${clock(found[1])}` : "no data"}` : "";
}

function legend(chart, view, index) {
  chart.list.hidden = view.legend.mode === "hidden";
  if (chart.list.hidden) return;
  const at = index === null ? "" : clock(view.times[index], true) + " UTC";
  const rows = view.lines.map((line) => ({ line, words: index === null ? line.now : written(line.values[index], view.axes.find((a) => a.unit === line.axis) || view.axes[0]) }));
  look(chart.list, `legend${view.legend.mode === "table" ? " rows" : ""}`);
  children(chart.list, [...rows, { at }], () => {
    const item = part("span", "item");
    item.append(part("i"), part("span", "who"), " ", part("b"));
    return item;
  }, (item, { line, words, at: when }) => {
    const [swatch, who, value] = item.children;
    look(item, line ? "item" : "item when");
    swatch.hidden = !line;
    if (line) {
      set(swatch, "--line", line.color);
      look(swatch, line.dash.length ? "dashed" : "");
    }
    say(who, line ? line.name : when);
    const more = line && view.legend.calcs.length && index === null ? view.legend.calcs.map((name, n) => `${name} ${line.calcs[n]}`).join(" · ") : words;
    say(value, line ? more : "");
  });
}

// Arrow keys move the pointer through the chart's times.
function walk(chart, event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || !chart.view.times?.length) return;
  event.preventDefault();
  const { plot } = chart, last = chart.view.times.length - 1;
  const index = Math.min(last, Math.max(0, (plot.cursor.idx ?? last + 1) + step));
  plot.setCursor({ left: plot.valToPos(chart.view.times[index], "x"), top: 10 });
}
