// SPDX-License-Identifier: MIT
// Fetches the same page again every few seconds and changes only what differs, so that focus, scroll position and
// selection stay. Without it the page is whole, and is reloaded by hand.
"use strict";
(() => {
  const EVERY_MS = 5000;
  const PATIENCE_MS = 30000;
  const main = document.getElementById("main");
  const told = document.getElementById("told");
  const state = document.createElement("span");
  const button = document.createElement("button");
  let running = true;
  let timer = 0;

  button.type = "button";
  document.getElementById("updates").replaceChildren(state, " ", button);

  // Only where browsers can move a node as it is does it keep its focus.
  const move = Element.prototype.moveBefore || Element.prototype.insertBefore;
  const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE && (node.dataset.key || node.id)) || "";
  const alike = (one, other) =>
    one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);

  function become(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = fresh.nodeValue;
      return;
    }
    // What somebody is typing or has ticked is theirs.
    if (old.nodeName === "FORM") return;
    for (const name of old.getAttributeNames()) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const name of fresh.getAttributeNames()) {
      const value = fresh.getAttribute(name);
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    children(old, fresh);
  }

  function children(old, fresh) {
    const keyed = new Map();
    for (const child of old.childNodes) if (keyOf(child)) keyed.set(keyOf(child), child);
    const stays = new Set(Array.from(fresh.childNodes, keyOf));
    let at = old.firstChild;
    for (const wanted of [...fresh.childNodes]) {
      while (at && !stays.has(keyOf(at))) at = removed(at);
      const known = keyed.get(keyOf(wanted));
      if (known && alike(known, wanted)) {
        while (at && at !== known && !keyOf(at)) at = removed(at);
        if (at === known) at = at.nextSibling;
        else move.call(old, known, at);
        become(known, wanted);
      } else if (at && !keyOf(at) && alike(at, wanted)) {
        const next = at.nextSibling;
        become(at, wanted);
        at = next;
      } else {
        old.insertBefore(document.importNode(wanted, true), at);
      }
    }
    while (at) at = removed(at);
  }

  function removed(node) {
    const next = node.nextSibling;
    node.remove();
    return next;
  }

  const said = (root) => (root.querySelector("#summary")?.textContent || "").replace(/\s+/g, " ").trim();

  async function update() {
    let failure = "";
    try {
      const answer = await fetch(location.href, {cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS)});
      if (!(answer.headers.get("content-type") || "").startsWith("text/html")) throw new Error(`status ${answer.status}`);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const content = fresh.getElementById("main");
      if (!content) throw new Error(`status ${answer.status}`);
      const before = said(main);
      children(main, content);
      document.title = fresh.title;
      const now = said(main);
      if (now !== before) told.textContent = now;
    } catch (error) {
      failure = "No answer: the page is not up to date. ";
    }
    if (failure && failure !== state.dataset.failure) told.textContent = failure;
    state.dataset.failure = failure;
    show();
  }

  function show() {
    state.textContent = running ? state.dataset.failure || "Updates itself." : "Stands still.";
    button.textContent = running ? "Pause" : "Go on";
  }

  function plan() {
    clearTimeout(timer);
    if (running && !document.hidden) timer = setTimeout(() => update().finally(plan), EVERY_MS);
  }

  button.addEventListener("click", () => {
    running = !running;
    show();
    if (running) update().finally(plan);
    else plan();
  });
  document.addEventListener("visibilitychange", plan);
  show();
  plan();
})();
