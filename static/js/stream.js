// Keeps a page as it is on the server, and the sign that says how fresh the page is. Changes come by the event stream;
// the page's part is read again at each (re)connection, after sleep, and in doubt. Where no stream can be had, it is read
// every few seconds.
//
// Where a colleague did something that concerns the person, document gets `desk:notice` {sentence}. The stream's event
// `tokens` triggers what has hx-trigger="sse:tokens".
//
// templates/pages/_live_sign.html brings the sign and the addresses; htmx is a classic script, and there before.
import { csrfToken } from "./csrf.js";
import { learnServerTime, readServerClock, serverTime, timeOfDay } from "./server-clock.js";
import { openPort } from "./stream-port.js";
import { sentence, toast } from "./toasts.js";

const GREETING = 10_000; // ms that a stream may take to greet before the part is read every few seconds instead
const SILENCE = 9000; // ms without a beat (they come each 4 s) or an answer, after which there is no connection
const PATIENCE = 4000; // ms that an answer may take once the server has been silent for so long
const TAKE_OVER = 5000; // ms between two attempts to take the stream over from a tab that is silent
const POLL = 4000; // ms between two readings, or ten times what one takes
const FRESH = 20_000; // ms: an older part shows its age
const AWAY = 5000; // ms of hiding after which a page that comes back reads its part
const NEWS = 30_000; // ms without a fresh part in sight after which the page says what happened meanwhile
const RETRY = 3000; // ms
const FIRST = 2000; // ms that the first connection may take before the sign says that there is none

export const sign = document.getElementById("live-state");
const word = sign.querySelector("[data-live-word]");
const age = sign.querySelector("[data-live-age]");
const steady = () => performance.now(); // ms; setting the computer's clock does not move it

let state = ""; // live, reconnecting, polling, offline, teamSwitched
let heardAt = steady(); // when the server was last heard at all
let heardTime = serverTime();
let freshAt = steady(); // when the part was last known to be as it is on the server
let seen = { time: serverTime(), wall: Date.now() }; // when such a part was last in sight
let current = true; // whether the part was read since the stream began: only then does a beat prove it fresh
let signedOut = false;
export const isLive = () => state === "live";

// What the page does: `merge(page)` takes over a part that was read and says whether `page` has it, `change(event, data)`
// takes an event, `wants()` says that something on the page changes without an event, `begin()` comes before each reading, and
// `news` is whether a reading after an absence asks what happened meanwhile.
let part;

// The sign

function show(next) {
  if (next !== state) {
    const isFirst = !state;
    state = next;
    if (isFirst && state === "reconnecting") setTimeout(showState, FIRST);
    else showState();
  }
  showAge();
}
function showState() {
  if (sign.dataset.state === state) return;
  sign.dataset.state = state;
  const since = timeOfDay(heardTime);
  word.textContent = sign.dataset[state].replace("{time}", since);
  const line = document.getElementById("no-connection");
  if (line) line.hidden = state !== "offline";
}
function showAge() {
  const seconds = Math.round((steady() - freshAt) / 1000);
  age.textContent = seconds * 1000 > FRESH && state !== "offline" ? sign.dataset.age.replace("{seconds}", seconds) : "";
}
function heard() {
  heardAt = steady();
  heardTime = serverTime();
  if (state === "offline") awaitGreeting();
}

// Without a connection nothing is sent: whether it arrived could not be known.
document.addEventListener(
  "submit",
  (event) => {
    if (state !== "offline" || event.target.method !== "post") return;
    event.preventDefault();
    event.stopImmediatePropagation();
    toast(sentence("noConnection", { time: timeOfDay(heardTime) }), true);
  },
  true,
);

// The stream

let port;
function connect() {
  // One browser may see several people come and go: the CSRF cookie changes at each sign-in.
  const url = new URL(sign.dataset.liveUrl, location.href).href;
  try {
    port ??= openPort(sign.dataset.worker, receive);
    port.connect(`${csrfToken()} ${url}`, url);
  } catch {
    return show("polling");
  }
  awaitGreeting();
}
function awaitGreeting() {
  show("reconnecting");
  setTimeout(() => state === "reconnecting" && show("polling"), GREETING);
}
function receive({ event, data }) {
  if (["lost", "hello", "refresh"].includes(event)) current = false;
  if (event === "lost") return void (state === "live" && (awaitGreeting(), readPart()));
  if (event !== "full") heard();
  if (event === "beat") learnServerTime(Number(data));
  if (event === "full" || event === "waiting" || (event === "hello" && data === "waiting")) show("polling");
  else if (["hello", "refresh"].includes(event) || (state === "reconnecting" && current)) show("live");
  if (event === "hello" || event === "team-switched") readPart();
  else if (event === "refresh") setTimeout(readPart, Math.random() * 800); // not all screens at once
  else if (event === "session-expired") {
    // Perhaps only of this session: signed in again in another tab, the part can still be read, and a stream be had.
    signedOut = true;
    show("reconnecting");
    readPart();
  } else if (event === "notice") document.dispatchEvent(new CustomEvent("desk:notice", { detail: { sentence: data } }));
  else if (event === "tokens") for (const element of document.querySelectorAll('[hx-trigger*="sse:tokens"]')) htmx.trigger(element, "sse:tokens");
  else part.change(event, data);
  // A greeting proves nothing about the part on the page: reading it does.
  if (state === "live" && current && ["rental", "gone", "tokens", "beat"].includes(event)) freshAt = steady();
  showAge();
}

// Reading

let readingSince = 0; // 0: nothing is being read
let readFailed = false;
let readAgainIn = 0; // ms; 0: no need
export async function readPart() {
  if (readingSince) return void (readAgainIn = 1000);
  readingSince = steady();
  readAgainIn = 0;
  const asksNews = part.news && !document.hidden && isAway();
  part.begin?.();
  try {
    const address = sign.dataset.boardUrl + (asksNews ? `&since=${Math.round(seen.time)}` : "");
    const headers = { "HX-Request": "true", "HX-Current-URL": location.href, "X-Page-Team": document.body.dataset.pageTeam ?? "" };
    const answer = await fetch(address, { headers, signal: AbortSignal.timeout(state === "offline" ? 6000 : 15_000) });
    const html = await answer.text();
    readFailed = false;
    heard();
    await take(answer, html, asksNews);
  } catch {
    readFailed = true; // no answer: the sign says since when
    readAgainIn = RETRY;
  }
  readingSince = 0;
  if (readAgainIn) setTimeout(readPart, readAgainIn);
}
async function take(answer, html, askedNews) {
  const page = new DOMParser().parseFromString(html, "text/html");
  readServerClock(page);
  if (part.merge(page)) isFresh(askedNews);
  else if (answer.status === 409) showTeamSwitched(page);
  else if (answer.redirected || answer.status === 401 || answer.headers.has("HX-Redirect")) signIn();
  else readAgainIn = RETRY;
}
// The sign-in says what happened, and leads back. What was typed is kept meanwhile: desk.js hears `desk:signed-out`.
function signIn() {
  document.dispatchEvent(new CustomEvent("desk:signed-out"));
  const next = encodeURIComponent(location.pathname + location.search);
  location.href = `${sign.dataset.signIn}?ended=1&next=${next}`;
}
// Which is newer, the part or what an event said meanwhile? The next part knows.
export const readSoon = (wait = 1000) => (readAgainIn = wait);

// The person works in another team now, so this part is no longer read. It is again once they are back.
function showTeamSwitched(page) {
  const line = document.getElementById("team-switched");
  if (line.hidden) line.replaceWith(page.getElementById("team-switched"));
  show("teamSwitched");
}
function isFresh(askedNews) {
  freshAt = steady();
  if (askedNews || !part.news || !isAway()) markSeen();
  current = true;
  showAge();
  const line = document.getElementById("team-switched");
  if (line) line.hidden = true;
  if (!signedOut && state !== "teamSwitched") return;
  signedOut = false;
  connect();
}
const isAway = () => Date.now() - seen.wall >= NEWS;
function markSeen() {
  if (!document.hidden) seen = { time: serverTime(), wall: Date.now() };
}

// Time

async function poll() {
  const began = steady();
  const wants = state === "live" && !document.hidden && part.wants?.();
  if (state !== "live" || wants) await readPart();
  const rest = Math.max(document.hidden ? 4 * POLL : wants ? 2 * POLL : POLL, 10 * (steady() - began));
  setTimeout(poll, Math.min(rest, 4 * POLL) * (0.75 + Math.random() / 2));
}

let tickedAt = Date.now();
let tookOverAt = -TAKE_OVER;
function tick() {
  const slept = Date.now() - tickedAt > FRESH && !document.hidden;
  tickedAt = Date.now();
  if (slept) readPart();
  else if (state === "live" && current && !readingSince && !isAway()) markSeen();
  const silent = steady() - heardAt > SILENCE;
  const answers = state === "polling" && !readFailed && !(readingSince && steady() - readingSince > PATIENCE);
  if (state === "teamSwitched") return;
  if (!navigator.onLine || (silent && !answers && !slept)) show("offline");
  else showAge();
  if (!silent || document.hidden || steady() - tookOverAt < TAKE_OVER) return;
  tookOverAt = steady();
  port?.takeOver();
}

let hiddenAt = Date.now();
document.addEventListener("visibilitychange", () => {
  if (document.hidden) hiddenAt = Date.now();
  else if (Date.now() - hiddenAt > AWAY) readPart();
});

// Begin to keep `page`, as `part` above says.
export function keep(page) {
  part = page;
  addEventListener("online", () => (connect(), readPart()));
  addEventListener("pagehide", () => port?.disconnect());
  addEventListener("pageshow", (event) => event.persisted && connect());
  setInterval(tick, 1000);
  setTimeout(poll, POLL);
  connect();
}
