// The grid of photos: a list box in which several can be chosen, by keyboard, mouse or finger.
import { picture } from "./api.js";
import { byId, element } from "./dom.js";
import { decision, doubts, hint, labelText } from "./photo.js";

const grid = byId("grid");
export const shown = [];
const chosen = new Set();
let focused = 0;
let kinds = {};
let whenChanged = () => {};

export const onChange = (f) => (whenChanged = f);
export const current = () => shown[focused];
export const position = () => focused;
export const hasFocus = () => grid.contains(document.activeElement);

// The photos that an action is about: the chosen ones, or else the one with the focus.
export function subjects() {
  const picked = shown.filter((photo) => chosen.has(photo.number));
  return picked.length ? picked : shown.length ? [shown[focused]] : [];
}
export const chosenCount = () => chosen.size;

export function show(photos, names) {
  kinds = names;
  shown.splice(0, shown.length, ...photos);
  chosen.clear();
  focused = 0;
  grid.replaceChildren(...photos.map(card));
  refocus();
}

// Draws photos again that were decided about.
export function update(photos) {
  const had = hasFocus();
  for (const photo of photos) {
    const at = shown.findIndex((other) => other.number === photo.number);
    if (at < 0) continue;
    shown[at] = photo;
    grid.children[at].replaceWith(card(photo));
  }
  refocus();
  if (had) grid.children[focused].focus({ preventScroll: true });
}

export function clearChosen() {
  chosen.clear();
  mark();
}

// What is seen of a photo, with what only who hears the page read needs beside it.
function card(photo) {
  const heard = (text) => element("span", { className: "heard" }, text);
  const said = hint(photo, kinds);
  const isOther = ["relabelled", "removed"].includes(decision(photo));
  const reasons = photo.findings.map(({ reason }) => reason).join("; ");
  const words = element("span", { className: "words" },
    heard(`${photo.path}: `),
    element("span", { className: "now" }, labelText(photo)),
    isOther ? element("span", { className: "was" }, heard(", came as "), photo.own) : "",
    said ? element("span", { className: doubts(photo) ? "hint" : "agrees" }, heard(", suggested: "), said) : "",
    reasons ? heard(`, ${reasons}`) : "");
  const made = element("li", { role: "option", className: decision(photo), title: photo.path },
    element("span", { className: "tick", "aria-hidden": "true" }),
    element("img", { src: picture(photo, "small"), alt: "", loading: "lazy", decoding: "async" }),
    words);
  made.setAttribute("aria-selected", chosen.has(photo.number));
  return made;
}

function mark() {
  shown.forEach((photo, at) => grid.children[at].setAttribute("aria-selected", chosen.has(photo.number)));
  whenChanged();
}

function refocus() {
  [...grid.children].forEach((item, at) => (item.tabIndex = at === focused ? 0 : -1));
  whenChanged();
}

export function focusOn(at, take = true) {
  focused = Math.min(Math.max(at, 0), shown.length - 1);
  refocus();
  if (take) grid.children[focused]?.focus();
}

export function toggle(at, on = !chosen.has(shown[at].number)) {
  chosen[on ? "add" : "delete"](shown[at].number);
  mark();
}

export function chooseAll() {
  const all = chosen.size === shown.length;
  shown.forEach((photo) => chosen[all ? "delete" : "add"](photo.number));
  mark();
}

const columns = () => getComputedStyle(grid).gridTemplateColumns.split(" ").length;

// Moves the focus by a key; returns whether it was one that moves.
export function moved(event) {
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns() };
  const ends = { Home: 0, End: shown.length - 1 };
  const target = event.key in steps ? focused + steps[event.key] : ends[event.key];
  if (target === undefined) return false;
  if (target < 0 || target >= shown.length) return true;
  if (event.shiftKey) {
    const [from, to] = [Math.min(focused, target), Math.max(focused, target)];
    for (let at = from; at <= to; at++) chosen.add(shown[at].number);
    mark();
  }
  focusOn(target);
  return true;
}

// A click on the circle, or with a key held, chooses; any other opens the photo.
export function onOpen(open) {
  let last = 0;
  grid.addEventListener("click", (event) => {
    const item = event.target.closest("li");
    if (!item) return;
    const at = [...grid.children].indexOf(item);
    focusOn(at);
    if (event.shiftKey) {
      for (let k = Math.min(last, at); k <= Math.max(last, at); k++) chosen.add(shown[k].number);
      mark();
    } else if (event.ctrlKey || event.metaKey || event.target.closest(".tick")) {
      toggle(at);
    } else {
      open(at);
    }
    last = at;
  });
}
