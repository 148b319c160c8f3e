/* The compare page: every map on the one scale of its kind, the unit under the pointer named below it, and a filter. */

const maps = [];
const byId = (id) => document.getElementById(id);
const SIGNED = byId("colours").textContent;

for (const canvas of document.querySelectorAll("canvas[data-map]")) {
  const rowHeight = Number(canvas.dataset.row);
  const map = new UnitMap(canvas, { rowHeight, labels: rowHeight > 8 ? "full" : "few" });
  const note = canvas.parentElement.querySelector(".pointed");
  show(map, DATA.maps[canvas.dataset.map]);
  canvas.addEventListener("mousemove", (event) => {
    const unit = map.unitAt(event);
    map.marks = { hovered: unit };
    map.paint();
    note.textContent = unit === null ? "\u00a0" : `${where(map.entry, unit)}: ${number(map.values[unit])}`;
  });
  canvas.addEventListener("mouseleave", () => {
    map.marks = {};
    map.paint();
    note.textContent = "\u00a0";
  });
  if (measureShown(map.entry) && DATA.links[map.entry.address]) {
    canvas.classList.add("leads");
    canvas.addEventListener("click", (event) => open(map.entry, map.unitAt(event)));
  }
  maps.push(map);
}

function show(map, entry) {
  map.show(entry, valuesOf(entry), DATA.scales[entry.scale]);
}

/* The maps over wordings by another measure; a result that was not compared by it has a map without values. */
function compareBy(key) {
  for (const map of maps.filter((one) => "choice" in one.canvas.dataset)) {
    const address = map.canvas.dataset.map;
    const first = DATA.maps[address];
    const found = key === first.scale ? first : DATA.maps[`${key} of ${address}`];
    show(map, found ?? { ...first, scale: key, decoded: new Float32Array(valuesOf(first).length).fill(NaN) });
  }
  byId("choice-scale").dataset.scale = key;
  byId("colours").textContent = DATA.scales[key].kind === "rising" ? "The stronger the orange, the farther apart." : SIGNED;
  scales();
}

/* Whether the page of the result has the same map: differences of two results have no page. */
function measureShown(entry) {
  return DATA.scales[entry.scale].key === entry.scale;
}

/* The head on the page of its result. */
function open(entry, unit) {
  if (unit === null) return;
  const chosen = { head: unitId(entry, unit), contrast: entry.contrast, measure: entry.scale };
  location.href = DATA.links[entry.address] + fragment(chosen);
}

/* In a map of sorted values a column is a place in the order, not a head. */
function where(entry, unit) {
  if (entry.scale !== "sorted") return unitName(entry, unit);
  const { row, column: place } = locate(entry, unit);
  return `${row.kind} ${row.block} \u00b7 place ${place + 1}`;
}

/* How often each model was asked: in a file beside the page, which may be missing. */
function tellAsked() {
  if (typeof ASKED === "undefined") return;
  const said = DATA.models.filter((model) => Object.hasOwn(ASKED.models, model)).map((model) => ASKED.models[model]);
  if (said.length) byId("asked").textContent = `${said.join("; ")}; ${ASKED.chance}.`;
}

function scales() {
  for (const element of document.querySelectorAll("[data-scale]")) {
    const kind = element.dataset.scale;
    const values = maps.filter((map) => map.entry.scale === kind).flatMap((map) => Array.from(map.values));
    drawScale(element, titleOf(DATA.scales[kind]), DATA.scales[kind], values);
  }
}

const FIELDS = {
  probe: byId("filter-probe"), model: byId("filter-model"), text: byId("filter-text"), sort: byId("filter-sort"),
};
const TABLE = byId("claims-table");
const ROWS = [...TABLE.tBodies[0].rows];

/* The rows of the first table by a column; a minus turns the order, what has no value comes last, ties as in the run. */
function sortRows() {
  const falling = FIELDS.sort.value.startsWith("-");
  const key = FIELDS.sort.value.slice(falling ? 1 : 0);
  const value = (row) => DATA.order[row.dataset.result][key] ?? null;
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en") : a - b) * (falling ? -1 : 1);
  const order = (a, b) => {
    const [first, second] = [value(a), value(b)];
    if (first === null || second === null) return (first === null) - (second === null);
    return compare(first, second);
  };
  TABLE.tBodies[0].append(...(key ? [...ROWS].sort(order) : ROWS));
  for (const head of TABLE.tHead.querySelectorAll("[data-sort]")) {
    if (head.dataset.sort === key) head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
}

/* Hide every part of the page that is about no result that is like what was asked for. */
function sift() {
  sortRows();
  const { probe, model, text } = Object.fromEntries(Object.entries(FIELDS).map(([name, field]) => [name, field.value]));
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...document.querySelectorAll("tr[data-text]")];
  const shown = rows.filter((row) => (!probe || row.dataset.probe === probe) && (!model || row.dataset.model === model)
    && words.every((word) => row.dataset.text.includes(word)));
  const numbers = new Set(shown.map((row) => row.dataset.about));
  for (const element of document.querySelectorAll("[data-about]")) {
    element.hidden = !element.dataset.about.split(" ").some((one) => numbers.has(one));
  }
  byId("filter-count").textContent = `${shown.length} of ${rows.length} results`;
  byId("nothing").hidden = shown.length > 0;
  maps.forEach((map) => { if (map.canvas.clientWidth) map.paint(); });
}

/* The filter as the address says it. */
function follow() {
  const asked = chosenByAddress();
  for (const [name, field] of Object.entries(FIELDS)) {
    field.value = asked.get(name) ?? "";
    if (field.selectedIndex === -1) field.value = "";
  }
  sift();
}

function change() {
  sift();
  remember(fragment(Object.fromEntries(Object.entries(FIELDS).map(([name, one]) => [name, one.value]))));
}

for (const field of Object.values(FIELDS)) field.addEventListener("input", change);
/* A heading sorts by its column, numbers from the largest; once more turns the order. */
for (const head of TABLE.tHead.querySelectorAll("[data-sort]")) {
  head.firstElementChild.addEventListener("click", () => {
    const key = head.dataset.sort;
    const text = ["probe", "model"].includes(key);
    const first = text || key === "holm" ? key : `-${key}`;
    const other = first.startsWith("-") ? key : `-${key}`;
    FIELDS.sort.value = FIELDS.sort.value === first ? other : first;
    change();
  });
}
byId("choice")?.addEventListener("change", (event) => compareBy(event.target.value));
byId("filter").hidden = false;
byId("no-script").hidden = true;
addEventListener("hashchange", () => { if (chosenByAddress().size) follow(); });

const repaint = () => { scales(); maps.forEach((map) => { if (map.canvas.clientWidth) map.paint(); }); };
DARK.addEventListener("change", repaint);
addEventListener("resize", () => requestAnimationFrame(repaint));
scales();
tellAsked();
follow();
document.documentElement.dataset.ready = "true";
performance.mark("ready");
