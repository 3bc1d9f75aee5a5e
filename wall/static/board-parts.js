// Small things that all panels need. Text only ever goes in as text; what did not change is not touched.
export function part(kind, name = "", text = "") {
  const element = document.createElement(kind);
  if (name) element.className = name;
  if (text) element.textContent = text;
  return element;
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function look(element, name) {
  if (element.className !== name) element.className = name;
}

export function tell(element, name, value) {
  if (value) {
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  } else if (element.hasAttribute(name)) element.removeAttribute(name);
}

export function set(element, name, value) {
  if (element.style.getPropertyValue(name) !== value) element.style.setProperty(name, value);
}

// As many children as the list is long; those that stay are the same elements as before.
export function children(root, list, make, update) {
  while (root.children.length > list.length) root.lastElementChild.remove();
  while (root.children.length < list.length) root.append(make());
  list.forEach((data, index) => update(root.children[index], data, index));
}

// A link where there is an address, plain text where there is none; the element stays while that does.
export function linked(root, text, href) {
  let inner = root.firstElementChild;
  if (href && !inner) {
    inner = part("a");
    root.replaceChildren(inner);
  } else if (!href && inner) {
    root.replaceChildren();
    inner = null;
  }
  if (inner) tell(inner, "href", href);
  say(inner || root, text);
}

// Dark letters or white ones: whichever is read better on the colour.
export function ink(colour) {
  const light = luminance(colour);
  return 1.05 / (light + 0.05) > (light + 0.05) / 0.0547 ? "#ffffff" : "#16130a";
}

function luminance(colour) {
  const context = ink.context || (ink.context = document.createElement("canvas").getContext("2d"));
  context.fillStyle = "#000";
  context.fillStyle = colour;
  const hex = context.fillStyle;
  if (!hex.startsWith("#")) return 0;
  return [0.2126, 0.7152, 0.0722].reduce((sum, weight, index) => {
    const value = parseInt(hex.slice(1 + 2 * index, 3 + 2 * index), 16) / 255;
    return sum + weight * (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  }, 0);
}

// A number as the server writes it, in the unit of its axis.
export function written(value, axis) {
  if (value === null || value === undefined) return "no data";
  const size = Math.abs(value);
  const digits = axis.digits ?? (Number.isInteger(value) || size >= 100 ? 0 : Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(size || 1)))));
  let text = value.toLocaleString("en", { minimumFractionDigits: axis.digits ?? 0, maximumFractionDigits: digits });
  if (/^-0(\.0*)?$/.test(text)) text = text.slice(1);
  return axis.prefix + text + axis.suffix;
}

export function clock(seconds, withDay = false) {
  const text = new Date(seconds * 1000).toISOString();
  return withDay ? `${text.slice(5, 10)} ${text.slice(11, 16)}` : text.slice(11, 16);
}
