// A file of texts: the server reads it, is asked in portions, and the answers become a table and a CSV file.

import { ask, askJson, byId, element, model, percent, said } from "./page.js";

const SHOWN = 200; // rows of the table in the page; the download has all
let asking = null;
let address = null;

// Characters as the server counts them: the length of a string counts those beyond 16 bits twice.
function sizeOf(text) {
  let size = 0;
  for (const _ of text) size += 1;
  return size;
}

// Lists of [number, text] that the server takes at a time; a text that is too long by itself is in none.
function portions(texts) {
  const { texts: most, characters } = model.limits;
  const result = [];
  let portion = [];
  let size = 0;
  texts.forEach((text, number) => {
    const length = sizeOf(text);
    if (length > characters) return;
    if (portion.length === most || (portion.length && size + length > characters)) {
      result.push(portion);
      [portion, size] = [[], 0];
    }
    portion.push([number, text]);
    size += length;
  });
  return portion.length ? [...result, portion] : result;
}

const quoted = (value) => `"${String(value).replaceAll('"', '""')}"`;

function csv(texts, answers) {
  const header = ["text", "label", ...model.labels.map((label) => `probability of ${label}`)];
  const rows = texts.flatMap((text, number) => {
    const answer = answers[number];
    return answer ? [[text, said(answer), ...model.labels.map((label) => answer.probabilities[label])]] : [];
  });
  return "\ufeff" + [header, ...rows].map((row) => row.map(quoted).join(",") + "\r\n").join("");
}

function row(number, text, answer) {
  const made = element("tr");
  const start = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  made.append(
    element("td", number + 1, "number"),
    element("td", said(answer)),
    element("td", percent(answer.probability), "number"),
    element("td", start),
  );
  return made;
}

function offer(texts, answers) {
  if (address) URL.revokeObjectURL(address);
  address = URL.createObjectURL(new Blob([csv(texts, answers)], { type: "text/csv" }));
  byId("download").href = address;
  byId("answers").hidden = false;
}

async function answerAll(texts, signal) {
  const answers = new Array(texts.length).fill(null);
  const planned = portions(texts);
  const total = planned.reduce((sum, portion) => sum + portion.length, 0);
  byId("progress").max = Math.max(total, 1);
  byId("progress").value = 0;
  byId("rows").replaceChildren();
  try {
    for (const portion of planned) {
      const asked = portion.map(([, text]) => text);
      const reply = await askJson("api/predict", { texts: asked }, signal);
      portion.forEach(([number, text], index) => {
        answers[number] = reply.answers[index];
        if (byId("rows").rows.length < SHOWN) byId("rows").append(row(number, text, answers[number]));
      });
      byId("progress").value += portion.length;
    }
  } finally {
    const answered = answers.filter(Boolean).length;
    const tooLong = texts.length - total;
    const parts = [`${answered} of ${texts.length} texts answered`];
    if (tooLong) parts.push(`${tooLong} longer than ${model.limits.characters} characters left out`);
    if (answered > SHOWN) parts.push(`the first ${SHOWN} are shown`);
    byId("done").textContent = `${parts.join("; ")}.`;
    if (answered) offer(texts, answers);
  }
}

async function classifyFile(event) {
  event.preventDefault();
  if (byId("start").hidden) return; // Enter in a field submits, too, while a file is under way
  const file = byId("file").files[0];
  asking = new AbortController();
  byId("many-error").textContent = byId("done").textContent = "";
  byId("answers").hidden = true;
  for (const [id, hidden] of [["start", true], ["stop", false], ["under-way", false]]) byId(id).hidden = hidden;
  try {
    if (file.size > model.limits.file_bytes) {
      throw new Error(`The file has ${file.size} bytes: give one of at most ${model.limits.file_bytes}.`);
    }
    const query = new URLSearchParams({ name: file.name, column: byId("column").value });
    const options = { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: file };
    const { texts } = await ask(`api/texts?${query}`, { ...options, signal: asking.signal });
    await answerAll(texts, asking.signal);
  } catch (error) {
    if (error.name !== "AbortError") byId("many-error").textContent = error.message;
  } finally {
    for (const [id, hidden] of [["start", false], ["stop", true], ["under-way", true]]) byId(id).hidden = hidden;
  }
}

byId("many").addEventListener("submit", classifyFile);
byId("stop").addEventListener("click", () => asking.abort());
document.documentElement.dataset.ready = "all";
