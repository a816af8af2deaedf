// The way to the event stream. All tabs of one browser share one connection, since a browser has six to a server over
// HTTP/1.1: by a SharedWorker; where the browser has none, one tab has the stream in a Worker and passes its events on.
//
// Each way has connect(key, url), disconnect() and takeOver(); the events go to `receive`, as stream-worker.js says.
const MAX_STREAMS = 4; // of different keys
const ELECTION = 200; // ms that another tab has to say that it has the stream; a tab that is busy takes up to twice that

// Throws where the browser can do neither.
export function openPort(worker, receive) {
  return window.SharedWorker ? new ByWorker(new SharedWorker(worker), receive) : new ByTab(worker, receive);
}

class ByWorker {
  constructor(worker, receive) {
    worker.addEventListener("error", () => receive({ event: "full" }));
    this.port = worker.port;
    this.port.onmessage = ({ data }) => receive(data); // set as a property, which also starts the port
  }
  connect(key, url) {
    this.port.postMessage({ key, url });
  }
  disconnect() {
    this.port.postMessage({});
  }
  takeOver() {}
}

// The tabs speak on one channel: {asks, key}, {has, key, event, data} from the tab that has the stream, {leaves}.
class ByTab {
  constructor(worker, receive) {
    if (!window.Worker || !window.BroadcastChannel) throw new Error("no way to share a stream");
    Object.assign(this, { worker, receive, id: `${Date.now()}-${Math.random()}` });
  }
  connect(key, url) {
    this.disconnect();
    Object.assign(this, { key, url });
    this.channel = new BroadcastChannel("live");
    this.channel.onmessage = ({ data }) => this.hear(data);
    this.elect();
  }
  elect() {
    this.others = new Set();
    this.channel.postMessage({ asks: this.id, key: this.key });
    clearTimeout(this.election);
    this.election = setTimeout(() => this.open(), ELECTION * (1 + Math.random()));
  }
  hear({ asks, has, key, leaves, to, event, data }) {
    if (asks && this.stream) this.tell({ ...this.last, to: asks });
    if (leaves === this.key) this.elect();
    if (!has) return;
    this.others.add(has);
    if (key !== this.key) return;
    clearTimeout(this.election);
    if (this.stream && has > this.id) return; // two began at once: the other one hears of this one, and stops
    this.stop();
    if (event && (!to || to === this.id)) this.receive({ event, data });
  }
  open() {
    if (this.others.size >= MAX_STREAMS) return this.receive({ event: "full", data: "" });
    this.stream = new Worker(this.worker);
    this.last = {};
    this.tell({});
    this.stream.onmessage = ({ data: said }) => {
      const isAway = said.event === "waiting" || said.data === "waiting";
      if (["hello", "waiting", "refresh"].includes(said.event)) this.last = { event: "hello", data: isAway ? "waiting" : "live" };
      else if (said.event === "lost") this.last = said;
      this.tell(said);
      this.receive(said);
    };
    this.stream.postMessage({ key: this.key, url: this.url });
  }
  tell(said) {
    this.channel.postMessage({ has: this.id, key: this.key, ...said });
  }
  stop() {
    this.stream?.terminate();
    this.stream = undefined;
  }
  disconnect() {
    clearTimeout(this.election);
    if (this.stream) this.channel.postMessage({ leaves: this.key });
    this.stop();
    this.channel?.close();
    this.channel = undefined;
  }
  // The tab that has the stream has fallen silent: another one is found, unless it answers.
  takeOver() {
    if (this.channel && !this.stream) this.elect();
  }
}
