// The data: decodes what the engine wrote, and makes trees and rows of it. Knows nothing of the page.
"use strict";

const raw = JSON.parse(document.getElementById("data").textContent);
const compared = raw.compared;

// An amount as the engine writes it: size and count; of a comparison each is followed by what it was.
const AMOUNT = compared ? 4 : 2;
function amountAt(numbers, at) {
  return compared
    ? { size: numbers[at], oldSize: numbers[at + 1], count: numbers[at + 2], oldCount: numbers[at + 3] }
    : { size: numbers[at], oldSize: 0, count: numbers[at + 1], oldCount: 0 };
}
const nothing = () => ({ size: 0, oldSize: 0, count: 0, oldCount: 0 });
function add(to, more, sign = 1) {
  to.size += sign * more.size;
  to.oldSize += sign * more.oldSize;
  to.count += sign * more.count;
  to.oldCount += sign * more.oldCount;
  return to;
}

// -- frames

// A folder of the standard library, or one of installed packages.
const STANDARD = /\/lib(64)?\/python\d\.\d+t?\//;
const INSTALLED = /\/(site|dist)-packages\//;
function kindOf(file, line) {
  if (file === "<type>" && line === 0) return "type"; // of the objects, below the frame that allocated them
  if (file.startsWith("<")) return "interpreter";
  if (INSTALLED.test(file)) return "installed";
  return STANDARD.test(file) ? "standard" : "own";
}

const frames = [];
for (let i = 0; i < raw.frames.length; i += 3) {
  const file = raw.strings[raw.frames[i]];
  const line = raw.frames[i + 1];
  const name = raw.frames[i + 2] < 0 ? "" : raw.strings[raw.frames[i + 2]];
  const place = file + ":" + line;
  frames.push({
    file, line, name, place, kind: kindOf(file, line),
    base: file.slice(file.lastIndexOf("/") + 1),
    source: raw.source[frames.length] || "",
    text: (name + " " + place).toLowerCase(),
  });
}

// -- the tree of nodes, as the engine cut it

// {frame, amount, own, direct, children, parent, cut, cutCount}: `own` is what no node below it has, `direct` what the frame
// itself allocated.
const wholeTree = { frame: null, amount: amountAt(raw.total, 0), own: nothing(), children: [], parent: null };
(function decode() {
  const stride = 2 + AMOUNT;
  const nodes = [];
  const path = [wholeTree];
  for (let i = 0; i < raw.nodes.length; i += stride) {
    const parent = path[raw.nodes[i]];
    const amount = amountAt(raw.nodes, i + 2);
    const node = { frame: frames[raw.nodes[i + 1]], amount, own: add(nothing(), amount), children: [], parent };
    if (parent !== wholeTree) add(parent.own, amount, -1);
    parent.children.push(node);
    path.length = raw.nodes[i] + 1;
    path.push(node);
    nodes.push(node);
  }
  const cutAt = (node, count, amount) => {
    node.cut = amount;
    node.cutCount = count;
    if (node !== wholeTree) add(node.own, amount, -1);
  };
  for (let i = 0; i < raw.cuts.length; i += 2 + AMOUNT)
    cutAt(nodes[raw.cuts[i]], raw.cuts[i + 1], amountAt(raw.cuts, i + 2));
  if (raw.cut_tracebacks > 0) cutAt(wholeTree, raw.cut_tracebacks, amountAt(raw.cut, 0));
  // What a line allocated is what the types below it have.
  for (const node of nodes) {
    node.direct = add(nothing(), node.own);
    for (const child of node.children) if (child.frame.kind === "type") add(node.direct, child.amount);
  }
})();

// -- what is measured

// Bytes or blocks; of a comparison what grew, or one side.
const asked = { measure: "size", view: compared ? "growth" : "new" };
function measured(amount) {
  const now = asked.measure === "size" ? amount.size : amount.count;
  const old = asked.measure === "size" ? amount.oldSize : amount.oldCount;
  if (asked.view === "growth") return Math.max(0, now - old);
  return asked.view === "new" ? now : old;
}
function changed(amount) {
  return asked.measure === "size" ? amount.size - amount.oldSize : amount.count - amount.oldCount;
}

// -- frames that are hidden

const IMPORTS = /^<frozen (importlib|zipimport)|\/importlib\/(__init__|_bootstrap|_bootstrap_external)\.py$/;
function globToRegExp(glob) {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*").replace(/\?/g, ".");
  return new RegExp("^" + escaped + "$", "i");
}
function hider(patterns, imports) {
  const list = patterns.split(",").map((text) => text.trim()).filter(Boolean).map(globToRegExp);
  return (frame) =>
    (imports && IMPORTS.test(frame.file)) || list.some((glob) => glob.test(frame.file) || glob.test(frame.name));
}

// -- trees to draw

// A node for d3-flame-graph: {name, value, children} and what the page needs to know.
function drawn(name, frame, source) {
  return { name, frame, source, amount: nothing(), own: nothing(), value: 0, children: [], index: new Map() };
}
function labelOf(frame) {
  if (frame.kind === "type") return frame.name;
  return frame.name ? frame.name + "  " + frame.base + ":" + frame.line : frame.base + ":" + frame.line;
}
function childOf(parent, frame, source) {
  let child = parent.index.get(frame);
  if (!child) {
    child = drawn(labelOf(frame), frame, source);
    parent.index.set(frame, child);
    parent.children.push(child);
  }
  return child;
}
function addCut(parent, count, amount) {
  if (!parent.cutChild) {
    parent.cutChild = drawn("", null, null);
    parent.cutChild.cutCount = 0;
    parent.children.push(parent.cutChild);
  }
  parent.cutChild.cutCount += count;
  parent.cutChild.name = parent.cutChild.cutCount + " smaller tracebacks";
  add(parent.cutChild.own, amount);
}

// Sums of the nodes below each node; small ones are not drawn anyway.
function sum(node) {
  add(node.amount, node.own);
  node.value = measured(node.own);
  for (const child of node.children) {
    sum(child);
    add(node.amount, child.amount);
    node.value += child.value;
  }
  node.index = null;
  node.children = node.children.filter((child) => child.value > 0).sort((a, b) => b.value - a.value);
  return node;
}

function topDown(hidden) {
  const root = drawn("all", null, wholeTree);
  (function copy(from, to) {
    for (const node of from.children) {
      const target = hidden(node.frame) ? to : childOf(to, node.frame, node);
      add(target.own, node.own);
      copy(node, target);
    }
    if (from.cut) addCut(to, from.cutCount, from.cut);
  })(wholeTree, root);
  return sum(root);
}

// From the line that allocated to its callers.
const CALLERS = 40;
function bottomUp(hidden) {
  const root = drawn("all", null, wholeTree);
  (function visit(from) {
    for (const node of from.children) {
      if (measured(node.own) > 0 || changed(node.own) !== 0) {
        let to = root;
        let depth = 0;
        for (let at = node; at !== wholeTree && depth < CALLERS; at = at.parent) {
          if (hidden(at.frame)) continue;
          to = childOf(to, at.frame, node);
          depth++;
        }
        add(to.own, node.own);
      }
      visit(node);
    }
    if (from.cut) addCut(root, from.cutCount, from.cut);
  })(wholeTree);
  return sum(root);
}

// -- rows of the tables

function rowsOf(key) {
  const { rows, others, other } = raw.places[key];
  const stride = 1 + 2 * AMOUNT;
  const result = [];
  for (let i = 0; i < rows.length; i += stride)
    result.push({ frame: frames[rows[i]], own: amountAt(rows, i + 1), below: amountAt(rows, i + 1 + AMOUNT) });
  return { rows: result, others, other: amountAt(other, 0) };
}
const places = { lineno: rowsOf("lineno"), function: rowsOf("function"), filename: rowsOf("filename") };
function isAt(frame, row, key) {
  if (frame.file !== row.frame.file) return false;
  if (key === "filename") return true;
  return frame.name === row.frame.name && (key === "function" || frame.line === row.frame.line);
}

// The nodes whose frame is at a row's place, those with the most first: by what they allocated themselves, or by all that
// passes there.
function nodesAt(row, key) {
  const found = [];
  const weight = (node) => Math.abs(compared && asked.view === "growth" ? changed(node.direct) : measured(node.direct));
  (function visit(node) {
    for (const child of node.children) {
      if (isAt(child.frame, row, key)) found.push(child);
      visit(child);
    }
  })(wholeTree);
  return found.sort((a, b) => weight(b) - weight(a) || b.amount.size - a.amount.size);
}
function pathOf(node) {
  const path = [];
  for (let at = node; at && at.frame; at = at.parent) path.unshift(at.frame);
  return path;
}

// -- numbers for people, as tracemalloc writes sizes

function formatSize(bytes, sign) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = Math.abs(bytes);
  let unit = 0;
  const before = bytes < 0 ? "-" : sign ? "+" : "";
  while (unit < units.length - 1 && size >= 10 * 1024) {
    size /= 1024;
    unit++;
  }
  if (unit > 0 && size < 100) return before + size.toFixed(1) + " " + units[unit];
  return before + Math.round(size) + " " + units[unit];
}
function formatCount(count, sign) {
  return (sign && count > 0 ? "+" : "") + count.toLocaleString("en-US");
}
function formatPart(part, whole) {
  return whole > 0 ? ((100 * part) / whole).toFixed(1) + " %" : "";
}
function describe(amount) {
  const total = wholeTree.amount;
  let text = formatSize(amount.size) + " in " + formatCount(amount.count) + (amount.count === 1 ? " block" : " blocks");
  if (compared)
    text += " (" + formatSize(amount.size - amount.oldSize, true) + ", " +
      formatCount(amount.count - amount.oldCount, true) + " blocks)";
  else text += ", " + formatPart(amount.size, total.size);
  return text;
}
