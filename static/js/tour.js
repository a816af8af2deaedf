// The tour of the desk. Its panel lies in the flow of the page, beside the part that it speaks of, and so covers neither a
// code nor the order. It takes the focus when it begins and at each step; Escape leaves it from anywhere.
import { csrfToken } from "./csrf.js";

const STEP = "tour-step"; // in the session's storage: after a change of pages the tour goes on where it was
const panel = document.getElementById("tour");
const [back, next, leave] = ["back", "next", "leave"].map((name) => panel.querySelector(`[data-tour-${name}]`));
const NEXT = next.textContent;
const partOf = ({ part }) => [...document.querySelectorAll(`[data-tour~="${part}"]`)].find((element) => element.checkVisibility());
const steps = JSON.parse(document.getElementById("tour-steps").textContent).filter(partOf);
let at = Math.min(Number(sessionStorage.getItem(STEP)) || 0, steps.length - 1);

// The part may be drawn anew by the stream or by an order: the mark is put on it again.
function point() {
  for (const other of document.querySelectorAll(".is-pointed-at")) other.classList.remove("is-pointed-at");
  if (panel.isConnected) partOf(steps[at])?.classList.add("is-pointed-at");
}

function show() {
  const { title, text } = steps[at];
  panel.querySelector("#tour-title").textContent = title;
  panel.querySelector("#tour-text").textContent = text;
  panel.querySelector(".tour-count").textContent = `${at + 1} / ${steps.length}`;
  back.hidden = at === 0;
  next.textContent = at === steps.length - 1 ? next.dataset.last : NEXT;
  const part = partOf(steps[at]);
  const block = part.closest("[data-tour-block]") ?? document.querySelector("[data-tour-top]");
  if (panel.nextElementSibling !== block) block.before(panel);
  point();
}

function go(to) {
  at = to;
  sessionStorage.setItem(STEP, at);
  show();
  panel.focus({ preventScroll: true });
  partOf(steps[at]).scrollIntoView({ block: "nearest" });
  panel.scrollIntoView({ block: "nearest" });
}

function end() {
  const focused = panel.contains(document.activeElement);
  panel.remove();
  point();
  document.removeEventListener("keydown", onKey);
  sessionStorage.removeItem(STEP);
  fetch(panel.dataset.url, { method: "POST", headers: { "X-CSRFToken": csrfToken() }, keepalive: true }).catch(() => {}); // then it comes once more
  if (focused) document.getElementById("main").focus({ preventScroll: true });
}

// A list or a menu that is open closes first.
function onKey(event) {
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  end();
}

back.addEventListener("click", () => go(at - 1));
next.addEventListener("click", () => (at === steps.length - 1 ? end() : go(at + 1)));
leave.addEventListener("click", end);
document.addEventListener("keydown", onKey);
document.addEventListener("htmx:afterSettle", point);

if (steps.length) {
  show();
  if (document.activeElement === document.body && !location.hash) panel.focus({ preventScroll: true });
} else panel.remove();
