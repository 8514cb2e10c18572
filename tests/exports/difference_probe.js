// Looks at a page of `tm-export html --base`: difference_probe.js CHROMIUM PAGE [PICTURE_FOLDER]
"use strict";

const path = require("path");
const { browse } = require("./browsing.js");

const bars = (page) =>
  page.$$eval("#flame g.frame", (all) =>
    all.map((bar) => ({ name: bar.getAttribute("name"), width: bar.getBoundingClientRect().width })));
const texts = (page, selector) => page.$$eval(selector, (all) => all.map((element) => element.textContent));
async function settled(page) {
  for (let before = ""; ; ) {
    await new Promise((done) => setTimeout(done, 300));
    const now = JSON.stringify(await bars(page));
    if (now === before) return now;
    before = now;
  }
}

browse("file://" + process.argv[3], async (page) => {
  const seen = {};
  await page.waitForSelector("html[data-ready]");
  await settled(page);
  seen.title = await page.title();
  seen.tiles = await texts(page, "#tiles .tile");
  seen.rows = await texts(page, "#table tbody tr");
  seen.growth = await bars(page);
  if (process.argv[4]) await page.screenshot({ path: path.join(process.argv[4], "difference.png") });
  for (const side of ["new", "old"]) {
    await page.select("#view", side);
    await settled(page);
    seen[side] = await bars(page);
  }
  return seen;
});
