// Renews the page in place from /api/health.json. Text only ever goes in as text.
"use strict";
const EVERY = 5000, LOST_AFTER = 15000;
let heardAt = Date.now(), lastGood = null, lastShown = null;

function tile(element, data) {
  const look = "tile " + data.look;
  if (element.className !== look) element.className = look;
  for (const [part, text] of [["name", data.name ?? data.over], ["word", data.word], ["line", data.line]]) {
    const child = element.querySelector("." + part);
    if (child && child.textContent !== text) child.textContent = text;
  }
  fit(element.querySelector(".word"));
  fit(element.querySelector(".name"));
}

// A word that is too long for its tile is set smaller, down to half; only then it is cut.
function fit(word) {
  const key = word.textContent + "|" + word.parentElement.clientWidth;
  if (word.dataset.fitted === key) return;
  word.style.fontSize = "";
  if (word.clientWidth && word.scrollWidth > word.clientWidth) {
    const size = parseFloat(getComputedStyle(word).fontSize);
    word.style.fontSize = Math.max(0.5, (0.99 * word.clientWidth) / word.scrollWidth) * size + "px";
  }
  word.dataset.fitted = key;
}

function tiles(container, list, withLine) {
  while (container.children.length > list.length) container.lastChild.remove();
  while (container.children.length < list.length) {
    const section = document.createElement("section");
    for (const part of withLine ? ["name", "word", "line"] : ["name", "word"]) {
      const child = document.createElement("div");
      child.className = part;
      section.append(child);
    }
    container.append(section);
  }
  list.forEach((data, index) => tile(container.children[index], data));
}

function svg(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  if (text !== undefined) element.textContent = text;
  return element;
}

function chart(root, data) {
  // One unit of the drawing is a pixel at 1080 lines, so that text keeps its shape at every size.
  const unit = parseFloat(getComputedStyle(document.documentElement).fontSize) / 10;
  const width = Math.max(500, root.clientWidth / unit), height = Math.max(180, root.clientHeight / unit);
  const left = 90, right = 160, top = 16, bottom = 42;
  root.setAttribute("viewBox", `0 0 ${width} ${height}`);
  root.replaceChildren();
  if (!data.start) {
    root.append(svg("text", { x: 24, y: height / 2, fill: "#e9ebee", "font-size": 30 }, "no data"));
    return;
  }
  const lines = [["rate_upstream", "#56b4e9", "", "IPAC"], ["rate_public", "#ffffff", "3 7", "delivered"]];
  const most = Math.max(1, ...lines.flatMap(([key]) => (data[key] || []).map((p) => p[1])));
  const magnitude = 10 ** Math.floor(Math.log10(most));
  const peak = [1, 2, 3, 4, 6, 10].map((n) => n * magnitude).find((n) => n >= most);
  const x = (at) => left + ((at - data.start) / (data.end - data.start)) * (width - left - right);
  const y = (value) => height - bottom - (value / peak) * (height - top - bottom);
  for (const share of [0, 0.5, 1]) {
    root.append(svg("line", { x1: left, x2: width - right, y1: y(peak * share), y2: y(peak * share), stroke: "#262b33" }));
    root.append(svg("text", { x: left - 16, y: y(peak * share) + 8, fill: "#c6ccd3", "font-size": 24, "text-anchor": "end" }, String(+(peak * share).toPrecision(2))));
  }
  const span = data.end - data.start, step = span > 9000 ? 3600 : 600;
  for (let at = Math.ceil(data.start / step) * step; at < data.end - span * 0.06; at += step) {
    const clock = new Date(at * 1000).toISOString();
    root.append(svg("text", { x: x(at), y: height - 8, fill: "#c6ccd3", "font-size": 24, "text-anchor": "middle" }, step === 3600 ? clock.slice(11, 13) : clock.slice(11, 16)));
  }
  root.append(svg("text", { x: x(data.end), y: height - 8, fill: "#c6ccd3", "font-size": 24, "text-anchor": "middle" }, "now"));
  const ends = [];
  for (const [key, colour, dashes, label] of lines) {
    const points = data[key] || [];
    let path = "", before = -Infinity;
    for (const [at, value] of points) {
      path += `${at - before > 200 ? "M" : "L"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
      before = at;
    }
    if (path) root.append(svg("path", { d: path, fill: "none", stroke: colour, "stroke-width": 3.5, "stroke-dasharray": dashes, "stroke-linejoin": "round" }));
    ends.push([label, colour, points.length ? y(points[points.length - 1][1]) : height - bottom]);
  }
  // Two labels never lie on each other.
  ends.sort((a, b) => a[2] - b[2]);
  const lowest = height - bottom - 8, apart = 30;
  ends[1][2] = Math.min(Math.max(ends[1][2], ends[0][2] + (ends[1][2] - ends[0][2] < apart ? apart / 2 : 0)), lowest);
  ends[0][2] = Math.min(ends[0][2], ends[1][2] - apart);
  for (const [label, colour, at] of ends) {
    root.append(svg("text", { x: width - right + 14, y: at + 8, fill: colour, "font-size": 24 }, label));
  }
}

function foot(root, pairs) {
  while (root.children.length > pairs.length) root.lastChild.remove();
  while (root.children.length < pairs.length) {
    const span = document.createElement("span"), bold = document.createElement("b"), label = document.createElement("span");
    label.className = "label";
    span.append(bold, label);
    root.append(span);
  }
  pairs.forEach(([label, value], index) => {
    const [bold, name] = [root.children[index].querySelector("b"), root.children[index].querySelector(".label")];
    const first = index > 1;
    root.children[index].style = "";
    if (first) root.children[index].prepend(name); else root.children[index].prepend(bold);
    name.textContent = first ? label + " " : " " + label;
    bold.textContent = value;
  });
}

function show(data) {
  lastShown = data;
  tile(document.getElementById("headline"), data.headline);
  tiles(document.getElementById("sky"), data.sky, true);
  tiles(document.getElementById("communities"), data.communities, true);
  tiles(document.getElementById("chain"), data.chain, false);
  chart(document.querySelector("#chart svg"), data.chart || {});
  document.getElementById("chart").classList.toggle("unknown", data.blind);
  foot(document.getElementById("foot"), data.foot);
}

function lost() {
  // The wall's own server is gone: nothing may stay green.
  const since = new Date(heardAt).toISOString().slice(11, 16);
  const unknown = (t) => ({ ...t, word: "UNKNOWN", line: "no data", look: "unknown" });
  const base = lastGood || { sky: [], communities: [], chain: [], foot: [] };
  show({
    headline: { over: "ZADS · monitoring", word: "BLIND", line: `the wall's server has not answered since ${since} UTC`, look: "bad" },
    sky: base.sky.map(unknown), communities: base.communities.map(unknown), chain: base.chain.map(unknown),
    foot: [["UTC", new Date().toISOString().slice(11, 16)]], chart: {}, blind: true,
  });
}

async function renew() {
  try {
    const answer = await fetch("/api/health.json", { cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (!answer.ok) throw new Error(String(answer.status));
    const data = await answer.json();
    heardAt = Date.now();
    lastGood = data;
    show(data);
    document.body.dataset.ready = "1";
  } catch (error) {
    if (Date.now() - heardAt > LOST_AFTER) lost();
  }
  setTimeout(renew, EVERY);
}
window.addEventListener("resize", () => lastShown && show(lastShown));
document.fonts?.ready.then(() => lastShown && show(lastShown));
renew();
