/* The report page: one map to explore, the chosen head's numbers, its pairs and their prompts. */

const byId = (id) => document.getElementById(id);
const state = { entry: null, measure: "template_t", dim: false, pinned: 0, hovered: null, item: null };
const map = new UnitMap(byId("map"));
const small = [];
const OVER_ITEMS = byId("level").textContent;
const OVER_WORDINGS = "Over wordings: how far two sets of wordings lie apart beside how far wordings of one set do.";
const MOST_ROWS = 600;
const FACTS = [
  ["t", "t", "t"], ["effect", "mean difference", "effect"], ["d_z", "d (mean / SD)", "d_z"], ["p", "p, this one alone", "p"],
  ["p_fwer", "p, against the largest of all", "p_fwer"], ["q", "q (false discoveries)", "q"],
  ["template_t", "t over wordings", "template_t"], ["template_delta", "\u03b4 over wordings", "template_delta"],
  ["template_p", "p over wordings", "template_p"],
];

function entryOf(label) {
  return DATA.analyses.find((entry) => entry.label === label);
}

function choose(label) {
  const before = state.entry;
  state.entry = entryOf(label);
  if (!state.entry.data[state.measure]) state.measure = "t";
  if (!before || before.unit !== state.entry.unit) state.pinned = largest(state.entry, state.measure);
  for (const input of document.querySelectorAll("input[name=measure]")) {
    input.disabled = !state.entry.data[input.value];
    input.checked = input.value === state.measure;
  }
  byId("phrase").textContent = `${state.entry.phrase}; ${state.entry.measure}.`;
  titles();
  table();
  draw();
}

function largest(entry, measure) {
  const t = column(entry, measure);
  let best = 0;
  t.forEach((value, unit) => {
    if (Math.abs(value) > Math.abs(t[best]) || Number.isNaN(t[best])) best = unit;
  });
  return best;
}

function draw() {
  const { entry, measure } = state;
  const t = column(entry, measure === "template_t" ? measure : "t");
  map.marks = { pinned: state.pinned, hovered: state.hovered };
  map.show(entry, column(entry, measure), entry.limits[measure], state.dim ? (unit) => Math.abs(t[unit]) > 3 : null);
  scale(column(entry, measure), entry.limits[measure]);
  byId("level").textContent = measure === "template_t" ? OVER_WORDINGS : OVER_ITEMS;
  byId("bar").style.background = `linear-gradient(90deg, ${palette().filter((_, i) => i % 14 === 0)
    .map((colour) => `rgb(${colour.map(Math.round).join(" ")})`).join(",")})`;
  detail(state.hovered ?? state.pinned);
  pairs(state.pinned);
}

/* The ends of the bar say so where values lie beyond them. */
function scale(values, ends) {
  byId("low").textContent = (values.some((value) => value < -ends) ? "\u2264 " : "") + number(-ends);
  byId("high").textContent = (values.some((value) => value > ends) ? "\u2265 " : "") + number(ends);
}

function hover(unit) {
  if (unit === state.hovered) return;
  state.hovered = unit;
  map.marks = { pinned: state.pinned, hovered: unit };
  map.paint();
  detail(unit ?? state.pinned);
}

function pin(unit) {
  if (unit === null) return;
  state.pinned = unit;
  state.hovered = null;
  map.marks = { pinned: unit, hovered: null };
  map.paint();
  detail(unit);
  pairs(unit);
}

function detail(unit) {
  const { entry } = state;
  const { row } = locate(entry, unit);
  byId("unit-name").textContent = unitName(entry, unit);
  byId("unit-place").textContent = `${row.kind} block ${row.block}, ` +
    (row.stream === "all" ? "text and image together" : `${row.stream} stream`);
  const list = byId("facts");
  list.replaceChildren();
  const said = [];
  for (const [name, label, key] of FACTS) {
    const values = column(entry, key);
    if (values) fact(list, name, label, number(values[unit]), said);
  }
  const trend = column(entry, "trend");
  if (trend) fact(list, "trend", "trend with rank (Spearman)", number(trend[unit], 2), said);
  byId("live").textContent = `${unitName(entry, unit)}: ${said.slice(0, 3).join(", ")}`;
}

function fact(list, name, label, value, said) {
  const term = document.createElement("dt");
  const text = document.createElement("dd");
  term.textContent = label;
  text.textContent = value;
  text.dataset.fact = name;
  list.append(term, text);
  said.push(`${label} ${value}`);
}

function pairs(unit) {
  const { entry } = state;
  const list = byId("pairs");
  list.replaceChildren();
  byId("pairs-title").textContent = `The pairs of ${unitName(entry, unit)}`;
  byId("no-pairs").hidden = Boolean(entry.differences);
  byId("side-by-side").hidden = !entry.differences;
  if (!entry.differences) return;
  const units = places(entry).units;
  const values = column(entry, "differences");
  const rows = entry.items.map((item, at) => ({ item, value: values[at * units + unit], rank: entry.ranks?.[at] }));
  rows.sort((one, two) => (byId("order").value === "rank" && entry.ranks ? one.rank - two.rank : two.value - one.value));
  const most = Math.max(...rows.map((row) => Math.abs(row.value))) || 1;
  for (const row of rows) list.append(pair(row, most));
  if (!entry.items.includes(state.item)) state.item = rows[0].item;
  read(state.item);
}

function pair({ item, value }, most) {
  const line = document.createElement("li");
  const button = document.createElement("button");
  const name = document.createElement("span");
  const track = document.createElement("span");
  const bar = document.createElement("i");
  const text = document.createElement("b");
  name.textContent = item;
  text.textContent = value.toPrecision(3).replaceAll("-", MINUS);
  track.className = "track";
  bar.className = value < 0 ? "below" : "above";
  const share = (Math.abs(value) / most) * 50;
  bar.style.left = `${value < 0 ? 50 - share : 50}%`;
  bar.style.width = `${share}%`;
  track.append(bar);
  button.append(name, track, text);
  button.type = "button";
  button.dataset.item = item;
  button.addEventListener("click", () => read(item));
  line.append(button);
  return line;
}

function read(item) {
  state.item = item;
  for (const button of document.querySelectorAll("#pairs button")) {
    button.setAttribute("aria-pressed", String(button.dataset.item === item));
  }
  byId("pair-item").textContent = item;
  for (const side of ["a", "b"]) {
    byId(`side-${side}`).replaceChildren(...state.entry[side].map((condition) => {
      const quote = document.createElement("blockquote");
      const label = document.createElement("cite");
      label.textContent = condition;
      quote.append(label, document.createTextNode(DATA.prompts[condition]?.[item] ?? ""));
      return quote;
    }));
  }
}

function step(key) {
  const { entry } = state;
  const { index, row, column: place } = locate(entry, state.hovered ?? state.pinned);
  const { rows } = places(entry);
  const across = { ArrowLeft: -1, ArrowRight: 1 }[key];
  const down = { ArrowUp: -1, ArrowDown: 1 }[key];
  if (across) return row.first + Math.max(0, Math.min(row.units - 1, place + across));
  if (down) {
    const next = rows[Math.max(0, Math.min(rows.length - 1, index + down))];
    return next.first + Math.min(next.units - 1, place);
  }
  return { Home: row.first, End: row.first + row.units - 1 }[key] ?? null;
}

/* Every unit of the chosen contrast as a table; of the many 16-channel groups those of largest |t|. */
function table() {
  if (!byId("all-units").open) return;
  const { entry } = state;
  const columns = FACTS.filter(([, , key]) => entry.data[key]);
  const t = column(entry, "t");
  const order = Array.from(t.keys());
  if (order.length > MOST_ROWS) {
    order.sort((one, two) => (Math.abs(t[two]) || 0) - (Math.abs(t[one]) || 0));
    order.length = MOST_ROWS;
  }
  byId("top").tHead.replaceChildren(line("th", ["unit", ...columns.map(([, label]) => label)], "col"));
  byId("top").tBodies[0].replaceChildren(...order.map((unit) => line("td",
    [unitName(entry, unit), ...columns.map(([, , key]) => number(column(entry, key)[unit]))])));
}

function line(kind, texts, scope = null) {
  const row = document.createElement("tr");
  texts.forEach((text, at) => {
    const cell = document.createElement(at ? kind : "th");
    cell.textContent = text;
    cell.scope = scope ?? "row";
    if (at) cell.className = "n";
    if (at && !scope) cell.removeAttribute("scope");
    row.append(cell);
  });
  return row;
}

function titles() {
  const { entry } = state;
  const all = places(entry).units <= MOST_ROWS;
  byId("table-title").textContent = `${all ? "every one" : `the ${MOST_ROWS} of largest |t|`} of the ${entry.noun}, ${entry.contrast}`;
  byId("table-note").hidden = all;
}

function onKey(event) {
  const unit = step(event.key);
  if (unit !== null) hover(unit);
  else if (event.key === "Enter" || event.key === " ") pin(state.hovered ?? state.pinned);
  else if (event.key === "Escape") hover(null);
  else return;
  event.preventDefault();
}

function smallMaps() {
  const limit = Math.max(...[...document.querySelectorAll("canvas.small")].map((c) => entryOf(c.dataset.label).limits.t));
  for (const canvas of document.querySelectorAll("canvas.small")) {
    const one = new UnitMap(canvas, { rowHeight: 6, labels: false });
    const entry = entryOf(canvas.dataset.label);
    one.show(entry, column(entry, "t"), limit);
    small.push(one);
  }
}

byId("map").addEventListener("mousemove", (event) => hover(map.unitAt(event)));
byId("map").addEventListener("mouseleave", () => hover(null));
byId("map").addEventListener("click", (event) => pin(map.unitAt(event)));
byId("map").addEventListener("keydown", onKey);
byId("analysis").addEventListener("change", (event) => choose(event.target.value));
byId("all-units").addEventListener("toggle", table);
byId("order").addEventListener("change", () => pairs(state.pinned));
byId("dim").addEventListener("change", (event) => { state.dim = event.target.checked; draw(); });
for (const input of document.querySelectorAll("input[name=measure]")) {
  input.addEventListener("change", () => { state.measure = input.value; draw(); });
}
const repaint = () => { draw(); small.forEach((one) => one.paint()); };
DARK.addEventListener("change", repaint);
addEventListener("resize", () => requestAnimationFrame(repaint));
choose(DATA.main);
smallMaps();
document.documentElement.dataset.ready = "true";
performance.mark("ready");
