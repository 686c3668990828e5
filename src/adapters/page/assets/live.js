// What the service says when figures change, and whether it still says anything.

const LEAST_MS = 2_000;
// A service that takes long to answer is asked less often: it is at work for a page at most a fifth of the time.
const REST = 4;

export class Live {
  // `onchange` gets the aggregates that changed since it was called last, at most every two seconds, and only of a page that is seen.
  constructor({ onchange, onstate }) {
    this.onchange = onchange;
    this.onstate = onstate;
    this.pending = null;
    this.next = 0;
    this.timer = null;
    this.isLost = false;
    this.connect();
    document.addEventListener("visibilitychange", () => this.deliver());
  }

  connect() {
    this.source = new EventSource("/api/v1/events");
    this.source.addEventListener("changed", (event) => this.take(JSON.parse(event.data)));
    this.source.onerror = () => {
      if (!this.isLost) this.onstate({ isLost: true });
      this.isLost = true;
      // A service that answers something else has ended the stream for good; a new one is tried.
      if (this.source.readyState === EventSource.CLOSED) setTimeout(() => this.connect(), 2_000);
    };
  }

  take(changed) {
    const isBack = this.isLost;
    this.isLost = false;
    this.onstate({ isLost: false, isBack, changed });
    this.pending ??= new Set();
    for (const aggregate of changed.aggregates) this.pending.add(aggregate);
    this.deliver();
  }

  deliver() {
    if (!this.pending || document.hidden || this.timer !== null) return;
    const wait = Math.max(0, this.next - performance.now());
    // Until the answer is there, the timer stands for it: one look at a time.
    this.timer = setTimeout(async () => {
      const aggregates = this.pending;
      this.pending = null;
      const began = performance.now();
      try {
        await this.onchange(aggregates);
      } finally {
        const ended = performance.now();
        this.next = ended + Math.max(LEAST_MS, REST * (ended - began));
        this.timer = null;
        this.deliver();
      }
    }, wait);
  }
}
