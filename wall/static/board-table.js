// table and text.
import { children, ink, linked, look, part, say, set, tell } from "./board-parts.js";

export function table(body, view) {
  look(body, "body scrolls");
  let root = body.querySelector("table");
  if (!root) {
    root = part("table");
    root.append(part("thead"), part("tbody"));
    root.tHead.append(part("tr"));
    body.replaceChildren(root, part("p", "nothing"));
  }
  tell(body, "tabindex", "0"); // what scrolls can be scrolled by keys
  tell(root, "aria-label", view.title);
  children(root.tHead.rows[0], view.columns, () => {
    const cell = part("th");
    cell.scope = "col";
    return cell;
  }, (cell, column) => {
    say(cell, column.name);
    look(cell, column.number ? "number" : "");
    set(cell, "width", column.width ? `${column.width}px` : "");
  });
  children(root.tBodies[0], view.rows, () => part("tr"), (row, cells) => {
    children(row, cells, () => part("td"), (cell, data, index) => {
      linked(cell, data.text, data.href || "");
      const loud = data.look === "loud";
      look(cell, [view.columns[index].number ? "number" : "", data.look ? `state ${data.look}` : ""].join(" ").trim());
      set(cell, "--edge", data.color || "");
      set(cell, "--ink", loud ? ink(data.color) : data.ink || "");
    });
  });
  root.hidden = view.rows.length === 0;
  say(body.lastElementChild, view.rows.length ? "" : view.nothing);
}

// Made by the server from Markdown without any HTML of its own; the page's policy forbids scripts in it besides.
export function prose(body, view) {
  look(body, "body prose");
  if (body.dataset.html === view.html) return;
  body.dataset.html = view.html;
  body.innerHTML = view.html;
}
