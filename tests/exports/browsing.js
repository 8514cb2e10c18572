// A headless browser for the scripts beside this file. What its console says, and what it tries to load, is kept.
"use strict";

const puppeteer = require("puppeteer-core");

/** Opens a URL, calls `visit(page)`, and prints what that returns, with everything that went wrong, as JSON. */
async function browse(url, visit) {
  const browser = await puppeteer.launch({
    executablePath: process.argv[2],
    args: ["--no-sandbox", "--allow-file-access-from-files", "--enable-unsafe-swiftshader", "--use-angle=swiftshader"],
    protocolTimeout: 600000,
  });
  try {
    const page = await browser.newPage();
    const wrong = [];
    const requests = [];
    page.setDefaultTimeout(100000);
    page.on("console", (message) => {
      if (["error", "warn", "assert"].includes(message.type())) wrong.push(message.text());
    });
    page.on("pageerror", (error) => wrong.push(String(error)));
    page.on("dialog", (dialog) => { wrong.push("dialog: " + dialog.message()); dialog.dismiss(); });
    page.on("request", (request) => requests.push(request.url()));
    await page.setViewport({ width: 1300, height: 900 });
    await page.goto(url);
    const result = await visit(page);
    console.log(JSON.stringify({ ...result, wrong, requests: requests.length }));
  } finally {
    await browser.close();
  }
}

module.exports = { browse };
