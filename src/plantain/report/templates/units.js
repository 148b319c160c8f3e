"use strict";
/* Units and how they are painted: decoding, colours, a map of blocks by units on a canvas. */

const DATA = JSON.parse(document.getElementById("data").textContent);
const DARK = matchMedia("(prefers-color-scheme: dark)");
const MINUS = "\u2212";

function decode(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new Float32Array(bytes.buffer);
}

/* Values are decoded when they are first looked at. */
function valuesOf(measure) {
  return (measure.decoded ??= decode(measure.values));
}

function measureOf(entry, key) {
  return entry.measures.find((measure) => measure.key === key) ?? null;
}

function titleOf(measure) {
  return measure.unit ? `${measure.name} (${measure.unit})` : measure.name;
}

function number(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "\u2013";
  const size = Math.abs(value);
  const text = size !== 0 && size < 0.001 ? value.toExponential(1) : Number(value.toPrecision(digits)).toString();
  return text.replaceAll("-", MINUS);
}

/* Where every unit sits: a row a block, a gap where one kind of block or stream ends and another begins. Kinds that take
   turns, as in PixArt's blocks, have none between them. */
function places(entry) {
  if (entry.places) return entry.places;
  let unit = 0;
  const kinds = entry.rows.map((block) => `${block.kind} ${block.stream}`);
  const rows = entry.rows.map((block, index) => ({
    ...block, index, first: (unit += block.units) - block.units,
    opens: index > 0 && !kinds.slice(0, index).some((kind) => kinds.includes(kind, index)),
  }));
  const across = Math.max(...rows.map((row) => row.units));
  const mlp = rows.map((row) => row.mlp).find((value) => value !== null) ?? null;
  return (entry.places = { rows, across, mlp, units: unit });
}

function locate(entry, unit) {
  const { rows } = places(entry);
  const index = rows.findIndex((row) => unit < row.first + row.units);
  return { index, row: rows[index], column: unit - rows[index].first };
}

function unitName(entry, unit) {
  const { row, column: place } = locate(entry, unit);
  const block = `${row.kind} ${row.block}${row.stream === "text" ? " (text)" : ""}`;
  if (row.mlp !== null && place >= row.mlp) {
    const first = place * row.width;
    return `${block} \u00b7 MLP channels ${first.toLocaleString("en")} to ${(first + row.width - 1).toLocaleString("en")}`;
  }
  const head = `${block} \u00b7 head ${Math.floor(place / row.perHead)}`;
  return row.perHead > 1 ? `${head}, group ${place % row.perHead} of ${row.perHead}` : head;
}

/* j3.h5 for a head, j3.g17 for a 16-channel group: short, and the same in every contrast. */
function unitId(entry, unit) {
  const { row, column: place } = locate(entry, unit);
  return `${row.label}.${entry.unit === "head" ? "h" : "g"}${place}`;
}

/* The unit of that name, or null. Joint blocks are also known as double blocks. */
function unitOf(entry, id) {
  const found = /^([a-z]\d+[a-z]?)\.[hg](\d+)$/.exec(id.replace(/^d(?=\d)/, "j"));
  const row = found && places(entry).rows.find((one) => one.label === found[1]);
  return row && Number(found[2]) < row.units ? row.first + Number(found[2]) : null;
}

/* Where a value lies on its scale, from -1 to 1; a rising scale begins at 0. */
function fraction(value, scale) {
  const bent = (x) => (scale.knee ? Math.asinh(x / scale.knee) : x);
  const at = bent(value) / bent(scale.end);
  return Math.max(scale.kind === "rising" ? 0 : -1, Math.min(1, at));
}

function stripes(scale) {
  const half = scale.kind === "rising" ? 127 : 0;
  const shown = palette().slice(half).filter((_, i) => i % 14 === 0 || i === 254 - half);
  return `linear-gradient(90deg, ${shown.map((colour) => `rgb(${colour.map(Math.round).join(" ")})`).join(",")})`;
}

/* A scale with its name, its colours and its ticks; the ends say so where values lie beyond them. */
function drawScale(element, title, scale, values) {
  const name = part("p", title, "scale-name");
  const bar = part("span", "", "bar");
  const ticks = part("span", "", "ticks");
  bar.style.background = stripes(scale);
  for (const tick of scale.ticks) {
    const beyond = Math.abs(tick) === scale.end && values.some((value) => value * Math.sign(tick) > scale.end);
    const label = part("span", (beyond ? (tick < 0 ? "\u2264 " : "\u2265 ") : "") + number(tick));
    const at = fraction(tick, scale);
    label.style.left = `${100 * (scale.kind === "rising" ? at : (at + 1) / 2)}%`;
    ticks.append(label);
  }
  element.replaceChildren(name, bar, ticks);
}

function part(kind, text, style = "") {
  const made = document.createElement(kind);
  made.textContent = text;
  if (style) made.className = style;
  return made;
}

function fragment(chosen) {
  const said = new URLSearchParams(Object.entries(chosen).filter(([, value]) => value)).toString();
  return said ? `#${said}` : "";
}

/* The page's address with what is chosen; a page inside another may not change it, and loses nothing by that. */
function remember(said) {
  try {
    history.replaceState(null, "", said || location.href.split("#")[0]);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}

/* What the fragment chooses; an anchor such as #ladder chooses nothing. */
function chosenByAddress() {
  return new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
}

function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/* 255 colours of the diverging map in the theme that is on. */
function palette() {
  const stops = DATA.stops[DARK.matches ? "dark" : "light"].map(rgb);
  return Array.from({ length: 255 }, (_, index) => {
    const at = (index / 254) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    return stops[low].map((value, k) => value + (stops[low + 1][k] - value) * (at - low));
  });
}

function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

class UnitMap {
  /* labels: "full" for a large map, "few" for a small one. */
  constructor(canvas, { rowHeight = 17, labels = "full" } = {}) {
    Object.assign(this, { canvas, rowHeight, labels, marks: {} });
  }

  show(entry, values, scale, keep = null) {
    Object.assign(this, { entry, values, scale, keep });
    this.paint();
  }

  /* Pixel geometry for the width that the canvas has on the page. */
  measure(context) {
    const { rows, across, mlp } = places(this.entry);
    context.font = this.font;
    const gap = mlp !== null ? 22 : this.labels === "full" ? 14 : 6;
    this.left = Math.ceil(Math.max(context.measureText("block \u2193").width, ...rows.map((row) => context.measureText(row.label).width + 6))) + 6;
    this.width = this.canvas.clientWidth || 300;
    this.cell = (this.width - this.left - 1) / across;
    let y = 18;
    this.tops = rows.map((row) => (y += row.opens ? gap : 0, y += this.rowHeight) - this.rowHeight);
    this.bottom = y;
    this.height = y + 18;
  }

  get font() {
    return "11px system-ui, sans-serif";
  }

  top(index) {
    return this.tops[index];
  }

  paint() {
    if (!this.entry) return;
    const context = this.canvas.getContext("2d");
    this.measure(context);
    const ratio = window.devicePixelRatio || 1;
    this.canvas.style.height = `${this.height}px`;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    context.scale(ratio, ratio);
    context.imageSmoothingEnabled = false;
    this.cells(context);
    this.names(context);
    for (const [name, unit] of Object.entries(this.marks)) if (unit !== null) this.mark(context, unit, name);
  }

  cells(context) {
    const { rows, across } = places(this.entry);
    const colours = palette();
    const empty = rgb(ink("--void"));
    rows.forEach((row, index) => {
      const line = new ImageData(across, 1);
      for (let place = 0; place < row.units; place++) {
        const unit = row.first + place;
        const value = this.values[unit];
        const colour = Number.isNaN(value) ? empty : colours[Math.round((fraction(value, this.scale) + 1) * 127)];
        const alpha = this.keep && !this.keep(unit) ? 46 : 255;
        line.data.set([...colour, alpha], place * 4);
      }
      const strip = document.createElement("canvas");
      strip.width = across;
      strip.height = 1;
      strip.getContext("2d").putImageData(line, 0, 0);
      const gutter = this.rowHeight > 8 && this.cell > 6 ? 1 : 0;
      context.drawImage(strip, this.left, this.top(index), across * this.cell, this.rowHeight - gutter);
    });
    if (this.cell > 10 && this.rowHeight > 8) this.gutters(context, across);
  }

  gutters(context, across) {
    context.fillStyle = ink("--surface");
    for (let place = 1; place < across; place++) {
      context.fillRect(this.left + place * this.cell - 0.5, this.tops[0], 1, this.bottom - this.tops[0]);
    }
  }

  names(context) {
    const { mlp } = places(this.entry);
    context.fillStyle = ink("--muted");
    context.font = this.font;
    context.textBaseline = "middle";
    this.blockNames(context);
    this.columnNames(context);
    if (mlp !== null) this.partNames(context, mlp);
  }

  /* Every block where there is room, else those that open or close a part and every fifth. */
  blockNames(context) {
    const { rows } = places(this.entry);
    context.textAlign = "left";
    context.fillText("block \u2193", 0, 8);
    context.fillText(`${this.entry.across} \u2192`, this.left, 8);
    context.textAlign = "right";
    let last = -Infinity;
    rows.forEach((row, index) => {
      const y = this.top(index) + this.rowHeight / 2;
      const ends = index === rows.length - 1 || rows[index + 1].opens;
      const due = row.opens || index === 0 || ends || row.block % 5 === 0 || this.rowHeight >= 12;
      if (!due || y - last < 11) return;
      context.fillText(row.label, this.left - 6, y);
      last = y;
    });
  }

  columnNames(context) {
    const { across } = places(this.entry);
    const step = [1, 2, 4, 5, 8, 10, 20, 50, 100, 200, 500, 1000].find((one) => one * this.cell >= 26) ?? across;
    const first = this.entry.counts ?? 0;
    context.textAlign = "center";
    for (let place = 0; place < across; place += step) {
      context.fillText(String(place + first), this.left + (place + 0.5) * this.cell, this.bottom + 9);
    }
  }

  partNames(context, mlp) {
    const opening = places(this.entry).rows.find((row) => row.mlp !== null).index;
    const line = this.left + mlp * this.cell;
    const y = this.top(opening) - 11;
    context.textAlign = "center";
    context.fillText("attention", (this.left + line) / 2, y);
    context.fillText("MLP", (line + this.width) / 2, y);
    context.fillStyle = ink("--ink");
    context.fillRect(line - 0.75, this.top(opening), 1.5, this.bottom - this.top(opening));
  }

  mark(context, unit, name) {
    const { index, column: place } = locate(this.entry, unit);
    const width = Math.max(this.cell, 5);
    const x = this.left + (place + 0.5) * this.cell - width / 2;
    context.strokeStyle = name === "pinned" ? ink("--ink") : ink("--accent");
    context.lineWidth = 2;
    context.strokeRect(x - 0.5, this.top(index) - 0.5, width, this.rowHeight);
  }

  unitAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const place = Math.floor((event.clientX - box.left - this.left) / this.cell);
    const y = event.clientY - box.top;
    const { rows } = places(this.entry);
    const index = rows.findIndex((_, at) => y >= this.top(at) && y < this.top(at) + this.rowHeight);
    if (index < 0 || place < 0 || place >= rows[index].units) return null;
    return rows[index].first + place;
  }
}
