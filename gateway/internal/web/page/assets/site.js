// What pages add where JavaScript runs: copying, local times, shortcuts, a pause of what is live, and 304 for what did not change.
"use strict";
(() => {
  const root = document.documentElement, body = document.body;

  // Copying, and boxes that choose all others.
  const prepare = (within) => {
    for (const b of within.querySelectorAll("[data-all][hidden], [data-copy][hidden], [data-insert][hidden]")) b.hidden = false;
    if ("local" in root.dataset) for (const t of within.querySelectorAll("time[datetime]")) local(t);
  };
  const local = (t) => {
    const at = new Date(t.dateTime);
    if (isNaN(at)) return;
    t.title = at.toLocaleString();
    if (t.dataset.form === "clock") t.textContent = at.toDateString() === new Date().toDateString() ? at.toLocaleTimeString() : at.toLocaleString();
  };
  document.addEventListener("click", (e) => {
    const b = e.target.closest("[data-copy]");
    if (!b) return;
    const text = b.parentElement.querySelector(".copied").textContent;
    navigator.clipboard.writeText(text).then(() => { b.textContent = "Copied"; }, () => { b.textContent = "Select it to copy"; });
  });

  // Inserting what a field has at the cursor of a text.
  document.addEventListener("click", (e) => {
    const b = e.target.closest("[data-insert] button");
    if (!b) return;
    const box = b.closest("[data-insert]"), field = box.querySelector("input"), text = document.getElementById(box.dataset.insert);
    text.setRangeText(field.value, text.selectionStart, text.selectionEnd, "end");
    field.value = "";
    text.focus();
    text.dispatchEvent(new Event("input", { bubbles: true }));
  });

  // Enter in its field inserts, and sends nothing.
  document.addEventListener("keypress", (e) => { // not at keydown: the text has the focus then, and would take the key
    if (e.key !== "Enter" || !e.target.matches("[data-insert] input")) return;
    e.preventDefault();
    e.target.closest("[data-insert]").querySelector("button").click();
  });

  // A pause of what is live, on all pages of this tab.
  const pause = document.getElementById("pause"), live = document.getElementById("live");
  const paused = () => sessionStorage.getItem("paused") === "1";
  const show = () => {
    if (!pause) return;
    pause.hidden = false;
    pause.setAttribute("aria-pressed", String(paused()));
    pause.querySelector(".word").textContent = paused() ? "paused" : "live";
    pause.title = paused() ? "Continue (.)" : "Pause (.)";
  };
  const toggle = () => {
    sessionStorage.setItem("paused", paused() ? "0" : "1");
    show();
    if (!paused() && live) htmx.trigger(live, "tick");
  };
  if (pause) pause.addEventListener("click", toggle);
  for (const name of ["tick", "hold", "settings"]) {
    document.addEventListener(name, (e) => { if (paused()) e.stopImmediatePropagation(); }, true);
  }
  // Where a proxy breaks streams, the page asks every five seconds instead.
  let failed = 0, polling = 0;
  document.addEventListener("htmx:sse:error", () => {
    if (++failed >= 2 && !polling) polling = setInterval(() => { if (!document.hidden) htmx.trigger(live, "tick"); }, 5000);
  });
  document.addEventListener("htmx:sse:after:message", () => { failed = 0; clearInterval(polling); polling = 0; });

  // What was typed into a form with data-keep is there again after signing in, where the session had ended when it was sent.
  const kept = (get) => { try { return get(); } catch { return null; } }; // a frame may have no storage
  const take = (name) => kept(() => { const is = sessionStorage.getItem(name); sessionStorage.removeItem(name); return is; });
  const fields = (form) => [...form.elements].filter((f) => f.name && !["BUTTON", "FIELDSET"].includes(f.tagName) && f.type !== "checkbox" && f.type !== "radio");
  const keep = (form) => kept(() => sessionStorage.setItem("typed", JSON.stringify([location.pathname, fields(form).map((f) => [f.name, f.value])])));
  const restore = () => {
    if (document.querySelector("[data-signin]")) { kept(() => sessionStorage.setItem("signin", "1")); return; }
    const typed = take("typed"), form = document.querySelector("form[data-keep]");
    if (!take("signin") || !typed || !form) return;
    const [path, values] = JSON.parse(typed);
    if (path !== location.pathname) return;
    let changed = false;
    for (const [name, value] of values) for (const f of fields(form)) if (f.name === name && f.value !== value) { f.value = value; changed = true; }
    if (!changed) return;
    const note = document.createElement("p");
    note.className = "note";
    note.setAttribute("role", "status");
    note.textContent = "What you had typed when the session ended is here again. It is not saved.";
    document.getElementById("main").prepend(note);
    form.dispatchEvent(new Event("input", { bubbles: true }));
  };
  document.addEventListener("submit", (e) => { if (e.target.matches("[data-keep]")) keep(e.target); });

  // A refusal is no fragment: what is shown stays. Where the session has ended, the page reads itself again.
  document.addEventListener("htmx:before:response", (e) => {
    const status = e.detail.ctx.response.status;
    if (status < 400) return;
    e.preventDefault();
    if (status !== 401) return;
    const form = document.querySelector("form[data-keep]");
    if (form) keep(form);
    location.replace(location.pathname + location.search);
  });

  // A fragment that did not change is not sent again.
  document.addEventListener("htmx:config:request", (e) => {
    const tag = e.target.dataset && e.target.dataset.etag;
    if (tag) e.detail.ctx.request.headers["If-None-Match"] = tag;
  });
  document.addEventListener("htmx:after:request", (e) => {
    const tag = e.detail.ctx.response && e.detail.ctx.response.headers.get("ETag");
    if (tag && e.target.dataset) e.target.dataset.etag = tag;
  });
  document.addEventListener("htmx:after:swap", () => prepare(body));

  // Shortcuts, outside of fields.
  let leading = false;
  const rows = () => [...document.querySelectorAll("[data-row]")];
  const step = (by) => {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((r) => r.contains(document.activeElement));
    const to = all[Math.max(0, Math.min(all.length - 1, at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by))];
    (to.querySelector("a[href]") || to).focus();
  };
  document.addEventListener("keydown", (e) => {
    if ("nokeys" in root.dataset || e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, textarea, select, [contenteditable]")) return;
    if (leading) {
      leading = false;
      const to = document.querySelector(`[data-key="${CSS.escape(e.key)}"]`);
      if (to) { e.preventDefault(); to.click(); }
      return;
    }
    switch (e.key) {
    case "g": leading = true; return;
    case "/": { const q = document.querySelector("[data-search]"); if (q) { e.preventDefault(); q.focus(); } return; }
    case "j": step(1); return;
    case "k": step(-1); return;
    case "x": { const row = document.activeElement.closest("[data-row]"), box = row && row.querySelector("input[type=checkbox]"); if (box) box.click(); return; }
    case "r": { const b = document.querySelector("[data-retry]"); if (b) { e.preventDefault(); b.focus(); b.click(); } return; }
    case ".": if (pause) toggle(); return;
    case "?": { const d = document.getElementById("keys"); if (d) d.showModal(); return; }
    }
  });
  // What takes effect at once is asked first.
  document.addEventListener("submit", (e) => {
    const ask = (e.submitter && e.submitter.dataset.ask) || e.target.dataset.ask;
    if (ask && !window.confirm(ask)) e.preventDefault();
  });
  // A form that was sent is not sent once more by a double click. A file to keep leaves the page as it is, so that it can be sent later.
  document.addEventListener("submit", (e) => {
    const form = e.target;
    if (e.defaultPrevented || form.method !== "post" || form.hasAttribute("hx-post")) return;
    if (form.dataset.sent) { e.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 2000);
  });
  // A page that the browser kept as it was may show what is no longer so.
  window.addEventListener("pageshow", (e) => { if (e.persisted) location.reload(); });
  document.addEventListener("change", (e) => {
    const all = e.target.dataset.all;
    if (all) for (const b of e.target.form.elements) if (b.name === all) b.checked = e.target.checked;
  });
  document.addEventListener("change", (e) => { if (e.target.matches("[data-submit]")) e.target.form.requestSubmit(); });

  // A menu that is wider than the screen begins at the page that is open.
  const centre = () => {
    for (const a of document.querySelectorAll("nav [aria-current=page]")) {
      const menu = a.parentElement;
      menu.scrollLeft = a.offsetLeft - menu.offsetLeft - (menu.clientWidth - a.offsetWidth) / 2;
    }
  };
  centre();
  window.addEventListener("resize", centre);

  prepare(body);
  show();
  restore();

  // After a step on this site the focus is on what is new: what went wrong, or the heading. Tab goes on from there, and a screen reader
  // begins there. In the first page of a tab, or of a frame, the focus stays where it is.
  window.addEventListener("pagehide", () => kept(() => sessionStorage.setItem("moved", "1")));
  const problem = document.getElementById("problem"), heading = document.querySelector("h1");
  const arrived = kept(() => sessionStorage.getItem("moved")) && performance.getEntriesByType("navigation")[0].type === "navigate";
  if (problem) problem.focus();
  else if (heading && arrived && !location.hash && !document.querySelector("[autofocus]")) heading.focus({ preventScroll: true });
})();
