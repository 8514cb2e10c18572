// The page as a whole: its head, what is asked for, and the theme.
"use strict";

// -- the head

// The lines of tm-info, "name:   value".
function factsOf(lines) {
  const facts = new Map();
  for (const line of lines) {
    const colon = line.indexOf(":");
    facts.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return facts;
}
const facts = factsOf(raw.facts);

function addTile(value, label, className, more) {
  const tile = make("div", "tile");
  if (more) tile.title = more;
  tile.append(make("b", className || "", value), make("span", "", label));
  byId("tiles").append(tile);
}

function showTiles() {
  const total = wholeTree.amount;
  if (compared) {
    const change = total.size - total.oldSize;
    const blocks = total.count - total.oldCount;
    addTile(formatSize(change, true), formatCount(blocks, true) + " blocks since OLD", change > 0 ? "grew" : "shrank");
    addTile(formatSize(total.size), "NEW: in " + formatCount(total.count) + " blocks");
    addTile(formatSize(total.oldSize), "OLD: in " + formatCount(total.oldCount) + " blocks");
  } else {
    addTile(formatSize(total.size), "in " + formatCount(total.count) + " live blocks");
  }
  const peak = facts.get("peak");
  if (peak) addTile(peak.replace(/ \(.*/, ""), "peak of traced memory");
  const memory = facts.get("private memory");
  const parts = memory && memory.match(/^([\d.]+ \w+) ([^:]*)/); // "143 MiB resident: 106 MiB traced, …"
  if (parts) addTile(parts[1], "private memory, " + parts[2], "", memory);
  addTile(formatCount(raw.tracebacks), "tracebacks" + (facts.has("frame limit") ? ", " + facts.get("frame limit").replace(/ per traceback.*/, "") + " each at most" : ""));
}

function showHead() {
  const title = (compared ? "What grew in " : "Memory of ") + raw.title;
  document.title = title;
  byId("title").textContent = title;
  const parts = [];
  if (facts.has("Python")) parts.push("Python " + facts.get("Python"));
  if (facts.has("tracing")) parts.push("tracing " + facts.get("tracing"));
  parts.push("this page was made " + raw.written);
  byId("subtitle").textContent = parts.join(" · ");
}

function showNotes() {
  const notes = raw.notes.slice();
  const cut = raw.tracebacks - raw.whole_tracebacks;
  if (cut > 0)
    notes.push(formatCount(cut) + " of " + formatCount(raw.tracebacks) + " tracebacks are in the pictures only as sums (“smaller tracebacks”), " +
      "because a page has at most 1 MB. The totals and the table count them all.");
  for (const note of notes) byId("notes").append(make("p", "note", note));
}

function showFacts() {
  for (const [title, lines] of [[compared ? "NEW" : "", raw.facts], ["OLD", raw.facts_old]]) {
    if (lines.length === 0) continue;
    const part = make("div");
    if (title) part.append(make("b", "", title));
    part.append(make("pre", "", lines.join("\n")));
    byId("facts").append(part);
  }
  if (raw.facts.length === 0) byId("facts").append("A snapshot file does not say how its process was traced.");
  byId("licences").textContent = byId("licence-texts").textContent.trim();
}

// -- the theme: as the system has it, until it is chosen

const themes = ["auto", "light", "dark"];
const system = matchMedia("(prefers-color-scheme: dark)");
let theme = 0;
function applyTheme() {
  const isDark = themes[theme] === "dark" || (themes[theme] === "auto" && system.matches);
  document.documentElement.toggleAttribute("data-dark", isDark);
  byId("theme").textContent = "Theme: " + themes[theme];
  drawAll();
}

// -- what is asked for

function drawAll() {
  showLegend(byId("legend"));
  flame.draw();
  table.draw();
  map.draw();
}

// Not for each letter and each pixel.
function soon(action) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, 150);
  };
}

function listen() {
  byId("search").addEventListener("input", soon(() => {
    const term = byId("search").value.trim().toLowerCase();
    flame.search(term);
    table.search(term);
  }));
  byId("hide").addEventListener("input", soon(flame.draw));
  byId("imports").addEventListener("change", flame.draw);
  byId("measure").addEventListener("change", () => { asked.measure = byId("measure").value; drawAll(); });
  byId("view").addEventListener("change", () => { asked.view = byId("view").value; drawAll(); });
  byId("theme").addEventListener("click", () => { theme = (theme + 1) % themes.length; applyTheme(); });
  system.addEventListener("change", applyTheme);
  let width = innerWidth;
  addEventListener("resize", soon(() => {
    if (width !== innerWidth) drawAll();
    width = innerWidth;
  }));
  addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "/" && !typing) {
      event.preventDefault();
      byId("search").focus();
    }
    if (event.key === "Escape" && event.target.id !== "flame") flame.reset();
  });
}

byId("view-label").hidden = !compared;
showHead();
showTiles();
showNotes();
showFacts();
listen();
applyTheme();
table.chooseFirst();
document.documentElement.dataset.ready = "yes";
