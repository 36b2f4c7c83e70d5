// The large view of one photo: what is known of it, what the model says and sees, what to do.
import { evidence, picture } from "./api.js";
import { byId, element, percent } from "./dom.js";
import { decision, labelText, suggestion } from "./photo.js";

const SPLITS = {
  train: "a training photo", validation: "a validation photo", test: "a test photo",
  unused: "not used for training",
};
const dialog = byId("look");
const image = byId("look-photo");
let photo = null;
let explained = "";

export const isOpen = () => dialog.open;
export const current = () => photo;
export const close = () => dialog.close();

export function show(shownPhoto, { range, run, unseen, classes, give }) {
  const isOther = photo?.number !== shownPhoto.number;
  photo = shownPhoto;
  if (isOther) explain("");
  byId("look-name").textContent = photo.path;
  byId("look-range").textContent = range;
  const was = decision(photo) && photo.label !== photo.own ? `, came as ${photo.own}` : "";
  byId("look-label").replaceChildren(
    element("strong", {}, labelText(photo)), `${was}, ${SPLITS[photo.split]}`);
  byId("look-finding").replaceChildren(...photo.findings.map(({ reason, copies }) =>
    element("li", {}, reason, element("div", { className: "copies" }, ...copies.map(copy)))));
  byId("answers").replaceChildren(...photo.answers.map(([name, share]) => answer(name, share, Boolean(run))));
  byId("answers-note").textContent = noteOf(photo, unseen, run);
  byId("classes").replaceChildren(...classes.map(({ name }, at) => classButton(name, at, give)));
  for (const button of byId("look-actions").children) {
    if (button.dataset.act === "accept") {
      button.disabled = !suggestion(photo);
      button.textContent = suggestion(photo) ? `Accept ${suggestion(photo)}` : "Accept";
    }
    if (button.dataset.act === "reset") button.disabled = !photo.decided;
  }
  if (!dialog.open) dialog.showModal();
}

// A photo that this one is a copy of, to be looked at beside it.
function copy(other) {
  const label = other.label || "removed";
  return element("figure", {},
    element("img", { src: picture(other, "small"), alt: `the other photo, ${label}` }),
    element("figcaption", {}, label));
}

function noteOf({ answers, split }, unseen, run) {
  if (!answers.length) return "Nothing yet: no model was asked.";
  const parts = [];
  if (unseen) parts.push("By a model that was not trained on this photo.");
  else if (split === "train" || split === "validation") parts.push("The model was trained on this photo, or chosen by it.");
  if (run) parts.push("Choose an answer to see what in the photo speaks for it.");
  return parts.join(" ");
}

function answer(name, share, canExplain) {
  const button = element("button", { type: "button", disabled: !canExplain },
    element("span", {}, name), element("meter", { value: share, min: 0, max: 1, "aria-hidden": "true" }),
    element("span", { className: "number" }, percent(share, 1)));
  button.setAttribute("aria-pressed", explained === name);
  button.dataset.label = name;
  button.addEventListener("click", () => explain(explained === name ? "" : name));
  return element("li", {}, button);
}

function classButton(name, at, give) {
  const key = at < 9 ? [element("kbd", { "aria-hidden": "true" }, `${at + 1}`), " "] : [];
  const button = element("button", { type: "button" }, ...key, name);
  if (at < 9) button.setAttribute("aria-keyshortcuts", `${at + 1}`);
  button.setAttribute("aria-pressed", photo.label === name);
  button.addEventListener("click", () => give(name));
  return button;
}

// Shows what speaks for a class, or with "" the photo itself.
export function explain(label) {
  explained = label;
  byId("look-waiting").hidden = !label;
  byId("look-waiting").textContent = "asking the model …";
  image.alt = label ? `${photo.path}, bright where it speaks for ${label}` : photo.path;
  image.src = label ? evidence(photo, label) : picture(photo, "large");
  for (const button of byId("answers").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", button.dataset.label === label);
  }
}
export const toggleExplained = () => explain(explained || !photo.answers.length ? "" : photo.answers[0][0]);

image.addEventListener("load", () => (byId("look-waiting").hidden = true));
image.addEventListener("error", () => {
  byId("look-waiting").hidden = false;
  byId("look-waiting").textContent = "this picture cannot be shown";
});
