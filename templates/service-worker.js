// Shows a page of its own while the desk cannot be reached. It keeps that page and the files that it is drawn with: never a page
// of the desk, and it has no part in a stream, in what htmx asks for, or in a form that is sent.
const KEPT = {{ assets|safe }};
const CACHE = "offline-{{ version }}";

addEventListener("install", (event) => event.waitUntil(keep()));
async function keep() {
  const cache = await caches.open(CACHE);
  await cache.addAll(KEPT.map((address) => new Request(address, { credentials: "omit" })));
  await skipWaiting();
}

addEventListener("activate", (event) => event.waitUntil(takeOver()));
async function takeOver() {
  for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
  await registration.navigationPreload?.enable(); // a page is asked for while this script starts
  await clients.claim();
}

addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  if (method !== "GET") return;
  if (mode === "navigate") event.respondWith(pageOf(event));
  else if (KEPT.some((address) => new URL(address, location).href === url)) event.respondWith(fileOf(event.request));
});
async function pageOf(event) {
  try {
    return (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    return caches.match(KEPT[0]);
  }
}
const fileOf = async (request) => (await caches.match(request.url)) ?? fetch(request);
