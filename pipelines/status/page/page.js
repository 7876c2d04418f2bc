"use strict";
// Polls /status.json, which the job makes once a second, and draws it. All text goes in as text, never as markup.
const POLL_MS = 2000, PATIENCE_MS = 8000, HOUR_S = 3600, LEAST_SPAN_S = 300;
const byId = (id) => document.getElementById(id);

function add(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "width") node.style.width = value; else node.setAttribute(name, value);
}
function h(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) add(node, name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined).map((child) => child.nodeType ? child : String(child)));
  return node;
}
function svg(tag, properties, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties || {})) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// -- numbers for people ------------------------------------------------------------------------------------

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
function count(value) {
  if (value >= 1e9) return (value / 1e9).toFixed(2) + " G";
  return value >= 1e7 ? (value / 1e6).toFixed(1) + " M" : whole.format(value);
}
function rate(value) { return value > 0 && value < 9.95 ? value.toFixed(1) : count(value || 0); }
function size(value) {
  for (const unit of ["B", "KB", "MB", "GB"]) {
    if (value < 1000) return (unit === "B" || value >= 100 ? value.toFixed(0) : value.toFixed(1)) + " " + unit;
    value /= 1000;
  }
  return value.toFixed(1) + " TB";
}
function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 0.0005) return "0 s";
  if (value < 0.9995) return (value * 1000).toFixed(0) + " ms";
  if (value < 10) return value.toFixed(1) + " s";
  if (value < 120) return value.toFixed(0) + " s";
  if (value < 7200) return (value / 60).toFixed(0) + " min";
  if (value < 172800) return (value / 3600).toFixed(value < 36000 ? 1 : 0) + " h";
  return (value / 86400).toFixed(0) + " days";
}
function ago(at, now) { return now - at < 1 ? "just now" : seconds(now - at) + " ago"; }
function clock(at) { return new Date(at * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }); }
function plural(number, word) { return count(number) + " " + word + (number === 1 ? "" : "s"); }

// -- head, figures, steps ----------------------------------------------------------------------------------

const MARKS = { good: "M2 8.5 6 12.5 14 3.5", bad: "M8 2 15 14 1 14Z M8 6.5 8 10 M8 11.8 8 12", wait: "M8 1.5a6.5 6.5 0 1 0 .01 0Z M8 4.5 8 8.5 10.5 10" };
function mark(kind) {
  return svg("svg", { class: "mark", viewBox: "0 0 16 16", "aria-hidden": "true", fill: "none", stroke: "currentColor", "stroke-width": "1.8", "stroke-linejoin": "round", "stroke-linecap": "round" }, svg("path", { d: MARKS[kind] }));
}
function setState(kind, text) {
  const state = byId("state");
  if (state.textContent === text && state.classList.contains(kind)) return;
  state.className = "state " + kind;
  state.replaceChildren(mark(kind), text);
}
function notice(kind, text) { return h("p", { class: "notice " + kind }, text); }

function drawHead(job) {
  document.title = job.name + " – penstock";
  byId("name").textContent = job.name;
  const cpu = job.cpu_s / Math.max(1, job.at - job.started_at);
  byId("about").textContent = "up " + seconds(job.at - job.started_at) + " · " + (cpu * 100).toFixed(0) + " % of a core · " + size(job.resident_bytes) +
    " · " + job.runner + " · version " + job.version;
  const notices = job.reasons.map((reason) => notice(/^(stopping|starting)/.test(reason) ? "wait" : "bad", reason[0].toUpperCase() + reason.slice(1) + "."));
  if (job.progress) notices.unshift(h("div", { class: "card empty" }, h("div", { class: "bar" }, h("i", { width: (job.progress.share * 100).toFixed(1) + "%" })), job.progress.text));
  byId("notices").replaceChildren(...notices);
  if (job.ready) setState("good", job.progress ? "Running" : "Keeping up");
  else if (job.stopping) setState("wait", "Stopping");
  else if (/^starting/.test(job.reasons[0])) setState("wait", "Starting");
  else setState("bad", job.reasons.some((reason) => /^not connected/.test(reason)) ? "Not connected" : "Not keeping up");
}

function figure(title, big, unit, small, options) {
  const { share, bad } = options || {};
  const bar = share === undefined ? null : h("div", { class: share > 0.9 ? "bar high" : "bar" }, h("i", { width: Math.min(100, share * 100).toFixed(1) + "%" }));
  return h("div", { class: bad ? "bad" : "" }, h("dt", {}, title), h("dd", { class: "big" }, big, h("span", { class: "unit" }, unit)), bar === null ? null : h("dd", {}, bar), h("dd", { class: "small" }, small));
}
function outlook(totals) { // where the lag leads at the pace of the last minute
  if (totals.lost_in_s === 0) return "the stream drops events before they are read";
  if (totals.lost_in_s !== null) return "at this rate the stream drops unread events in " + seconds(totals.lost_in_s);
  return totals.caught_up_in_s === null ? null : "caught up in " + seconds(totals.caught_up_in_s) + " at this rate";
}
function drawFigures(totals, job) {
  const delivery = totals.delivery;
  const cards = [
    figure("Events in", rate(totals.in_per_s), "per s", size(totals.bytes_per_s) + "/s · " + count(totals.in) + " in all"),
    figure("Events out", rate(totals.out_per_s), "per s", count(totals.out) + (job.progress ? " written" : " acknowledged")),
  ];
  if (totals.lag_s !== null) {
    const [number, unit] = seconds(totals.lag_s).split(" ");
    const delivered = delivery.p50 === null ? "nothing delivered in the last minute" : "delivered in " + seconds(delivery.p50) + ", 99 % in " + seconds(delivery.p99);
    cards.push(figure("Lag", number, unit, outlook(totals) || delivered, { bad: job.reasons.some((reason) => /keeping up/.test(reason)) }));
    cards.push(figure("Waiting", count(totals.pending), "events", "of " + count(totals.max_pending) + " that may wait", { share: totals.pending / Math.max(1, totals.max_pending) }));
  }
  cards.push(figure("Refused", count(totals.dead_letters), "events", totals.dead_letters ? rate(totals.dead_letters_per_s) + " per s, kept as dead letters" : "no dead letter so far", { bad: totals.dead_letters_per_s > 0 }));
  cards.push(figure("Tried again", count(totals.retries), "times", totals.retries ? rate(totals.retries_per_s) + " per s" : "everything was taken at once", { bad: totals.retries_per_s > 0 }));
  byId("figures").replaceChildren(...cards);
}

function breakable(name) { // a long name breaks between its words
  return name.split(/(?=[A-Z])/).flatMap((part, index) => index ? [h("wbr"), part] : [part]);
}
function drawFlow(steps, sources) {
  const peers = sources.map((source) => source.client_count || source.clients.length ? plural(source.client_count, "client") : source.shard_count ? plural(source.shard_count, "shard") : "").filter(Boolean).join(", ");
  byId("flow").replaceChildren(...steps.map((step, index) => {
    const straight = index === 0 || (step.after.length === 1 && step.after[0] === steps[index - 1].name);
    const errors = step.refused || step.failures;
    const told = [];
    if (step.refused) told.push("refused " + count(step.refused));
    if (step.failures) told.push("failed " + plural(step.failures, "time"));
    return h("li", {}, h("div", {},
      h("h3", {}, ...breakable(step.name)),
      straight ? null : h("p", { class: "line" }, step.after.length ? "takes from " + step.after.join(", ") : "starts here"),
      step.metered ? h("p", { class: "rate" }, rate(step.events_per_s), h("span", {}, " events/s")) : null,
      step.metered ? h("p", { class: "line" }, size(step.bytes_per_s) + "/s · " + count(step.events) + " in all") : h("p", { class: "line" }, "not metered"),
      step.kind === "source" && peers ? h("p", { class: "line" }, peers) : null,
      step.busy === null ? null : h("p", { class: "line" }, "busy " + (step.busy * 100).toFixed(0) + " %"),
      step.busy === null ? null : h("div", { class: step.busy > 0.8 ? "bar high" : "bar" }, h("i", { width: (step.busy * 100).toFixed(1) + "%" })),
      h("p", { class: errors ? "errors bad" : "errors" }, errors ? "▲ " + told.join(", ") : "no errors")));
  }));
}

function shownJob() { return new URLSearchParams(location.search).get("job") || ""; }
function drawJobs(jobs, shown) { // the jobs of one command, side by side; each name leads to the page of that job
  byId("jobs").hidden = jobs.length < 2;
  byId("job-list").replaceChildren(...jobs.map((job) => h("li", { class: job.name === shown ? "shown" : null },
    h("h3", {}, job.name === shown ? h("span", { "aria-current": "page" }, job.name) : h("a", { href: "/?job=" + encodeURIComponent(job.name) }, job.name),
      job.ready ? h("span", { class: "tag good" }, job.progress === null ? "keeping up" : "running") : h("span", { class: "tag bad" }, "▲ " + job.reason.split(":")[0])),
    h("p", { class: "rate" }, rate(job.out_per_s), h("span", {}, " events/s out")),
    h("p", { class: "line" }, rate(job.in_per_s) + "/s in" + (job.lag_s === null ? "" : " · " + count(job.pending) + " waiting · lag " + seconds(job.lag_s))),
    h("p", { class: "line" }, [job.workers ? plural(job.workers, "worker") : "", job.dead_letters ? count(job.dead_letters) + " refused" : "nothing refused", job.progress || ""].filter(Boolean).join(" · ")))));
}
function drawWorkers(workers) {
  byId("workers").hidden = !workers.length;
  byId("worker-list").replaceChildren(...workers.map((worker) => {
    const down = worker.state === "waiting";
    return h("li", {},
      h("h3", {}, "Worker " + worker.number, h("span", { class: down ? "tag bad" : "tag" }, down ? "▲ down" : worker.state)),
      h("p", { class: "rate" }, rate(worker.out_per_s), h("span", {}, " events/s out")),
      h("p", { class: "line" }, rate(worker.in_per_s) + "/s in · " + count(worker.pending_events) + " waiting · lag " + seconds(worker.lag_s)),
      h("p", { class: "line" }, (worker.cpu * 100).toFixed(0) + " % of a core · " + size(worker.resident_bytes)),
      h("div", { class: worker.cpu > 0.9 ? "bar high" : "bar" }, h("i", { width: Math.min(100, worker.cpu * 100).toFixed(1) + "%" })),
      h("p", { class: "line" }, (worker.pid === null ? "no process" : "process " + worker.pid) + " · since " + clock(worker.since)),
      worker.restarts ? h("p", { class: "line" }, plural(worker.restarts, "restart") + ", the last one: " + worker.why) : null);
  }));
}

// -- charts ------------------------------------------------------------------------------------------------

const BUCKET_PX = 2; // more points than that draw a smear
const hour = { last: 0, times: [], series: {} };
function remember(history) {
  const before = hour.times.length;
  hour.times.push(...history.times);
  for (const [name, values] of Object.entries(history.series)) {
    if (!hour.series[name]) hour.series[name] = new Array(before).fill(null);
    hour.series[name].push(...values);
  }
  const cut = hour.times.findIndex((at) => at >= hour.times[hour.times.length - 1] - HOUR_S);
  if (cut > 0) { hour.times.splice(0, cut); for (const values of Object.values(hour.series)) values.splice(0, cut); }
  hour.last = history.last;
}
function forget() { hour.last = 0; hour.times = []; hour.series = {}; }

function niceTop(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 5, 10]) if (step * power >= value) return step * power;
  return value;
}
let pointed = null; // the moment under the pointer, for all charts
function chartsOf(status) {
  const charts = [
    { title: "Events per second", format: rate, mean: true, lines: [["in", "in"], ["out", "out"]] },
    { title: "Bytes per second", format: size, mean: true, lines: [["in", "bytes"]] },
  ];
  if (status.totals.lag_s !== null) {
    charts.push({ title: "Lag", format: seconds, lines: [["behind", "lag_s"], ["99 % within", "p99 delivery"]] });
    charts.push({ title: "Waiting events", format: count, lines: [["pending", "pending"]] });
  }
  for (const request of status.requests.slice(0, 3)) charts.push({ title: request.title, format: seconds, lines: [["half within", "p50 " + request.name], ["99 % within", "p99 " + request.name]] });
  charts.push({ title: "Trouble per second", format: rate, lines: [["refused", "dead_letters"], ["tried again", "retries"]] });
  return charts;
}
function drawCharts(status) {
  const box = byId("charts"), charts = chartsOf(status);
  while (box.children.length > charts.length) box.lastChild.remove();
  charts.forEach((chart, index) => {
    let holder = box.children[index];
    if (!holder) {
      holder = h("figure", {}, h("figcaption", {}), svg("svg", { class: "plot", role: "img" }));
      const plot = holder.lastChild;
      plot.addEventListener("pointermove", (event) => { pointed = momentAt(plot, event.offsetX); redraw(); });
      plot.addEventListener("pointerleave", () => { pointed = null; redraw(); });
      box.append(holder);
    }
    drawChart(holder, chart);
  });
}
const LEFT = 4, RIGHT = 4, TOP = 14, BOTTOM = 18;
function span() {
  const end = hour.times.length ? hour.times[hour.times.length - 1] : 0;
  const length = hour.times.length ? Math.min(HOUR_S, Math.max(LEAST_SPAN_S, end - hour.times[0])) : LEAST_SPAN_S;
  return [end - length, end];
}
function momentAt(plot, x) {
  const [begin, end] = span();
  return begin + (end - begin) * Math.min(1, Math.max(0, (x - LEFT) / Math.max(1, plot.clientWidth - LEFT - RIGHT)));
}
// The points of a line, one for each bucket of pixels: the mean of a rate, and the worst of everything else. A gap begins a new run.
function runsOf(values, first, x, mean) {
  const runs = [];
  let bucket = null, broken = true;
  const close = () => {
    if (!bucket) return;
    if (broken) runs.push([]);
    runs[runs.length - 1].push([bucket.x / bucket.n, mean ? bucket.sum / bucket.n : bucket.top]);
    bucket = null; broken = false;
  };
  for (let i = first; i < hour.times.length; i++) {
    const value = values[i];
    if (value === null || value === undefined) { close(); broken = true; continue; }
    const px = x(hour.times[i]), number = Math.floor(px / BUCKET_PX);
    if (bucket && bucket.number !== number) close();
    if (!bucket) bucket = { number, x: 0, n: 0, sum: 0, top: value };
    bucket.x += px; bucket.n++; bucket.sum += value; bucket.top = Math.max(bucket.top, value);
  }
  close();
  return runs;
}
function drawChart(holder, chart) {
  const plot = holder.lastChild, width = Math.max(120, plot.clientWidth), height = 132;
  const [begin, end] = span();
  const lines = chart.lines.map(([label, name]) => ({ label, values: hour.series[name] || [] }));
  const first = hour.times.findIndex((at) => at >= begin);
  let top = 0;
  for (const line of lines) for (let i = Math.max(0, first); i < line.values.length; i++) if (line.values[i] > top) top = line.values[i];
  top = niceTop(top);
  const x = (at) => LEFT + (width - LEFT - RIGHT) * (at - begin) / Math.max(1, end - begin);
  const y = (value) => TOP + (height - TOP - BOTTOM) * (1 - Math.min(1, value / top));
  plot.setAttribute("viewBox", "0 0 " + width + " " + height);
  const parts = [];
  for (const share of [1, 0.5]) parts.push(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(top * share), y2: y(top * share) }));
  parts.push(svg("line", { class: "base", x1: LEFT, x2: width - RIGHT, y1: y(0), y2: y(0) }));
  if (hour.times.length > 1) {
    lines.forEach((line, number) => {
      for (const run of runsOf(line.values, Math.max(0, first), x, chart.mean).map((each) => each.map(([px, value]) => [px, y(value)]))) {
        if (run.length === 1) run.push([run[0][0] + 1, run[0][1]]);
        const path = "M" + run.map(([px, py]) => px.toFixed(1) + " " + py.toFixed(1)).join("L");
        if (number === 0) parts.push(svg("path", { class: "area", d: path + "L" + run[run.length - 1][0].toFixed(1) + " " + y(0) + "L" + run[0][0].toFixed(1) + " " + y(0) + "Z" }));
        parts.push(svg("path", { class: number === 0 ? "one" : "two", d: path }));
      }
    });
  }
  parts.push(text(LEFT, y(top) - 3, chart.format(top), "start"));
  const marks = width > 330 ? [begin, (begin + end) / 2, end] : [begin, end];
  if (hour.times.length) marks.forEach((at, index) => parts.push(text(x(at), height - 4, clock(at), index === 0 ? "start" : index === marks.length - 1 ? "end" : "middle")));
  else parts.push(text(width / 2, height / 2, "the first points come after five seconds", "middle"));
  let at = hour.times.length - 1;
  if (pointed !== null && hour.times.length) {
    at = hour.times.reduce((best, each, i) => Math.abs(each - pointed) < Math.abs(hour.times[best] - pointed) ? i : best, 0);
    parts.push(svg("line", { class: "cross", x1: x(hour.times[at]), x2: x(hour.times[at]), y1: TOP, y2: height - BOTTOM }));
  }
  plot.replaceChildren(...parts);
  const told = lines.map((line) => ({ label: line.label, value: line.values[at] === null || line.values[at] === undefined ? "–" : chart.format(line.values[at]) }));
  const when = pointed === null || at < 0 ? "" : " at " + clock(hour.times[at]);
  plot.setAttribute("aria-label", chart.title + ", last hour; now " + told.map((each) => each.label + " " + each.value).join(", ") + "; highest " + chart.format(top) + " or less");
  holder.firstChild.replaceChildren(h("b", {}, chart.title + when), h("span", {}, ...told.map((each, number) => h("span", { class: "key" },
    svg("svg", { viewBox: "0 0 18 8", "aria-hidden": "true" }, svg("line", { class: number === 0 ? "one" : "two", x1: 0, x2: 18, y1: 4, y2: 4 })), each.label, h("em", {}, each.value)))));
}
function text(x, y, value, anchor) { return svg("text", { x, y, "text-anchor": anchor }, value); }

// -- tables ------------------------------------------------------------------------------------------------

function table(id, title, number, heads, rows, empty, options) {
  const { wide, tall } = options || {};
  const caption = h("h2", { id: "t-" + id }, title, number === null ? null : h("span", { class: "count" }, "  " + number));
  const body = rows.length ? h("div", { class: "card list" + (tall ? " tall" : ""), tabindex: tall && rows.length > 10 ? "0" : null, role: tall && rows.length > 10 ? "region" : null, "aria-labelledby": tall && rows.length > 10 ? "t-" + id : null },
    h("table", { "aria-labelledby": "t-" + id }, h("thead", {}, h("tr", {}, ...heads.map(([head, kind]) => h("th", { scope: "col", class: kind }, head)))),
      h("tbody", {}, ...rows.map((cells) => h("tr", {}, ...cells.map((cell, i) => i === 0 ? h("th", { scope: "row" }, cell) : h("td", { class: heads[i][1], "data-head": heads[i][0] }, cell)))))))
    : h("div", { class: "card" }, h("p", { class: "empty" }, empty));
  return h("section", { class: wide ? "wide" : "", "aria-labelledby": "t-" + id }, caption, body);
}
function tag(kind, text) { return h("span", { class: "tag " + kind }, text); }
function positionOf(checkpoint) { // "49...898:3" is the fourth user record of sequence number 49...898
  const [number, record] = checkpoint.split(":");
  const short = number.length > 24 ? "…" + number.slice(-12) : number;
  return record === undefined ? short : "sequence number " + short + (record === "0" ? "" : ", record " + count(Number(record) + 1));
}
function behindOf(shard, source) {
  if (shard.behind_s === null) return "not read yet";
  if (shard.behind_s === 0) return "at the tip";
  if (shard.behind_s <= 60 + source.patience_s) return seconds(shard.behind_s);
  const kept = shard.retention_s === null ? null : h("span", { class: "sub" }, "kept for " + seconds(Math.max(0, shard.retention_s - shard.behind_s)) + " more");
  return h("span", {}, tag("bad", "▲ " + seconds(shard.behind_s)), kept);
}

function tablesOf(status) {
  const now = status.job.at, made = [];
  for (const source of status.sources) {
    if (source.shard_count || /^kinesis:/.test(source.key)) {
      made.push(table("shards", "Shards", source.shard_count > source.shards.length ? "the " + source.shards.length + " furthest behind of " + count(source.shard_count) : String(source.shard_count),
        [["Shard"], ["Behind", "n"], ["Events", "n"], ["Read", "n"], ["Put off", "n"], ["Checkpoint", "n"]],
        source.shards.map((shard) => [shard.shard_id, behindOf(shard, source),
          count(shard.events), size(shard.bytes), count(shard.throttled),
          h("span", {}, shard.checkpoint_age_s === null ? "none of ours yet" : seconds(shard.checkpoint_age_s) + " ago", shard.unwritten ? ", more is done since" : "", h("span", { class: "sub", title: shard.checkpoint }, positionOf(shard.checkpoint)))]),
        "No shard is read by this process. Another worker may hold the leases.", { wide: true, tall: true }));
    }
    if (source.client_count || /^beats /.test(source.key)) {
      made.push(table("clients", "Beats clients", source.client_count > source.clients.length ? "the " + source.clients.length + " that wait most of " + count(source.client_count) : String(source.client_count),
        [["Client"], ["Waiting", "n"], ["Acknowledged", "n"], ["Received", "n"], ["Connected", "n"], ["TLS", "n"]],
        source.clients.map((client) => [client.address, client.waiting ? tag("wait", count(client.pending_events) + ", held back") : count(client.pending_events), count(client.acknowledged_events), size(client.bytes), seconds(client.connected_s), client.tls || "no"]),
        "No client is connected. " + source.text[0].toUpperCase() + source.text.slice(1) + ".", { wide: true, tall: true }));
    }
  }
  made.push(table("requests", "Requests", null, [["To"], ["Per s", "n"], ["Bytes/s", "n"], ["Half within", "n"], ["99 % within", "n"], ["Tried again", "n"]],
    status.requests.map((request) => [request.title, rate(request.per_s), size(request.bytes_per_s), seconds(request.p50), seconds(request.p99),
      request.retries.length ? h("span", {}, ...request.retries.slice(0, 4).map((retry) => h("span", { class: "sub" }, retry.reason + " × " + count(retry.count)))) : "none"]), "Nothing was asked of any peer yet.", { wide: true }));
  made.push(table("letters", "Dead letters", status.dead_letters.total ? count(status.dead_letters.total) + " in all, the last " + status.dead_letters.last.length : null, [["Error"], ["Reason", "words"], ["Came from", "words"], ["When", "n"]],
    status.dead_letters.last.map((letter) => [h("span", {}, letter.error, h("span", { class: "sub" }, letter.stage + (letter.status ? ", status " + letter.status : ""))), letter.reason || "see the letter", letter.origin, ago(letter.at, now)]),
    "None. Every event so far was taken.", { wide: true, tall: true }));
  made.push(table("warnings", "Warnings", status.warnings.length ? "the last " + status.warnings.length : null, [["When"], ["What", "words"]],
    status.warnings.map((warned) => [clock(warned.at), h("span", {}, warned.level === "warning" ? "" : tag("bad", warned.level + ": "), warned.text)]), "None since the job started.", { wide: true, tall: true }));
  return made;
}

// -- the loop ----------------------------------------------------------------------------------------------

let current = null, lastTables = "", startedAt = null, answeredAt = null;
function redraw() { if (current) drawCharts(current); }
function draw(status) {
  drawHead(status.job);
  drawJobs(status.jobs || [], status.job.name);
  drawFigures(status.totals, status.job);
  drawFlow(status.steps, status.sources);
  drawWorkers(status.workers);
  drawCharts(status);
  const key = JSON.stringify([status.sources, status.requests, status.dead_letters, status.warnings, Math.round(status.job.at / 10)]);
  if (key === lastTables) return; // so that a selection, or a scrolled list, stays as long as it can
  lastTables = key;
  const scrolled = [...document.querySelectorAll(".tall")].map((node) => node.scrollTop);
  const focused = document.activeElement && document.activeElement.getAttribute("aria-labelledby");
  byId("tables").replaceChildren(...tablesOf(status));
  document.querySelectorAll(".tall").forEach((node, index) => { node.scrollTop = scrolled[index] || 0; });
  if (focused) document.querySelector(".tall[aria-labelledby=" + JSON.stringify(focused) + "]")?.focus();
}
async function poll() {
  if (!document.hidden) {
    const timer = new AbortController(), limit = setTimeout(() => timer.abort(), PATIENCE_MS);
    try {
      const reply = await fetch("/status.json?since=" + hour.last + "&job=" + encodeURIComponent(shownJob()), { cache: "no-store", signal: timer.signal });
      if (!reply.ok) throw new Error("status " + reply.status);
      const status = await reply.json();
      if (startedAt !== null && startedAt !== status.job.started_at && hour.last) { startedAt = null; forget(); setTimeout(poll, 0); return; }
      startedAt = status.job.started_at;
      remember(status.history);
      current = status;
      answeredAt = Date.now();
      draw(status);
    } catch (error) {
      setState("bad", "No answer");
      byId("notices").replaceChildren(notice("bad", answeredAt ? "The job has not answered since " + clock(answeredAt / 1000) + "; what is shown here is from then." : "The job does not answer."));
    } finally { clearTimeout(limit); }
  }
  setTimeout(poll, POLL_MS);
}
new ResizeObserver(redraw).observe(byId("charts"));
document.addEventListener("visibilitychange", () => { if (!document.hidden) redraw(); });
poll();
