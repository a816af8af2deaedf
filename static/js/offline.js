// Loads the page that was asked for as soon as the desk answers again. A page that reloads itself by the clock would be read out
// anew each time.
const { alive, page } = document.currentScript.dataset;
const PAUSE = 10_000; // ms

async function tryAgain() {
  const answer = await fetch(alive, { method: "HEAD", cache: "no-store" }).catch(() => null);
  if (answer?.ok) location.reload();
}

// A person who opens this very page has a connection.
if (location.pathname !== page) {
  setInterval(tryAgain, PAUSE);
  addEventListener("online", tryAgain);
}
