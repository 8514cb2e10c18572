// The treemap: folders, files and lines, by what the lines allocated themselves.
"use strict";

const map = (function () {
  const box = byId("map");
  let tree = null;
  let shown = null;

  const group = (name, parent) => ({ name, parent, children: [], index: new Map(), own: nothing(), row: null, frame: null });
  function within(parent, name) {
    let child = parent.index.get(name);
    if (!child) {
      child = group(name, parent);
      parent.index.set(name, child);
      parent.children.push(child);
    }
    return child;
  }

  // The folders of a file: "<frozen …>" and the like are in none.
  function foldersOf(file) {
    if (file.startsWith("<")) return ["interpreter"];
    const parts = file.split("/");
    parts.pop();
    if (parts[0] === "" && parts.length > 1) parts.splice(0, 2, "/" + parts[1]);
    return parts.map((part) => part + "/");
  }

  function build() {
    const root = group("all files", null);
    for (const row of places.filename.rows) {
      let at = root;
      for (const folder of foldersOf(row.frame.file)) at = within(at, folder);
      const file = within(at, row.frame.file.startsWith("<") ? row.frame.file : row.frame.base);
      file.row = row;
      file.frame = row.frame;
      file.own = add(nothing(), row.own);
      file.lines = [];
      root.index.set("\0" + row.frame.file, file);
    }
    for (const row of places.lineno.rows) {
      const file = root.index.get("\0" + row.frame.file);
      if (file) file.lines.push(row);
    }
    addOthers(root);
    fold(root);
    return root;
  }

  function addOthers(root) {
    const { others, other } = places.filename;
    if (others === 0) return;
    const rest = within(root, others + " other files");
    rest.own = add(nothing(), other);
  }

  // A folder with one folder in it is one name: "usr/lib/python3.11/".
  function fold(node) {
    for (let only; node.parent && node.children.length === 1 && !(only = node.children[0]).frame; ) {
      node.name += only.name;
      node.children = only.children;
      for (const child of node.children) child.parent = node;
    }
    for (const child of node.children) fold(child);
  }

  function weigh(node) {
    node.weight = node.children.length > 0 ? 0 : measured(node.own);
    for (const child of node.children) node.weight += weigh(child);
    return node.weight;
  }

  // What is drawn of a node: of a file its lines, else all files below it.
  function hierarchyOf(node) {
    if (!node.lines) return d3.hierarchy(node, (each) => each.children).sum((each) => (each.children.length > 0 ? 0 : measured(each.own)));
    const lines = node.lines.map((row) => ({ name: "line " + row.frame.line + (row.frame.name ? " " + row.frame.name : ""), row, frame: row.frame,
      own: row.own, children: [], source: row.frame.source }));
    const rest = node.lines.reduce((sum, row) => add(sum, row.own, -1), add(nothing(), node.own));
    if (measured(rest) > 0) lines.push({ name: "other lines", own: rest, children: [], frame: null, row: null });
    return d3.hierarchy({ name: node.name, children: lines }, (each) => each.children).sum((each) => (each.children.length > 0 ? 0 : measured(each.own)));
  }

  function place(element, node) {
    element.style.left = node.x0 + "px";
    element.style.top = node.y0 + "px";
    element.style.width = Math.max(0, node.x1 - node.x0 - 1) + "px";
    element.style.height = Math.max(0, node.y1 - node.y0 - 1) + "px";
  }

  function open(node) {
    shown = node;
    draw();
    if (node.row) panel.showRow(node.row, "filename");
  }

  function tileOf(node) {
    const { data } = node;
    const amount = asked.measure === "size" ? formatSize(measured(data.own)) : formatCount(measured(data.own));
    const button = make("button", "", data.name + "  " + amount);
    button.type = "button";
    button.style.background = colourOf(data.frame, data.own);
    button.title = (data.frame ? data.frame.file + (data.row && !data.lines ? ":" + data.frame.line : "") + "\n" : "") + describe(data.own) +
      (data.source ? "\n" + data.source : "");
    if (data.lines) button.addEventListener("click", () => open(data));
    else if (data.row) button.addEventListener("click", () => { panel.showRow(data.row, "lineno"); panel.reveal(); });
    place(button, node);
    return button;
  }

  function groupOf(node) {
    const element = make("div", "group", node.data.name);
    element.title = node.data.name;
    place(element, node);
    return element;
  }

  function drawCrumbs() {
    const path = [];
    for (let at = shown; at; at = at.parent) path.unshift(at);
    byId("crumbs").replaceChildren(...(path.length < 2 ? [] : path).map((node) => {
      const button = make("button", "", node.name);
      button.type = "button";
      button.disabled = node === shown;
      button.addEventListener("click", () => open(node));
      return button;
    }));
  }

  function draw() {
    if (!tree) shown = tree = build();
    weigh(tree);
    const root = hierarchyOf(shown).sort((a, b) => b.value - a.value);
    const elements = [];
    if (root.value > 0) {
      d3.treemap().size([Math.max(200, box.clientWidth), box.clientHeight || 380]).paddingTop((node) => (node.depth > 0 && node.depth < 3 && node.children && node.value > root.value / 60 ? 19 : 0))
        .paddingInner(1).round(true)(root);
      for (const node of root.descendants()) {
        if (node === root || node.x1 - node.x0 < 3 || node.y1 - node.y0 < 3) continue;
        if (!node.children) elements.push(tileOf(node));
        else if (node.depth < 3 && node.value > root.value / 60) elements.push(groupOf(node));
      }
    } else {
      elements.push(make("p", "hint", "Nothing to show here."));
    }
    box.replaceChildren(...elements);
    drawCrumbs();
  }

  return { draw };
})();
