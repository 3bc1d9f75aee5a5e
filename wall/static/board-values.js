// stat, bargauge and gauge: one number of each series in words.
import { children, ink, linked, look, part, say, set, tell } from "./board-parts.js";
import { fit } from "./fit.js";

const NARROWEST = 104, NS = "http://www.w3.org/2000/svg";

export function stat(body, view) {
  look(body, "body tiles");
  const { width, height } = body.getBoundingClientRect(), count = view.tiles.length;
  const stacked = view.orientation === "horizontal" || (view.orientation === "auto" && height > width);
  const columns = stacked ? 1 : Math.max(1, Math.min(count, Math.floor(width / NARROWEST)));
  set(body, "--columns", String(columns));
  const named = view.textMode === "value_and_name" || view.textMode === "name" || (view.textMode === "auto" && count > 1);
  const valued = view.textMode !== "name" && view.textMode !== "none";
  const filled = view.colorMode.startsWith("background");
  const low = height / (stacked ? count : Math.ceil(count / columns));
  children(body, view.tiles, () => {
    const tile = part("div");
    tile.append(part("div", "name"), part("div", "value"), part("div", "line"));
    return tile;
  }, (tile, data) => {
    const loud = filled && data.look === "loud";
    // Where there is no room for a name above its word it stands beside it.
    const beside = named && valued && data.text.trim() && !data.line && low < spoken(view.sizes.titleSize || 16) * 1.2 + spoken(view.sizes.valueSize || 24) * 1.15 + 8;
    look(tile, `tile ${data.look}${loud ? " filled" : ""}${beside ? " beside" : ""}${view.sizes.titleSize > view.sizes.valueSize ? " headed" : ""}`);
    set(tile, "--edge", filled ? data.color : "transparent");
    set(tile, "--ink", loud ? ink(data.color) : view.colorMode === "value" && data.look !== "unknown" && !data.plain ? data.color : "");
    set(tile, "--value", view.sizes.valueSize ? `${view.sizes.valueSize / 10}rem` : "");
    set(tile, "--name", view.sizes.titleSize ? `${view.sizes.titleSize / 10}rem` : "");
    const name = tile.querySelector(".name"), value = tile.querySelector(".value");
    linked(value, valued ? data.text : data.name, data.href);
    // On a wall the panel's title is not shown: the tile has it where it has no name of its own.
    const wall = document.body.classList.contains("wall"), own = wall ? data.name || view.title : data.name === view.title ? "" : data.name;
    linked(name, named && valued ? own : "", "");
    const line = tile.querySelector(".line");
    say(line, named && valued ? data.line || "" : "");
    line.hidden = !line.textContent;
    value.hidden = view.textMode === "none" || !value.textContent.trim();
    name.hidden = !name.textContent;
    spark(tile, data.spark);
    if (name.textContent) fit(name);
    if (line.textContent) fit(line);
    fit(value);
  });
}

function spoken(pixels) {
  return (pixels / 10) * parseFloat(getComputedStyle(document.documentElement).fontSize);
}

// The line behind a number: a shape, no scale.
function spark(tile, values) {
  let svg = tile.querySelector("svg");
  if (!values || values.filter((v) => v !== null).length < 2) return svg?.remove();
  if (!svg) {
    svg = document.createElementNS(NS, "svg");
    svg.append(document.createElementNS(NS, "path"));
    for (const [name, value] of [["viewBox", "0 0 100 20"], ["preserveAspectRatio", "none"], ["aria-hidden", "true"]]) svg.setAttribute(name, value);
    tile.append(svg);
  }
  const there = values.filter((v) => v !== null), low = Math.min(...there), high = Math.max(...there);
  let d = "", pen = "M";
  values.forEach((v, index) => {
    if (v === null) return (pen = "M");
    d += `${pen}${((index / (values.length - 1)) * 100).toFixed(2)} ${(19 - ((v - low) / (high - low || 1)) * 18).toFixed(2)}`;
    pen = "L";
  });
  tell(svg.firstChild, "d", d);
}

export function bars(body, view) {
  look(body, "body bars");
  children(body, view.tiles, () => {
    const row = part("div", "bar"), track = part("div", "track");
    track.append(part("div", "fill"));
    row.append(part("div", "name"), track, part("div", "value"));
    return row;
  }, (row, data) => {
    linked(row.children[0], data.name, data.href);
    tell(row.children[0], "title", data.name);
    say(row.children[2], data.text);
    set(row.children[1].firstChild, "width", `${data.share * 100}%`);
    set(row.children[1].firstChild, "background", data.color);
    look(row, `bar ${data.look}`);
  });
}

const ARC = 100; // the dial's length in its own units: pathLength

export function dials(body, view) {
  look(body, "body dials");
  children(body, view.tiles, dial, (root, data) => {
    const [bands, , arc] = root.querySelectorAll("g, path");
    children(bands, data.steps, () => path("band"), (band, [from, colour], index) => {
      const to = data.steps[index + 1]?.[0] ?? 1;
      tell(band, "stroke-dasharray", `0 ${(from * ARC).toFixed(2)} ${(Math.max(0, to - from) * ARC).toFixed(2)} 200`);
      set(band, "stroke", colour);
    });
    const fill = root.querySelector(".arc");
    tell(fill, "stroke-dasharray", `${(data.share * ARC).toFixed(2)} 200`);
    set(fill, "stroke", data.color);
    say(root.querySelector(".value"), data.text);
    linked(root.querySelector(".name"), view.tiles.length > 1 || !view.title ? data.name : "", data.href);
    look(root, `dial ${data.look}`);
    fit(root.querySelector(".value"));
  });
}

function dial() {
  const root = part("div"), svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", "0 0 100 60");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(NS, "g"), path("rest"), path("arc"));
  root.append(svg, part("div", "value"), part("div", "name"));
  return root;
}

function path(name) {
  const element = document.createElementNS(NS, "path");
  element.setAttribute("class", name);
  element.setAttribute("d", name === "band" ? "M3 55 A47 47 0 0 1 97 55" : "M10 55 A40 40 0 0 1 90 55");
  element.setAttribute("pathLength", String(ARC));
  return element;
}
