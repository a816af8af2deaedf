// Short lines at the bottom of the page, and the sentences that scripts show, in the language of the page.
import { goWith } from "./fading.js";

const SHOWN = 7000; // ms
const sentences = JSON.parse(document.getElementById("words").textContent);
const toasts = document.getElementById("toasts");

// A sentence of `page_words` in the template tags; `parts` fill its {gaps}.
export function sentence(name, parts = {}) {
  return sentences[name].replace(/\{(\w+)\}/g, (gap, part) => parts[part] ?? gap);
}

// `fades` is when a code in the text fades.
export function toast(text, failed = false, fades = "") {
  const line = document.createElement("p");
  line.className = failed ? "toast is-bad" : "toast";
  if (failed) line.setAttribute("role", "alert");
  line.textContent = text;
  goWith(fades, line);
  toasts.append(line);
}

// The server sends lines too, in its replies to htmx: an observer sees both kinds.
new MutationObserver((changes) => {
  for (const { addedNodes } of changes) for (const line of addedNodes) if (line.nodeType === 1) setTimeout(() => line.remove(), SHOWN);
}).observe(toasts, { childList: true });
