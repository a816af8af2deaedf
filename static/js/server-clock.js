// The server's time. The browser's clock may be wrong, and may be set while the page is open: so the server's is learnt
// anew with each beat of the stream and each part that is read, and runs on by a clock that nobody sets.
const TOLERANCE = 2000; // ms that a time may have taken on its way without putting the clock back

let ahead = performance.timeOrigin; // ms by which the server's clock is ahead of performance.now()

// `now` is the server's time, in ms since 1970, as it was sent.
export function learnServerTime(now) {
  const learnt = now - performance.now();
  if (learnt > ahead || ahead - learnt > TOLERANCE) ahead = learnt;
}
// Learn it from a page, or a part of one, that has just come: data-now is when it was made.
export function readServerClock(page = document) {
  const now = Number(page.querySelector("[data-now]")?.dataset.now);
  if (now) learnServerTime(now);
}

// ms since 1970
export const serverTime = () => performance.now() + ahead;

// The time of day in the reader's zone, as the pages write it.
const clock = new Intl.DateTimeFormat("vi", { timeZone: document.body.dataset.timeZone || "Asia/Ho_Chi_Minh", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
export const timeOfDay = (at) => clock.format(at);

readServerClock();
