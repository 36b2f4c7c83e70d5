// The view of what is computed: the audit, a training, and how the new model compares.
import { byId, counted, element, number, percent } from "./dom.js";

const NAMES = { audit: "Auditing", train: "Training" };
const ENDS = { running: "", finished: "", stopped: "It was stopped.", failed: "It failed:" };

// Draws the state; `look` shows the photos of a view.
export function show(state, look) {
  const { job, training, counts, run } = state;
  const running = job?.status === "running";
  byId("audit").disabled = byId("train").disabled = running;
  byId("audited").textContent = counts.audit === null ? "" : `${counted(counts.audit, "photo")} on the list`;
  byId("training-about").textContent =
    `With what was decided about ${counted(counts.decided, "photo")} in ${state.labels_file}. ` +
    (run ? `The recipe is that of ${run}, and the new model is compared with it, photo by photo.`
      : "The recipe is classifier: heads only, with the best penalty. There is no model before it to compare with.");
  byId("job").hidden = !job || job.status === "finished";
  if (job) showJob(job, running);
  byId("result").hidden = !training;
  if (training) byId("result").replaceChildren(...result(training, look));
}

function showJob(job, running) {
  showStrip(job, running);
  byId("job-name").textContent = NAMES[job.kind];
  const status = byId("job-status");
  const starting = running && !job.pieces.length;
  const said = starting ? "It starts …" : ENDS[job.status] + (job.error ? `\n${job.error}` : "");
  if (status.textContent !== said) status.textContent = said;
  status.classList.toggle("error", job.status === "failed");
  byId("stop").hidden = !running;
  byId("pieces").hidden = !running;
  byId("pieces").replaceChildren(...job.pieces.map(piece));
}

// One line below the top of the page, whatever is shown.
function showStrip(job, running) {
  byId("strip").hidden = !running;
  const open = job.pieces.filter(({ closed }) => !closed).at(-1) ?? job.pieces.at(-1);
  byId("strip-text").textContent = `${NAMES[job.kind]}${open ? `: ${open.description}` : " …"}`;
  const bar = byId("strip-bar");
  if (open?.total) [bar.max, bar.value] = [open.total, open.done];
  else bar.removeAttribute("value");
}

function piece({ description, total, unit, done, closed }) {
  const bar = element("progress", { "aria-label": description });
  if (total || closed) {
    bar.max = total || 1;
    bar.value = closed ? bar.max : done;
  }
  const count = total === null ? number(done) : `${number(done)} / ${number(total)}`;
  return element("li", { className: closed ? "closed" : "" },
    element("span", {}, description), bar, element("span", { className: "number" }, `${count} ${unit}`));
}

function result(training, look) {
  const { comparison, evaluation } = training;
  const parts = [element("h2", {}, comparison ? "Is the new model better?" : "The new model")];
  if (comparison) parts.push(...compared(comparison, training, look));
  else if (evaluation)
    parts.push(element("p", { className: "verdict" },
      `Right on ${percent(evaluation.accuracy, 1)} of ${counted(evaluation.images, "photo")} that it was not trained on`
      + ` (95 % interval ${percent(evaluation.low, 1)} to ${percent(evaluation.high, 1)}).`));
  else parts.push(element("p", {}, "There is no photo that it was not trained on: keep some for testing to know how good it is."));
  parts.push(element("p", { className: "note" },
    `The run: ${training.run}. More about it: tfft report ${training.run}`));
  return parts;
}

function compared(comparison, training, look) {
  const { before, now, classes } = comparison;
  const points = (value) => `${value < 0 ? "−" : "+"}${(100 * Math.abs(value)).toFixed(1)}`;
  const numbers = (...cells) => cells.map((cell) => element("td", { className: "number" }, cell));
  const head = (...names) =>
    element("thead", {}, element("tr", {}, ...names.map((name, at) =>
      element("th", { scope: "col", className: at ? "number" : "" }, name))));
  const changed = classes.filter((one) => one.before !== one.now);
  const rows = changed.map((one) =>
    element("tr", {}, element("th", { scope: "row" }, one.name),
      ...numbers(number(one.images), percent(one.before, 1), percent(one.now, 1)),
      element("td", { className: `number ${one.now > one.before ? "gain" : "loss"}` }, points(one.now - one.before))));
  const photos = (kind, words) => {
    const button = element("button", { type: "button", disabled: !comparison[kind].length },
      `${number(comparison[kind].length)} ${words}`);
    button.addEventListener("click", () => look(kind));
    return button;
  };
  return [
    element("p", { className: "verdict" }, comparison.verdict),
    element("div", { className: "scroll" }, element("table", {},
      element("caption", {}, `On ${counted(comparison.images, "photo")} that neither model was trained on, with the labels as they are now`),
      head("", "before", "now", "difference", "95 % interval"),
      element("tbody", {}, element("tr", {}, element("th", { scope: "row" }, "right"),
        ...numbers(percent(before, 1), percent(now, 1), `${points(comparison.difference)} points`,
          `${points(comparison.low)} to ${points(comparison.high)}`))))),
    element("p", {}, `The model before: ${training.before}. Chance alone would part two equal models as far with a probability of ${comparison.p_value.toPrecision(2)} (McNemar's exact test).`),
    element("p", {}, photos("gained", "only the new one gets right"), " ", photos("lost", "only the old one gets right")),
    rows.length ? element("div", { className: "scroll" }, element("table", {},
      element("caption", {}, "Classes that changed, by the share of their photos that is right"),
      head("class", "photos", "before", "now", "difference"), element("tbody", {}, ...rows))) : "",
    ...comparison.notes.map((note) => element("p", { className: "note" }, note)),
  ].filter(Boolean);
}
