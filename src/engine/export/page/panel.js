// The panel: the traceback of what was clicked.
"use strict";

const panel = (function () {
  let shown = [];

  function frameItem(frame, newest) {
    const item = make("li", newest ? "newest" : frame.kind === "own" ? "own" : "");
    if (frame.kind === "type") {
      item.append("objects of type ", make("b", "", frame.name));
      return item;
    }
    const where = make("span", "", 'File "' + frame.file + '", line ' + frame.line);
    item.append(where);
    if (frame.name) item.append(", in ", make("b", "", frame.name));
    if (frame.source) item.append(make("code", "", frame.source));
    return item;
  }

  function showPath(body, path) {
    const list = make("ol");
    path.forEach((frame, i) => list.append(frameItem(frame, i === path.length - 1)));
    body.append(list);
    list.scrollTop = list.scrollHeight; // the line that allocated is the last one
    shown = path;
    byId("copy").hidden = path.length === 0;
  }

  function begin(title, amount) {
    const body = byId("panel-body");
    body.replaceChildren(make("h3", "", title), make("p", "hint", describe(amount)));
    byId("copy").hidden = true;
    return body;
  }

  /** The traceback of a bar. */
  function showNode(data) {
    const body = begin(data.cutCount ? data.name : data.frame ? data.frame.name || data.frame.place : "All of it", data.amount);
    if (data.cutCount)
      body.append(make("p", "hint", "They are too small or too deep for this page, and are shown as their sum. The table counts them."));
    if (data.source && data.frame) showPath(body, pathOf(data.source));
  }

  /** The tracebacks of a row, the heaviest first. */
  function showRow(row, key) {
    const nodes = nodesAt(row, key);
    let at = 0;
    const show = () => {
      const title = key === "filename" ? row.frame.file : key === "function" ? row.frame.name || row.frame.file : row.frame.place;
      const body = begin(title, row.own);
      if (nodes.length === 0) {
        body.append(make("p", "hint", "Its tracebacks are too small for this page: they are in the sums."));
        return;
      }
      const choices = make("p", "choices", "Traceback " + (at + 1) + " of " + nodes.length + ": " + describe(nodes[at].direct));
      for (const [text, step] of [["Previous", -1], ["Next", 1]]) {
        const button = make("button", "", text);
        button.type = "button";
        button.disabled = at + step < 0 || at + step >= nodes.length;
        button.addEventListener("click", () => { at += step; show(); });
        choices.append(button);
      }
      body.append(choices);
      showPath(body, pathOf(nodes[at]));
    };
    show();
  }

  // As Traceback.format() writes it.
  function asText() {
    const lines = ["Traceback (most recent call last):"];
    for (const frame of shown.filter((frame) => frame.kind !== "type")) {
      lines.push('  File "' + frame.file + '", line ' + frame.line + (frame.name ? ", in " + frame.name : ""));
      if (frame.source) lines.push("    " + frame.source);
    }
    return lines.join("\n") + "\n";
  }

  async function copy() {
    try {
      await navigator.clipboard.writeText(asText());
      byId("copy").textContent = "Copied";
    } catch (error) { // a browser that does not allow it: then the text is selected
      getSelection().selectAllChildren(byId("panel-body"));
      byId("copy").textContent = "Selected";
    }
    setTimeout(() => { byId("copy").textContent = "Copy"; }, 1500);
  }
  byId("copy").addEventListener("click", copy);

  // Where there is no room beside the pictures the panel is below them: it comes into view, and one word goes back.
  let from = 0;
  function reveal() {
    if (!matchMedia("(max-width: 1080px)").matches) return;
    from = scrollY;
    byId("back").hidden = false;
    byId("panel").scrollIntoView({ block: "start" });
  }
  byId("back").addEventListener("click", () => {
    byId("back").hidden = true;
    scrollTo(0, from);
  });

  return { showNode, showRow, reveal, asText };
})();
