// What the page asks of its server. All addresses are below that of the page, which has the token.
import { byId } from "./dom.js";

const ENDED = "The desk has ended. What was decided is in the labels file: start it again with tfft desk, and open the address that it prints.";

async function answered(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    gone(ENDED);
    throw new Error(ENDED);
  }
  gone("");
  if (response.ok) return response.json();
  const type = response.headers.get("Content-Type") ?? "";
  throw new Error(type.includes("json") ? (await response.json()).error : await response.text());
}

export function gone(text) {
  if (byId("gone").textContent !== text) byId("gone").textContent = text; // read aloud once
  byId("gone").hidden = !text;
}

const changed = (path, body = {}) =>
  answered(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

export const state = () => answered("state");
export const photos = (wanted) => answered(`photos?${new URLSearchParams(wanted)}`);
export const decide = (numbers, label) => changed("decide", { photos: numbers, label });
export const undo = () => changed("undo");
export const begin = (kind) => changed("begin", { kind });
export const stop = () => changed("stop");
export const picture = (photo, size) => `photos/${photo.number}/${size}.jpg`;
export const evidence = (photo, label) =>
  `photos/${photo.number}/evidence.jpg?${new URLSearchParams({ label })}`;
