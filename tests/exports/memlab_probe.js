// Parses a heap snapshot by memlab and prints what it finds: node memlab_probe.js CHROMIUM FILE NAME...
"use strict";

const memlab = require("@memlab/core");

async function main() {
  const log = console.log;
  console.log = () => {};
  process.stdout.write = ((write) => (text, ...rest) => (String(text).startsWith("{") ? write(text, ...rest) : true))(
    process.stdout.write.bind(process.stdout),
  );
  const snapshot = await memlab.utils.getSnapshotFromFile(process.argv[3], { buildNodeIdIndex: true, verbose: false });
  memlab.analysis.preparePathFinder(snapshot);
  const counts = {};
  const objects = {};
  snapshot.nodes.forEach((node) => {
    const key = node.type === "object" ? node.name : "(" + node.type + ")";
    counts[key] = (counts[key] || 0) + 1;
    if (!process.argv.slice(4).includes(node.name)) return;
    objects[node.name] = {
      retainedSize: node.retainedSize,
      referrers: node.referrers.map((edge) => [edge.fromNode.name, String(edge.name_or_index)]),
      references: node.references.map((edge) => [String(edge.name_or_index), edge.toNode.name]),
    };
  });
  process.stdout.write(JSON.stringify({ nodes: snapshot.nodes.length, edges: snapshot.edges.length, counts, objects }));
  log("");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
