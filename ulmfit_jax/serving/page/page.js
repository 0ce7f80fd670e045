// One text: its label, probabilities and coloured words. All text goes into the page as text, never as HTML.

const STRONGEST = 5;

export const byId = (id) => document.getElementById(id);

export function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

export async function ask(path, options = {}) {
  let reply;
  try {
    reply = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server cannot be reached: has it ended?");
  }
  let value;
  try {
    value = await reply.json();
  } catch (error) {
    if (error.name !== "SyntaxError") throw error;
    throw new Error(`Something between this page and the server has answered instead: ${reply.status} ${reply.statusText}`);
  }
  if (!reply.ok) throw new Error(value.error?.message ?? `${reply.status} ${reply.statusText}`);
  return value;
}

export const askJson = (path, value, signal) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value), signal });

export const percent = (probability) => `${(100 * probability).toFixed(1)} %`;

// What an answer says: a label, or the labels where a text may have several.
export const said = (answer) => (answer.labels ? answer.labels.join(", ") || "none of the labels" : answer.label);

export const model = await ask("api/model");

const longestExplained = model.limits[model.methods[0] === "leave_out" ? "left_out" : "explained"];

function showModel() {
  document.title = `${model.name} – ulmfit`;
  byId("model").textContent = model.name;
  byId("about").textContent = `${model.multi_label ? "Finds" : "Tells apart"}: ${model.labels.join(", ")}.`;
  for (const label of model.labels) {
    const option = element("option", label);
    option.value = label;
    byId("wanted").append(option);
  }
  if (!model.explains) for (const part of [byId("wanted"), document.querySelector("label[for=wanted]")]) part.hidden = true;
}

function showProbabilities(answer) {
  byId("label").textContent = said(answer);
  const given = answer.labels ?? [answer.label];
  const sorted = Object.entries(answer.probabilities).sort((one, other) => other[1] - one[1]);
  byId("bars").replaceChildren(
    ...sorted.map(([label, probability]) => {
      const row = element("tr", "", given.includes(label) ? "best" : "");
      const name = element("th", label);
      name.scope = "row";
      const bar = element("div", "", "bar");
      bar.style.setProperty("--share", probability);
      const cell = element("td");
      cell.append(bar);
      row.append(name, element("td", percent(probability), "number"), cell);
      return row;
    }),
  );
}

function coloured({ word, importance, shade }) {
  if (!shade) return element("span", word);
  const depth = Math.abs(shade);
  const made = element("span", word, `${shade > 0 ? "for" : "against"}${depth >= 0.5 ? " strong" : ""}`);
  made.style.setProperty("--share", depth);
  made.title = importance.toPrecision(2);
  return made;
}

function strongest(title, words) {
  if (!words.length) return [];
  const listed = words.slice(0, STRONGEST).map(({ word, importance }) => `${word} (${importance.toPrecision(2)})`);
  return [element("dt", title), element("dd", listed.join(", "))];
}

function showExplanation(explanation) {
  const words = explanation.words;
  byId("explained").textContent = explanation.label;
  byId("words").replaceChildren(...words.flatMap((entry) => [coloured(entry), " "]));
  const sorted = [...words].sort((one, other) => other.importance - one.importance);
  byId("strongest").replaceChildren(
    ...strongest("Most for it", sorted.filter((entry) => entry.importance > 0)),
    ...strongest("Most against it", sorted.filter((entry) => entry.importance < 0).reverse()),
  );
  byId("explanation").hidden = words.length === 0;
}

async function classify(event) {
  event.preventDefault();
  const button = byId("one").querySelector("button");
  const text = byId("text").value;
  const label = byId("wanted").value || null;
  button.disabled = true;
  byId("one-error").textContent = "";
  byId("answer").hidden = true;
  byId("explanation").hidden = true;
  try {
    const { answers } = await askJson("api/predict", { text });
    showProbabilities(answers[0]);
    byId("answer").hidden = false;
    if (model.explains && [...text].length > longestExplained) {
      byId("one-error").textContent = `The words of a text of more than ${longestExplained} characters are not explained.`;
    } else if (model.explains) showExplanation(await askJson("api/explain", { text, label }));
  } catch (error) {
    byId("one-error").textContent = error.message;
  } finally {
    button.disabled = false;
  }
}

showModel();
byId("one").addEventListener("submit", classify);
byId("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("one").requestSubmit();
});
document.documentElement.dataset.ready = "one";
