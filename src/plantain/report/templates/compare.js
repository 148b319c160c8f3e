/* The compare page: every map on the one scale of its kind, the unit under the pointer named below it. */

const maps = [];

for (const canvas of document.querySelectorAll("canvas[data-map]")) {
  const entry = DATA.maps[canvas.dataset.map];
  const map = new UnitMap(canvas, { rowHeight: Number(canvas.dataset.row ?? 6), labels: canvas.dataset.labels === "yes" });
  const values = column(entry, "t");
  const note = canvas.parentElement.querySelector(".pointed");
  map.show(entry, values, DATA.limits[entry.scale]);
  canvas.addEventListener("mousemove", (event) => {
    const unit = map.unitAt(event);
    map.marks = { hovered: unit };
    map.paint();
    if (note) note.textContent = unit === null ? "\u00a0" : `${where(entry, unit)}: ${number(values[unit])}`;
  });
  canvas.addEventListener("mouseleave", () => {
    map.marks = {};
    map.paint();
    if (note) note.textContent = "\u00a0";
  });
  maps.push(map);
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
  if (said.length) document.getElementById("asked").textContent = `${said.join("; ")}; ${ASKED.chance}.`;
}

function scales() {
  const stripes = palette().filter((_, i) => i % 14 === 0).map((colour) => `rgb(${colour.map(Math.round).join(" ")})`);
  for (const bar of document.querySelectorAll(".bar")) bar.style.background = `linear-gradient(90deg, ${stripes.join(",")})`;
  for (const end of document.querySelectorAll("[data-end]")) {
    const limit = DATA.limits[end.dataset.end];
    const sign = Number(end.dataset.sign);
    const beyond = maps.some((map) => map.entry.scale === end.dataset.end && map.values.some((value) => value * sign > limit));
    end.textContent = (beyond ? (sign < 0 ? "\u2264 " : "\u2265 ") : "") + number(sign * limit);
  }
}

const repaint = () => { scales(); maps.forEach((map) => map.paint()); };
DARK.addEventListener("change", repaint);
addEventListener("resize", () => requestAnimationFrame(repaint));
scales();
tellAsked();
document.documentElement.dataset.ready = "true";
performance.mark("ready");
