// Loads a heap snapshot with the memory panel of Chromium's own developer tools, and prints what the panel would show:
// node panel_probe.js CHROMIUM FILE CLASS...
"use strict";

const { browse } = require("./browsing.js");

browse("devtools://devtools/bundled/devtools_app.html", async (page) => {
  const input = await page.evaluateHandle(() => {
    const element = document.createElement("input");
    element.type = "file";
    document.body.append(element);
    return element;
  });
  await input.uploadFile(process.argv[3]);
  return await page.evaluate(async (element, wanted) => {
    const { HeapSnapshotView } = await import("devtools://devtools/bundled/panels/profiler/profiler.js");
    const file = element.files[0];
    // The type with allocation stacks is that of the suffix .heaptimeline.
    const timeline = file.name.endsWith(".heaptimeline");
    const type = timeline
      ? new HeapSnapshotView.TrackingHeapSnapshotProfileType()
      : new HeapSnapshotView.HeapSnapshotProfileType();
    const failed = await type.loadFromFile(file);
    if (failed) throw new Error(String(failed));
    const snapshot = await type.getProfiles()[0].loadPromise;
    const rows = Object.entries(await snapshot.aggregatesWithFilter({}));
    const objects = {};
    for (const name of wanted) {
      const [key] = rows.find(([, row]) => row.name === name);
      const provider = snapshot.createNodesProviderForClass(key, {});
      const [item] = (await provider.serializeItemsRange(0, 1)).items;
      const path = [];
      let node = item;
      while (node && node.name && path.length < 100) {
        const edges = (await snapshot.createRetainingEdgesProvider(node.nodeIndex).serializeItemsRange(0, 1000)).items;
        const [edge] = edges.filter((one) => one.node.distance < node.distance).sort((a, b) => a.node.distance - b.node.distance);
        if (!edge) break;
        path.unshift([edge.node.name, String(edge.name)]);
        node = edge.node;
      }
      const children = (await snapshot.createEdgesProvider(item.nodeIndex).serializeItemsRange(0, 1000)).items;
      objects[name] = {
        distance: item.distance,
        selfSize: item.selfSize,
        retainedSize: item.retainedSize,
        path,
        children: children.map((edge) => [String(edge.name), edge.node.name]),
        stack: timeline ? await snapshot.allocationStack(item.nodeIndex) : null,
      };
    }
    return {
      nodes: snapshot.nodeCount,
      total: snapshot.totalSize,
      classes: rows.map(([, row]) => ({ name: row.name, count: row.count, distance: row.distance })),
      objects,
    };
  }, input, process.argv.slice(4));
});
