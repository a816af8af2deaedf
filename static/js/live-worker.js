// Holds the event streams for all tabs of this browser, so that many tabs cost one connection: a SharedWorker where
// there are such, else a Worker of one tab. A tab says {key, url}; it is told {event, data} for each event, `hello`
// when it may read its board, and `lost` when the stream broke (it is opened again by itself).
//
// A classic script on purpose: it imports nothing, and browsers learned module SharedWorkers years later.
const EVENTS = ["hello", "rental", "gone", "refresh", "waiting", "tokens", "session-expired", "beat"];
const MOST = 4; // streams at once: a browser has six connections to a server, and pages need some
const SILENCE = 40_000; // ms without even a beat (they come each 15 s): the connection is dead
const RETRY = [500, 1000, 2000, 4000, 8000, 15_000]; // ms

const streams = new Map();

class Stream {
  constructor(key, url) {
    this.key = key;
    this.url = url;
    this.ports = new Set();
    this.tries = 0;
    this.state = "lost";
    this.open();
  }
  open() {
    this.again = undefined;
    this.heardAt = Date.now();
    this.source = new EventSource(this.url);
    for (const name of EVENTS) this.source.addEventListener(name, ({ data }) => this.heard(name, data));
    this.source.onerror = () => this.lost();
    clearInterval(this.guard);
    this.guard = setInterval(() => Date.now() - this.heardAt > SILENCE && this.lost(), 5000);
  }
  heard(event, data) {
    this.heardAt = Date.now();
    this.tries = 0;
    if (event === "hello") this.state = data;
    else if (event === "waiting") this.state = "waiting";
    else if (event === "refresh") this.state = "live";
    this.tell(event, data);
    if (event === "session-expired") this.close();
  }
  lost() {
    this.source.close();
    clearInterval(this.guard);
    this.state = "lost";
    this.tell("lost", "");
    const wait = RETRY[Math.min(this.tries, RETRY.length - 1)];
    this.tries += 1;
    this.again = setTimeout(() => this.open(), wait * (0.5 + Math.random()));
  }
  // Somebody new asks, or the network came back: no need to wait longer.
  hurry() {
    if (!this.again) return;
    clearTimeout(this.again);
    this.open();
  }
  tell(event, data) {
    for (const port of this.ports) port.postMessage({ event, data });
  }
  close() {
    this.source.close();
    clearInterval(this.guard);
    clearTimeout(this.again);
    streams.delete(this.key);
  }
}

function attach(port) {
  let mine;
  const leave = () => {
    mine?.ports.delete(port);
    if (mine && !mine.ports.size) mine.close();
    mine = undefined;
  };
  port.onmessage = ({ data: { key, url } }) => {
    leave();
    if (!key) return;
    if (!streams.has(key) && streams.size >= MOST) return port.postMessage({ event: "full", data: "" });
    mine = streams.get(key) ?? new Stream(key, url);
    streams.set(key, mine);
    mine.ports.add(port);
    if (mine.state === "lost") mine.hurry();
    else port.postMessage({ event: "hello", data: mine.state });
  };
}

if ("onconnect" in self) self.onconnect = ({ ports: [port] }) => attach(port);
else attach(self);
