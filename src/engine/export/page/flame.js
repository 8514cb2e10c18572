// The flame graph: d3-flame-graph draws it; here are its data, keys and details.
"use strict";

const flame = (function () {
  const box = byId("flame");
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let chart = null;
  let root = null; // of d3-flame-graph: its nodes have parent, children, data
  let current = null; // of the keys
  let inverted = false;
  let term = "";

  const width = () => Math.max(300, box.clientWidth - 2);

  function titleOf(data) {
    if (!data.frame) return data.name;
    if (data.frame.kind === "type") return "type " + data.frame.name;
    const where = data.frame.place;
    return data.frame.name ? data.frame.name + " at " + where : where;
  }

  function showDetail(data) {
    const detail = byId("flame-detail");
    detail.replaceChildren();
    if (!data) return;
    detail.append(make("b", "", titleOf(data)), ": " + describe(data.amount));
    if (data.frame && data.frame.source) detail.append(make("br"), make("code", "", data.frame.source));
  }

  function markCurrent() {
    d3.select(box).selectAll("g.frame").classed("current", (d) => d === current);
  }

  // The library draws bars and their text; it knows no keys.
  function moveTo(node) {
    if (!node) return;
    current = node;
    markCurrent();
    showDetail(node.data);
    const bar = d3.select(box).select("g.current").node();
    if (bar) bar.scrollIntoView({ block: "nearest" });
  }

  // Siblings that are drawn: those that a zoom hides have no value.
  const shown = (nodes) => (nodes || []).filter((node) => node.value > 0 && !node.data.hide);

  function sibling(node, step) {
    if (!node.parent) return null;
    const list = shown(node.parent.children);
    return list[list.indexOf(node) + step];
  }

  function onKey(event) {
    const at = current || root;
    const moves = {
      ArrowDown: () => moveTo(shown(at.children)[0]),
      ArrowUp: () => moveTo(at.parent),
      ArrowLeft: () => moveTo(sibling(at, -1)),
      ArrowRight: () => moveTo(sibling(at, 1)),
      Home: () => moveTo(root),
      Enter: () => chart.zoomTo(at),
      Escape: reset,
    };
    if (!moves[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    moves[event.key]();
  }

  function onClick(node) {
    current = node;
    markCurrent();
    panel.showNode(node.data);
    showDetail(node.data);
  }

  // The library calls this for its tooltip; ours is the line below the picture.
  const tooltip = Object.assign(() => {}, { show: (event, node) => showDetail(node.data), hide() {}, destroy() {} });

  function matches(node, text) {
    const frame = node.data.frame;
    return Boolean(text) && Boolean(frame) && frame.text.includes(text);
  }

  function showFound(results, found, total) {
    byId("found").textContent = term
      ? results.length === 0 ? "nothing matches"
        : results.length + " bars match: " + formatPart(found, total) + " of what is shown"
      : "";
  }

  function draw() {
    const data = (inverted ? bottomUp : topDown)(hider(byId("hide").value, byId("imports").checked));
    current = null;
    box.replaceChildren();
    showDetail(null);
    root = null;
    if (data.value === 0) {
      box.append(make("p", "hint", raw.tracebacks === 0 ? "There are no tracebacks." : "Nothing to show: nothing grew here."));
      return;
    }
    chart = flamegraph.default()
      .width(width())
      .cellHeight(20)
      .inverted(true)
      .minFrameSize(0.7)
      .resetHeightOnZoom(true)
      .transitionDuration(still ? 0 : 180)
      .setColorMapper((node) => (node.highlight ? (dark() ? "#a07400" : "#ffe27a") : colourOf(node.data.frame, node.data.amount)))
      .setLabelHandler((node) => titleOf(node.data))
      .setSearchMatch(matches)
      .setSearchHandler(showFound)
      .tooltip(tooltip)
      .onClick(onClick);
    d3.select(box).datum(data).call(chart);
    root = d3.select(box).datum();
    if (term) chart.search(term);
  }

  function reset() {
    if (!root) return;
    chart.resetZoom();
    current = root;
    markCurrent();
  }

  function search(text) {
    term = text;
    if (!root) return;
    if (term) chart.search(term);
    else chart.clear();
    if (!term) byId("found").textContent = "";
    markCurrent();
  }

  const HELP = {
    false: "Each bar is a frame; the bars below it are what it called. Its width is the memory that is still allocated there.",
    true: "Each bar at the top is a line that allocated; the bars below it are its callers. Its width is the memory that is still allocated.",
  };

  function invert() {
    inverted = !inverted;
    byId("flame-help").firstElementChild.textContent = HELP[inverted];
    byId("invert").setAttribute("aria-pressed", String(inverted));
    draw();
  }

  box.addEventListener("keydown", onKey);
  byId("invert").addEventListener("click", invert);
  byId("reset").addEventListener("click", reset);
  return { draw, search, reset };
})();
