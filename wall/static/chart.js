// Tonight as two lines, alerts per second at IPAC and delivered. Drawn anew only when something changed; tells whether it shows any.
const LINES = [
  { key: "rate_upstream", label: "IPAC", colour: "#56b4e9", width: 4, dashes: "" },
  { key: "rate_public", label: "delivered", colour: "#ffffff", width: 4, dashes: "0.1 9" },
];
const GAP = 200, APART = 32, TOP = 18, BOTTOM = 44;
let drawn = "";

export function chart(root, data, fonts) {
  // One unit of the drawing is a pixel at 1080 lines, so that text keeps its shape at every size.
  const unit = parseFloat(getComputedStyle(document.documentElement).fontSize) / 10;
  const width = Math.max(500, root.clientWidth / unit), height = Math.max(120, root.clientHeight / unit);
  const key = JSON.stringify([width, height, fonts, data]);
  const any = LINES.some((line) => data[line.key]?.length);
  if (key === drawn) return any;
  drawn = key;
  root.setAttribute("viewBox", `0 0 ${width} ${height}`);
  root.replaceChildren();
  const text = (x, y, content, anchor = "start", colour = "") => {
    const element = add(root, "text", { x, y, "text-anchor": anchor }, content);
    if (colour) element.style.fill = colour;
    return element;
  };
  if (!any) {
    text(0, height / 2 + 8, "UNKNOWN").classList.add("big");
    text(0, height / 2 + 58, "no data").classList.add("small");
    root.setAttribute("aria-label", "Public alerts per second: no data");
    return any;
  }
  const lines = LINES.map((line) => state(line, data));
  root.setAttribute("aria-label", "Public alerts per second now: " + lines.map((line) => `${line.label} ${line.says}`).join(", "));
  const peak = roundUp(Math.max(1, ...lines.flatMap((line) => line.points.map((point) => point[1]))));
  // The words are measured, so that they have room in any font.
  const labels = lines.map((line) => text(0, 0, line.lost ? `${line.label} ?` : line.label, "start", line.colour));
  const ticks = [0, peak / 2, peak].map((value) => [value, text(0, 0, String(+value.toPrecision(2)), "end")]);
  const left = 24 + Math.max(60, ...ticks.map(([, element]) => element.getComputedTextLength()));
  const right = width - 30 - Math.max(...labels.map((element) => element.getComputedTextLength()));
  const x = (at) => left + ((at - data.start) / (data.end - data.start)) * (right - left);
  const y = (value) => height - BOTTOM - (value / peak) * (height - TOP - BOTTOM);
  for (const [value, element] of ticks) {
    element.setAttribute("x", left - 18);
    element.setAttribute("y", y(value) + 9);
    root.prepend(add(root, "line", { x1: left, x2: right, y1: y(value), y2: y(value), stroke: "#2b313a" }));
  }
  hours(data, (at, word) => text(x(at), height - 8, word, "middle"), right - left);
  lines.forEach((line) => {
    const d = path(line.points, x, y);
    if (d) add(root, "path", { d, fill: "none", stroke: line.colour, "stroke-width": line.width, "stroke-dasharray": line.dashes, "stroke-linecap": "round", "stroke-linejoin": "round" });
  });
  place(lines.map((line, index) => [labels[index], y(line.points.length ? line.points.at(-1)[1] : 0)]), right + 16, height - BOTTOM);
  return any;
}

function state(line, data) {
  const points = data[line.key] || [], newest = points.at(-1), lost = !newest || data.end - newest[0] > GAP;
  return { ...line, points, lost, says: lost ? "unknown" : String(Math.round(newest[1])) };
}

function roundUp(most) {
  const magnitude = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 3, 4, 6, 10].map((n) => n * magnitude).find((n) => n >= most);
}

function hours(data, write, width) {
  const span = data.end - data.start, step = span > 9000 ? 3600 : 600, room = 80;
  for (let at = Math.ceil(data.start / step) * step; ((data.end - at) / span) * width > room; at += step) {
    const clock = new Date(at * 1000).toISOString();
    write(at, step === 3600 ? clock.slice(11, 13) : clock.slice(11, 16));
  }
  write(data.end, "now");
}

// A line is broken where nothing was measured: no slope is drawn over a gap.
function path(points, x, y) {
  let d = "", before = -Infinity;
  for (const [at, value] of points) {
    d += `${at - before > GAP ? "M" : "L"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    before = at;
  }
  return d;
}

// Two labels never lie on each other, nor on the hours.
function place(labels, x, floor) {
  const [upper, lower] = labels.sort((a, b) => a[1] - b[1]);
  const middle = (upper[1] + lower[1]) / 2, half = Math.max(APART, lower[1] - upper[1]) / 2;
  const low = Math.min(middle + half, floor), high = Math.max(TOP, Math.min(middle - half, low - APART));
  for (const [[element], at] of [[upper, high], [lower, Math.max(low, high + APART)]]) {
    element.setAttribute("x", x);
    element.setAttribute("y", at + 9);
  }
}

function add(root, name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  if (text !== undefined) element.textContent = text;
  root.append(element);
  return element;
}
