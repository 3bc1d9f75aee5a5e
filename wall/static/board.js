// One dashboard, or the list of them. Renews itself in place from /api/d/UID; says since when nothing new came, and heals by itself.
import { children, clock, linked, look, part, say, set, tell } from "./board-parts.js";
import { bars, dials, stat } from "./board-values.js";
import { forget, redraw, series, states } from "./board-series.js";
import { prose, table } from "./board-table.js";
import { fontsChanged } from "./fit.js";

const PATIENCE = 15000, LOST_AFTER = 15000, WATCH = 1000, FONT_PATIENCE = 1500, LEAST = 5;
const DRAW = { stat, gauge: dials, bargauge: bars, timeseries: series, "state-timeline": states, table, text: prose };
const find = (selector) => document.querySelector(selector);
const uid = decodeURIComponent(location.pathname.split("/")[2] || "");
let shown = null, page = null, timer = 0, heardAt = Date.now(), every = 10, asked = 0, early = null;
document.body.classList.toggle("kiosk", new URLSearchParams(location.search).has("kiosk"));

function show(data) {
  shown = data;
  every = Math.max(LEAST, data.every);
  if (document.title !== `${data.title} · ZADS`) document.title = `${data.title} · ZADS`;
  say(find("#title"), data.title);
  say(find("#about"), data.description);
  document.body.classList.toggle("wall", data.wall);
  document.body.classList.toggle("blind", data.state.blind);
  controls(data);
  const own = data.links.map((link) => ({ text: link.title, ...link }));
  children(find("#links"), own, () => part("a"), (a, link) => {
    say(a, link.text);
    tell(a, "href", link.url);
    tell(a, "title", link.tooltip);
  });
  noted(data.marks);
  children(find("#panels"), data.sections, section, (root, content) => filled(root, content, data));
  state(data.state);
}

function state(now) {
  const root = find("#state"), since = now.since ? ` · no data since ${clock(now.since)} UTC (${age(Date.now() / 1000 - now.since)})` : " · no data yet";
  look(root, now.blind ? "bad" : "");
  say(root, now.blind ? `BLIND: ${now.why}${since}` : `data ${age(Math.max(0, Date.now() / 1000 - now.since))} old`);
}

// In steps, so that nobody is told of every second.
function age(seconds) {
  if (seconds < 100) return `${Math.floor(seconds / 5) * 5} s`;
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function controls(data) {
  const list = data.variables.map((v) => ({ name: `var-${v.name}`, label: v.label, description: v.description, said: v.said, options: v.options, fixed: v.fixed }));
  const time = data.choices.map((c) => ({ value: `${c.begin}|${c.end}`, text: c.text, chosen: c.begin === data.begin && c.end === data.end }));
  children(find("#controls"), [...list, { name: "time", label: "Time", options: time }], () => {
    const label = part("label");
    label.append(part("span"), part("select"));
    label.lastChild.addEventListener("change", (event) => choose(event.target));
    return label;
  }, (label, control) => {
    const select = label.lastChild;
    say(label.firstChild, control.label);
    tell(label, "title", control.said || control.description || "");
    select.name = control.name;
    select.disabled = Boolean(control.fixed) || control.options.length === 0;
    if (document.activeElement === select && select.dataset.open) return;
    const chosen = control.options.filter((o) => o.chosen);
    const all = chosen.length > 1 ? [{ value: chosen.map((o) => o.value).join("|"), text: chosen.map((o) => o.text).join(" + "), chosen: true }, ...control.options] : control.options;
    children(select, all.length ? all : [{ value: "", text: control.said || "none" }], () => part("option"), (option, o) => {
      say(option, o.text);
      if (option.value !== o.value) option.value = o.value;
    });
    const index = Math.max(0, all.findIndex((o) => o.chosen));
    if (select.selectedIndex !== index) select.selectedIndex = index;
  });
}

function choose(select) {
  const query = new URLSearchParams(location.search);
  if (select.name === "time") {
    const [begin, end] = select.value.split("|");
    query.set("from", begin);
    query.set("to", end);
  } else query.set(select.name, select.value);
  go(query);
}

function go(query) {
  history.replaceState(null, "", `${location.pathname}?${query}`);
  renew();
}

function noted(marks) {
  const root = find("#marks");
  root.hidden = marks.length === 0;
  say(root.firstElementChild, `${marks.length} mark${marks.length === 1 ? "" : "s"}`);
  children(root.lastElementChild, root.open ? [...marks].reverse() : [], () => {
    const item = part("li");
    item.append(part("i"), part("span"));
    return item;
  }, (item, mark) => {
    set(item.firstChild, "--line", mark.color);
    say(item.lastChild, `${clock(mark.from, true)}${mark.to > mark.from ? ` to ${clock(mark.to, true)}` : ""} UTC  ${mark.text}`);
  });
}

function section() {
  const root = part("section", "rows"), button = part("button", "row"), grid = part("div", "grid");
  button.type = "button";
  button.addEventListener("click", () => {
    const query = new URLSearchParams(location.search), toggled = query.getAll("open"), id = root.dataset.id;
    query.delete("open");
    for (const other of toggled.includes(id) ? toggled.filter((o) => o !== id) : [...toggled, id]) query.append("open", other);
    go(query);
  });
  const heading = part("h2");
  heading.append(button);
  root.append(heading, grid);
  return root;
}

function filled(root, content, data) {
  const [heading, grid] = root.children;
  root.dataset.id = content.id;
  heading.hidden = !content.title;
  say(heading.firstChild, content.title);
  tell(heading.firstChild, "aria-expanded", String(content.open));
  const top = Math.min(...content.panels.map((p) => p.place[1]));
  set(grid, "--lines", String(Math.max(1, ...content.panels.map((p) => p.place[1] - top + p.place[3]))));
  while (grid.children.length > content.panels.length) forget(grid.lastElementChild.querySelector(".body")), grid.lastElementChild.remove();
  children(grid, content.panels, () => {
    const panel = part("section"), head = part("div", "head");
    head.append(part("h3"), part("nav"));
    panel.append(head, part("div", "body"), part("p", "said"));
    return panel;
  }, (panel, view) => draw(panel, view, top, data));
}

function draw(panel, view, top, data) {
  const [head, body, said] = panel.children, [x, y, w, h] = view.place;
  if (panel.dataset.key !== `${view.id} ${view.type}`) {
    forget(body);
    body.replaceChildren();
    panel.dataset.key = `${view.id} ${view.type}`;
  }
  const blind = data.state.blind && view.type !== "text", error = blind ? "" : view.error;
  look(panel, `panel t-${view.type}${view.bare ? " bare" : ""}${blind || view.error ? " unknown" : ""}${w > 12 ? " wide" : ""}${view.title ? "" : " untitled"}${view.tiles?.length > 1 ? " many" : ""}`);
  set(panel, "grid-column", `${x + 1} / span ${w}`);
  set(panel, "grid-row", `${y - top + 1} / span ${h}`);
  set(panel, "--high", String(h));
  tell(panel, "aria-label", view.title || view.says || view.type);
  tell(panel, "aria-description", view.description);
  say(head.firstChild, view.title);
  tell(head.firstChild, "title", view.description);
  children(head.lastChild, view.links || [], () => part("a"), (a, link) => {
    say(a, link.title);
    tell(a, "href", link.url);
  });
  body.hidden = Boolean(blind || error);
  say(said, blind ? (/UNKNOWN|BLIND/.test(view.nothing) ? view.nothing : "UNKNOWN") : error || view.note || "");
  look(said, blind || error ? "said loud" : "said");
  if (!body.hidden && DRAW[view.type]) DRAW[view.type](body, view, data.marks);
}

// Nothing that is old stays as if it were news: also while an answer is waited for, and after the machine slept.
function watch() {
  const late = Date.now() - heardAt > Math.max(LOST_AFTER, 3000 * every);
  if (!shown || (!late && !shown.state.blind)) return shown && state(shown.state);
  if (late) show({ ...shown, state: { blind: true, why: "the server of this page does not answer", since: heardAt / 1000 } });
}

function query() {
  const out = new URLSearchParams();
  for (const [name, value] of new URLSearchParams(location.search)) {
    if (name.startsWith("var-")) for (const one of value.split("|")) out.append(name, one);
    else if (["from", "to", "open"].includes(name)) out.append(name, value);
  }
  return out;
}

function ask() {
  return fetch(`/api/d/${encodeURIComponent(uid)}?${query()}`, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
}

async function renew() {
  clearTimeout(timer);
  const turn = ++asked;
  try {
    const answer = await (early ?? ask());
    early = null;
    const data = await answer.json();
    if (turn !== asked) return; // a later choice is on its way
    if (page !== null && data.page && data.page !== page) location.reload();
    if (!answer.ok) {
      look(find("#state"), "bad");
      say(find("#state"), data.error);
      heardAt = Date.now();
    } else {
      page = data.page;
      show(data);
      heardAt = Date.now();
      document.body.dataset.ready = "1";
    }
  } catch (error) {
    early = null;
    if (turn !== asked) return;
    console.warn("no new state:", error);
    watch();
    if (!shown) say(find("#state"), "the server of this page does not answer"), look(find("#state"), "bad");
  }
  clearTimeout(timer);
  timer = setTimeout(renew, every * 1000);
}

async function list() {
  clearTimeout(timer);
  try {
    const data = await (await fetch("/api/d", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) })).json();
    document.body.classList.add("list");
    say(find("#title"), "Dashboards");
    if (document.title !== "Dashboards · ZADS") document.title = "Dashboards · ZADS";
    say(find("#state"), data.boards.length ? "" : "none are installed here");
    children(find("#panels"), data.boards, () => {
      const card = part("section", "card");
      card.append(part("h2"), part("p"));
      return card;
    }, (card, board) => {
      linked(card.firstChild, board.title, `/d/${board.uid}`);
      say(card.lastChild, board.description);
    });
    document.body.dataset.ready = "1";
  } catch (error) {
    console.warn("no list:", error);
    say(find("#state"), "the server of this page does not answer");
  }
  timer = setTimeout(list, 30000);
}

function again() {
  fontsChanged();
  if (shown) show(shown);
  for (const body of document.querySelectorAll(".body.chart")) redraw(body);
}

// The first question is on its way while the letters are.
async function start() {
  if (uid) (early = ask()).catch(() => {}); // what went wrong is told where it is awaited
  await Promise.race([document.fonts.load("600 16px Inter").catch(() => {}), new Promise((done) => setTimeout(done, FONT_PATIENCE))]);
  if (!uid) return list();
  document.fonts.addEventListener("loadingdone", again);
  addEventListener("resize", () => shown && show(shown));
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && (watch(), renew()));
  document.querySelector("#marks").addEventListener("toggle", () => shown && noted(shown.marks));
  setInterval(watch, WATCH);
  await renew();
}

start();
