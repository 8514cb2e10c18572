// Opens a file in speedscope, as its command does: speedscope_probe.js CHROMIUM NODE_MODULES FILE SCRATCH
"use strict";

const fs = require("fs");
const path = require("path");
const { browse } = require("./browsing.js");

const [modules, file, scratch] = process.argv.slice(3);
const loader = path.join(scratch, "load.js");
const data = JSON.stringify(fs.readFileSync(file).toString("base64"));
fs.writeFileSync(loader, 'speedscope.loadFileFromBase64("export.speedscope.json", ' + data + ")");
const index = path.join(modules, "speedscope", "dist", "release", "index.html");

browse("file://" + index + "#localProfilePath=" + encodeURIComponent(loader), async (page) => {
  await page.waitForFunction(() => document.title.includes(" - speedscope"));
  const title = await page.title();
  await page.keyboard.press("3"); // the table of functions
  await page.waitForFunction(() => /Symbol Name\s+\S/.test(document.body.innerText));
  const text = await page.evaluate(() => document.body.innerText);
  return { title, text };
});
