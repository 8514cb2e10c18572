// Uses a page of `tm-export html` as a person would: page_probe.js CHROMIUM PAGE [PICTURE_FOLDER]
"use strict";

const path = require("path");
const { browse } = require("./browsing.js");

const page_path = process.argv[3];
const pictures = process.argv[4];

// All bars that are drawn: text, left and width.
const bars = (page) =>
  page.$$eval("#flame g.frame", (all) =>
    all.map((bar) => ({
      name: bar.getAttribute("name"),
      width: bar.getBoundingClientRect().width,
      marked: bar.classList.contains("current"),
      fill: bar.querySelector("rect").getAttribute("fill"),
    })));
const text = (page, selector) => page.$eval(selector, (element) => element.textContent);
const texts = (page, selector) => page.$$eval(selector, (all) => all.map((element) => element.textContent));
// Bars move when the picture changes: until two looks are alike.
async function settled(page) {
  for (let before = ""; ; ) {
    await new Promise((done) => setTimeout(done, 300));
    const now = JSON.stringify(await bars(page));
    if (now === before) return;
    before = now;
  }
}
async function shoot(page, name) {
  if (pictures) await page.screenshot({ path: path.join(pictures, name + ".png") });
}

async function clickBar(page, name) {
  const all = await page.$$("#flame g.frame");
  for (const bar of all) {
    if ((await bar.evaluate((element) => element.getAttribute("name"))).includes(name)) {
      await bar.click();
      await settled(page);
      return;
    }
  }
  throw new Error("no bar " + name);
}

browse("file://" + page_path, async (page) => {
  const seen = {};
  await page.waitForSelector("html[data-ready]");
  await settled(page);
  seen.title = await page.title();
  seen.notes = await texts(page, "#notes p");
  seen.tiles = await texts(page, "#tiles .tile");
  seen.begin = await bars(page);
  seen.panel = await text(page, "#panel-body");
  seen.rows = await texts(page, "#table tbody tr");
  seen.tiles_of_map = await texts(page, "#map button");
  await shoot(page, "begin");

  await page.type("#search", "basket");
  await page.waitForFunction(() => document.getElementById("found").textContent !== "");
  await settled(page);
  seen.found = await text(page, "#found");
  seen.found_rows = await texts(page, "#table tbody tr");
  seen.found_fills = (await bars(page)).filter((bar) => bar.name.includes("Basket")).map((bar) => bar.fill);
  await shoot(page, "search");
  await page.$eval("#search", (input) => { input.value = ""; input.dispatchEvent(new Event("input")); });
  await page.waitForFunction(() => document.getElementById("found").textContent === "");

  await clickBar(page, "Basket.add");
  seen.zoomed = await bars(page);
  seen.zoomed_panel = await text(page, "#panel-body");
  await page.click("#reset");
  await settled(page);
  seen.reset = await bars(page);

  await page.focus("#flame");
  for (const key of ["Home", "ArrowDown", "ArrowDown", "Enter"]) await page.keyboard.press(key);
  await settled(page);
  seen.by_keys = await bars(page);
  seen.by_keys_detail = await text(page, "#flame-detail");
  await page.keyboard.press("Escape");
  await settled(page);

  await page.click("#invert");
  await settled(page);
  seen.inverted = await bars(page);
  await page.click("#invert");

  await page.type("#hide", "*/shop.py");
  await page.waitForFunction(() => ![...document.querySelectorAll("#flame g.frame")].some((bar) => bar.getAttribute("name").includes("shop.py")));
  await settled(page);
  seen.hidden = await bars(page);
  await page.$eval("#hide", (input) => { input.value = ""; input.dispatchEvent(new Event("input")); });
  await page.waitForFunction(() => [...document.querySelectorAll("#flame g.frame")].some((bar) => bar.getAttribute("name").includes("shop.py")));

  await page.select("#measure", "count");
  await settled(page);
  seen.by_count = await bars(page);
  await page.select("#measure", "size");

  await page.click('.tabs button[data-key="function"]');
  seen.functions = await texts(page, "#table tbody tr");
  await page.click("#table th:nth-last-child(1) button");
  seen.sorted_by_place = await texts(page, "#table tbody tr td:last-child .base");
  seen.sorted = await page.$$eval("#table th", (all) => all.map((cell) => cell.getAttribute("aria-sort")));
  await page.click('.tabs button[data-key="lineno"]');
  await page.click("#table th:nth-child(1) button");
  await page.click("#table tbody tr:nth-child(1)");
  seen.row_panel = await texts(page, "#panel-body li");

  await page.evaluate(() => [...document.querySelectorAll("#map button")].find((tile) => tile.textContent.startsWith("shop.py")).click());
  seen.lines_of_map = await texts(page, "#map button");
  seen.crumbs = await texts(page, "#crumbs button");

  await page.click("#theme");
  await page.click("#theme");
  seen.dark = await page.$eval("html", (html) => html.hasAttribute("data-dark"));
  await settled(page);
  await shoot(page, "dark");

  seen.hacked = await page.evaluate(() => String(window.hacked));
  seen.images = (await page.$$("img")).length;
  seen.scripts = (await page.$$("script")).length;
  seen.unlabelled = await page.$$eval("button, input, select", (all) =>
    all.filter((element) => !element.textContent.trim() && !element.labels?.length && !element.getAttribute("aria-label")).length);
  return seen;
});
