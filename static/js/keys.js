// The keyboard on every page: one Tab stop for a group, with arrow keys inside it, and single keys.
import { toast, sentence } from "./toasts.js";

export const isTyping = (target) => target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog");

// Groups

const GROUPS = "[data-arrows], .chips, .prefix-ideas, .switch, .switches";
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
const itemsOf = (group) => [...group.querySelectorAll("a[href], button:enabled, input:enabled")].filter((item) => item.type !== "hidden" && item.checkVisibility());

document.addEventListener("keydown", (event) => {
  const group = event.target.closest?.(GROUPS);
  if (!group || event.ctrlKey || event.metaKey || event.altKey) return;
  const items = itemsOf(group);
  if (event.key === "Tab") return leaveGroup(items, event.target);
  const at = items.indexOf(event.target);
  const next = event.key === "Home" ? 0 : event.key === "End" ? items.length - 1 : (at + STEPS[event.key] + items.length) % items.length;
  if (at < 0 || !(next >= 0)) return;
  event.preventDefault();
  items[next].focus();
});
// Tab goes past the others: for this one step they are no stops.
function leaveGroup(items, current) {
  const others = items.filter((item) => item !== current).map((item) => [item, item.getAttribute("tabindex")]);
  for (const [item] of others) item.tabIndex = -1;
  setTimeout(() => {
    for (const [item, before] of others) before === null ? item.removeAttribute("tabindex") : item.setAttribute("tabindex", before);
  });
}

// Single keys. The desk has more of its own.

const isOn = () => (document.getElementById("preferences") ?? document.body).dataset.keys === "on";
const onDesk = Boolean(document.getElementById("board"));
// A code of which it is not sure that it is one is copied by a click alone.
export const CODE = "[data-copy]:not([data-testid=other-code])";
// In the row or card with the focus, else in the first one that has it.
function here(selector) {
  const focused = document.activeElement.closest("[data-rental-id]");
  return focused ? focused.querySelector(selector) : document.querySelector(`main [data-rental-id] ${selector}`);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || !isOn()) return;
  const picked = equalCodes(event.target)[event.key - 1];
  if (picked) {
    picked.focus();
    picked.click();
  } else if (event.key === "?") document.getElementById("keys")?.showModal();
  else if (onDesk) return;
  else if (event.key === "/") document.querySelector("main [type=search]")?.focus();
  else if (event.key === "c" && document.querySelector("[data-rental-id]")) copyCode(here(CODE));
  else if (event.key === "n" && document.querySelector("[data-rental-id]")) copy(here("[data-copy-phone]"));
  else return;
  event.preventDefault();
});
// page.js copies what is clicked.
export function copy(button) {
  // A code that no longer holds is copied by a click alone.
  if (button && "void" in button.dataset) toast([button.dataset.of, button.dataset.caution].join(": "), true);
  else if (button) button.click();
  else toast(sentence("noCode"), true);
}

// Of several codes of a message, none of which stands out, none is copied unasked: the focus goes to the first, and the key
// of its place, or Enter, copies one.
export function copyCode(button) {
  const equal = button ? equalCodes(button) : [];
  if (equal.length < 2) return copy(button);
  if (!equal.includes(document.activeElement)) equal[0].focus();
  toast(sentence("chooseCode", { n: equal.length, of: button.dataset.of }));
}
function equalCodes(button) {
  const all = button.closest("[data-rental-id], #tray li, .message")?.querySelectorAll("[data-equal][data-copy]");
  return button.matches("[data-equal]") ? [...all] : [];
}

// A dialog gives the focus back to the button that opened it, which may have been drawn anew meanwhile.
document.getElementById("keys")?.addEventListener("close", () => {
  if (document.activeElement === document.body) (document.querySelector("[data-opens=keys]:not(details *)") ?? document.getElementById("main")).focus();
});
