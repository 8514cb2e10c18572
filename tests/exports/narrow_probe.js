// Uses a page with types on a narrow screen: narrow_probe.js CHROMIUM PAGE [PICTURE_FOLDER]
"use strict";

const path = require("path");
const { browse } = require("./browsing.js");

const inView = (page, selector) =>
  page.$eval(selector, (element) => {
    const box = element.getBoundingClientRect();
    return box.width > 0 && box.right > 0 && box.left < innerWidth && box.bottom > 0 && box.top < innerHeight;
  });

browse("file://" + process.argv[3], async (page) => {
  const seen = {};
  await page.setViewport({ width: 400, height: 800 });
  await page.reload();
  await page.waitForSelector("html[data-ready]");
  seen.too_wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  seen.at_begin = await page.evaluate(() => scrollY);
  seen.legend = await page.$eval("#legend", (element) => element.textContent);
  seen.bars = await page.$$eval("#flame g.frame", (all) => all.map((bar) => bar.getAttribute("name")));
  seen.rows = await page.$$eval("#table tbody tr", (all) => all.map((row) => row.innerText));
  const row = await page.$("#table tbody tr:nth-child(1)");
  await row.evaluate((element) => element.scrollIntoView({ block: "center" }));
  seen.place_in_view = await inView(page, "#table tbody tr:nth-child(1) td:last-child");
  const before = await page.evaluate(() => scrollY);
  await row.click();
  await page.waitForFunction(() => !document.getElementById("back").hidden);
  seen.panel_in_view = await inView(page, "#panel");
  seen.panel = await page.$eval("#panel-body", (element) => element.innerText);
  if (process.argv[4]) await page.screenshot({ path: path.join(process.argv[4], "narrow.png"), fullPage: true });
  await page.click("#back");
  seen.back = (await page.evaluate(() => scrollY)) === before;
  return seen;
});
