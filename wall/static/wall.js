// Renews the page in place from /api/health.json. Text only ever goes in as text, and only what changed is touched.
import { chart } from "./chart.js";
import { fit, fonts, fontsChanged } from "./fit.js";

const EVERY = 5000, PATIENCE = 8000, LOST_AFTER = 15000, WATCH = 1000, FONT_PATIENCE = 1500;
let heardAt = Date.now(), lastGood = null, shown = null, page = null, timer = 0;
const find = (selector) => document.querySelector(selector);

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function look(element, name) {
  if (element.className !== name) element.className = name;
}

function part(name, kind = "div") {
  const element = document.createElement(kind);
  element.className = name;
  return element;
}

function tile(element, data) {
  look(element, "tile " + data.look);
  for (const name of ["name", "word", "line"]) {
    const child = element.querySelector("." + name);
    if (!child) continue;
    say(child, data[name]);
    fit(child);
  }
}

function tiles(container, list, parts) {
  while (container.children.length > list.length) container.lastChild.remove();
  while (container.children.length < list.length) {
    const section = part("tile", "section");
    section.append(...parts.map((name) => part(name)));
    container.append(section);
  }
  list.forEach((data, index) => tile(container.children[index], data));
}

// What is wrong, and for how long: the age never breaks apart.
function headline(root, data) {
  const word = root.querySelector(".word"), [what, age] = data.word.split(/ {2,}/);
  if (word.textContent !== data.word) {
    const last = part("age", "span");
    last.textContent = age ?? "";
    word.replaceChildren(what, ...(age ? ["  ", last] : []));
  }
  look(root, "tile " + data.look);
  say(root.querySelector(".name"), data.over);
  say(root.querySelector(".line"), data.line);
  for (const child of root.children) fit(child);
  if (document.title !== `${data.word} · ZADS Health`) document.title = `${data.word} · ZADS Health`;
}

const CLOCKS = 2; // the first two are times of day: the time stands before its name

function foot(root, pairs) {
  while (root.children.length > pairs.length) root.lastChild.remove();
  while (root.children.length < pairs.length) {
    const pair = document.createElement("span"), label = part("label", "span"), value = document.createElement("b");
    pair.append(...(root.children.length < CLOCKS ? [value, " ", label] : [label, " ", value]));
    root.append(pair);
  }
  pairs.forEach(([label, value], index) => {
    say(root.children[index].querySelector(".label"), label);
    say(root.children[index].querySelector("b"), value);
  });
  fit(root);
}

function show(data) {
  shown = data;
  headline(find("#headline"), data.headline);
  tiles(find("#sky"), data.sky, ["name", "word", "line"]);
  tiles(find("#communities"), data.communities, ["name", "word", "line"]);
  tiles(find("#chain"), data.chain, ["name", "word"]);
  const drawn = chart(find("#chart svg"), data.blind ? {} : data.chart || {}, fonts);
  look(find("#chart"), drawn ? "tile idle" : "tile unknown");
  fit(find("#chart .name"));
  foot(find("#foot"), data.foot);
}

// The wall's own server is gone: nothing may stay green.
function lost() {
  const unknown = (t) => ({ ...t, word: "UNKNOWN", line: "no data", look: "unknown" });
  const base = lastGood || { sky: [], communities: [], chain: [] };
  const clock = (at) => new Date(at).toISOString().slice(11, 16), now = Date.now();
  const seconds = 5 * Math.floor((now - heardAt) / 5000), age = seconds < 100 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
  show({
    headline: { over: "ZADS · the server of this page does not answer", word: "BLIND", line: `no data since ${clock(heardAt)} UTC (${age}) · alerts may flow well, nobody sees them`, look: "bad" },
    sky: base.sky.map(unknown), communities: base.communities.map(unknown), chain: base.chain.map(unknown),
    foot: [["UTC", clock(now)]], chart: {}, blind: true,
  });
}

// Also while an answer is waited for, and after the machine slept: what is too old is taken away at once.
function watch() {
  if (Math.abs(Date.now() - heardAt) > LOST_AFTER) lost();
}

async function renew() {
  clearTimeout(timer);
  try {
    const answer = await fetch("/api/health.json", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok) throw new Error(String(answer.status));
    const data = await answer.json();
    // A page that hangs on a wall for months follows its server's new version.
    if (page !== null && data.page !== page) location.reload();
    page = data.page;
    show(data);
    lastGood = data;
    heardAt = Date.now(); // only now: an answer that cannot be shown is none
    document.body.dataset.ready = "1";
  } catch (error) {
    console.warn("no new state:", error);
    watch();
  }
  clearTimeout(timer);
  timer = setTimeout(renew, EVERY);
}

function refit() {
  fontsChanged();
  if (shown) show(shown);
}

async function start() {
  // The first words are measured in their own font; without it the page does not wait for long.
  await Promise.race([document.fonts.load("600 16px Inter").catch(() => {}), new Promise((done) => setTimeout(done, FONT_PATIENCE))]);
  document.fonts.addEventListener("loadingdone", refit);
  addEventListener("resize", () => shown && show(shown));
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && (watch(), renew()));
  setInterval(watch, WATCH);
  await renew();
}

start();
