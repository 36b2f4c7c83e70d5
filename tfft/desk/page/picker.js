// The dialog in which a class is picked or a new one named.
import { byId, counted, element, number } from "./dom.js";

const dialog = byId("picker");
const text = byId("picker-text");
const list = byId("picker-list");
let classes = [];
let done = () => {};

// Asks for a label for some photos; `given` is called with it, unless the dialog is left.
export function pick(photos, known, given) {
  classes = known;
  done = given;
  byId("picker-name").textContent =
    photos.length === 1 ? `Label of ${photos[0].path}` : `Label of ${counted(photos.length, "photo")}`;
  text.value = "";
  fill();
  dialog.showModal();
  text.focus();
}

function choose(label) {
  dialog.close();
  done(label);
}

function fill() {
  const typed = text.value.trim();
  const found = classes.filter(({ name }) => name.toLowerCase().includes(typed.toLowerCase()));
  const isNew = typed && !classes.some(({ name }) => name === typed);
  const button = (label, words) => {
    const made = element("button", { type: "button" }, words);
    made.addEventListener("click", () => choose(label));
    return element("li", {}, made);
  };
  list.replaceChildren(
    ...found.map(({ name, photos }) => button(name, `${name} (${photos})`)),
    ...(isNew ? [button(typed, `New class “${typed}”`)] : []),
  );
  byId("picker-count").textContent = !typed ? ""
    : `${number(found.length)} ${found.length === 1 ? "class has" : "classes have"} this in the name${isNew ? "; or make a new one" : ""}`;
}

text.addEventListener("input", fill);
dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  list.querySelector("button")?.click();
});
dialog.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const stops = [text, ...list.querySelectorAll("button")];
  stops[Math.min(Math.max(stops.indexOf(document.activeElement) + step, 0), stops.length - 1)].focus();
});
