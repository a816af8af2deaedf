// Holds the event streams for all tabs of this browser, so that many tabs cost one connection: a SharedWorker where
// the browser has them, else the Worker of one tab (stream-port.js). A tab posts {key, url}. It gets {event, data} for each event, `hello`
// when it may read its board, and `lost` when the stream broke (it is opened again by itself).
//
// A classic script on purpose: it imports nothing, and browsers learned module SharedWorkers years later.
const EVENTS = ["hello", "rental", "gone", "refresh", "waiting", "tokens", "notice", "session-expired", "team-switched", "beat"];
const MAX_STREAMS = 4; // a browser has six connections to a server, and pages need some
const SILENCE = 8500; // ms without even a beat (they come each 4 s): the connection is dead
const RETRY = [500, 1000, 2000, 4000, 8000]; // ms

const streams = new Map();

class Stream {
  constructor(key, url) {
    this.key = key;
    this.url = url;
    this.ports = new Set();
    this.failures = 0;
    this.state = "lost";
    this.open();
  }
  open() {
    this.retry = undefined;
    this.heardAt = performance.now();
    this.source = new EventSource(this.url);
    for (const name of EVENTS) this.source.addEventListener(name, ({ data }) => this.receive(name, data));
    this.source.addEventListener("error", () => this.fail());
    clearInterval(this.guard);
    this.guard = setInterval(() => performance.now() - this.heardAt > SILENCE && this.fail(), 500);
  }
  receive(event, data) {
    this.heardAt = performance.now();
    this.failures = 0;
    if (event === "hello") this.state = data;
    else if (event === "waiting") this.state = "waiting";
    else if (event === "refresh") this.state = "live";
    this.broadcast(event, data);
    if (event === "session-expired" || event === "team-switched") this.close();
  }
  fail() {
    this.source.close();
    clearInterval(this.guard);
    this.state = "lost";
    this.broadcast("lost", "");
    const wait = RETRY[Math.min(this.failures, RETRY.length - 1)];
    this.failures += 1;
    this.retry = setTimeout(() => this.open(), wait * (0.5 + Math.random()));
  }
  // Another tab asks, or the network came back: no need to wait longer.
  retryNow() {
    if (!this.retry) return;
    clearTimeout(this.retry);
    this.open();
  }
  broadcast(event, data) {
    for (const port of this.ports) port.postMessage({ event, data });
  }
  close() {
    this.source.close();
    clearInterval(this.guard);
    clearTimeout(this.retry);
    streams.delete(this.key);
  }
}

function attach(port) {
  let stream;
  const leave = () => {
    stream?.ports.delete(port);
    if (stream && !stream.ports.size) stream.close();
    stream = undefined;
  };
  // Set as a property, which also starts the port of a SharedWorker.
  port.onmessage = ({ data: { key, url } }) => {
    leave();
    if (!key) return;
    if (!streams.has(key) && streams.size >= MAX_STREAMS) return port.postMessage({ event: "full", data: "" });
    stream = streams.get(key) ?? new Stream(key, url);
    streams.set(key, stream);
    stream.ports.add(port);
    if (stream.state === "lost") stream.retryNow();
    else port.postMessage({ event: "hello", data: stream.state });
  };
}

if ("onconnect" in self) self.onconnect = ({ ports: [port] }) => attach(port);
else attach(self);
