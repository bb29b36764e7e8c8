// The live picture or table in the page. Python sends its contents, and counts a beat each time. Without a beat
// for a while, the kernel, the lab or the connection is gone: then only the page can say so.

const PARTS = `
  <div class="lq-bar"><button class="lq-button jupyter-button" type="button"></button>
  <span class="lq-message" role="status"></span></div>
  <div class="lq-alarm" role="alert"></div>
  <div class="lq-figure"></div>
  <div class="lq-spoken" aria-live="polite"></div>`;
const OLD = (seconds) =>
  `No news for ${seconds} s: the kernel, the lab or the connection is gone or busy. The picture below is old. ` +
  "To see the network live again, run this notebook from the cell that opens the lab.";

function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "lq-live";
  root.setAttribute("data-lm-suppress-shortcuts", "true"); // keys on the button belong to the button
  root.innerHTML = PARTS;
  el.append(root);
  const part = (name) => root.querySelector(`.lq-${name}`);
  const [button, figure] = [part("button"), part("figure")];
  let heard = performance.now();
  let old = false;

  const say = (name, text) => {
    const place = part(name);
    if (place.textContent !== text) place.textContent = text; // a screen reader would speak the same text again
  };
  const show = () => {
    const ended = model.get("ended");
    const idle = old || Boolean(ended);
    root.classList.toggle("lq-old", idle);
    button.hidden = !model.get("button");
    say("button", model.get("button"));
    button.disabled = idle;
    button.setAttribute("aria-disabled", String(idle || model.get("busy"))); // busy: it keeps the focus
    say("message", idle ? "" : model.get("message"));
    say("alarm", ended || model.get("notice") || (old ? OLD(model.get("patience")) : ""));
    say("spoken", idle ? "" : model.get("spoken"));
  };
  const draw = () => {
    const fresh = document.createElement("div");
    fresh.className = figure.className;
    fresh.innerHTML = model.get("content");
    morph(figure, fresh);
  };
  const look = () => {
    const silent = performance.now() - heard > 1000 * model.get("patience");
    if (silent !== old) {
      old = silent;
      show();
    }
  };
  const beat = () => {
    heard = performance.now();
    look();
  };
  button.onclick = () => {
    if (button.getAttribute("aria-disabled") === "false") model.send({ press: true });
  };
  model.on("change:beat", beat);
  model.on("change:content", draw);
  const shown = ["busy", "message", "notice", "ended", "spoken", "button"];
  for (const name of shown) model.on(`change:${name}`, show);
  const measure = new ResizeObserver(() => {
    const width = Math.floor(root.clientWidth / 20) * 20; // not at each pixel of a window that is being drawn
    if (width && width !== model.get("width")) {
      model.set("width", width);
      model.save_changes();
    }
  });
  measure.observe(root);
  const timer = setInterval(look, 500);
  draw();
  show();
  return () => {
    clearInterval(timer);
    measure.disconnect();
    model.off("change:beat", beat);
    model.off("change:content", draw);
    for (const name of shown) model.off(`change:${name}`, show);
  };
}

// Make one element like another, and touch only what differs: a reader's place, a tooltip and what moves stay.
// Children with a data-key are the same as long as that is.
function morph(now, then) {
  for (const { name } of [...now.attributes]) if (!then.hasAttribute(name)) now.removeAttribute(name);
  for (const { name, value } of then.attributes)
    if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  const key = (node) => node.dataset?.key;
  const keys = new Set([...then.childNodes].map(key));
  for (const node of [...now.childNodes]) if (key(node) && !keys.has(key(node))) node.remove();
  let place = now.firstChild;
  for (const wanted of [...then.childNodes]) {
    if (!place) {
      now.append(wanted);
      continue;
    }
    const next = place.nextSibling;
    if (key(wanted) && key(place) !== key(wanted)) {
      now.insertBefore(wanted, place); // new, and what stands here comes later
      continue;
    }
    if (place.nodeName !== wanted.nodeName || key(place) !== key(wanted)) place.replaceWith(wanted);
    else if (place.nodeType === Node.ELEMENT_NODE) morph(place, wanted);
    else if (place.nodeValue !== wanted.nodeValue) place.nodeValue = wanted.nodeValue;
    place = next;
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

export default { render };
