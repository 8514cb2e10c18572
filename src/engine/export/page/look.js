// Colours, and small elements that several parts of the page make. Text from the target is only ever set as text.
"use strict";

const byId = (id) => document.getElementById(id);

/** An element with a class and text. */
function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

const KINDS = {
  own: { label: "own code", hue: 24, saturation: 85 },
  installed: { label: "installed", hue: 212, saturation: 60 },
  standard: { label: "standard library", hue: 158, saturation: 42 },
  interpreter: { label: "interpreter", hue: 270, saturation: 22 },
  type: { label: "type", hue: 50, saturation: 80 },
};

const dark = () => document.documentElement.hasAttribute("data-dark");

// A number from 0 to 1 that is the same for the same text.
function hashOf(text) {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (hash * 31 + text.charCodeAt(i)) | 0;
  return (hash >>> 0) / 4294967296;
}

function colourOfFrame(frame) {
  const kind = KINDS[frame.kind];
  const shade = hashOf(frame.file);
  const hue = kind.hue + (shade - 0.5) * 22;
  const light = dark() ? 30 + hashOf(frame.text) * 12 : 66 + hashOf(frame.text) * 14;
  return "hsl(" + hue.toFixed(0) + " " + kind.saturation * (dark() ? 0.6 : 1) + "% " + light.toFixed(0) + "%)";
}

// Of a comparison: red where it grew, blue where it shrank, the more the stronger.
function colourOfChange(amount) {
  const change = changed(amount);
  const most = Math.max(amount.size, amount.oldSize, 1);
  const share = Math.min(1, Math.abs(change) / (asked.measure === "size" ? most : Math.max(amount.count, amount.oldCount, 1)));
  if (change === 0) return dark() ? "hsl(220 6% 34%)" : "hsl(220 8% 86%)";
  const light = dark() ? 26 + share * 18 : 90 - share * 26;
  return "hsl(" + (change > 0 ? 6 : 214) + " " + (35 + share * 45).toFixed(0) + "% " + light.toFixed(0) + "%)";
}

function colourOf(frame, amount) {
  if (!frame) return dark() ? "hsl(220 8% 27%)" : "hsl(220 10% 82%)";
  return compared ? colourOfChange(amount) : colourOfFrame(frame);
}

function showLegend(element) {
  element.replaceChildren();
  const entries = compared
    ? [["grew", "hsl(6 80% 64%)"], ["shrank", "hsl(214 80% 64%)"], ["as before", colourOfChange(nothing())]]
    : Object.entries(KINDS).filter(([kind]) => frames.some((frame) => frame.kind === kind)).map(([kind, { label }]) => [
        label, colourOfFrame({ kind, file: "", text: "" }),
      ]);
  for (const [label, colour] of entries) {
    const entry = make("span", "", label);
    const swatch = make("i");
    swatch.style.background = colour;
    entry.prepend(swatch);
    element.append(entry);
  }
}

// The text with what was searched for marked.
function withMarks(text, term) {
  const span = make("span");
  const low = text.toLowerCase();
  let at = 0;
  for (let found; term && (found = low.indexOf(term, at)) >= 0; at = found + term.length) {
    span.append(text.slice(at, found), make("mark", "", text.slice(found, found + term.length)));
  }
  span.append(text.slice(at));
  return span;
}

function changeOf(bytes, format) {
  return make("span", bytes > 0 ? "grew" : bytes < 0 ? "shrank" : "", format(bytes, true));
}
