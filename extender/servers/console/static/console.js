// Keeps pages current and takes in live decisions. Pages work without it.
"use strict";
(() => {
  const held = () => document.documentElement.hasAttribute("data-held");

  // Updates, which the reader may pause.
  const hold = document.getElementById("hold");
  hold.addEventListener("click", () => {
    const now = document.documentElement.toggleAttribute("data-held");
    hold.setAttribute("aria-pressed", String(now));
    document.dispatchEvent(new Event("held"));
  });

  const refreshing = document.querySelector("[data-refresh]");
  if (refreshing) {
    hold.hidden = false;
    const busy = (region) => {
      const selection = document.getSelection();
      return region.contains(document.activeElement) || (selection && !selection.isCollapsed);
    };
    setInterval(() => {
      const region = document.querySelector("[data-refresh]");
      if (region && !held() && !document.hidden && !busy(region)) htmx.trigger(region, "refresh");
    }, Number(refreshing.dataset.refresh) * 1000);
  }

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    const search = document.getElementById("q");
    if (!search || /^(input|textarea|select)$/i.test(document.activeElement.tagName)) return;
    event.preventDefault();
    search.focus();
    search.select();
  });

  // Live decisions.
  const table = document.getElementById("live");
  if (!table) return;
  hold.hidden = false;
  const rows = table.tBodies[0];
  const state = document.getElementById("stream-state");
  const lost = document.getElementById("lost");
  const most = Number(table.dataset.most);
  let after = table.dataset.after;
  let lostCount = 0;
  let waiting = [];
  let source = null;

  const say = (text) => {
    if (state.textContent !== text) state.textContent = text;
  };

  const show = (html) => {
    const part = document.createElement("template");
    part.innerHTML = html;
    rows.prepend(part.content);
    while (rows.rows.length > most) rows.deleteRow(-1);
  };

  const connect = () => {
    const query = new URLSearchParams({ after, q: table.dataset.words, namespace: table.dataset.namespace });
    source = new EventSource(`${table.dataset.stream}?${query}`);
    source.addEventListener("open", () => say(held() ? "Paused" : "Connected"));
    source.addEventListener("decisions", (event) => {
      after = event.lastEventId;
      if (held()) {
        waiting.push(event.data);
        if (waiting.length > most) waiting.shift();
      } else {
        show(event.data);
      }
    });
    source.addEventListener("lost", (event) => {
      lostCount += Number(event.data);
      lost.hidden = false;
      lost.textContent = `${lostCount} decisions came too fast to be shown`;
    });
    source.addEventListener("ended", (event) => {
      source.close();
      say(`Ended: ${event.data}`);
    });
    source.addEventListener("error", () => {
      say("Connection lost; trying again");
      // Refused, as when too many are connected: a browser gives up then.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 5000);
    });
  };

  document.addEventListener("held", () => {
    say(held() ? "Paused" : "Connected");
    if (!held()) {
      waiting.forEach(show);
      waiting = [];
    }
  });
  addEventListener("pagehide", () => source.close());
  connect();
})();
