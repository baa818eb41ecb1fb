// Lets the search work from disk. Browsers start no Worker for file: addresses, so its script runs in a hidden frame.
// The name is the one by which the theme knows that there is such a script, and asks for none from elsewhere.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.appendChild(frame);
      const inside = frame.contentWindow;
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = (...addresses) => addresses.reduce(
        (before, one) => before.then(() => load(frame, one)), Promise.resolve());
      this.ready = load(frame, new URL(address, location.href).href).then(() => inside);
    }
    postMessage(data) {
      this.ready.then(inside => inside.dispatchEvent(new inside.MessageEvent("message", { data })));
    }
  };
  window.Worker = window.IFrameWorker;
}

function load(frame, address) {
  return new Promise((done, failed) => {
    const script = frame.contentDocument.createElement("script");
    script.src = address;
    script.onload = done;
    script.onerror = failed;
    frame.contentDocument.body.appendChild(script);
  });
}
