// The connection to /events. The browser reconnects by itself after a broken connection, but not after an error
// status, and it does not notice a connection that has gone silent: this file sees to both.

const SILENT_MS = 20_000; // four beats
const AGAIN_MS = 1_500;

/** Calls `onState(message)`, `onBeat(status)` and `onLink(up)` from now on. */
export function openStream({ onState, onBeat, onLink }) {
  let source = null;
  let heardMs = performance.now();
  let lastId = "";
  let timer = 0;

  const open = () => {
    source = new EventSource(`/events${lastId ? `?after=${encodeURIComponent(lastId)}` : ""}`);
    heardMs = performance.now();
    source.addEventListener("state", (event) => {
      heardMs = performance.now();
      lastId = event.lastEventId;
      onLink(true);
      onState(JSON.parse(event.data));
    });
    source.addEventListener("beat", (event) => {
      heardMs = performance.now();
      onLink(true);
      onBeat(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      onLink(false);
      if (source.readyState === EventSource.CLOSED) again();
    });
  };
  const again = () => {
    source.close();
    clearTimeout(timer);
    timer = setTimeout(open, AGAIN_MS);
  };
  setInterval(() => {
    if (source.readyState === EventSource.OPEN && performance.now() - heardMs > SILENT_MS) {
      onLink(false);
      again();
    }
  }, 1_000);
  open();
}
