// The server's time: the browser's clock may be wrong. A page carries the server's in data-now.
let ahead = 0; // ms by which the server's clock is ahead of the browser's

// Call it again when data-now has come anew.
export function readServerClock() {
  const now = Number(document.querySelector("[data-now]")?.dataset.now);
  if (now) ahead = now - Date.now();
}

// ms since 1970, now or at a time of the browser's clock.
export const serverTime = (at = Date.now()) => at + ahead;

readServerClock();
