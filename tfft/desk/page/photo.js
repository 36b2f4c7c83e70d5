// A photo in words, for the grid and the large view.
import { percent } from "./dom.js";

const suggesting = (photo) => photo.findings.find(({ suggested }) => suggested);

// The class that the audit proposes, or else the model; "" where neither says another one.
export const suggestion = (photo) =>
  suggesting(photo)?.suggested ?? (photo.answers.length && photo.answers[0][0] !== photo.own ? photo.answers[0][0] : "");

// Whether what is said is about another label than the photo has now.
const disagrees = ({ answers, label }) => answers.length > 0 && label !== "" && answers[0][0] !== label;

// "relabelled", "removed", "confirmed", or "" where nothing was decided.
export function decision(photo) {
  if (!photo.decided) return "";
  if (!photo.label) return "removed";
  return photo.label === photo.own ? "confirmed" : "relabelled";
}

export function labelText(photo) {
  return { removed: "removed", confirmed: `${photo.label} ✓` }[decision(photo)] ?? photo.label;
}

// What the audit or the model says, in a few words; "" where they say nothing. `kinds` names the
// kinds of the audit's findings.
export function hint(photo, kinds) {
  const found = suggesting(photo);
  if (found) return `${found.suggested}${found.suggested === photo.label ? "" : "?"} ${percent(found.probability)}`;
  if (photo.findings.length) return kinds[photo.findings[0].kind] ?? photo.findings[0].kind;
  const [answer] = photo.answers;
  return answer ? `${answer[0]}${disagrees(photo) ? "?" : ""} ${percent(answer[1])}` : "";
}

export const doubts = (photo) => !photo.decided && (photo.findings.length > 0 || disagrees(photo));
