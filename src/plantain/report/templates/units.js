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

/* Columns are decoded when they are first looked at. */
function column(entry, name) {
  entry.decoded ??= {};
  const source = name === "differences" || name === "trend" ? entry[name] : entry.data[name];
  if (!source) return null;
  return (entry.decoded[name] ??= decode(source));
}

function number(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "\u2013";
  const size = Math.abs(value);
  const text = size !== 0 && size < 0.001 ? value.toExponential(1) : Number(value.toPrecision(digits)).toString();
  return text.replaceAll("-", MINUS);
}

/* Where every unit sits: a row per block, joint blocks above a gap, single blocks below. */
function places(entry) {
  if (entry.places) return entry.places;
  let unit = 0;
  const rows = entry.rows.map((block) => ({ ...block, first: (unit += block.units) - block.units }));
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
  const block = `${row.kind} ${row.block}`;
  if (row.mlp !== null && place >= row.mlp) {
    const first = place * row.width;
    return `${block} \u00b7 MLP channels ${first.toLocaleString("en")} to ${(first + row.width - 1).toLocaleString("en")}`;
  }
  const head = `${block} \u00b7 head ${Math.floor(place / row.perHead)}`;
  return row.perHead > 1 ? `${head}, group ${place % row.perHead} of ${row.perHead}` : head;
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
  constructor(canvas, { rowHeight = 17, left = 34, labels = true } = {}) {
    Object.assign(this, { canvas, rowHeight, left: labels ? left : 1, labels, marks: {} });
  }

  show(entry, values, limit, keep = null) {
    Object.assign(this, { entry, values, limit, keep });
    this.paint();
  }

  /* Pixel geometry for the width that the canvas has on the page. */
  measure() {
    const { rows, across, mlp } = places(this.entry);
    this.joint = rows.filter((row) => row.kind === "joint").length;
    this.gap = this.joint && this.joint < rows.length ? (mlp !== null && this.labels ? 22 : this.labels ? 14 : 6) : 0;
    this.width = this.canvas.clientWidth || 300;
    this.cell = (this.width - this.left - 1) / across;
    this.height = rows.length * this.rowHeight + this.gap + 2;
  }

  top(index) {
    return 1 + index * this.rowHeight + (index >= this.joint ? this.gap : 0);
  }

  paint() {
    if (!this.entry) return;
    this.measure();
    const ratio = window.devicePixelRatio || 1;
    this.canvas.style.height = `${this.height}px`;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.imageSmoothingEnabled = false;
    this.cells(context);
    if (this.labels) this.names(context);
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
        const scaled = Math.max(-1, Math.min(1, value / this.limit));
        const colour = Number.isNaN(value) ? empty : colours[Math.round((scaled + 1) * 127)];
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
      context.fillRect(this.left + place * this.cell - 0.5, 0, 1, this.height);
    }
  }

  names(context) {
    const { rows, mlp } = places(this.entry);
    context.fillStyle = ink("--muted");
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.textAlign = "right";
    rows.forEach((row, index) => {
      const last = index === rows.length - 1;
      if (row.kind === "joint" || row.block % 5 === 0 || last) {
        context.fillText(`${row.kind[0]}${row.block}`, this.left - 5, this.top(index) + this.rowHeight / 2);
      }
    });
    if (mlp === null) return;
    const line = this.left + mlp * this.cell;
    const y = this.top(this.joint) - this.gap / 2;
    context.textAlign = "center";
    context.fillText("attention", (this.left + line) / 2, y);
    context.fillText("MLP", (line + this.width) / 2, y);
    context.fillStyle = ink("--ink");
    context.fillRect(line - 0.75, this.top(this.joint), 1.5, this.height - this.top(this.joint));
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
    const y = event.clientY - box.top - 1;
    const { rows } = places(this.entry);
    const index = rows.findIndex((_, at) => y >= this.top(at) - 1 && y < this.top(at) - 1 + this.rowHeight);
    if (index < 0 || place < 0 || place >= rows[index].units) return null;
    return rows[index].first + place;
  }
}
