// What all parts of the page share. Names reach the page as text only, never as markup.

export const byId = (id) => document.getElementById(id);

// An element with properties, and children that are elements or text.
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== ""));
  return made;
}

export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
export const number = (value) => value.toLocaleString("en");
export const counted = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;

const drawn = new Map();
// Says whether something is another value than the last time under this name: what is drawn again
// loses the focus, and an open list closes.
export function isNews(name, value) {
  const text = JSON.stringify(value);
  if (drawn.get(name) === text) return false;
  drawn.set(name, text);
  return true;
}

let clearing = 0;
// Says something on the page, also to who hears it read.
export function say(text) {
  byId("said").textContent = text;
  clearTimeout(clearing);
  clearing = setTimeout(() => (byId("said").textContent = ""), 6000);
}

for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
