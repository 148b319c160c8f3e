/* The report page: one map to explore, the chosen head's numbers, its pairs and their prompts. */

const byId = (id) => document.getElementById(id);
const state = { entry: null, measure: null, dim: false, pinned: 0, hovered: null, item: null };
const map = new UnitMap(byId("map"));
const small = [];
const overlaid = [];
const MOST_ROWS = 600;
const SIGNED = byId("colours").textContent;

/* What becomes of the claim among all probes: in a file beside the pages, which may be missing, or of another verdict. */
function tellFamily() {
  const found = typeof HOLM === "undefined" ? undefined : HOLM[DATA.address];
  const place = byId("among-probes");
  if (!found || !place || found.verdict !== DATA.verdict) return;
  byId("verdict").textContent = found.claim;
  place.textContent = found.said;
}

function entryOf(label) {
  return DATA.analyses.find((entry) => entry.label === label);
}

function onMap(entry) {
  return entry.measures.filter((measure) => measure.scale);
}

/* The measure of that name where the contrast has it, else the first of the menu. */
function measureFor(entry, key) {
  return onMap(entry).find((measure) => measure.key === key) ?? onMap(entry)[0];
}

function choose(label, key = state.measure?.key) {
  const before = state.entry;
  state.entry = entryOf(label);
  state.measure = measureFor(state.entry, key);
  state.pinned = kept(before) ?? largest(state.measure);
  state.hovered = null;
  byId("analysis").value = label;
  menu();
  titles();
  table();
  draw();
}

/* The kept unit as the contrast that is now shown counts it; null where it has no such unit. */
function kept(before) {
  return before && before.unit === state.entry.unit ? unitOf(state.entry, unitId(before, state.pinned)) : null;
}

/* The measures of the contrast, by what varies in them. */
function menu() {
  const groups = new Map();
  for (const measure of onMap(state.entry)) {
    if (!groups.has(measure.level)) groups.set(measure.level, Object.assign(document.createElement("optgroup"), { label: measure.level }));
    const option = part("option", measure.name);
    option.value = measure.key;
    groups.get(measure.level).append(option);
  }
  byId("measure").replaceChildren(...groups.values());
  byId("measure").value = state.measure.key;
}

function largest(measure) {
  const values = valuesOf(measure);
  let best = 0;
  values.forEach((value, unit) => {
    if (Math.abs(value) > Math.abs(values[best]) || Number.isNaN(values[best])) best = unit;
  });
  return best;
}

/* Whether a unit keeps its colour while others are faded; null where none is. */
function keeper() {
  const fade = state.measure.fade;
  const by = fade && measureOf(state.entry, fade.by);
  byId("dim").disabled = !by;
  byId("dim-label").textContent = by ? `fade heads with |${fade.said}| up to ${fade.over}` : "fade small ones";
  if (!state.dim || !by) return null;
  const values = valuesOf(by);
  return (unit) => Math.abs(values[unit]) > fade.over;
}

function draw() {
  const { entry, measure } = state;
  map.marks = { pinned: state.pinned, hovered: state.hovered };
  map.show(entry, valuesOf(measure), measure.scale, keeper());
  drawScale(byId("scale"), titleOf(measure), measure.scale, valuesOf(measure));
  byId("colours").textContent = measure.scale.kind === "rising" ? "The stronger the orange, the farther apart the two sides." : SIGNED;
  byId("level").textContent = measure.said;
  byId("phrase").textContent = `${entry.phrase}; ${measure.looks || entry.measure}.`;
  detail(state.hovered ?? state.pinned);
  pairs(state.pinned);
  pointer();
}

/* What is chosen, as the fragment of an address. */
function chosen() {
  const { entry, measure, pinned } = state;
  const analysis = entryOf(DATA.main).analysis === entry.analysis ? "" : entry.analysis;
  return fragment({ head: unitId(entry, pinned), contrast: entry.contrast, analysis, measure: measure.key });
}

function tell() {
  remember(chosen());
  pointer();
}

/* The link beside the head leads to what is chosen. */
function pointer() {
  byId("permalink").href = location.href.split("#")[0] + chosen();
}

/* Choose what the address names; what it does not name, or names wrongly, stays as it is. */
function follow() {
  const asked = chosenByAddress();
  const wanted = asked.get("contrast");
  const name = asked.get("analysis") ?? entryOf(DATA.main).analysis;
  const found = DATA.analyses.find((entry) => entry.contrast === wanted && entry.analysis === name);
  choose((found ?? state.entry ?? entryOf(DATA.main)).label, asked.get("measure") ?? undefined);
  const unit = asked.has("head") ? unitOf(state.entry, asked.get("head")) : null;
  if (unit !== null) pin(unit);
  if (asked.has("head")) byId("map-section").scrollIntoView();
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
  pointer();
}

/* First what the map shows, then everything else that is known of the unit. */
function detail(unit) {
  const { entry, measure } = state;
  const { row } = locate(entry, unit);
  byId("unit-name").textContent = unitName(entry, unit);
  byId("unit-place").textContent = `${row.kind} block ${row.block} (${unitId(entry, unit)}), ` +
    (row.stream === "all" ? "text and image together" : `${row.stream} stream`);
  const list = byId("facts");
  list.replaceChildren();
  const said = [];
  for (const one of [measure, ...entry.measures.filter((other) => other !== measure)]) {
    fact(list, one, number(valuesOf(one)[unit]), one === measure ? "mapped" : "", said);
  }
  byId("live").textContent = `${unitName(entry, unit)}: ${said.slice(0, 3).join(", ")}`;
}

function fact(list, measure, value, style, said) {
  const term = part("dt", measure.name, style);
  if (measure.unit) term.append(part("span", measure.unit, "unit"));
  const text = part("dd", value, style);
  text.dataset.fact = measure.key;
  list.append(term, text);
  said.push(`${measure.name} ${value}`);
}

function pairs(unit) {
  const { entry } = state;
  const list = byId("pairs");
  list.replaceChildren();
  byId("pairs-title").textContent = `The pairs of ${unitName(entry, unit)}`;
  byId("no-pairs").textContent = entry.unpaired;
  byId("no-pairs").hidden = Boolean(entry.differences);
  byId("side-by-side").hidden = !entry.differences;
  if (!entry.differences) return;
  const units = places(entry).units;
  const values = (entry.decoded ??= decode(entry.differences));
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
      quote.append(label, document.createTextNode(DATA.prompts[condition]?.[item] ?? ""), ...picturesOf(condition, item));
      return quote;
    }));
  }
}

/* The small reference pictures of a prompt, where the sides of a contrast are given other ones. */
function picturesOf(condition, item) {
  const names = DATA.given?.[condition]?.[item] ?? [];
  return names.filter((name) => DATA.pictures[name]).map((name) =>
    Object.assign(document.createElement("img"), { src: DATA.pictures[name], alt: `Reference image ${name}` }));
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
  const t = valuesOf(measureOf(entry, "t") ?? entry.measures[0]);
  const order = Array.from(t.keys());
  if (order.length > MOST_ROWS) {
    order.sort((one, two) => (Math.abs(t[two]) || 0) - (Math.abs(t[one]) || 0));
    order.length = MOST_ROWS;
  }
  byId("top").tHead.replaceChildren(line("th", ["unit", ...entry.measures.map((one) => one.name)], "col"));
  byId("top").tBodies[0].replaceChildren(...order.map((unit) => line("td",
    [unitName(entry, unit), ...entry.measures.map((one) => number(valuesOf(one)[unit]))])));
}

/* Every unit of the chosen contrast with every measure, as it is stored in the page: needs no other file. */
function download() {
  const { entry } = state;
  const { units } = places(entry);
  const rows = [["unit", "kind", "block", "stream", "place", ...entry.measures.map((one) => one.key)]];
  for (let unit = 0; unit < units; unit++) {
    const { row, column: place } = locate(entry, unit);
    const values = entry.measures.map((one) => valuesOf(one)[unit]).map((value) => (Number.isNaN(value) ? "" : Number(value.toPrecision(7))));
    rows.push([unitId(entry, unit), row.kind, row.block, row.stream, place, ...values]);
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([rows.map((row) => row.join(",")).join("\n"), "\n"], { type: "text/csv" }));
  link.download = `${DATA.address.replace("@", ".")}.${entry.label}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
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
  else if (event.key === "Enter" || event.key === " ") { pin(state.hovered ?? state.pinned); tell(); }
  else if (event.key === "Escape") hover(null);
  else return;
  event.preventDefault();
}

/* The contrasts side by side, on one scale, in the measure that the page chose for them. */
function smallMaps() {
  const shown = DATA.small;
  for (const canvas of document.querySelectorAll("canvas.small")) {
    const one = new UnitMap(canvas, { rowHeight: 6, labels: "few" });
    const entry = entryOf(canvas.dataset.label);
    one.show(entry, valuesOf(measureOf(entry, shown.key)), shown.scale);
    small.push(one);
  }
  smallScale();
}

/* What stands first by every measure, on one scale: sizes, since vectors have no sign. */
function overlayMaps() {
  const shown = DATA.overlay;
  for (const canvas of document.querySelectorAll("canvas.overlay")) {
    const one = new UnitMap(canvas, { rowHeight: 6, labels: "few" });
    const entry = entryOf(DATA.main);
    one.show(entry, valuesOf(measureOf(entry, canvas.dataset.measure)).map(Math.abs), shown.scale);
    overlaid.push(one);
  }
  overlayScale();
}

function overlayScale() {
  const every = overlaid.flatMap((one) => Array.from(one.values));
  if (overlaid.length) drawScale(byId("overlay-scale"), titleOf(DATA.overlay), DATA.overlay.scale, every);
}

function smallScale() {
  const every = small.flatMap((one) => Array.from(one.values));
  if (small.length) drawScale(byId("small-scale"), titleOf(DATA.small), DATA.small.scale, every);
}

/* The section that is being read, marked in the contents. */
function watchSections() {
  const links = new Map([...document.querySelectorAll(".toc a")].map((link) => [link.hash.slice(1), link]));
  const seen = new Set();
  const watcher = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) seen[isIntersecting ? "add" : "delete"](target.id);
    const first = [...links.keys()].find((id) => seen.has(id));
    for (const [id, link] of links) link.setAttribute("aria-current", String(id === first));
  }, { rootMargin: "-15% 0px -60% 0px" });
  for (const id of links.keys()) watcher.observe(byId(id));
}

byId("map").addEventListener("mousemove", (event) => hover(map.unitAt(event)));
byId("map").addEventListener("mouseleave", () => hover(null));
byId("map").addEventListener("click", (event) => { pin(map.unitAt(event)); tell(); });
byId("map").addEventListener("keydown", onKey);
byId("analysis").addEventListener("change", (event) => { choose(event.target.value); tell(); });
byId("measure").addEventListener("change", (event) => {
  state.measure = measureFor(state.entry, event.target.value);
  draw();
  tell();
});
byId("all-units").addEventListener("toggle", table);
byId("order").addEventListener("change", () => pairs(state.pinned));
byId("dim").addEventListener("change", (event) => { state.dim = event.target.checked; draw(); });
byId("csv").addEventListener("click", download);
byId("csv").hidden = false;
const repaint = () => { draw(); [...small, ...overlaid].forEach((one) => one.paint()); smallScale(); overlayScale(); };
DARK.addEventListener("change", repaint);
addEventListener("resize", () => requestAnimationFrame(repaint));
addEventListener("hashchange", () => { if (chosenByAddress().size) follow(); });
tellFamily();
follow();
smallMaps();
overlayMaps();
watchSections();
document.documentElement.dataset.ready = "true";
performance.mark("ready");
