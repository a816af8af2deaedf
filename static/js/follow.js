// Keeps the page of one rental, or a page of the history, as it is on the server: when the stream names a rental that the
// page shows, the page is read again, and its parts that changed are put in. data-part on a part: its id, and `rows` where
// its children, by their ids, are replaced one by one.
import { keep, readPart, sign } from "./stream.js";

const CALM = 3000; // ms between two readings, however many rentals change
const parts = () => [...document.querySelectorAll("[data-part]")];
const CHANGING = /<(time|progress)\b[^]*?<\/\1>|<input type="hidden"[^>]*>| class="[^"]*"| data-now="[^"]*"/g;
const contentOf = (element) => (element.dataset.status ?? "") + element.innerHTML.replace(CHANGING, "").replace(/\s+/g, " ");

// The element in `fresh` that is what `element` is: by its id, or what it leads to or copies.
function sameAs(element, fresh) {
  const like = (other) => ["id", "href", "formAction"].some((name) => element[name] && other[name] === element[name]) || (element.dataset.copy && other.dataset.copy) || ("copyPhone" in element.dataset && "copyPhone" in other.dataset);
  return [...fresh.querySelectorAll(element.tagName)].find(like);
}
function replace(old, fresh) {
  if (contentOf(old) === contentOf(fresh)) return;
  // What plays is not cut off, and what is open stays.
  if ([...old.querySelectorAll("audio")].some((audio) => !audio.paused)) return;
  const focused = old.contains(document.activeElement) && document.activeElement;
  const opened = [...old.querySelectorAll("details[open]")].map((details) => details.querySelector("summary").textContent);
  const next = document.importNode(fresh, true);
  for (const details of next.querySelectorAll("details")) details.open ||= opened.includes(details.querySelector("summary").textContent);
  old.replaceWith(next);
  if (focused) (sameAs(focused, next) ?? document.getElementById("main")).focus({ preventScroll: true });
}
function replaceRows(old, fresh) {
  for (const row of [...old.children]) {
    const next = fresh.querySelector(`#${row.id}`);
    if (next) replace(row, next);
    else if (!row.matches(":focus-within")) row.remove();
  }
  let last = null;
  for (const row of fresh.children) {
    const here = document.getElementById(row.id) ?? document.importNode(row, true);
    if (last ? last.nextElementSibling !== here : old.firstElementChild !== here) old.insertBefore(here, last ? last.nextElementSibling : old.firstElementChild);
    last = here;
  }
}

function merge(page) {
  if (!page.getElementById("live-state")) return false;
  const ids = (document) => [...document.querySelectorAll("[data-part]")].map((part) => part.id).join();
  if (ids(page) !== ids(document)) location.reload(); // the first row came, or the last one went
  for (const part of parts()) {
    const fresh = page.getElementById(part.id);
    if (fresh && part.dataset.part === "rows") replaceRows(part, fresh);
    else if (fresh) replace(part, fresh);
  }
  return true;
}

// A new order stands on the newest page of the history alone.
let waiting = 0;
function change(event, data) {
  const id = event === "gone" ? data : data.match(/id="rental-(\d+)"/)?.[1];
  if (!id || !(document.getElementById(`rental-${id}`) || "newest" in sign.dataset)) return;
  waiting ||= setTimeout(() => {
    waiting = 0;
    readPart();
  }, CALM * Math.random());
}

keep({ merge, change, wants: () => document.querySelector("[data-status=queued]") });
