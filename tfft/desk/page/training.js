// The view of what is computed: the audit, a training, and how the new model compares.
import { byId, counted, element, isNews, number, percent } from "./dom.js";

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
  if (training && isNews("result", training)) byId("result").replaceChildren(...result(training, look));
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
  const { comparison, run } = training;
  return [
    element("h2", {}, comparison ? "Is the new model better?" : "The new model"),
    ...(comparison ? compared(comparison, training, look) : [element("p", { className: "verdict" }, alone(training))]),
    element("p", { className: "note" }, `The run: ${run}. More about it: tfft report ${run}`),
  ];
}

function alone({ examples, top1, top1_interval: interval, not_compared: reason }) {
  if (reason) return reason;
  return `Right on ${percent(top1, 1)} of ${counted(examples, "photo")} that it was not trained on`
    + ` (95 % interval ${percent(interval[0], 1)} to ${percent(interval[1], 1)}).`;
}

const points = (value) => `${value < 0 ? "−" : "+"}${(100 * Math.abs(value)).toFixed(1)}`;

function compared(comparison, training, look) {
  const { old, new: now, difference, interval, p_value: p, examples } = comparison;
  const unknown = (value) => (value === null ? "unknown" : percent(value, 1));
  const changed = comparison.classes.filter((one) => one.old !== one.new);
  const photos = (kind, words) => {
    const button = element("button", { type: "button", disabled: !comparison[kind].length },
      `${number(comparison[kind].length)} ${words}`);
    button.addEventListener("click", () => look(kind));
    return button;
  };
  const verdicts = {
    better: "The new model is better.", worse: "The new model is worse.",
    "not shown": "These photos show no difference.",
  };
  return [
    element("p", { className: "verdict" }, verdicts[comparison.verdict]),
    element("p", {}, `The difference is ${points(difference)} points; its 95 % interval goes from ${points(interval[0])} to ${points(interval[1])}.`),
    table(`On ${counted(examples, "photo")} that neither model was trained on, with the labels as they are now`,
      ["", "before", "now"],
      [["right", percent(old.top1, 1), percent(now.top1, 1)],
        ["calibration error", percent(old.ece, 1), percent(now.ece, 1)]]),
    element("p", {}, `The model before: ${training.before}. Two equally good models would differ so much or more with a probability of ${p.toPrecision(2)} (McNemar's exact test).`),
    element("p", {}, photos("only_new", "only the new one gets right"), " ", photos("only_old", "only the old one gets right")),
    changed.length ? table("Classes that changed, by the share of their photos that is right",
      ["class", "photos", "before", "now", "difference"],
      changed.map((one) => [one.label, number(one.examples), unknown(one.old), unknown(one.new),
        one.old === null || one.new === null ? "" : points(one.new - one.old)])) : "",
    ...training.notes.map((note) => element("p", { className: "note" }, note)),
  ];
}

// A table whose first column has names, the others numbers.
function table(caption, names, rows) {
  const cells = (row) => row.map((text, at) => at
    ? element("td", { className: `number ${/^\+/.test(text) ? "gain" : /^−/.test(text) ? "loss" : ""}` }, text)
    : element("th", { scope: "row" }, text));
  return element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": caption },
    element("table", {}, element("caption", {}, caption),
      element("thead", {}, element("tr", {}, ...names.map((name, at) => at || name
        ? element("th", { scope: "col", className: at ? "number" : "" }, name) : element("td", {})))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells(row))))));
}
