// The page of a desk: which photos are shown, what the keys and buttons do.
import * as api from "./api.js";
import { byId, counted, isNews, number, say } from "./dom.js";
import * as grid from "./grid.js";
import * as look from "./look.js";
import { suggestion } from "./photo.js";
import { pick } from "./picker.js";
import * as training from "./training.js";

const PAGE = 60;
const SHOW = [
  ["audit", "the audit's list", "audit"], ["all", "all photos", "photos"],
  ["mistakes", "model and label differ", "mistakes"], ["relabelled", "relabelled", "relabelled"],
  ["removed", "removed", "removed"], ["confirmed", "confirmed", "confirmed"],
];
const filters = byId("filters").elements;
let state = null;
let page = { total: 0, before: 0, previous: null, next: null };
let only = ""; // "only_new" or "only_old" while these are shown
let start = 0; // rank of the first photo that was asked for

// Runs something that asks the server, and says what went wrong.
const trying = (work) => work().catch((error) => say(error.message));

// ---- What is shown ----

async function load(from = 0, { focus = false, last = false } = {}) {
  const wanted = { show: only || filters.show.value, label: filters.label.value, from, count: PAGE };
  wanted.search = filters.search.value;
  if (!byId("kinds").hidden) wanted.kind = filters.kind.value;
  if (filters.undecided.checked) wanted.undecided = "";
  page = await api.photos(wanted);
  start = from;
  grid.show(page.photos, Object.fromEntries(state.kinds.map(({ kind, name }) => [kind, name])));
  const [first, end] = [page.before + 1, page.before + page.photos.length];
  byId("range").textContent = page.total ? `${number(first)}–${number(end)} of ${number(page.total)}` : "";
  byId("previous").disabled = page.previous === null;
  byId("next").disabled = page.next === null;
  byId("none").hidden = page.total > 0;
  byId("none").textContent = nothing();
  if (last) grid.focusOn(page.photos.length - 1, focus);
  else if (focus) grid.focusOn(0);
}

function nothing() {
  if (filters.show.value === "audit" && filters.undecided.checked && state.counts.audit)
    return "All of the list is decided about. Train again to see whether it helped.";
  return "No photo is like this.";
}

// Shows the photos as they are now: some were moved, came or went.
async function loadAnew() {
  const had = grid.hasFocus();
  const seen = look.isOpen() ? look.current().path : grid.current()?.path;
  await load(start);
  const at = grid.shown.findIndex(({ path }) => path === seen);
  if (at >= 0) grid.focusOn(at, had && !look.isOpen());
  if (look.isOpen()) at < 0 ? look.close() : openLook(at);
  say("The photos have changed: they are shown as they are now.");
}

const turn = (to, options) => (to === null ? Promise.resolve() : load(to, options));

function options(select, entries) {
  if (!isNews(select.id, entries)) return;
  const kept = select.value;
  select.replaceChildren(...entries.map(([value, text]) => new Option(text, value)));
  if (entries.some(([value]) => value === kept)) select.value = kept;
}

function take(news) {
  state = news;
  const { counts, classes } = state;
  byId("name").textContent = state.name;
  document.title = `${state.name} – tfft desk`;
  byId("summary").textContent =
    `${counted(counts.photos, "photo")}, ${number(counts.relabelled)} relabelled, ` +
    `${number(counts.removed)} removed, ${number(counts.confirmed)} confirmed`;
  byId("undo").disabled = !state.undo;
  const there = SHOW.filter(([, , count]) => counts[count] !== null);
  options(filters.show, there.map(([value, text, count]) => [value, `${text} (${number(counts[count])})`]));
  options(filters.label, [["", "any"], ...classes.map(({ name, photos }) => [name, `${name} (${number(photos)})`])]);
  byId("kinds").hidden = filters.show.value !== "audit";
  options(filters.kind, [["", "any"], ...state.kinds.map((one) => [one.kind, `${one.name} (${number(one.photos)})`])]);
  training.show(state, showOnly);
  showChosen();
}

function showChosen() {
  const count = grid.chosenCount();
  const [one] = grid.subjects();
  byId("chosen").textContent = count ? `${number(count)} chosen` : one ? "1 photo" : "";
  for (const button of byId("actions").querySelectorAll("button")) button.disabled = !one;
}

function showView(name) {
  byId("photos").hidden = name !== "photos";
  byId("training").hidden = name !== "training";
  for (const view of ["photos", "training"]) {
    if (view === name) byId(`to-${view}`).setAttribute("aria-current", "page");
    else byId(`to-${view}`).removeAttribute("aria-current");
  }
}

function showOnly(kind) {
  only = kind;
  showView("photos");
  filters.undecided.checked = false;
  trying(async () => {
    await load(0, { focus: true });
    say(`${counted(page.total, "photo")} that only the ${kind === "only_new" ? "new" : "old"} model gets right`);
  });
}

// ---- What is decided ----

async function decide(photos, label) {
  const answer = await api.decide(photos.map((photo) => photo.number), label);
  const words = label === null ? "taken back" : label === "" ? "removed" : label;
  say(`${photos.length === 1 ? photos[0].path : counted(photos.length, "photo")}: ${words}`);
  grid.update(answer.photos);
  take(answer.state);
}

// Gives some photos a label, each its own; one request for each label.
async function decideEach(photos, labelOf) {
  const groups = Map.groupBy(photos.filter(labelOf), labelOf);
  if (!groups.size) say("Nothing is suggested here.");
  for (const [label, group] of groups) await decide(group, label);
}

const deeds = {
  open: () => openLook(grid.position()),
  accept: (photos) => decideEach(photos, suggestion),
  confirm: (photos) => decideEach(photos, ({ label, own }) => label || own),
  remove: (photos) => decide(photos, ""),
  reset: (photos) => decide(photos, null),
};

// One after the other, also when keys come faster than answers: each is about what has the focus by
// then.
let deciding = Promise.resolve();
const inTurn = (work) => (deciding = deciding.then(() => trying(work)));

function act(name, label) {
  const subjects = () => (look.isOpen() ? [look.current()] : grid.subjects());
  if (name === "label" && label === undefined) {
    if (subjects().length) pick(subjects(), state.classes, (picked) => act("label", picked));
    return;
  }
  inTurn(async () => {
    const [photos, inLook, several] = [subjects(), look.isOpen(), grid.chosenCount() > 0];
    if (!photos.length) return;
    await (name === "label" ? decide(photos, label) : deeds[name](photos));
    if (name === "open") return;
    if (inLook) return step(1, name === "reset");
    grid.clearChosen();
    if (!several && name !== "reset") grid.focusOn(grid.position() + 1);
  });
}

const undo = () =>
  inTurn(async () => {
    const answer = await api.undo();
    grid.update(answer.photos);
    take(answer.state);
    say(`Undone: ${answer.photos.map(({ path, label }) => `${path} is ${label || "removed"}`).join(", ").slice(0, 200)}`);
    const at = grid.shown.findIndex((photo) => photo.number === answer.photos[0]?.number);
    if (look.isOpen()) openLook(at < 0 ? grid.position() : at);
    else if (at >= 0) grid.focusOn(at, grid.hasFocus());
  });

// ---- The large view ----

function openLook(at) {
  if (!grid.shown.length) return;
  grid.focusOn(at, false);
  look.show(grid.current(), {
    range: `${number(page.before + grid.position() + 1)} of ${number(page.total)}`,
    run: state.run,
    unseen: state.unseen,
    classes: state.classes,
    give: (label) => act("label", label),
  });
}

// Goes to the next or the previous photo, over the ends of a page; or draws this one again.
async function step(by, stay = false) {
  const at = grid.position() + (stay ? 0 : by);
  if (at >= grid.shown.length) {
    if (page.next === null) return openLook(grid.position());
    await turn(page.next);
  } else if (at < 0) {
    if (page.previous === null) return openLook(0);
    await turn(page.previous, { last: true });
  }
  openLook(at < 0 || at >= grid.shown.length ? grid.position() : at);
}

// ---- Keys, buttons, and the state as it goes on ----

const KEYS = { l: "label", a: "accept", c: "confirm", r: "reset", Delete: "remove", Backspace: "remove" };

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), select");
  if (typing || event.altKey || byId("picker").open || byId("keys").open) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const control = event.ctrlKey || event.metaKey;
  const inLook = look.isOpen();
  const onPhotos = inLook || grid.hasFocus();
  let known = true;
  if (control) {
    if (key === "a" && grid.hasFocus()) grid.chooseAll();
    else known = false;
  } else if (key === "u" && onPhotos) undo();
  else if (key === "?") byId("keys").showModal();
  else if (!onPhotos) known = false;
  else if (KEYS[key]) act(KEYS[key]);
  else if (/^[1-9]$/.test(key) && state.classes[key - 1]) act("label", state.classes[key - 1].name);
  else if (inLook) known = keyInLook(key);
  else known = keyInGrid(key, event);
  if (known) event.preventDefault();
});

function keyInLook(key) {
  if (key === "ArrowRight") trying(() => step(1));
  else if (key === "ArrowLeft") trying(() => step(-1));
  else if (key === "e") look.toggleExplained();
  else return false;
  return true;
}

function keyInGrid(key, event) {
  if (key === " ") grid.toggle(grid.position());
  else if (key === "Enter") act("open");
  else if (key === "e") { openLook(grid.position()); look.toggleExplained(); }
  else if (key === "PageDown") trying(() => turn(page.next, { focus: true }));
  else if (key === "PageUp") trying(() => turn(page.previous, { focus: true }));
  else return grid.moved(event);
  return true;
}

for (const button of document.querySelectorAll("[data-act]")) {
  button.addEventListener("click", () => act(button.dataset.act));
}
byId("undo").addEventListener("click", undo);
byId("to-keys").addEventListener("click", () => byId("keys").showModal());
byId("to-photos").addEventListener("click", () => showView("photos"));
byId("to-training").addEventListener("click", () => showView("training"));
byId("previous").addEventListener("click", () => trying(() => turn(page.previous)));
byId("next").addEventListener("click", () => trying(() => turn(page.next)));
byId("look-previous").addEventListener("click", () => trying(() => step(-1)));
byId("look-next").addEventListener("click", () => trying(() => step(1)));
byId("look").addEventListener("close", () => grid.focusOn(grid.position()));
byId("filters").addEventListener("submit", (event) => event.preventDefault());
let typing = 0;
byId("filters").addEventListener("input", (event) => {
  only = "";
  byId("kinds").hidden = filters.show.value !== "audit";
  clearTimeout(typing);
  typing = setTimeout(() => trying(() => load()), event.target.type === "search" ? 250 : 0);
});
for (const kind of ["audit", "train"]) {
  byId(kind).addEventListener("click", () => trying(async () => {
    take(await api.begin(kind));
    watch();
  }));
}
byId("stop").addEventListener("click", () => trying(async () => take(await api.stop())));
grid.onChange(showChosen);
grid.onOpen(openLook);

// Asks for the state again and again: often while something is computed.
let watching = 0;
async function watch() {
  clearTimeout(watching);
  const before = state;
  try {
    take(await api.state());
    if (state.edition !== page.edition) await loadAnew();
    if (before.job?.status === "running" && state.job.status !== "running") await ended();
  } catch (error) {
    api.gone(error.message); // it may come back
  }
  watching = setTimeout(watch, state?.job?.status === "running" ? 500 : 5000);
}

async function ended() {
  const { kind, status } = state.job;
  if (status === "finished") {
    if (kind === "audit") filters.show.value = "audit";
    take(state);
    await load();
  }
  say(`${kind === "audit" ? "The audit" : "The training"} ${status === "finished" ? "is done" : status}.`);
}

trying(async () => {
  take(await api.state());
  filters.show.value = state.counts.audit === null ? "all" : "audit";
  await load();
  watch();
});
